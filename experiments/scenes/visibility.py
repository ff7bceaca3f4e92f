"""Visibility: which layer each sample point sees, and where on it."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from experiments.scenes.config import SceneConfig
from experiments.scenes.content import Bodies, Layers
from experiments.scenes.motion import CameraMotion, find_sources, move_points
from experiments.scenes.outlines import InsideFunction, inside_function
from experiments.scenes.shapes import SHEET_LABEL, layer_kinds, to_layer_frame
from experiments.scenes.surfaces import surface_depth
from experiments.scenes.textures import Textures

Table = TypeVar("Table", Bodies, Textures)


class Visible(NamedTuple):
    """What sample points see.

    Attributes:
        layer: (...) int32 index of the visible layer.
        depth: (...) its inverse depth.
    """

    layer: jax.Array
    depth: jax.Array


def pixel_centres(config: SceneConfig) -> tuple[jax.Array, jax.Array]:
    """Positions (H, W) of pixel centres from the image centre."""
    height, width = config.size
    y, x = jnp.meshgrid(jnp.arange(height) * 1.0, jnp.arange(width) * 1.0, indexing="ij")
    return x - 0.5 * (width - 1), y - 0.5 * (height - 1)


def sample_points(config: SceneConfig, offsets: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Compute (K, H, W) sample points from (K, 2) offsets."""
    x, y = pixel_centres(config)
    return x + offsets[:, 0, None, None], y + offsets[:, 1, None, None]


def take_layers(table: Table, index: jax.Array) -> Table:
    """Look up layers per point: leaves (L, ...) and index (P...) to leaves (..., P...)."""

    def take(leaf: jax.Array) -> jax.Array:
        # Indices come from the z-buffer, so they are in bounds; checking them costs time.
        return jnp.moveaxis(leaf, 0, -1).at[..., index].get(mode="promise_in_bounds")

    # Look-ups fused into the arithmetic that follows would keep it from being vectorised.
    return jax.lax.optimization_barrier(jax.tree.map(take, table))


def source_in_layer(
    x: jax.Array, y: jax.Array, body: Bodies, camera: CameraMotion, second: bool
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Find what point of a layer in the first frame a sample point would see.

    Args:
        x: (...) sample points.
        y: (...) sample points.
        body: One layer's body, or one per point.
        camera: Motion of the camera.
        second: Whether the sample points lie in the second frame.

    Returns:
        Position `(x, y)` in the first frame and inverse depth there, each (...).
    """

    def depth_at(x: jax.Array, y: jax.Array) -> jax.Array:
        return surface_depth(*to_layer_frame(x, y, body.frames), body.surfaces)

    def move(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        return move_points(x, y, depth_at(x, y), body.frames.centre, body.motions, camera)

    if second:
        x, y = find_sources(x, y, move)
    return x, y, depth_at(x, y)


def find_visible(
    offsets: jax.Array,
    layers: Layers,
    camera: CameraMotion,
    config: SceneConfig,
    second: bool,
) -> Visible:
    """Find the nearest layer at all sample points.

    Args:
        offsets: (K, 2) sample points from pixel centres in pixels.
        layers: All layers.
        camera: Motion of the camera.
        config: Scene settings.
        second: Whether the sample points lie in the second frame.

    Returns:
        What the (K, H, W) sample points see.
    """
    kinds = layer_kinds(config)
    x, y = sample_points(config, offsets)
    wall = jax.tree.map(lambda leaf: leaf[0], layers.bodies)
    wall_x, wall_y, wall_depth = source_in_layer(x, y, wall, camera, second)
    nearest = Visible(jnp.zeros(x.shape, jnp.int32), wall_depth)
    for label in np.unique(kinds[1:]).tolist():
        inside = inside_function(label, config)

        def add_layer(
            seen: Visible, index: jax.Array, label: int = label, inside: InsideFunction = inside
        ) -> tuple[Visible, None]:
            # Computed anew in each step: reading them from memory would take longer.
            x, y = sample_points(config, offsets)
            body, shape = jax.tree.map(lambda leaf: leaf[index], (layers.bodies, layers.shapes))
            if label == SHEET_LABEL:
                # A sheet is a part of the wall: same depth and same motion, another texture.
                at_x, at_y, depth = wall_x, wall_y, seen.depth
            else:
                at_x, at_y, depth = source_in_layer(x, y, body, camera, second)
            s, t = to_layer_frame(at_x, at_y, body.frames)
            wins = inside(s, t, shape.half, shape.knobs) & shape.present
            if label != SHEET_LABEL:
                wins &= depth > seen.depth
            layer_index = jnp.where(wins, index, seen.layer)
            return Visible(layer_index, jnp.where(wins, depth, seen.depth)), None

        nearest, _ = jax.lax.scan(add_layer, nearest, jnp.asarray(np.flatnonzero(kinds == label)))
    return nearest


def take_bodies(layers: Layers, layer: jax.Array, config: SceneConfig) -> Bodies:
    """Look up per point the body of the visible layer: the wall's for sheets."""
    last_sheet = config.object_counts[SHEET_LABEL - 1]
    return take_layers(layers.bodies, jnp.where(layer <= last_sheet, 0, layer))
