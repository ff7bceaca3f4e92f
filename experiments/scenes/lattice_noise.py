"""Smooth noise at arbitrary points, from integer hashes of lattice corners.

Hashing needs neither tables nor gathers: each point costs a few integer operations, vectorises,
and may belong to a different layer (each with its own seed). Noise is a function of continuous
coordinates, so a texture can be rotated, seen in perspective, and moved between two frames.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def hash_unit(i: jax.Array, j: jax.Array, seed: jax.Array) -> jax.Array:
    """Map lattice positions to even pseudo-random numbers.

    Args:
        i: Whole numbers, any float dtype.
        j: Whole numbers, same shape.
        seed: uint32, broadcast against `i`.

    Returns:
        Float32 in [0, 1), same shape as `i`.
    """
    return _to_unit(_hash(i, j, seed))


def hash_units(i: jax.Array, j: jax.Array, seed: jax.Array) -> tuple[jax.Array, ...]:
    """Map lattice positions to three independent pseudo-random numbers of 10 bits.

    Args:
        i: Whole numbers, any float dtype.
        j: Whole numbers, same shape.
        seed: uint32, broadcast against `i`.

    Returns:
        Three float32 arrays in [0, 1), each of the shape of `i`.
    """
    bits = _hash(i, j, seed)
    parts = (bits >> 22, (bits >> 12) & 1023, (bits >> 2) & 1023)
    return tuple(part.astype(jnp.int32).astype(jnp.float32) / 1024.0 for part in parts)


def value_noise(x: jax.Array, y: jax.Array, seed: jax.Array) -> jax.Array:
    """Interpolate random values given at whole coordinates, with smooth derivatives.

    Args:
        x: Horizontal coordinates, in lattice cells.
        y: Vertical coordinates, same shape.
        seed: uint32, broadcast against `x`.

    Returns:
        Float32 in [0, 1), same shape as `x`.
    """
    i, j = jnp.floor(x), jnp.floor(y)
    u, v = _fade(x - i), _fade(y - j)
    top = _mix(hash_unit(i, j, seed), hash_unit(i + 1.0, j, seed), u)
    bottom = _mix(hash_unit(i, j + 1.0, seed), hash_unit(i + 1.0, j + 1.0, seed), u)
    return _mix(top, bottom, v)


def fractal_noise(
    x: jax.Array, y: jax.Array, seed: jax.Array, octaves: int, roughness: jax.Array | float = 0.5
) -> jax.Array:
    """Sum value noise over octaves.

    Args:
        x: Horizontal coordinates, in cells of the coarsest octave.
        y: Vertical coordinates, same shape.
        seed: uint32, broadcast against `x`.
        octaves: Number of octaves.
        roughness: Amplitude of an octave over that of the next coarser one.

    Returns:
        Float32 in [0, 1), same shape as `x`; the mean is one half.
    """
    total = jnp.zeros_like(x)
    weight_sum = jnp.zeros_like(jnp.asarray(roughness, x.dtype))
    weight = jnp.ones_like(weight_sum)
    for octave in range(octaves):
        total = total + weight * value_noise(x, y, seed + jnp.uint32(octave))
        weight_sum = weight_sum + weight
        weight = weight * roughness
        # Turned octaves hide the lattice axes, which would show as a grid otherwise.
        x, y = 1.6 * x - 1.2 * y, 1.2 * x + 1.6 * y
    return total / weight_sum


def _hash(i: jax.Array, j: jax.Array, seed: jax.Array) -> jax.Array:
    """Mix two whole numbers and a seed into 32 well spread bits."""
    bits = i.astype(jnp.int32).astype(jnp.uint32) * jnp.uint32(0x9E3779B1)
    bits = bits + j.astype(jnp.int32).astype(jnp.uint32) * jnp.uint32(0x85EBCA77)
    bits = bits ^ seed
    bits = (bits ^ (bits >> 15)) * jnp.uint32(0x2C1B3C6D)
    bits = (bits ^ (bits >> 12)) * jnp.uint32(0x297A2D39)
    return bits ^ (bits >> 15)


def _to_unit(bits: jax.Array) -> jax.Array:
    # 24 bits fit a float32 exactly; the detour by int32 is the fast conversion on CPUs.
    return (bits >> 8).astype(jnp.int32).astype(jnp.float32) * jnp.float32(2.0**-24)


def _fade(t: jax.Array) -> jax.Array:
    return t * t * (3.0 - 2.0 * t)


def _mix(a: jax.Array, b: jax.Array, t: jax.Array) -> jax.Array:
    return a + (b - a) * t
