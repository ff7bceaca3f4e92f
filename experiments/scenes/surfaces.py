"""Depth of layers: slanted, folded, and curved surfaces.

Depth is stored as inverse depth, since a plane in space is a plane (an affine function of pixel
position) in inverse depth, and so is linear in exactly the quantity that stereo measures.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from experiments.scenes.config import SceneConfig
from experiments.scenes.draws import Dice
from experiments.scenes.shapes import Shapes

_LEAST_RELATIVE_DEPTH = 0.05


class Surfaces(NamedTuple):
    """Inverse depths of L layers in their own frames; all but `level` are relative to `level`.

    Attributes:
        level: (L,) inverse depth at the layer's centre (before folds and bulges).
        slant: (L, 2) change per half length.
        fold: (L, 2) extra change per half length beyond the fold line: above zero a room corner
            (concave), below zero a box edge (convex).
        crease: (L, 2) position of the fold line in half lengths.
        bulge: (L,) height of the curved part at the centre.
        curve: (L, 2) which axes the curved part bends along: (1, 1) a ball, (1, 0) a cylinder.
    """

    level: jax.Array
    slant: jax.Array
    fold: jax.Array
    crease: jax.Array
    bulge: jax.Array
    curve: jax.Array


def draw_surfaces(scene: Dice, each: Dice, config: SceneConfig, shapes: Shapes) -> Surfaces:
    """Draw the surfaces of all layers.

    Args:
        scene: Random numbers of the whole scene.
        each: Random numbers of L layers.
        config: Scene settings.
        shapes: Outlines of L layers; large objects may be slanted more than small ones.

    Returns:
        Surfaces of L layers; the background is a wall, often with a corner and a floor.
    """
    far = scene.log_uniform(config.far_depth)
    level = far * scene.uniform(config.near_ratio) ** each.uniform((0.06, 1.0))
    limit = jnp.minimum(2.0 * shapes.half / min(config.size), 1.0)
    slants = (-config.slant, config.slant)
    surfaces = Surfaces(
        level=level.at[0].set(far),
        slant=each.uniform(slants, (2,)) * limit,
        fold=each.sometimes(config.fold_prob, slants, (2,)) * limit,
        crease=each.uniform((-0.6, 0.6), (2,)),
        bulge=each.sometimes(config.bulge_prob, config.bulge),
        curve=each.chance(0.6, (2,)).astype(jnp.float32),
    )
    return _set_background(scene, config, surfaces)


def _set_background(scene: Dice, config: SceneConfig, surfaces: Surfaces) -> Surfaces:
    """Replace layer 0 by a wall that may have a concave corner and a floor rising to the viewer."""
    corner = scene.sometimes(config.fold_prob, (0.1, 1.0))
    floor = scene.sometimes(0.5, (0.3, 2.0))
    crease = scene.uniform((-0.5, 0.8), (2,))
    # Half as often as objects: rooms have more flat walls than curved ones.
    bulge = scene.sometimes(0.5 * config.bulge_prob, config.bulge)
    return surfaces._replace(
        fold=surfaces.fold.at[0].set(jnp.stack([corner, floor])),
        crease=surfaces.crease.at[0].set(crease),
        bulge=surfaces.bulge.at[0].set(bulge),
    )


def surface_depth(s: jax.Array, t: jax.Array, surface: Surfaces) -> jax.Array:
    """Evaluate the inverse depth of a surface.

    Args:
        s: (...) positions along the layer's first axis in half lengths.
        t: (...) positions along its second axis.
        surface: One layer's surface (leaves () or (2,)), or one surface per point (leaves (...)
            or (2, ...)).

    Returns:
        (...) inverse depth, above zero.
    """
    fold_s = jnp.maximum(s - surface.crease[0], 0.0)
    fold_t = jnp.maximum(t - surface.crease[1], 0.0)
    relative = 1.0 + surface.slant[0] * s + surface.slant[1] * t
    relative = relative + surface.fold[0] * fold_s + surface.fold[1] * fold_t
    distance = surface.curve[0] * s * s + surface.curve[1] * t * t
    # The root stops before zero, where a ball would be infinitely steep.
    relative = relative + surface.bulge * jnp.sqrt(jnp.maximum(1.0 - 0.95 * distance, 0.05))
    return surface.level * jnp.maximum(relative, _LEAST_RELATIVE_DEPTH)
