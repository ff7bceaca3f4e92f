"""Phases of an output: o modulo the spread of the input, along every axis."""

import itertools

import jax
import jax.numpy as jnp
from jax import lax

from pac_jax.functional.geometry import Ints


def split_phases(array: jax.Array, spread: Ints, size: Ints) -> jax.Array:
    """(N, *output_size, ...) -> (N, *size, *spread, ...), zeros beyond the output."""
    n = len(spread)
    config = [(0, 0, 0)] * array.ndim
    for axis in range(n):
        config[1 + axis] = (0, size[axis] * spread[axis] - array.shape[1 + axis], 0)
    array = lax.pad(array, jnp.zeros((), array.dtype), config)
    paired = itertools.chain.from_iterable(zip(size, spread, strict=True))
    array = array.reshape(array.shape[0], *paired, *array.shape[1 + n :])
    return jnp.moveaxis(array, _phase_axes(n), range(1 + n, 1 + 2 * n))


def merge_phases(parts: jax.Array, output_size: Ints) -> jax.Array:
    """(N, *size, *spread, ...) -> (N, *output_size, ...)."""
    n = len(output_size)
    size, spread = parts.shape[1 : 1 + n], parts.shape[1 + n : 1 + 2 * n]
    parts = jnp.moveaxis(parts, range(1 + n, 1 + 2 * n), _phase_axes(n))
    full = tuple(q * s for q, s in zip(size, spread, strict=True))
    merged = parts.reshape(parts.shape[0], *full, *parts.shape[1 + 2 * n :])
    return merged[(slice(None), *(slice(0, o) for o in output_size))]


def _phase_axes(n: int) -> tuple[int, ...]:
    """Where the phases lie when every axis is followed by its own."""
    return tuple(2 + 2 * axis for axis in range(n))
