"""Walk over the window one tap at a time: no array holds window-many copies of anything.

The output is cut into equally shaped pieces, and an outer scan computes one piece after another from
the region of the padded input that it reads; an inner scan over the taps adds up the piece. Both
bodies are rematerialised in the reverse pass, so memory does not grow with the window either way.

* A convolution is cut into bands of rows, which keeps the temporary arrays small.
* A transposed convolution is cut into the phases of its stride: output o meets a real sample only at
  the taps with o - padding_low + t * dilation divisible by the stride, the same taps for the whole
  phase, so that a phase is an ordinary convolution of the unspread input with a part of the kernel
  and no stuffed zero is ever multiplied. Phases with equally many taps share one scan.

Sums over channels are written as products with ones: XLA's CPU backend runs a reduction over a short
last axis many times slower, and a broadcast over channels would be transposed into one.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pac_jax.functional.affinity import Affinity, evaluate_affinity
from pac_jax.functional.geometry import Ints, pad_spatially
from pac_jax.functional.implementations.pieces import Cut, Pieces, bands, phases
from pac_jax.functional.implementations.products import (
    Sums,
    over_channels,
    taps_first,
    times_kernel,
    zeros,
)
from pac_jax.functional.problem import GuideFeatures, Operands, Problem


class Sources(NamedTuple):
    """What the taps read, padded to what the pieces reach.

    Attributes:
        inputs: (N, *padded_size, C).
        neighbours: (N, *padded_size, G), None where the affinity is given.
        mask: (N or 1, *padded_size, 1), None unless the denominator is wanted.
    """

    inputs: jax.Array
    neighbours: Any
    mask: Any


def limitation(problem: Problem, operands: Operands) -> str | None:
    """Runs everything."""
    del problem, operands
    return None


def contract(problem: Problem, operands: Operands) -> Sums:
    """See `problem.Implementation`."""
    geometry = problem.geometry
    batch = operands.inputs.shape[0]
    if 0 in (batch, *geometry.output_size):
        return zeros(problem, operands.inputs, operands.kernel, (batch, *geometry.output_size))
    is_transposed = any(s != 1 for s in geometry.spread)
    cut = phases(geometry) if is_transposed else bands(geometry, batch)
    sources, origin = _padded_sources(problem, operands, cut)
    if isinstance(operands.guided_by, GuideFeatures):
        of_pieces = cut.split(operands.guided_by.centres)
    else:
        of_pieces = taps_first(cut.split(operands.guided_by), geometry)
    parts, order = [], []
    for pieces in cut.groups:
        parts.append(_scan_pieces(problem, operands, pieces, cut.size, sources, origin, of_pieces))
        order += pieces.members.tolist()
    if absent := sorted(set(range(cut.number)) - set(order)):  # phases that no tap reaches
        lead = (len(absent), batch, *cut.size)
        parts.append(zeros(problem, operands.inputs, operands.kernel, lead))
        order += absent
    joined = jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *parts)
    if order != sorted(order):
        joined = jax.tree.map(lambda array: array[np.argsort(order)], joined)
    return jax.tree.map(cut.merge, joined)


def _scan_pieces(
    problem: Problem,
    operands: Operands,
    pieces: Pieces,
    size: Ints,
    sources: Sources,
    origin: np.ndarray,
    of_pieces: jax.Array,
) -> Sums:
    """The pieces' two sums, (P, N, *size, D) and (P, N, *size, 1 or C).

    Args:
        problem: of the operation.
        operands: of the operation, for its affinity and kernel.
        pieces: a group of the cut output's.
        size: spatial size of a piece.
        sources: what the taps read.
        origin: place of the unpadded input's first sample in the sources.
        of_pieces: (pieces, N, *size, G) centres, or (pieces, T, N, *size, ...) given affinities.
    """
    kernel = operands.kernel.reshape(-1, *operands.kernel.shape[problem.geometry.ndim :])
    is_guided = isinstance(operands.guided_by, GuideFeatures)
    affinity = operands.guided_by.affinity if is_guided else None  # type: ignore[union-attr]
    extent = pieces.extent(size)
    # Bands are all the pieces there are, and share the whole kernel.
    kernels = kernel[pieces.taps] if pieces.of_phases else None
    if pieces.of_phases:
        taps = () if is_guided else (pieces.taps,)
        members = pieces.members if is_guided else pieces.members[:, None]
        of_pieces = of_pieces[(members, *taps)]

    def piece(_: None, xs: tuple) -> tuple[None, Sums]:
        start, centre_or_weights, own_kernel = xs
        region = jax.tree.map(lambda source: _slice(source, start, extent), sources)
        whole = kernel if own_kernel is None else own_kernel
        return None, _scan_taps(
            problem,
            affinity,
            region,
            centre_or_weights,
            whole,
            pieces.offsets,
            pieces.strides,
            size,
        )

    xs = (jnp.asarray(pieces.starts + origin, jnp.int32), of_pieces, kernels)
    if len(pieces.members) == 1:  # a loop less to compile, and nothing to rematerialise
        sums = piece(None, jax.tree.map(lambda array: array[0], xs))[1]
        return jax.tree.map(lambda array: array[None], sums)
    return lax.scan(jax.checkpoint(piece), None, xs)[1]


def _scan_taps(
    problem: Problem,
    affinity: Affinity | None,
    region: Sources,
    centre_or_weights: jax.Array,
    kernel: jax.Array,
    offsets: np.ndarray,
    strides: Ints,
    size: Ints,
) -> Sums:
    """One piece's two sums: (N, *size, D) and (N, *size, 1 or C)."""

    def tap(sums: Sums, xs: tuple) -> tuple[Sums, None]:
        offset, weight, kernel_tap = xs
        if affinity is not None:
            weight = evaluate_affinity(
                affinity,
                _strided(region.neighbours, offset, size, strides),
                centre_or_weights,
                channel_wise=problem.channel_wise,
                dtype=region.inputs.dtype,
            )
        elif not problem.channel_wise:
            weight = weight[..., None]
        total, denominator = sums
        total += _tap_product(problem, size, strides, region.inputs, weight, kernel_tap, offset)
        if denominator is not None:
            denominator += weight * _strided(region.mask, offset, size, strides)
        return (total, denominator), None

    start = zeros(problem, region.inputs, kernel, (region.inputs.shape[0], *size))
    weights = centre_or_weights if affinity is None else None
    xs = (jnp.asarray(offsets, jnp.int32), weights, kernel)
    return lax.scan(jax.checkpoint(tap), start, xs)[0]


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
    product = _strided(times_kernel(inputs, kernel, problem), offset, size, strides)
    return over_channels(weight, product.shape[-1]) * product


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
    weighted = over_channels(weight, sample.shape[-1]) * sample
    return times_kernel(weighted, kernel, problem)


