"""How the arrays lie for a TPU: rows that programs can bring to fast memory, read at unit steps.

Every output phase (o modulo the spread) reads, by each of its taps, samples in steps of the strides:

    u = q * stride + start,    start = shift * stride + residue.

Samples are therefore sorted by their residue, u modulo the stride, and outputs by their phase: then a
tap reads one residue's samples, shifted by a fixed number of rows and columns. One and two spatial
dimensions are given leading ones of size 1. Rows are along the last but one.
"""

import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pac_jax.functional.geometry import Geometry, Ints, pad_spatially
from pac_jax.functional.implementations.groups import single_taps
from pac_jax.functional.implementations.phases import merge_phases, split_phases
from pac_jax.functional.implementations.terms import Arrays
from pac_jax.functional.problem import Problem

_FAST_MEMORY = (
    12 * 2**20
)  # of the 16 MiB that the compiler grants a kernel, all that blocks may take
_LANES, _SUBLANES = 128, 8  # the last two axes are stored in multiples of these, of 4 bytes
_MOST_ROWS = 64
_MOST_TAPS = 512  # which are written out one by one
WIDTH = _LANES  # features that a program computes at a time


class Tap(NamedTuple):
    """What a tap of a phase reads.

    Attributes:
        place: in the flattened window.
        residue: of the samples.
        shift: along every axis, from the first sample that a program has.
        start: along every axis, the sample that output 0 of the phase reads.
    """

    place: int
    residue: int
    shift: Ints
    start: Ints


