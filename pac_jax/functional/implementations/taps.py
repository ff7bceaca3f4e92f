"""Walk over the window one tap at a time: no array holds window-many copies of anything.

The output is cut into equally shaped pieces, and an outer scan computes one piece after another from
the region of the padded input that it reads; an inner scan over the taps adds up the piece. Both
bodies are rematerialised in the reverse pass, so memory does not grow with the window either way.

* A convolution is cut into bands of rows, which keeps the temporary arrays small (`_bands`).
* A transposed convolution is cut into the phases of its stride: output o meets a real sample only at
  the taps with o - padding_low + t * dilation divisible by the stride, the same taps for the whole
  phase, so that a phase is an ordinary convolution of the unspread input with a part of the kernel
  and no stuffed zero is ever multiplied (`_phases`). Phases with equally many taps share one scan.

Sums over channels are written as products with ones: XLA's CPU backend runs a reduction over a short
last axis many times slower, and a broadcast over channels would be transposed into one.
"""

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pac_jax.functional.geometry import Geometry, Ints, pad_spatially
from pac_jax.functional.problem import Operands, Problem

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
        count: number of pieces.
    """

    size: Ints
    groups: list[Pieces]
    split: Callable[[jax.Array], jax.Array]
    merge: Callable[[jax.Array], jax.Array]
    count: int


def limitation(problem: Problem, operands: Operands) -> str | None:
    """Runs everything."""
    del problem, operands
    return None


def contract(problem: Problem, operands: Operands) -> tuple[jax.Array, jax.Array | None]:
    """See `problem.Implementation`."""
    geometry = problem.geometry
    batch = operands.inputs.shape[0]
    if 0 in (batch, *geometry.output_size):
        return _empty(problem, operands)
    is_transposed = any(s != 1 for s in geometry.spread)
    cut = _phases(geometry) if is_transposed else _bands(geometry, batch)
    centres = None if operands.centres is None else cut.split(operands.centres)
    weights = (
        None if operands.weights is None else _taps_first(cut.split(operands.weights), geometry)
    )
    sources, origin = _padded_sources(problem, operands, cut)
    outputs, order = [], []
    for pieces in cut.groups:
        outputs.append(
            _scan_pieces(problem, operands, pieces, cut, sources, origin, centres, weights)
        )
        order.extend(pieces.members)
    absent = sorted(set(range(cut.count)) - set(order))
    if absent:  # phases that no tap reaches
        lead = (len(absent), batch, *cut.size)
        zeros = _zeros(problem, operands, lead, operands.kernel)
        outputs.append(zeros)
        order.extend(absent)
    joined = jax.tree.map(lambda *parts: jnp.concatenate(parts), *outputs)
    if order != list(range(cut.count)):
        joined = jax.tree.map(lambda parts: parts[np.argsort(order)], joined)
    return jax.tree.map(cut.merge, joined)


# ------------------------------------------------------------------------------------ the two scans


class Sources(NamedTuple):
    """What the taps read, padded: one sample each of inputs, guide and mask."""

    inputs: jax.Array
    neighbours: jax.Array | None
    mask: jax.Array | None


def _scan_pieces(
    problem: Problem,
    operands: Operands,
    pieces: Pieces,
    cut: Cut,
    sources: Sources,
    origin: np.ndarray,
    centres: jax.Array | None,
    weights: jax.Array | None,
) -> tuple[jax.Array, jax.Array | None]:
    """The pieces' two sums, (P, N, *size, D) and (P, N, *size, 1 or C)."""
    kernel = operands.kernel.reshape(-1, *operands.kernel.shape[problem.geometry.ndim :])
    parts = kernel[pieces.taps] if pieces.of_phases else None
    extent = pieces.extent(cut.size)

    def piece(_: None, xs: tuple) -> tuple[None, tuple]:
        start, centre, weight, part = xs
        region = jax.tree.map(lambda source: _slice(source, start, extent), sources)
        return None, _scan_taps(
            problem,
            operands.affinity,
            region,
            centre,
            weight,
            kernel if part is None else part,
            pieces.offsets,
            pieces.strides,
            cut.size,
        )

    xs = (
        jnp.asarray(pieces.starts + origin, jnp.int32),
        centres[pieces.members] if pieces.of_phases and centres is not None else centres,
        weights[pieces.members[:, None], pieces.taps]
        if pieces.of_phases and weights is not None
        else weights,
        parts,
    )
    return lax.scan(jax.checkpoint(piece), None, xs)[1]


