"""What a tap of the window reads, and what it adds to the sums.

Sums over channels are written as products with ones: XLA's CPU backend runs a reduction over a short
last axis many times slower, and a broadcast over channels would be transposed into one.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from pac_jax.functional.affinity import evaluate_affinity
from pac_jax.functional.geometry import Ints
from pac_jax.functional.implementations.bands import Bands
from pac_jax.functional.problem import Problem

Sums = tuple[jax.Array, jax.Array | None]


class Samples(NamedTuple):
    """What is read at every tap.

    Attributes:
        inputs: (N, *size, C).
        neighbours: (N, *size, G), None where the affinity is given.
        mask: (N or 1, *size, 1), None unless the denominator is wanted.
    """

    inputs: jax.Array
    neighbours: jax.Array | None
    mask: jax.Array | None


class Arrays(NamedTuple):
    """What the sums depend on: the whole, the part that a band reads, or that one tap reads.

    As cotangents, None for what is not asked for.

    Attributes:
        samples: of the whole, of the band's region, or those that the tap meets.
        centres: the guide at the outputs, (..., G), or the given affinity, (..., T, 1 or C), of
            which a tap reads its own (..., 1 or C).
        kernel: (T, C / groups, D), or (T,) for pooling; without T for a tap.
        affinity: a function and a pytree, None where the affinity is given.
        bias: (D,), or None; no tap reads it.
    """

    samples: Samples
    centres: Any
    kernel: Any
    affinity: Any
    bias: Any


def term(problem: Problem, arrays: Arrays) -> Sums:
    """What one tap adds: its inputs times weight times kernel, and the weight."""
    weighted, denominator = weigh(problem, arrays)
    return times_kernel(weighted, arrays.kernel, problem), denominator


def weigh(problem: Problem, arrays: Arrays) -> Sums:
    """What one tap meets times the affinity, (N, *size, C), and what the mask leaves of that."""
    inputs, neighbours, mask = arrays.samples
    weight = arrays.centres
    if neighbours is not None:
        weight = evaluate_affinity(
            arrays.affinity,
            neighbours,
            arrays.centres,
            channel_wise=problem.channel_wise,
            dtype=inputs.dtype,
        )
    weighted = _over_channels(weight, inputs.shape[-1]) * inputs
    return weighted, None if mask is None else weight * mask


def _over_channels(weight: jax.Array, channels: int) -> jax.Array:
    """(..., 1) -> (..., channels), transposed into a product instead of a reduction."""
    if weight.shape[-1] == channels:
        return weight
    ones = jnp.ones((1, channels), weight.dtype)
    return _matmul(weight, ones, lax.Precision.HIGHEST)


def times_kernel(weighted: jax.Array, kernel: jax.Array, problem: Problem) -> jax.Array:
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


def met_samples(bands: Bands, offset: jax.Array, region: jax.Array) -> jax.Array:
    """The samples of a region that a tap meets, one for each output of a phase."""
    size = (region.shape[0], *_span(bands), region.shape[-1])
    block = lax.dynamic_slice(region, corner(offset), size)
    return lax.slice(block, (0,) * block.ndim, block.shape, (1, *bands.step, 1))


def _span(bands: Bands) -> Ints:
    return tuple((n - 1) * s + 1 for n, s in zip(bands.size, bands.step, strict=True))


def corner(offset: jax.Array) -> tuple[jax.Array, ...]:
    """Where a slice begins along all axes."""
    zero = jnp.zeros((), offset.dtype)
    return (zero, *offset, zero)


def to_phases(bands: Bands, is_given: bool, centres: jax.Array) -> jax.Array:
    """(phases, N, *size, G), or a given affinity with its taps first: (T, phases, N, *size, ...)."""
    phases = bands.to_phases(centres)
    return jnp.moveaxis(phases, -2, 0) if is_given else phases


def centre_of(arrays: Arrays, phase: jax.Array, place: jax.Array) -> jax.Array:
    """The guide at the outputs of a phase, or the given affinity of one tap there."""
    return arrays.centres[place, phase] if arrays.affinity is None else arrays.centres[phase]


def nothing(problem: Problem, arrays: Arrays, lead: Ints) -> Sums:
    """The sums over no taps, with these leading dimensions: the bias, and zeros."""
    inputs = arrays.samples.inputs
    channels = inputs.shape[-1]
    features = channels if problem.feature_group_count is None else arrays.kernel.shape[-1]
    bias = jnp.zeros(features, inputs.dtype) if arrays.bias is None else arrays.bias
    numerator = lax.broadcast_in_dim(bias, (*lead, features), (len(lead),))
    if not problem.normalize:
        return numerator, None
    return numerator, jnp.zeros((*lead, channels if problem.channel_wise else 1), inputs.dtype)
