"""Outlines of layers: where each layer covers the image plane.

Each layer has a frame of its own: `(s, t)` are coordinates along its two axes in units of its
half lengths, so that a plain box covers [-1, 1] x [-1, 1]. Each kind of shape is one function of
`(s, t)`, the half lengths in pixels, and ten `knobs`, drawn numbers that vary the shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.scenes.config import OBJECT_KINDS, SceneConfig
from experiments.scenes.draws import Dice
from experiments.scenes.lattice_noise import fractal_noise, hash_units

InsideFunction = Callable[[jax.Array, jax.Array, jax.Array, jax.Array], jax.Array]
"""Points `s` and `t` (...), half lengths (2,), and knobs (10,) to a bool array (...)."""

SHEET_LABEL = 1 + OBJECT_KINDS.index("sheets")

_KNOBS = 10
_POLYGON_SIDES = 5


class Frames(NamedTuple):
    """Coordinate frames of L layers.

    Attributes:
        centre: (L, 2) position x, y in pixels from the image centre.
        axes: (L, 2, 2) rows are the layer's axes divided by its half lengths (1 / pixels).
    """

    centre: jax.Array
    axes: jax.Array


class Shapes(NamedTuple):
    """Outlines of L layers (the background and all objects) in their frames.

    Attributes:
        half: (L, 2) half lengths in pixels.
        knobs: (L, 10) numbers in [0, 1] that vary the shape; for polygons, the x and y parts of
            five scaled normals.
        present: (L,) bool, whether the layer is in the scene.
        cells: (L, 3) cells per half length along both axes and a seed in [0, 1), for layers made
            of many things (shelves, foliage); zero for others.
    """

    half: jax.Array
    knobs: jax.Array
    present: jax.Array
    cells: jax.Array


def layer_kinds(config: SceneConfig) -> np.ndarray:
    """List the label of each layer, the background (0) first.

    Args:
        config: Scene settings.

    Returns:
        (L,) int32 labels, sorted.
    """
    counts = (1, *config.object_counts)
    return np.repeat(np.arange(len(counts)), counts).astype(np.int32)


def draw_shapes(scene: Dice, each: Dice, config: SceneConfig) -> tuple[Frames, Shapes]:
    """Draw where the layers are and how they are cut.

    Args:
        scene: Random numbers of the whole scene.
        each: Random numbers of L layers.
        config: Scene settings.

    Returns:
        Frames and shapes of L layers, in the order of `layer_kinds`; the background fills the
        image.
    """
    kinds = layer_kinds(config)
    image_half = 0.5 * jnp.array(config.size[::-1], jnp.float32)
    zoom = scene.log_uniform(config.zoom)
    half = _draw_half_lengths(zoom, each, config).at[0].set(image_half)
    centre = (1.1 * image_half * each.uniform((-1.0, 1.0), (2,))).at[0].set(0.0)
    angle = _draw_angles(each)
    knobs = _draw_knobs(each, kinds)
    present = each.chance(scene.uniform(config.presence)).at[0].set(True)
    rows = jnp.stack([jnp.cos(angle), jnp.sin(angle), -jnp.sin(angle), jnp.cos(angle)], axis=-1)
    axes = rows.reshape(-1, 2, 2) / half[:, :, None]
    return Frames(centre, axes), Shapes(half, knobs, present, _cells_of(kinds, half, knobs))


def _draw_half_lengths(zoom: jax.Array, each: Dice, config: SceneConfig) -> jax.Array:
    """Draw (L, 2) half lengths in pixels."""
    kinds = layer_kinds(config)
    length = each.log_uniform(config.object_size) * zoom * min(config.size)
    half = jnp.stack([length * each.log_uniform((0.4, 1.0)), length], axis=-1)
    width = each.log_uniform(config.bar_width) * jnp.maximum(zoom, 1.0)
    bars = jnp.stack([width, 2.5 * length], axis=-1)
    half = jnp.where(_is_kind(kinds, "bars")[:, None], bars, half)
    large = _is_kind(kinds, "fences") | _is_kind(kinds, "leaves")
    half = jnp.where(large[:, None], 1.5 * half, half)
    # Shelves are wide, and at least as high as a few pixels.
    shelves = jnp.stack([1.5 * half[:, 1], jnp.maximum(half[:, 0], 4.0)], axis=-1)
    return jnp.where(_is_kind(kinds, "shelves")[:, None], shelves, half)


def _draw_angles(each: Dice) -> jax.Array:
    """Draw (L,) rotations in radians: half of the objects stand nearly upright, as in rooms.

    The background is always nearly upright, to have its floor at the bottom.
    """
    upright = each.uniform((-0.1, 0.1))
    lying = upright + 0.5 * jnp.pi * each.chance(0.3)
    tilted = each.uniform((-jnp.pi, jnp.pi))
    return jnp.where(each.chance(0.5), lying, tilted).at[0].set(upright[0])


def _draw_knobs(each: Dice, kinds: np.ndarray) -> jax.Array:
    """Draw (L, 10) shape numbers; polygons get the normals of their sides instead."""
    knobs = each.uniform((0.0, 1.0), (_KNOBS,))
    jitter, distance = knobs[:, :_POLYGON_SIDES], 0.45 + 0.55 * knobs[:, _POLYGON_SIDES:]
    angle = (jnp.arange(_POLYGON_SIDES) + 0.9 * jitter) * (2.0 * jnp.pi / _POLYGON_SIDES)
    normals = jnp.concatenate([jnp.cos(angle) / distance, jnp.sin(angle) / distance], axis=-1)
    return jnp.where(_is_kind(kinds, "polygons")[:, None], normals, knobs)


def _cells_of(kinds: np.ndarray, half: jax.Array, knobs: jax.Array) -> jax.Array:
    """Find (L, 3) the cells of shelves and of foliage; zero for other layers."""
    counts = _cell_counts(half.T, knobs.T).T
    leaves = jnp.concatenate([counts, knobs[:, 2:3]], axis=-1)
    cells = jnp.where(_is_kind(kinds, "leaves")[:, None], leaves, 0.0)
    # The things on a shelf stand in one row.
    shelf = leaves * jnp.array([1.0, 0.0, 1.0])
    return jnp.where(_is_kind(kinds, "shelves")[:, None], shelf, cells)


def _cell_counts(half: jax.Array, knobs: jax.Array) -> jax.Array:
    """Number of cells per half length, (2, ...), of (2, ...) half lengths: at least 4 pixels."""
    return jnp.minimum(2.0 + 6.0 * knobs[:2], jnp.maximum(half / 4.0, 1.0))


def _is_kind(kinds: np.ndarray, name: str) -> np.ndarray:
    return kinds == 1 + OBJECT_KINDS.index(name)


def to_layer_frame(x: jax.Array, y: jax.Array, frame: Frames) -> tuple[jax.Array, jax.Array]:
    """Express image points in a layer's frame.

    Args:
        x: (...) horizontal positions in pixels from the image centre.
        y: (...) vertical positions.
        frame: One layer's frame, or one per point: leaves (2,) and (2, 2), or (2, ...) and
            (2, 2, ...).

    Returns:
        `(s, t)`, each (...), in half lengths.
    """
    axes = frame.axes
    dx, dy = x - frame.centre[0], y - frame.centre[1]
    return axes[0, 0] * dx + axes[0, 1] * dy, axes[1, 0] * dx + axes[1, 1] * dy


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
    for side in range(_POLYGON_SIDES):
        inside &= knobs[side] * s + knobs[_POLYGON_SIDES + side] * t <= 1.0
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
    column = jnp.floor(_cell_counts(half, knobs)[0] * s)
    height, missing = _fraction(0.5698 * column + knobs[3]), _fraction(0.7071 * column + knobs[4])
    stands = (t >= 0.9 - 1.8 * knobs[5] * height - 0.3) & (missing >= 0.3 * knobs[6])
    board = (t >= 0.9) & (knobs[7] < 0.6)
    return (jnp.abs(s) <= 1.0) & (jnp.abs(t) <= 1.0) & (board | (stands & (t < 0.9)))


def _inside_leaves(s: jax.Array, t: jax.Array, half: jax.Array, knobs: jax.Array) -> jax.Array:
    """Foliage: in each cell of a grid a narrow ellipse of its own direction and size."""
    counts = _cell_counts(half, knobs)
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