def _scan_taps(
    problem: Problem,
    affinity: object | None,
    region: Sources,
    centre: jax.Array | None,
    weights: jax.Array | None,
    kernel: jax.Array,
    offsets: np.ndarray,
    strides: Ints,
    size: Ints,
) -> tuple[jax.Array, jax.Array | None]:
    """One piece's two sums: (N, *size, D) and (N, *size, 1 or C)."""

    def tap(sums: tuple, xs: tuple) -> tuple[tuple, None]:
        offset, weight, kernel_tap = xs
        if weight is None:
            neighbour = _strided(region.neighbours, offset, size, strides)
            weight = _weight(problem, affinity, neighbour, centre).astype(region.inputs.dtype)
        if not problem.channel_wise:
            weight = weight[..., None]
        total, denominator = sums
        total = total + _tap_product(
            problem, size, strides, region.inputs, weight, kernel_tap, offset
        )
        if denominator is not None:
            denominator = denominator + weight * _strided(region.mask, offset, size, strides)
        return (total, denominator), None

    zeros = _zeros(problem, region, (region.inputs.shape[0], *size), kernel)
    xs = (jnp.asarray(offsets, jnp.int32), weights, kernel)
    return lax.scan(jax.checkpoint(tap), zeros, xs)[0]


@partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def _tap_product(
    problem: Problem,
    size: Ints,
    strides: Ints,
    inputs: jax.Array,
    weight: jax.Array,
    kernel: jax.Array,
    offset: jax.Array,
) -> jax.Array:
    """What one tap adds to a piece, (N, *size, D): its inputs times weight times kernel.

    The product is linear in each, so the kernel may come first, on the whole region: its result is
    then sliced, weighted and added up in one pass over memory. That pays unless there are more
    features than channels to pass over, or a stride leaves out most of what was computed.
    """
    kernel_first = (
        problem.feature_group_count == 1
        and kernel.shape[-1] <= inputs.shape[-1]
        and all(s == 1 for s in strides)
    )
    if not kernel_first:
        return _weight_first(problem, size, strides, inputs, weight, kernel, offset)
    product = _strided(_times_kernel(inputs, kernel, problem), offset, size, strides)
    return _over_channels(weight, product.shape[-1]) * product


def _weight_first(
    problem: Problem,
    size: Ints,
    strides: Ints,
    inputs: jax.Array,
    weight: jax.Array,
    kernel: jax.Array,
    offset: jax.Array,
) -> jax.Array:
    sample = _strided(inputs, offset, size, strides)
    weighted = _over_channels(weight, sample.shape[-1]) * sample
    return _times_kernel(weighted, kernel, problem)


@_tap_product.defjvp
def _tap_product_jvp(
    problem: Problem, size: Ints, strides: Ints, primals: tuple, tangents: tuple
) -> tuple[jax.Array, jax.Array]:
    # The transpose is faster with the weight first, as it slices nothing that the kernel is yet to
    # be applied to; as plain operations this rule can be differentiated again, in either mode.
    product = _tap_product(problem, size, strides, *primals)
    function = partial(_weight_first, problem, size, strides)
    return product, jax.jvp(function, primals, tangents)[1]


def _weight(
    problem: Problem, affinity: object, neighbour: jax.Array, centre: jax.Array
) -> jax.Array:
    if problem.channel_wise:
        neighbour, centre = neighbour[..., None], centre[..., None]
    return affinity(neighbour, centre)  # type: ignore[operator]


def _over_channels(weight: jax.Array, channels: int) -> jax.Array:
    """(..., 1) -> (..., channels), transposed into a product instead of a reduction."""
    if weight.shape[-1] == channels:
        return weight
    ones = jnp.ones((1, channels), weight.dtype)
    return _matmul(weight, ones, lax.Precision.HIGHEST)


