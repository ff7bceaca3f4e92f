"""Phases of an output: o modulo the spread of the input, along every axis."""

import itertools

import jax
import jax.numpy as jnp
from jax import lax

from pac_jax.functional.geometry import Ints


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