@_tap_product.defjvp
def _tap_product_jvp(
    problem: Problem, size: Ints, strides: Ints, primals: tuple, tangents: tuple
) -> tuple[jax.Array, jax.Array]:
    # The transpose is faster with the weight first, as it slices nothing that the kernel is yet to
    # be applied to; as plain operations this rule can be differentiated again, in either mode.
    product = _tap_product(problem, size, strides, *primals)
    function = partial(_weight_first, problem, size, strides)
    return product, jax.jvp(function, primals, tangents)[1]


def _slice(array: jax.Array, start: jax.Array, size: Ints) -> jax.Array:
    zero = jnp.zeros((), start.dtype)
    starts = (zero, *(start[i] for i in range(len(size))), zero)
    return lax.dynamic_slice(array, starts, (array.shape[0], *size, array.shape[-1]))


def _strided(array: jax.Array, start: jax.Array, size: Ints, strides: Ints) -> jax.Array:
    span = tuple((n - 1) * s + 1 for n, s in zip(size, strides, strict=True))
    block = _slice(array, start, span)
    return lax.slice(block, (0,) * block.ndim, block.shape, (1, *strides, 1))


def _padded_sources(problem: Problem, operands: Operands, cut: Cut) -> tuple[Sources, np.ndarray]:
    """The sources padded (or cropped) to what the pieces read, and the input's place in them."""
    size = np.array(problem.geometry.input_size)
    starts = [pieces.starts.min(axis=0) for pieces in cut.groups]
    ends = [pieces.starts.max(axis=0) + pieces.extent(cut.size) for pieces in cut.groups]
    low = -np.min(starts, axis=0) if starts else np.zeros_like(size)
    high = np.max(ends, axis=0) - size if ends else np.zeros_like(size)

    def pad(array: jax.Array) -> jax.Array:
        return pad_spatially(array, low.tolist(), high.tolist())

    guided_by = operands.guided_by
    sources = Sources(
        pad(operands.inputs),
        pad(guided_by.neighbours) if isinstance(guided_by, GuideFeatures) else None,
        pad(operands.sample_weights()) if problem.normalize else None,
    )
    return sources, low