def _times_kernel(weighted: jax.Array, kernel: jax.Array, problem: Problem) -> jax.Array:
    """One tap's product with the kernel, (..., C) -> (..., D)."""
    groups = problem.feature_group_count
    if groups is None:  # pooling: one number for all channels
        return weighted * kernel
    if groups == 1:
        return _matmul(weighted, kernel, problem.precision)
    group_features, features = kernel.shape
    kernel = kernel.reshape(group_features, groups, features // groups)
    weighted = weighted.reshape(*weighted.shape[:-1], groups, group_features)
    if group_features == 1:  # depthwise: no sum, hence no product of matrices
        product = weighted * kernel.reshape((1,) * (weighted.ndim - 2) + kernel.shape[1:])
    else:
        product = jnp.einsum("...gc,cgd->...gd", weighted, kernel, precision=problem.precision)
    return product.reshape(*product.shape[:-2], features)


def _matmul(left: jax.Array, right: jax.Array, precision: lax.PrecisionLike) -> jax.Array:
    dimensions = (((left.ndim - 1,), (0,)), ((), ()))
    return lax.dot_general(left, right, dimensions, precision=precision)


def _slice(array: jax.Array, start: jax.Array, size: Ints) -> jax.Array:
    zero = jnp.zeros((), start.dtype)
    starts = (zero, *(start[i] for i in range(len(size))), zero)
    return lax.dynamic_slice(array, starts, (array.shape[0], *size, array.shape[-1]))


def _strided(array: jax.Array, start: jax.Array, size: Ints, strides: Ints) -> jax.Array:
    span = tuple((n - 1) * s + 1 for n, s in zip(size, strides, strict=True))
    block = _slice(array, start, span)
    return lax.slice(block, (0,) * block.ndim, block.shape, (1, *strides, 1))


# ------------------------------------------------------------------------------- cutting the output


def _bands(geometry: Geometry, batch: int) -> Cut:
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


def _phases(geometry: Geometry) -> Cut:
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
        lambda array: _split_phases(array, stride, size),
        lambda parts: _merge_phases(parts, stride, output_size),
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


def _split_phases(array: jax.Array, stride: Ints, size: Ints) -> jax.Array:
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


def _merge_phases(parts: jax.Array, stride: Ints, output_size: Ints) -> jax.Array:
    n = len(stride)
    size = parts.shape[2 : 2 + n]
    parts = parts.reshape(*stride, *parts.shape[1:])
    parts = jnp.moveaxis(parts, tuple(range(n)), tuple(2 + 2 * axis for axis in range(n)))
    full = tuple(q * s for q, s in zip(size, stride, strict=True))
    merged = parts.reshape(parts.shape[0], *full, parts.shape[-1])
    return merged[(slice(None), *(slice(0, o) for o in output_size))]


def _taps_first(weights: jax.Array, geometry: Geometry) -> jax.Array:
    """(P, N, *size, *window, ...) -> (P, T, N, *size, ...)."""
    n = geometry.ndim
    lead = weights.shape[: 2 + n]
    flat = weights.reshape(*lead, geometry.num_taps, *weights.shape[2 + 2 * n :])
    return jnp.moveaxis(flat, 2 + n, 1)


def _padded_sources(problem: Problem, operands: Operands, cut: Cut) -> tuple[Sources, np.ndarray]:
    """The sources padded (or cropped) to what the pieces read, and the input's place in them."""
    size = np.array(problem.geometry.input_size)
    starts = [pieces.starts.min(axis=0) for pieces in cut.groups]
    ends = [pieces.starts.max(axis=0) + np.array(pieces.extent(cut.size)) for pieces in cut.groups]
    low = -np.min(starts, axis=0) if starts else np.zeros_like(size)
    high = np.max(ends, axis=0) - size if ends else np.zeros_like(size)

    def pad(array: jax.Array) -> jax.Array:
        return pad_spatially(array, low.tolist(), high.tolist())

    sources = Sources(
        pad(operands.inputs),
        None if operands.neighbours is None else pad(operands.neighbours),
        pad(operands.sample_weights()) if problem.normalize else None,
    )
    return sources, low


def _zeros(
    problem: Problem, source: Operands | Sources, lead: Ints, kernel: jax.Array
) -> tuple[jax.Array, jax.Array | None]:
    """Two sums of nothing, with these leading dimensions."""
    channels = source.inputs.shape[-1]
    features = channels if problem.feature_group_count is None else kernel.shape[-1]
    outputs = jnp.zeros((*lead, features), source.inputs.dtype)
    if not problem.normalize:
        return outputs, None
    return outputs, jnp.zeros((*lead, channels if problem.channel_wise else 1), outputs.dtype)


def _empty(problem: Problem, operands: Operands) -> tuple[jax.Array, jax.Array | None]:
    """An output without elements: nothing to scan over."""
    lead = (operands.inputs.shape[0], *problem.geometry.output_size)
    return _zeros(problem, operands, lead, operands.kernel)