@dataclass(frozen=True)
class Layout:
    """How the arrays of a geometry lie, and which of them a program reads.

    Attributes:
        geometry: with three spatial dimensions.
        rows: of every phase that a program computes.
    """

    geometry: Geometry
    rows: int

    @cached_property
    def _taps(self) -> tuple[np.ndarray, ...]:
        phases, places, starts = single_taps(self.geometry)
        shifts, rests = np.divmod(starts, np.array(self.geometry.strides))
        residues = np.ravel_multi_index(tuple(rests.T), self.geometry.strides)
        return phases, places, starts, shifts, np.asarray(residues)

    @cached_property
    def first(self) -> Ints:
        """The smallest shift of any tap, in samples of a residue; negative where outside."""
        return tuple(self._taps[3].min(axis=0).tolist())

    @cached_property
    def taps(self) -> list[list[Tap]]:
        """The taps of every phase."""
        found: list[list[Tap]] = [[] for _ in range(self.geometry.num_phases)]
        for phase, place, start, shift, residue in zip(*self._taps, strict=True):
            shift = tuple((shift - np.array(self.first)).tolist())
            found[phase].append(Tap(int(place), int(residue), shift, tuple(start.tolist())))
        return found

    @property
    def reach(self) -> Ints:
        """By how much the shifts of the taps differ."""
        shifts = self._taps[3]
        return tuple((shifts.max(axis=0) - shifts.min(axis=0)).tolist())

    @property
    def bands(self) -> int:
        """Programs along the rows."""
        sizes = zip(self.geometry.output_size, self.geometry.spread, strict=True)
        return -(-[-(-n // s) for n, s in sizes][1] // self.rows)

    @property
    def phase_size(self) -> Ints:
        """Spatial size of one phase of the output, with whole bands."""
        depth, _, width = (
            -(-n // s) for n, s in zip(self.geometry.output_size, self.geometry.spread, strict=True)
        )
        return depth, self.bands * self.rows, width

    @property
    def region(self) -> Ints:
        """Spatial size of a residue's samples that a program reads."""
        depth, rows, width = self.reach
        return 1 + depth, self.rows + rows, self.phase_size[2] + width

    def of_samples(self, array: Any) -> jax.Array:
        """(N, *input_size, C) -> (N, residues, *size, C), zeros outside."""
        strides = self.geometry.strides
        size = tuple(n + r for n, r in zip(self.phase_size, self.reach, strict=True))
        low = [-first * s for first, s in zip(self.first, strides, strict=True)]
        whole = [n * s for n, s in zip(size, strides, strict=True)]
        high = [w - b - n for w, b, n in zip(whole, low, self.geometry.input_size, strict=True)]
        array = array.reshape(array.shape[0], *self.geometry.input_size, array.shape[-1])
        return _first(split_phases(pad_spatially(array, low, high), strides, size))

    def of_outputs(self, array: jax.Array) -> jax.Array:
        """(N, *output_size, C) -> (N, phases, *phase_size, C), zeros where there is no output."""
        array = array.reshape(array.shape[0], *self.geometry.output_size, array.shape[-1])
        return _first(split_phases(array, self.geometry.spread, self.phase_size))

    def to_outputs(self, parts: jax.Array, output_size: Ints) -> jax.Array:
        """(N, phases, *phase_size, C) -> (N, *output_size, C)."""
        parts = parts.reshape(parts.shape[0], *self.geometry.spread, *parts.shape[2:])
        merged = merge_phases(jnp.moveaxis(parts, (1, 2, 3), (4, 5, 6)), self.geometry.output_size)
        return merged.reshape(merged.shape[0], *output_size, merged.shape[-1])


def _first(parts: jax.Array) -> jax.Array:
    """(N, *size, *spread, C) -> (N, phases, *size, C)."""
    parts = jnp.moveaxis(parts, (4, 5, 6), (1, 2, 3))
    return parts.reshape(parts.shape[0], -1, *parts.shape[4:])


class Plan(NamedTuple):
    """A layout, or why there is none.

    Attributes:
        layout: None where a program would hold too much.
        limitation: why; None where there is a layout.
    """

    layout: Layout | None
    limitation: str | None


def plan(problem: Problem, arrays: Arrays) -> Plan:
    """As many rows a program as fast memory holds."""
    geometry = _in_space(problem.geometry)
    if geometry.num_taps > _MOST_TAPS:
        return Plan(None, f"the window has {geometry.num_taps} taps, and it takes {_MOST_TAPS}")
    rows = min(
        _MOST_ROWS, 1 << (-(-geometry.output_size[1] // geometry.spread[1]) - 1).bit_length()
    )
    while rows:
        layout = Layout(geometry, rows)
        held = _held(problem, arrays, layout)
        if held <= _FAST_MEMORY:
            return Plan(layout, None)
        rows //= 2
    return Plan(
        None,
        f"a row and what it reads take {held / 2**20:.0f} MiB, and it holds "
        f"{_FAST_MEMORY // 2**20} MiB; pass parts of the image",
    )


@cache
def _in_space(geometry: Geometry) -> Geometry:
    """The same with three spatial dimensions."""
    more = 3 - geometry.ndim
    ones = (1,) * more
    return Geometry(
        ones + geometry.input_size,
        ones + geometry.window,
        ones + geometry.strides,
        ((0, 0),) * more + geometry.padding,
        ones + geometry.kernel_dilation,
        ones + geometry.spread,
    )


def _held(problem: Problem, arrays: Arrays, layout: Layout) -> int:
    """Bytes of fast memory for a program: every block twice, one in use and one on its way."""
    inputs, neighbours, mask = arrays.samples
    geometry = layout.geometry
    of_phases = (geometry.num_phases, layout.rows, layout.phase_size[2])
    of_residues = (math.prod(geometry.strides), *layout.region)
    features = inputs.shape[-1]
    held = 0
    if problem.feature_group_count is not None:
        features = min(WIDTH, arrays.kernel.shape[-1])
        held += _bytes(
            (geometry.num_taps, inputs.shape[-1], features), arrays.kernel.dtype.itemsize
        )
    read: list[Any] = [inputs, neighbours] if mask is None else [inputs, neighbours, mask]
    for array in read:
        held += _bytes((*of_residues, array.shape[-1]), array.dtype.itemsize)
    held += _bytes((*of_phases, arrays.centres.shape[-1]), arrays.centres.dtype.itemsize)
    held += _bytes((*of_phases, features), 4)
    if problem.normalize:
        held += _bytes((*of_phases, inputs.shape[-1] if problem.channel_wise else 1), 4)
    return 2 * held


def _bytes(shape: Ints, itemsize: int) -> int:
    *lead, rows, columns = shape
    tile = _SUBLANES * 4 // itemsize
    rows, columns = -(-rows // tile) * tile, -(-columns // _LANES) * _LANES
    return math.prod(lead) * rows * columns * itemsize
