"""Regular drawings on surfaces: stripes, checks, mosaics, spots, print, gratings, and scribble."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from experiments.scenes.draws import Dice
from experiments.scenes.lattice_noise import hash_unit, hash_units

_NOTHING, _STRIPES, _CHECKS, _MOSAIC, _SPOTS, _PRINT, _GRATING, _SCRIBBLE = range(8)
_WEIGHTS = (0.3, 0.1, 0.07, 0.14, 0.09, 0.16, 0.06, 0.08)


def draw_patterns(each: Dice) -> jax.Array:
    """Draw numbers of patterns.

    Args:
        each: Random numbers of L layers.

    Returns:
        (L,) int32; zero is no pattern.
    """
    edges = jnp.cumsum(jnp.array(_WEIGHTS[:-1]))
    return (each.uniform((0.0, 1.0), (1,)) >= edges).sum(axis=-1, dtype=jnp.int32)


def evaluate_patterns(
    u: jax.Array,
    v: jax.Array,
    noise: jax.Array,
    choice: jax.Array,
    width: jax.Array,
    seed: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Evaluate the pattern of each point.

    Args:
        u: (...) positions in cells of the pattern.
        v: (...) positions in cells of the pattern.
        noise: (...) smooth noise in [0, 1], whose contours are scribble.
        choice: (...) int32 numbers of patterns.
        width: (...) relative widths of strokes in [0, 1].
        seed: (...) uint32 seeds.

    Returns:
        The pattern, (...) in [0, 1], and the random tints of its cells, (3, ...) in [0, 1), which
        are one half where the pattern has no cells.
    """
    i, j = jnp.floor(u), jnp.floor(v)
    du, dv = u - i, v - j
    tints = hash_units(i, j, seed)
    offset_u, offset_v = du - 0.3 - 0.4 * tints[1], dv - 0.3 - 0.4 * tints[2]
    spots = offset_u * offset_u + offset_v * offset_v < 0.02 + 0.07 * tints[0]
    half_sum = (i + j) * 0.5
    drawn = choice == _STRIPES
    drawn &= du < 0.3 + 0.4 * width
    drawn = jnp.where(choice == _CHECKS, half_sum == jnp.floor(half_sum), drawn)
    drawn = jnp.where(choice == _MOSAIC, tints[0] < 0.5, drawn)
    drawn = jnp.where(choice == _SPOTS, spots, drawn)
    drawn = jnp.where(choice == _PRINT, _letters(u, v, seed), drawn)
    drawn = jnp.where(choice == _SCRIBBLE, jnp.abs(noise - 0.5) < 0.01 + 0.02 * width, drawn)
    # A smooth wave of unit period: the parabola squared stands in for a cosine.
    wave = 4.0 * du * (1.0 - du)
    pattern = jnp.where(choice == _GRATING, wave * wave, drawn.astype(jnp.float32))
    return pattern, jnp.where(choice == _MOSAIC, jnp.stack(tints), 0.5)


def _letters(u: jax.Array, v: jax.Array, seed: jax.Array) -> jax.Array:
    """Lines of random letters, two per cell: strokes on a grid of 3 x 4, between them gaps."""
    line = jnp.floor(2.0 * v)
    # Lines start at different places, or letters would stand in columns.
    along = 3.0 * u + 0.37 * line
    letter = jnp.floor(along)
    column, row = jnp.floor(4.0 * (along - letter)), jnp.floor(6.0 * (2.0 * v - line))
    stroke = hash_unit(4.0 * letter + column, 8.0 * line + row, seed) < 0.62
    gap = hash_unit(letter, line, seed + jnp.uint32(1)) < 0.15
    return stroke & (column < 3.0) & (row < 4.0) & ~gap
