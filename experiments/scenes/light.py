"""Light on the scene: a slow change over the image, shadows of things outside it, vignetting.

Everything depends on pixel position only, never on depth: edges of light and shadow lie where no
depth edge is.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from experiments.scenes.config import SceneConfig
from experiments.scenes.draws import Dice

_BLOTCHES = 2


def draw_light(scene: Dice, config: SceneConfig, x: jax.Array, y: jax.Array) -> jax.Array:
    """Draw how much light reaches each pixel.

    Args:
        scene: Random numbers of the whole scene.
        config: Scene settings.
        x: (H, W) horizontal pixel positions from the image centre.
        y: (H, W) vertical positions.

    Returns:
        (H, W) factor above zero.
    """
    change = scene.uniform((-config.illumination, config.illumination), (2,))
    light = jnp.exp((change[0] * x + change[1] * y) / max(config.size))
    for _ in range(_BLOTCHES):
        light = light * (1.0 - _draw_blotch(scene, config, x, y))
    corner = 0.25 * (config.size[0] ** 2 + config.size[1] ** 2)
    return light * (1.0 - scene.uniform(config.vignette) * (x * x + y * y) / corner)


def _draw_blotch(scene: Dice, config: SceneConfig, x: jax.Array, y: jax.Array) -> jax.Array:
    """Draw (H, W) the part of light that one shadow takes: a soft or hard-edged ellipse."""
    centre = scene.uniform((-0.6, 0.6), (2,)) * jnp.array(config.size[::-1])
    axes = scene.uniform((-1.0, 1.0), (2, 2)) * (4.0 / max(config.size))
    u = axes[0, 0] * (x - centre[0]) + axes[0, 1] * (y - centre[1])
    v = axes[1, 0] * (x - centre[0]) + axes[1, 1] * (y - centre[1])
    softness = scene.log_uniform((0.03, 1.0))
    inside = jax.nn.sigmoid((1.0 - jnp.sqrt(u * u + v * v)) / softness)
    return scene.uniform(config.blotch_shadow) * inside
