"""What one tap adds, for the implementations that walk over the window.

Sums over channels are written as products with ones: XLA's CPU backend runs a reduction over a short
last axis many times slower, and a broadcast over channels would be transposed into one.
"""

import jax
import jax.numpy as jnp
from jax import lax

from pac_jax.functional.geometry import Ints
from pac_jax.functional.problem import Problem

Sums = tuple[jax.Array, jax.Array | None]


def over_channels(weight: jax.Array, channels: int) -> jax.Array:
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


def zeros(problem: Problem, inputs: jax.Array, kernel: jax.Array, lead: Ints) -> Sums:
    """Two sums of nothing, with these leading dimensions."""
    outputs = jnp.zeros((*lead, num_features(problem, inputs, kernel)), inputs.dtype)
    if not problem.normalize:
        return outputs, None
    weights = inputs.shape[-1] if problem.channel_wise else 1
    return outputs, jnp.zeros((*lead, weights), inputs.dtype)


def num_features(problem: Problem, inputs: jax.Array, kernel: jax.Array) -> int:
    """Channels of the outputs."""
    return (inputs if problem.feature_group_count is None else kernel).shape[-1]
