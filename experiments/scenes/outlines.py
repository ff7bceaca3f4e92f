"""Outlines of layers: which points of the image plane each kind of layer covers.

Each kind is one function of `(s, t)`, coordinates in a layer's own frame (see
`experiments.scenes.shapes`), the half lengths in pixels, and ten `knobs`, drawn numbers that vary
the shape.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from experiments.scenes.config import OBJECT_KINDS, SceneConfig
from experiments.scenes.lattice_noise import fractal_noise, hash_units

InsideFunction = Callable[[jax.Array, jax.Array, jax.Array, jax.Array], jax.Array]
"""Points `s` and `t` (...), half lengths (2,), and knobs (10,) to a bool array (...)."""

POLYGON_SIDES = 5


def cell_counts(half: jax.Array, knobs: jax.Array) -> jax.Array:
    """Count the cells of shelves and of foliage; none is smaller than four pixels.

    Args:
        half: (2, ...) half lengths in pixels.
        knobs: (10, ...) numbers in [0, 1].

    Returns:
        (2, ...) cells per half length.
    """
    return jnp.minimum(2.0 + 6.0 * knobs[:2], jnp.maximum(half / 4.0, 1.0))


def _inside_box(s: jax.Array, t: jax.Array, half: jax.Array, knobs: jax.Array) -> jax.Array:
    """Rounded rectangle; in half of the cases tapered towards one end."""
    taper = jnp.maximum(2.0 * knobs[0] - 1.0, 0.0)
    width = half[0] * (1.0 - taper * 0.5 * (t + 1.0))
    radius = knobs[1] ** 3 * jnp.minimum(half[0], half[1])
    u = jnp.maximum(jnp.abs(s) * half[0] - width + radius, 0.0)
    v = jnp.maximum((jnp.abs(t) - 1.0) * half[1] + radius, 0.0)
    return u * u + v * v <= radius * radius


def _inside_ellipse(s: jax.Array, t: jax.Array, half: jax.Array, knobs: jax.Array) -> jax.Array:
    """Ellipse; in some cases cut off along a line."""
    del half  # An ellipse is the same in its own frame at any size.
    cut = jnp.where(knobs[0] < 0.6, 1.0, 1.6 * knobs[1] - 0.8)
    return (s * s + t * t <= 1.0) & (t <= cut)


def _inside_polygon(s: jax.Array, t: jax.Array, half: jax.Array, knobs: jax.Array) -> jax.Array:
    """Convex polygon: common part of half planes."""
    del half  # A polygon is the same in its own frame at any size.
    inside = jnp.ones_like(s, dtype=bool)
    for side in range(POLYGON_SIDES):
        inside &= knobs[side] * s + knobs[POLYGON_SIDES + side] * t <= 1.0
    return inside


def _inside_bar(s: jax.Array, t: jax.Array, half: jax.Array, knobs: jax.Array) -> jax.Array:
    """Thin bar; in half of the cases bent to an arc or a wave."""
    bend = jnp.where(knobs[0] < 0.5, knobs[1] - 0.5, 0.0)
    wave = jnp.where(knobs[0] < 0.5, knobs[2] - 0.5, 0.0)
    offset = half[1] * t * (bend * t + wave * (1.0 - t * t))
    return (jnp.abs(s * half[0] - offset) <= half[0]) & (jnp.abs(t) <= 1.0)


def _inside_frame(s: jax.Array, t: jax.Array, half: jax.Array, knobs: jax.Array) -> jax.Array:
    """Ring or rectangular frame with a hole; in some cases with a cross bar."""
    norm = jnp.where(knobs[0] < 0.6, jnp.maximum(jnp.abs(s), jnp.abs(t)), jnp.sqrt(s * s + t * t))
    # At least a pixel of rim, or small frames would vanish between samples.
    rim = jnp.maximum(0.08 + 0.3 * knobs[1], 1.5 / jnp.minimum(half[0], half[1]))
    cross = (knobs[2] > 0.6) & (jnp.abs(s) <= 0.5 * rim)
    return (norm <= 1.0) & ((norm >= 1.0 - rim) | cross)


def _inside_fence(
    s: jax.Array, t: jax.Array, half: jax.Array, knobs: jax.Array, period: jax.Array
) -> jax.Array:
    """Pickets with gaps, or a lattice of two such rows."""
    duty = 0.25 + 0.3 * knobs[1]
    across, along = s * half[0] / period, t * half[1] / period
    pickets = across - jnp.floor(across) < duty
    rails = (along - jnp.floor(along) < duty) & (knobs[2] < 0.5)
    return (jnp.abs(s) <= 1.0) & (jnp.abs(t) <= 1.0) & (pickets | rails)


def _inside_blob(s: jax.Array, t: jax.Array, half: jax.Array, knobs: jax.Array) -> jax.Array:
    """Ellipse with a noisy outline, from pebbles to torn leaves."""
    del half  # A blob is the same in its own frame at any size.
    frequency = 1.0 + 3.0 * knobs[0]
    amplitude = 0.4 + 1.4 * knobs[1]
    seed = (knobs[2] * 2.0**24).astype(jnp.uint32)
    noise = fractal_noise(s * frequency + 8.0, t * frequency + 8.0, seed, octaves=2)
    return s * s + t * t + amplitude * (noise - 0.5) <= 0.7


def _inside_shelf(s: jax.Array, t: jax.Array, half: jax.Array, knobs: jax.Array) -> jax.Array:
    """Row of things of different heights, some of them missing; its cells are columns."""
    column = jnp.floor(cell_counts(half, knobs)[0] * s)
    height, missing = _fraction(0.5698 * column + knobs[3]), _fraction(0.7071 * column + knobs[4])
    stands = (t >= 0.9 - 1.8 * knobs[5] * height - 0.3) & (missing >= 0.3 * knobs[6])
    board = (t >= 0.9) & (knobs[7] < 0.6)
    return (jnp.abs(s) <= 1.0) & (jnp.abs(t) <= 1.0) & (board | (stands & (t < 0.9)))


def _inside_leaves(s: jax.Array, t: jax.Array, half: jax.Array, knobs: jax.Array) -> jax.Array:
    """Foliage: in each cell of a grid a narrow ellipse of its own direction and size."""
    counts = cell_counts(half, knobs)
    u, v = counts[0] * s, counts[1] * t
    i, j = jnp.floor(u), jnp.floor(v)
    seed = (knobs[2] * 2.0**24).astype(jnp.uint32)
    turn, size, there = hash_units(i, j, seed)
    du, dv = u - i - 0.5, v - j - 0.5
    cos, sin = 2.0 * turn - 1.0, jnp.sqrt(1.0 - (2.0 * turn - 1.0) ** 2)
    along, across = cos * du + sin * dv, cos * dv - sin * du
    radius = 0.35 + 0.3 * size
    narrow = across / (0.4 + 0.6 * knobs[3])
    leaf = along * along + narrow * narrow <= radius * radius
    return leaf & (s * s + t * t <= 1.0) & (there < 0.6 + 0.4 * knobs[4])


def _fraction(number: jax.Array) -> jax.Array:
    return number - jnp.floor(number)


def inside_function(label: int, config: SceneConfig) -> InsideFunction:
    """Find the function that tells which points one kind of layer covers.

    Args:
        label: Label of the kind, at least 1.
        config: Scene settings.

    Returns:
        Function of `(s, t, half, knobs)`.
    """

    def inside_fence(s: jax.Array, t: jax.Array, half: jax.Array, knobs: jax.Array) -> jax.Array:
        low, high = config.fence_period
        return _inside_fence(s, t, half, knobs, low + (high - low) * knobs[0] ** 2)

    return {
        "sheets": _inside_box,
        "boxes": _inside_box,
        "ellipses": _inside_ellipse,
        "polygons": _inside_polygon,
        "bars": _inside_bar,
        "frames": _inside_frame,
        "fences": inside_fence,
        "blobs": _inside_blob,
        "shelves": _inside_shelf,
        "leaves": _inside_leaves,
    }[OBJECT_KINDS[label - 1]]
