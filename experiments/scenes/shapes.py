"""Where layers lie in the image plane, how large they are, and the numbers that vary their shape.

Each layer has a frame of its own: `(s, t)` are coordinates along its two axes in units of its
half lengths, so that a plain box covers [-1, 1] x [-1, 1].
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.scenes.config import OBJECT_KINDS, SceneConfig
from experiments.scenes.draws import Dice
from experiments.scenes.outlines import POLYGON_SIDES, cell_counts

SHEET_LABEL = 1 + OBJECT_KINDS.index("sheets")

_KNOBS = 10


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
    jitter, distance = knobs[:, :POLYGON_SIDES], 0.45 + 0.55 * knobs[:, POLYGON_SIDES:]
    angle = (jnp.arange(POLYGON_SIDES) + 0.9 * jitter) * (2.0 * jnp.pi / POLYGON_SIDES)
    normals = jnp.concatenate([jnp.cos(angle) / distance, jnp.sin(angle) / distance], axis=-1)
    return jnp.where(_is_kind(kinds, "polygons")[:, None], normals, knobs)


def _cells_of(kinds: np.ndarray, half: jax.Array, knobs: jax.Array) -> jax.Array:
    """Find (L, 3) the cells of shelves and of foliage; zero for other layers."""
    counts = cell_counts(half.T, knobs.T).T
    leaves = jnp.concatenate([counts, knobs[:, 2:3]], axis=-1)
    cells = jnp.where(_is_kind(kinds, "leaves")[:, None], leaves, 0.0)
    # The things on a shelf stand in one row.
    shelf = leaves * jnp.array([1.0, 0.0, 1.0])
    return jnp.where(_is_kind(kinds, "shelves")[:, None], shelf, cells)


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
