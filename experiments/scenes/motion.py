"""Motion from one frame to the next: objects move in the image plane, then the camera moves.

Positions are in pixels from the image centre. Everything is exact, with no small-angle
approximation, so that the flow of a plane is that of a real camera.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from experiments.scenes.config import SceneConfig
from experiments.scenes.draws import Dice

_INVERSION_STEPS = 12


class ObjectMotions(NamedTuple):
    """Own motions of L layers: a linear map about the layer's centre, then a shift.

    Attributes:
        linear: (L, 2, 2) rotation, stretching, and shear.
        shift: (L, 2) displacement x, y in pixels.
    """

    linear: jax.Array
    shift: jax.Array


class CameraMotion(NamedTuple):
    """Motion of the camera.

    Attributes:
        sideways: (2,) displacement in pixels, per inverse depth.
        forward: () advance along the view axis, in units of depth.
        roll: () rotation about the view axis in radians.
        pan: (2,) displacement of the whole image in pixels.
    """

    sideways: jax.Array
    forward: jax.Array
    roll: jax.Array
    pan: jax.Array


def draw_object_motions(each: Dice, config: SceneConfig) -> ObjectMotions:
    """Draw each layer's own motion; the background has none.

    Args:
        each: Random numbers of L layers.
        config: Scene settings.

    Returns:
        ObjectMotions of L layers.
    """
    moves = each.chance(config.object_motion_prob).at[0].set(False)
    turn = each.uniform((-config.object_turn, config.object_turn)) * moves
    stretches = (-config.object_stretch, config.object_stretch)
    # Half of the four numbers stay zero, so objects often keep some of their lengths.
    stretch = each.sometimes(0.5, stretches, (2, 2)) * moves[:, None, None]
    # The cube makes small motions frequent, as they are in films.
    shift = config.object_shift * each.uniform((-1.0, 1.0), (2,)) ** 3 * moves[:, None]
    cos, sin = jnp.cos(turn), jnp.sin(turn)
    rotation = jnp.stack([cos, -sin, sin, cos], axis=-1).reshape(-1, 2, 2)
    return ObjectMotions(rotation + stretch, shift)


def draw_camera_motion(scene: Dice, config: SceneConfig) -> CameraMotion:
    """Draw the motion of the camera.

    Args:
        scene: Random numbers of the whole scene.
        config: Scene settings.

    Returns:
        CameraMotion; some scenes lack some of its parts.
    """

    def draw(largest: float, parts: tuple[int, ...] = ()) -> jax.Array:
        return scene.sometimes(0.7, (-largest, largest), parts)

    return CameraMotion(
        sideways=draw(config.camera_shift, (2,)),
        forward=draw(config.camera_forward),
        roll=draw(config.camera_roll),
        pan=draw(config.camera_pan, (2,)),
    )


def move_points(
    x: jax.Array,
    y: jax.Array,
    depth: jax.Array,
    centre: jax.Array,
    motion: ObjectMotions,
    camera: CameraMotion,
) -> tuple[jax.Array, jax.Array]:
    """Find where points of the first frame are in the second.

    Args:
        x: (...) horizontal positions in the first frame in pixels from the image centre.
        y: (...) vertical positions.
        depth: (...) inverse depths of the points.
        centre: (2,) or (2, ...) centres of the layers that the points belong to.
        motion: Own motions of these layers, leaves (2, 2) and (2,), or (2, 2, ...) and (2, ...).
        camera: Motion of the camera.

    Returns:
        `(x, y)` in the second frame, each (...).
    """
    linear = motion.linear
    dx, dy = x - centre[0], y - centre[1]
    x = centre[0] + linear[0, 0] * dx + linear[0, 1] * dy + motion.shift[0]
    y = centre[1] + linear[1, 0] * dx + linear[1, 1] * dy + motion.shift[1]
    scale = 1.0 / (1.0 - camera.forward * depth)
    x = (x + camera.sideways[0] * depth) * scale
    y = (y + camera.sideways[1] * depth) * scale
    cos, sin = jnp.cos(camera.roll), jnp.sin(camera.roll)
    return cos * x - sin * y + camera.pan[0], sin * x + cos * y + camera.pan[1]


def find_sources(
    x: jax.Array,
    y: jax.Array,
    move: Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]],
) -> tuple[jax.Array, jax.Array]:
    """Invert a motion by fixed-point iteration.

    This converges where the displacement changes by less than a pixel per pixel; elsewhere (the
    rim of a strongly curved object that moves a lot) a surface hides a part of itself, and no
    single answer exists.

    Args:
        x: (...) positions in the second frame.
        y: (...) positions in the second frame.
        move: Maps positions in the first frame to those in the second.

    Returns:
        `(x, y)` in the first frame, each (...).
    """

    def refine(_: int, source: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        moved_x, moved_y = move(*source)
        return source[0] + x - moved_x, source[1] + y - moved_y

    return jax.lax.fori_loop(0, _INVERSION_STEPS, refine, (x, y))
