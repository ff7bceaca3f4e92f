"""Random training scenes with exact depth, motion, and labels, rendered in pure JAX."""

from experiments.scenes.config import OBJECT_KINDS, SceneConfig
from experiments.scenes.render import Scene, render_batch, render_pair, render_scene

__all__ = [
    "OBJECT_KINDS",
    "Scene",
    "SceneConfig",
    "render_batch",
    "render_pair",
    "render_scene",
]
