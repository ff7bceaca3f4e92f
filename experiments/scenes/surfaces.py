"""Depth of layers: slanted, folded, curved, swelling, and stepped surfaces.

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
        swell: (L,) height of smooth waves: cloth, bodies, ground.
        waves: (L, 3) waves per half length along both axes, and their phase.
        steps: (L,) height of random steps between cells: rows of books, heaps, foliage.
        cells: (L, 3) cells per half length along both axes, and a seed in [0, 1).
    """

    level: jax.Array
    slant: jax.Array
    fold: jax.Array
    crease: jax.Array
    bulge: jax.Array
    curve: jax.Array
    swell: jax.Array
    waves: jax.Array
    steps: jax.Array
    cells: jax.Array


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
    limit = jnp.minimum(2.0 * shapes.half / min(config.size), 1.0)
    limit = limit * each.chance(1.0 - config.flat_prob)[:, None]
    slants = (-config.slant, config.slant)
    surfaces = Surfaces(
        level=(far * _draw_ratios(scene, each, config)).at[0].set(far),
        slant=each.uniform(slants, (2,)) * limit,
        fold=each.sometimes(config.fold_prob, slants, (2,)) * limit,
        crease=each.uniform((-0.6, 0.6), (2,)),
        bulge=each.sometimes(config.bulge_prob, config.bulge),
        curve=each.chance(0.6, (2,)).astype(jnp.float32),
        swell=each.sometimes(config.swell_prob, config.swell),
        waves=each.uniform((-0.8, 0.8), (3,)),
        steps=each.uniform(config.step) * (shapes.cells[:, 0] > 0.0),
        cells=shapes.cells,
    )
    return _set_background(scene, config, surfaces)


def _draw_ratios(scene: Dice, each: Dice, config: SceneConfig) -> jax.Array:
    """Draw (L,) inverse depths over that of the background.

    In some scenes objects stand at few depths, as furniture along a wall does.
    """
    rank = each.uniform((0.06, 1.0))
    ranks = jnp.floor(scene.uniform((1.0, 5.0)))
    # A small difference within a rank keeps it clear which of two objects is in front.
    ranked = (jnp.ceil(rank * ranks) - 0.3 + 0.04 * each.uniform((0.0, 1.0))) / ranks
    rank = jnp.where(scene.chance(config.ranks_prob), ranked, rank)
    return scene.uniform(config.near_ratio) ** rank


def _set_background(scene: Dice, config: SceneConfig, surfaces: Surfaces) -> Surfaces:
    """Replace layer 0 by a wall that may have a concave corner and a floor rising to the viewer."""
    corner = scene.sometimes(config.fold_prob, (0.1, 1.0))
    floor = scene.sometimes(0.5, (0.3, 2.0))
    crease = scene.uniform((-0.5, 0.8), (2,))
    # Half as often as objects: rooms have more flat walls than curved ones.
    bulge = scene.sometimes(0.5 * config.bulge_prob, config.bulge)
    # A quarter of the walls stand exactly across the view.
    upright = scene.chance(0.75).astype(jnp.float32)
    return surfaces._replace(
        slant=surfaces.slant.at[0].multiply(upright),
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
    relative = relative + surface.swell * _waves(s, t, surface.waves)
    relative = relative + surface.steps * cell_unit(s, t, surface.cells)
    return surface.level * jnp.maximum(relative, _LEAST_RELATIVE_DEPTH)


def _waves(s: jax.Array, t: jax.Array, waves: jax.Array) -> jax.Array:
    """Product of two smooth waves across each other, in [0, 1]."""
    u = waves[0] * s + waves[1] * t + waves[2]
    v = 0.7 * (waves[0] * t - waves[1] * s) + 0.6 * waves[2]
    u, v = u - jnp.floor(u), v - jnp.floor(v)
    # Squared parabolas of unit period stand in for cosines.
    return (16.0 * u * (1.0 - u) * v * (1.0 - v)) ** 2


def cell_unit(s: jax.Array, t: jax.Array, cells: jax.Array) -> jax.Array:
    """Give the cells of a layer numbers that differ much between neighbours.

    Args:
        s: (...) positions along the layer's first axis in half lengths.
        t: (...) positions along its second axis.
        cells: (3,) or (3, ...) cells per half length along both axes, and a seed in [0, 1).

    Returns:
        (...) numbers in [0, 1), the same all over a cell.
    """
    i, j = jnp.floor(cells[0] * s), jnp.floor(cells[1] * t)
    # Multiples of an irrational number, modulo one, spread evenly.
    number = 0.7548777 * i + 0.5698403 * j + cells[2]
    return number - jnp.floor(number)
