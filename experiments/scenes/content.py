"""The content of a scene: layers with bodies, outlines, and textures, and the camera's motion."""

from __future__ import annotations

from typing import NamedTuple

import jax

from experiments.scenes.config import SceneConfig
from experiments.scenes.draws import Dice
from experiments.scenes.motion import (
    CameraMotion,
    ObjectMotions,
    draw_camera_motion,
    draw_object_motions,
)
from experiments.scenes.shapes import Frames, Shapes, draw_shapes, layer_kinds
from experiments.scenes.surfaces import Surfaces, draw_surfaces
from experiments.scenes.textures import Textures, draw_textures


class Bodies(NamedTuple):
    """Where layers are in space and how they move; leaves lead with L layers."""

    frames: Frames
    surfaces: Surfaces
    motions: ObjectMotions


class Layers(NamedTuple):
    """The content of a scene; leaves lead with L layers, in the order of `layer_kinds`."""

    bodies: Bodies
    shapes: Shapes
    textures: Textures


def draw_content(key: jax.Array, config: SceneConfig) -> tuple[Layers, CameraMotion]:
    """Draw the content of a scene and the camera's motion.

    Args:
        key: Random key.
        config: Scene settings.

    Returns:
        Layers, in the order of `layer_kinds`, and the camera's motion.
    """
    scene_key, layer_key = jax.random.split(key)
    scene, each = Dice(scene_key), Dice(layer_key, layer_kinds(config).shape)
    frames, shapes = draw_shapes(scene, each, config)
    surfaces = draw_surfaces(scene, each, config, shapes)
    bodies = Bodies(frames, surfaces, draw_object_motions(each, config))
    layers = Layers(bodies, shapes, draw_textures(scene, each, config))
    return layers, draw_camera_motion(scene, config)
