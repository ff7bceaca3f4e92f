"""Cutting the output into equally shaped pieces, each with the input region that it reads."""

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pac_jax.functional.geometry import Geometry, Ints

# A band of this many output positions amortises the start of each tap's handful of kernels, and its
# temporary arrays (8 MiB at 32 channels) are no larger than those of a plain scan over the taps. More
# than this many bands make the reverse pass, which adds each band's cotangent to the whole input's,
# slow. experiments/benchmarks measures both.
_BAND_POSITIONS = 65536
_MAX_BANDS = 16


class Pieces(NamedTuple):
    """Equally shaped pieces of the output, all with equally many taps.

    Attributes:
        members: (P,) which of the cut output's pieces these are.
        starts: (P, n) where each piece's region begins on the unpadded input.
        offsets: (T, n) where each tap begins within the region.
        strides: from one output of a piece to the next, on the input.
        taps: (P, T) each tap's place in the flattened window.
        of_phases: whether the pieces are phases, each with some of the taps; if not, they are all
            the pieces there are, and have all taps.
    """

    members: np.ndarray
    starts: np.ndarray
    offsets: np.ndarray
    strides: Ints
    taps: np.ndarray
    of_phases: bool

    def extent(self, size: Ints) -> Ints:
        """Spatial size of the region that a piece of this size reads."""
        steps = zip(size, self.strides, self.offsets.max(axis=0), strict=True)
        return tuple((n - 1) * s + 1 + int(last) for n, s, last in steps)


class Cut(NamedTuple):
    """How the output is cut: `split` and `merge` are each other's inverse up to cropping.

    Attributes:
        size: spatial size of one piece.
        groups: the pieces, grouped by their number of taps (pieces without taps are left out).
        split: (N, *output_size, ...) -> (pieces, N, *size, ...).
        merge: (pieces, N, *size, C) -> (N, *output_size, C).
        number: of pieces.
    """

    size: Ints
    groups: list[Pieces]
    split: Callable[[jax.Array], jax.Array]
    merge: Callable[[jax.Array], jax.Array]
    number: int


def bands(geometry: Geometry, batch: int) -> Cut:
    """Bands of rows, as many as keep the temporary arrays small."""
    rows, *rest = geometry.output_size
    positions = batch * math.prod(geometry.output_size)
    wanted = min(-(-positions // _BAND_POSITIONS), _MAX_BANDS, rows)
    height = -(-rows // wanted)
    count = -(-rows // height)
    size = (height, *rest)
    low = np.array([low for low, _ in geometry.padding])
    starts = np.zeros((count, geometry.ndim), int)
    starts[:, 0] = np.arange(count) * height * geometry.strides[0]
    dilation = np.array(geometry.kernel_dilation)
    offsets = np.array(list(np.ndindex(geometry.window))) * dilation
    taps = np.tile(np.arange(geometry.num_taps), (count, 1))
    pieces = Pieces(
        np.arange(count), starts - low, offsets, geometry.strides, taps, of_phases=False
    )

    def split(array: jax.Array) -> jax.Array:
        config = [(0, 0, 0)] * array.ndim
        config[1] = (0, count * height - rows, 0)
        array = lax.pad(array, jnp.zeros((), array.dtype), config)
        array = array.reshape(array.shape[0], count, height, *array.shape[2:])
        return jnp.moveaxis(array, 1, 0)

    def merge(parts: jax.Array) -> jax.Array:
        parts = jnp.moveaxis(parts, 0, 1)
        return parts.reshape(parts.shape[0], count * height, *parts.shape[3:])[:, :rows]

    return Cut(size, [pieces], split, merge, count)


def phases(geometry: Geometry) -> Cut:
    """The phases of the stride, grouped by their number of taps along every axis."""
    n = geometry.ndim
    stride, output_size = geometry.spread, geometry.output_size
    size = tuple(-(-o // s) for o, s in zip(output_size, stride, strict=True))
    axes = [_axis_phases(geometry, axis) for axis in range(n)]
    groups: dict[Ints, list[Ints]] = {}
    for phase in np.ndindex(stride):
        counts = tuple(len(axes[axis][r][0]) for axis, r in enumerate(phase))
        if 0 not in counts:
            groups.setdefault(counts, []).append(phase)
    return Cut(
        size,
        [_phase_pieces(geometry, axes, phases) for phases in groups.values()],
        lambda array: split_phases(array, stride, size),
        lambda parts: merge_phases(parts, stride, output_size),
        math.prod(stride),
    )


def _axis_phases(geometry: Geometry, axis: int) -> list[tuple[list[int], list[int]]]:
    """For every phase of one axis: its taps, and the input that each reads for the phase's output 0."""
    low, _ = geometry.padding[axis]
    stride, dilation = geometry.spread[axis], geometry.kernel_dilation[axis]
    phases = []
    for phase in range(stride):
        positions = {t: phase - low + t * dilation for t in range(geometry.window[axis])}
        taps = [t for t, position in positions.items() if position % stride == 0]
        phases.append((taps, [positions[t] // stride for t in taps]))
    return phases


def _phase_pieces(geometry: Geometry, axes: list, phases: list[Ints]) -> Pieces:
    members, starts, taps = [], [], []
    for phase in phases:
        axis_taps = [axes[axis][r][0] for axis, r in enumerate(phase)]
        axis_reads = [axes[axis][r][1] for axis, r in enumerate(phase)]
        members.append(np.ravel_multi_index(phase, geometry.spread))
        starts.append([reads[0] for reads in axis_reads])
        taps.append(
            [np.ravel_multi_index(t, geometry.window) for t in itertools.product(*axis_taps)]
        )
    # Successive taps of any phase are equally far apart on the input, so one phase speaks for all.
    offsets = [[read - reads[0] for read in reads] for reads in axis_reads]
    return Pieces(
        np.array(members),
        np.array(starts),
        np.array(list(itertools.product(*offsets))),
        (1,) * geometry.ndim,
        np.array(taps),
        of_phases=True,
    )


def split_phases(array: jax.Array, stride: Ints, size: Ints) -> jax.Array:
    """(N, *output_size, ...) -> (phases, N, *size, ...), zeros beyond the output."""
    n = len(stride)
    config = [(0, 0, 0)] * array.ndim
    for axis in range(n):
        config[1 + axis] = (0, size[axis] * stride[axis] - array.shape[1 + axis], 0)
    array = lax.pad(array, jnp.zeros((), array.dtype), config)
    paired = itertools.chain.from_iterable(zip(size, stride, strict=True))
    array = array.reshape(array.shape[0], *paired, *array.shape[1 + n :])
    phase_axes = tuple(2 + 2 * axis for axis in range(n))
    array = jnp.moveaxis(array, phase_axes, tuple(range(n)))
    return array.reshape(-1, *array.shape[n:])


def merge_phases(parts: jax.Array, stride: Ints, output_size: Ints) -> jax.Array:
    """(phases, N, *size, C) -> (N, *output_size, C)."""
    n = len(stride)
    size = parts.shape[2 : 2 + n]
    parts = parts.reshape(*stride, *parts.shape[1:])
    parts = jnp.moveaxis(parts, tuple(range(n)), tuple(2 + 2 * axis for axis in range(n)))
    full = tuple(q * s for q, s in zip(size, stride, strict=True))
    merged = parts.reshape(parts.shape[0], *full, parts.shape[-1])
    return merged[(slice(None), *(slice(0, o) for o in output_size))]
