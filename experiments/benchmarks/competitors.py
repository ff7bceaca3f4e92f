"""Everything that is timed, by name: the library's implementations, and the alternatives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from experiments.benchmarks import baselines, peers
from experiments.benchmarks.timing import Contender, compile_call
from experiments.benchmarks.workloads import Operands, Workload, apply_pac
from pac_jax.functional.implementations import IMPLEMENTATIONS

FLOOR = "plain"
DEFAULT = "default"  # the implementation that the library chooses
CONSTANT = "constant"  # the same with affinities of 1: what is left where they cost nothing
TORCH = "torch"
MODES = ("forward", "gradients")

Prepare = Callable[[Workload, Operands, jax.Array, str], Contender]


def jax_competitor(function: Callable[[Workload, Operands], jax.Array]) -> Prepare:
    """A function of a workload and its operands, ready to be compiled in either mode."""

    def prepare(
        workload: Workload, operands: Operands, cotangent: jax.Array, mode: str
    ) -> Contender:
        if function is baselines.plain_conv:
            operands = operands._replace(guide=None)  # no zero gradient for what is not read
        evaluate = partial(function, workload)
        if mode == "forward":
            return compile_call(evaluate, operands)
        return compile_call(with_gradients(evaluate), operands, cotangent)

    return prepare


def with_gradients(evaluate: Callable[[Operands], jax.Array]) -> Callable:
    """A function of operands and cotangent: sum(outputs * cotangent), and its gradients."""

    def loss(operands: Operands, cotangent: jax.Array) -> jax.Array:
        return jnp.sum(evaluate(operands) * cotangent)

    return jax.value_and_grad(loss)


def without_affinities(workload: Workload, operands: Operands) -> jax.Array:
    """The library's own walk over the window, with no affinity to compute or to differentiate."""
    assert operands.guide is not None
    unguided = operands._replace(guide=jax.lax.stop_gradient(operands.guide))
    return apply_pac(workload, unguided, affinity=_ones)


def _ones(neighbour: jax.Array, centre: jax.Array) -> jax.Array:
    del centre
    return jnp.ones(neighbour.shape[:-1], neighbour.dtype)


def torch_competitor(name: str) -> Prepare:
    """A function of `torch_runs`, imported only when it is called for."""

    def prepare(
        workload: Workload, operands: Operands, cotangent: jax.Array, mode: str
    ) -> Contender:
        try:
            from experiments.benchmarks import torch_runs
        except ImportError as error:
            message = "PyTorch is not installed (see the extra 'convert')"
            raise NotImplementedError(message) from error
        return getattr(torch_runs, name)(workload, operands, cotangent, mode)

    return prepare


def list_competitors() -> dict[str, Prepare]:
    """All competitors by name, the floor first, then what users of this library get."""
    plain, *others = baselines.BASELINES.items()
    own = {name: partial(apply_pac, implementation=name) for name in IMPLEMENTATIONS}
    functions: dict[str, baselines.Baseline] = dict([plain])
    functions |= {DEFAULT: apply_pac, CONSTANT: without_affinities, **own, **dict(others)}
    return {
        **{name: jax_competitor(function) for name, function in functions.items()},
        TORCH: torch_competitor("prepare_unfold"),
        "torch_compile": torch_competitor("prepare_compiled"),
        "kornia": peers.prepare_kornia,
        "opencv_bilateral": peers.prepare_opencv_bilateral,
        "opencv_guided": peers.prepare_opencv_guided,
    }
