"""Everything that is timed, by name: the library's implementations, and the alternatives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from experiments.benchmarks import baselines
from experiments.benchmarks.timing import Contender, compile_call
from experiments.benchmarks.workloads import Operands, Workload, apply_pac
from pac_jax.functional.implementations import IMPLEMENTATIONS

FLOOR = "plain"
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


def prepare_torch(
    workload: Workload, operands: Operands, cotangent: jax.Array, mode: str
) -> Contender:
    """PyTorch's unfold formulation, run as it stands; its memory is not measured.

    Raises:
        NotImplementedError: PyTorch is not installed, or cannot run the workload.
    """
    try:
        import torch

        from experiments.benchmarks import torch_unfold
    except ImportError as error:
        raise NotImplementedError("PyTorch is not installed (see the extra 'convert')") from error
    tensors = torch_unfold.torch_operands(workload, operands)
    weights = torch_unfold.to_tensor(cotangent, (0, 3, 1, 2))

    def forward() -> object:
        with torch.no_grad():
            return torch_unfold.unfold_conv(workload, *tensors)

    def gradients() -> object:
        loss = (torch_unfold.unfold_conv(workload, *tensors) * weights).sum()
        return torch.autograd.grad(loss, tensors)

    return Contender(forward if mode == "forward" else gradients)


def list_competitors() -> dict[str, Prepare]:
    """All competitors by name, the floor first."""
    plain, *others = baselines.BASELINES.items()
    own = {name: partial(apply_pac, implementation=name) for name in IMPLEMENTATIONS}
    functions = {plain[0]: plain[1], **own, **dict(others)}
    prepared = {name: jax_competitor(function) for name, function in functions.items()}
    return {**prepared, "torch": prepare_torch}
