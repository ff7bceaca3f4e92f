"""What the kernels are given: the static part, and arrays with a row for every position."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.dtypes import canonicalize_dtype
from jax.typing import DTypeLike

from pac_jax.functional.arguments import at_least_float32
from pac_jax.functional.implementations.fusing import numbers_and_structure
from pac_jax.functional.implementations.pallas_triton.tiles import Tiles, choose
from pac_jax.functional.implementations.pallas_triton.walks import (
    Walk,
    from_inputs,
    from_outputs,
)
from pac_jax.functional.implementations.terms import Arrays
from pac_jax.functional.problem import Problem


@dataclass(frozen=True)
class Task:
    """The static part of a kernel; hashable.

    Attributes:
        problem: see there.
        batch: number of images.
        channels: of the inputs.
        features: of the output.
        guide: channels of the guide.
        affinity: structure of the affinity, without the smoothing of its centre.
        dtype: of the sums, and of everything between loads and stores.
    """

    problem: Problem
    batch: int
    channels: int
    features: int
    guide: int
    affinity: Any
    dtype: DTypeLike

    @property
    def pools(self) -> bool:
        """Whether all channels share one filter."""
        return self.problem.feature_group_count is None

    @property
    def channel_wise(self) -> bool:
        """Whether every channel has an affinity of its own."""
        return self.problem.channel_wise

    @cached_property
    def from_outputs(self) -> Walk:
        """From every output to the inputs that it reads."""
        return from_outputs(self.problem.geometry)

    @cached_property
    def from_inputs(self) -> Walk:
        """From every input to the outputs that read it."""
        return from_inputs(self.problem.geometry)

    def tiles(self, walk: Walk, features: int, channels: int, *, reverse: bool = True) -> Tiles:
        """Tiles of programs that write this many features and sum over this many channels."""
        copies = self.batch * walk.classes
        guide = 0 if self.channel_wise else self.guide
        return choose(walk.class_size, copies, features, channels, guide, reverse=reverse)

    def affinity_of(self, numbers: list) -> Any:
        """The affinity with these numbers."""
        return jax.tree.unflatten(self.affinity, numbers)


class Loaded(NamedTuple):
    """The arrays that kernels load from, (rows, channels) or (rows,).

    Attributes:
        inputs: (N * inputs, C).
        neighbours: (N * inputs, G).
        centres: (N * outputs, G).
        kernel: (T * C, D), or (T,) for pooling.
        mask: (N * inputs,), None unless the denominator is wanted.
        bias: (D,), or None.
        numbers: (numbers,), the affinity's; None where it has none.
        of_sums: (N * outputs, D), the numerator's cotangent; None in the forward pass.
        of_weights: (N * outputs,), or (N * outputs, C) if channel-wise, the denominator's; or None.
    """

    inputs: jax.Array
    neighbours: jax.Array
    centres: jax.Array
    kernel: jax.Array
    mask: jax.Array | None
    bias: jax.Array | None
    numbers: jax.Array | None
    of_sums: jax.Array | None = None
    of_weights: jax.Array | None = None


def prepare(problem: Problem, arrays: Arrays) -> tuple[Task, Loaded]:
    """The task of a problem, and its arrays as kernels load them."""
    inputs, _, mask = arrays.samples
    pools = problem.feature_group_count is None
    channels = inputs.shape[-1]
    dtype = canonicalize_dtype(at_least_float32(inputs.dtype, problem.dtype))
    numbers, structure = numbers_and_structure(arrays.affinity, dtype)
    task = Task(
        problem,
        inputs.shape[0],
        channels,
        channels if pools else arrays.kernel.shape[-1],
        arrays.centres.shape[-1],
        structure,
        dtype,
    )
    if mask is not None:
        mask = jnp.broadcast_to(mask, (*inputs.shape[:-1], 1)).reshape(-1)
    loaded = Loaded(
        _rows(inputs),
        _rows(arrays.samples.neighbours),
        _rows(arrays.centres),
        arrays.kernel.reshape(-1) if pools else _rows(arrays.kernel),
        mask,
        arrays.bias,
        numbers,
    )
    return task, loaded


def _rows(array: Any) -> jax.Array:
    return array.reshape(-1, array.shape[-1])
