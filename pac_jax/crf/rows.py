"""Pixel-adaptive sums on arrays whose rows lie together: (N, *spatial[:-1], C, spatial[-1]).

For one to three spatial dimensions, odd windows, stride 1, and an output of the input's size; an
affinity is (N, *spatial[:-1], T, spatial[-1]). Fast going forward. Their derivatives are those of the
operators, whose reverse pass over the taps is faster than that of these sums and holds less.
"""

import itertools
from collections.abc import Iterator, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pac_jax.functional.affinity_map import pac_affinity
from pac_jax.functional.conv import pac_conv_with_affinity
from pac_jax.functional.geometry import Ints, pad_spatially
from pac_jax.functional.pool import pac_pool_with_affinity

# A band's products with the kernel of one row of taps are written, and read again at once: half of
# the second-level cache of current CPUs.
_BAND_BYTES = 2**20

# Rows of zeros cost as much as others. Where a window's reach adds more than this share of rows, the
# image is instead cut into segments whose taps all lie inside, each a loop of its own to compile.
_MOST_PADDING = 0.25


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def gaussian_affinity(window: Ints, dilation: int, guide: jax.Array) -> jax.Array:
    """The affinity `Gaussian()` of every tap, written out over the guide's channels.

    Args:
        window: taps per dimension.
        dilation: distance between taps.
        guide: (N, *spatial[:-1], G, spatial[-1]).

    Returns:
        (N, *spatial[:-1], T, spatial[-1]).
    """
    # The barrier has every channel written once; each tap would pick it out of the guide again.
    channels = lax.optimization_barrier([guide[..., c, :] for c in range(guide.shape[-2])])
    size = channels[0].shape[1:]
    reach = [dilation * (taps // 2) for taps in window]
    padded = [pad_spatially(c[..., None], reach, reach)[..., 0] for c in channels]
    taps = []
    for tap in np.ndindex(*window):
        starts = (0, *(dilation * offset for offset in tap))
        limits = tuple(np.add(starts, (guide.shape[0], *size)))
        distance = jnp.zeros_like(channels[0])
        for neighbour, centre in zip(padded, channels, strict=True):
            difference = lax.slice(neighbour, starts, limits) - centre
            distance = distance + difference * difference
        taps.append(jnp.exp(-0.5 * distance))
    return jnp.stack(taps, axis=-2)


@gaussian_affinity.defjvp
def _gaussian_affinity_jvp(
    window: Ints, dilation: int, primals: tuple, tangents: tuple
) -> tuple[jax.Array, jax.Array]:
    def by_operator(guide: jax.Array) -> jax.Array:
        affinity = pac_affinity(jnp.swapaxes(guide, -1, -2), window, kernel_dilation=dilation)
        return taps_in_rows(affinity)

    primal = gaussian_affinity(window, dilation, *primals)
    return primal, jax.jvp(by_operator, primals, tangents)[1]


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def pool(window: Ints, dilation: int, inputs: jax.Array, affinity: jax.Array) -> jax.Array:
    """The sum over the taps of affinity times input: all taps in one loop over the pixels.

    Args:
        window: taps per dimension.
        dilation: distance between taps.
        inputs: (N, *spatial[:-1], C, spatial[-1]).
        affinity: (N, *spatial[:-1], T, spatial[-1]).

    Returns:
        Of the inputs' shape.
    """
    if inputs.ndim == 3:  # one dimension is a single row
        return pool((1, *window), dilation, inputs[:, None], affinity[:, None])[:, 0]
    height = inputs.shape[-3]
    reach = [dilation * (taps // 2) for taps in window]
    if 2 * reach[-2] > _MOST_PADDING * height:
        reach[-2] = 0
    padded = _padded(inputs, reach)
    segments = []
    for first, last, inside in _segments(height, reach[-2], window[-2], dilation):
        lead = (inputs.shape[0], *inputs.shape[1:-3], last - first)
        total = jnp.zeros((*lead, *inputs.shape[-2:]), inputs.dtype)
        of_segment = lax.slice_in_dim(affinity, first, last, axis=affinity.ndim - 3)
        for number, tap in enumerate(np.ndindex(*window)):
            if tap[-2] not in inside:
                continue
            *outer, row, along = (dilation * offset for offset in tap)
            row += first + reach[-2] - dilation * (window[-2] // 2)
            starts = (0, *outer, row, 0, along)
            sample = lax.slice(padded, starts, tuple(np.add(starts, total.shape)))
            total = total + of_segment[..., number : number + 1, :] * sample
        segments.append(total)
    return jnp.concatenate(segments, axis=-3)


def _segments(
    height: int, padding: int, taps: int, dilation: int
) -> Iterator[tuple[int, int, list[int]]]:
    """Rows from which on others of the taps meet the image and its padding, up to which, and these."""
    offsets = [dilation * (tap - taps // 2) for tap in range(taps)]
    changes = {
        edge for offset in offsets for edge in (-padding - offset, height + padding - offset)
    }
    edges = sorted({0, height} | {edge for edge in changes if 0 < edge < height})
    for first, last in itertools.pairwise(edges):
        inside = [
            tap
            for tap, offset in enumerate(offsets)
            if first + offset >= -padding and last + offset <= height + padding
        ]
        yield first, last, inside


@pool.defjvp
def _pool_jvp(
    window: Ints, dilation: int, primals: tuple, tangents: tuple
) -> tuple[jax.Array, jax.Array]:
    def by_operator(inputs: jax.Array, affinity: jax.Array) -> jax.Array:
        pooled = pac_pool_with_affinity(
            jnp.swapaxes(inputs, -1, -2),
            _windows_last(affinity, window),
            window,
            padding="SAME",
            kernel_dilation=dilation,
        )
        return jnp.swapaxes(pooled, -1, -2)

    return pool(window, dilation, *primals), jax.jvp(by_operator, primals, tangents)[1]


@partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def conv(
    window: Ints,
    dilation: int,
    precision: lax.PrecisionLike,
    inputs: jax.Array,
    affinity: jax.Array,
    kernel: jax.Array,
) -> jax.Array:
    """The sum over the taps of affinity times kernel times input, a band of rows at a time.

    A band is multiplied by the kernels of all taps along the row in one product of matrices, whose
    results are shifted, weighted and added up while they are in the cache.

    Args:
        window: taps per dimension.
        dilation: distance between taps.
        precision: of the products, as in `jax.lax`.
        inputs: (N, *spatial[:-1], C, spatial[-1]).
        affinity: (N, *spatial[:-1], T, spatial[-1]).
        kernel: (*window, C, D).

    Returns:
        (N, *spatial[:-1], D, spatial[-1]).
    """
    if inputs.ndim == 3:  # one dimension is a single row
        inputs, affinity, kernel = inputs[:, None], affinity[:, None], kernel[None]
        return conv((1, *window), dilation, precision, inputs, affinity, kernel)[:, 0]
    batch, *outer, height, channels, width = inputs.shape
    *lead_window, along = window
    features = kernel.shape[-1]
    padded_width = width + dilation * (along - 1)
    row_bytes = batch * along * features * padded_width * inputs.dtype.itemsize
    band = max(1, min(height, _BAND_BYTES // row_bytes))
    missing = -height % band
    padded = _padded(inputs, [dilation * (taps // 2) for taps in window], missing)
    affinity = _pad_axis(affinity, affinity.ndim - 3, 0, missing)
    # (*lead_window, taps along the row and features, channels)
    kernels = jnp.moveaxis(kernel, -1, -2).reshape(*lead_window, along * features, channels)

    def of_band(start: jax.Array) -> jax.Array:
        # Of all images at once: a loop over them would gather those that other devices hold.
        total = jnp.zeros((batch, band, features, width), inputs.dtype)
        image = jnp.zeros((), start.dtype)
        ones = (1,) * len(outer)
        for number, taps in enumerate(np.ndindex(*lead_window)):
            first = [image, *(start + dilation * np.array(taps, np.int32)), 0, 0]
            block = (batch, *ones, band, channels, padded_width)
            samples = lax.dynamic_slice(padded, first, block).reshape(batch, *block[-3:])
            first = [image, *start, number * along, 0]
            block = (batch, *ones, band, along, width)
            weights = lax.dynamic_slice(affinity, first, block).reshape(batch, *block[-3:])
            products = times_matrix(samples, kernels[taps].T, precision)
            for tap in range(along):
                product = products[..., tap * features : (tap + 1) * features, :]
                shifted = product[..., tap * dilation : tap * dilation + width]
                total = total + weights[..., tap : tap + 1, :] * shifted
        return total

    bands = (height + missing) // band
    starts = np.array(list(np.ndindex(*outer, bands)), np.int32).reshape(-1, len(outer) + 1)
    starts[:, -1] *= band
    outputs = jnp.moveaxis(lax.map(of_band, jnp.asarray(starts)), 0, 1)
    outputs = outputs.reshape(batch, *outer, bands * band, features, width)
    return outputs[..., :height, :, :]


@conv.defjvp
def _conv_jvp(
    window: Ints, dilation: int, precision: lax.PrecisionLike, primals: tuple, tangents: tuple
) -> tuple[jax.Array, jax.Array]:
    def by_operator(inputs: jax.Array, affinity: jax.Array, kernel: jax.Array) -> jax.Array:
        outputs = pac_conv_with_affinity(
            jnp.swapaxes(inputs, -1, -2),
            _windows_last(affinity, window),
            kernel,
            kernel_dilation=dilation,
            precision=precision,
        )
        return jnp.swapaxes(outputs, -1, -2)

    return conv(window, dilation, precision, *primals), jax.jvp(by_operator, primals, tangents)[1]


def times_matrix(inputs: jax.Array, matrix: jax.Array, precision: lax.PrecisionLike) -> jax.Array:
    """Every pixel's channels times a (C, D) matrix, row by row, so that no row is transposed."""
    lead = inputs.shape[:-2]
    each = jnp.broadcast_to(
        matrix.T.reshape((1,) * len(lead) + matrix.T.shape), (*lead, *matrix.T.shape)
    )
    return jnp.matmul(each, inputs, precision=precision)


def taps_in_rows(affinity: jax.Array) -> jax.Array:
    """(N, *spatial, *window) to (N, *spatial[:-1], T, spatial[-1])."""
    spatial = affinity.shape[: 1 + affinity.ndim // 2]
    return jnp.swapaxes(affinity.reshape(*spatial, -1), -1, -2)


def _windows_last(affinity: jax.Array, window: Ints) -> jax.Array:
    last = jnp.swapaxes(affinity, -1, -2)
    return last.reshape(*last.shape[:-1], *window)


def _padded(inputs: jax.Array, reach: Sequence[int], more: int = 0) -> jax.Array:
    """Zeros around the image, so many along each dimension, and more of them after its last row."""
    config = [(0, 0, 0), *((r, r, 0) for r in reach[:-1]), (0, 0, 0), (reach[-1], reach[-1], 0)]
    padded = lax.pad(inputs, jnp.zeros((), inputs.dtype), config)
    return _pad_axis(padded, padded.ndim - 3, 0, more)


def _pad_axis(array: jax.Array, axis: int, low: int, high: int) -> jax.Array:
    config = [(0, 0, 0)] * array.ndim
    config[axis] = (low, high, 0)
    return lax.pad(array, jnp.zeros((), array.dtype), config)
