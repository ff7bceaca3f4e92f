"""From surface colours to a photograph: light, shadows, lens blur, tone, and sensor noise.

Everything acts on whole images and depends on pixel position only, never on depth: edges of light
and shadow lie where no depth edge is.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from experiments.scenes.config import SceneConfig
from experiments.scenes.draws import Dice

_BLOTCHES = 2
_TAPS = (-2, -1, 0, 1, 2)


def draw_light(scene: Dice, config: SceneConfig, x: jax.Array, y: jax.Array) -> jax.Array:
    """Draw how much light reaches each pixel: a slow change and a few blotches of shadow.

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
    return light


def _draw_blotch(scene: Dice, config: SceneConfig, x: jax.Array, y: jax.Array) -> jax.Array:
    """Draw (H, W) the part of light that one shadow takes: a soft or hard-edged ellipse."""
    centre = scene.uniform((-0.6, 0.6), (2,)) * jnp.array(config.size[::-1])
    axes = scene.uniform((-1.0, 1.0), (2, 2)) * (4.0 / max(config.size))
    u = axes[0, 0] * (x - centre[0]) + axes[0, 1] * (y - centre[1])
    v = axes[1, 0] * (x - centre[0]) + axes[1, 1] * (y - centre[1])
    softness = scene.log_uniform((0.03, 1.0))
    inside = jax.nn.sigmoid((1.0 - jnp.sqrt(u * u + v * v)) / softness)
    return scene.uniform(config.blotch_shadow) * inside


def blur(image: jax.Array, sigma: jax.Array) -> jax.Array:
    """Blur with a Gaussian of five taps, repeating the border.

    Args:
        image: (C, H, W) image.
        sigma: () standard deviation in pixels, at most about one.

    Returns:
        (C, H, W) image.
    """
    weights = jnp.exp(-0.5 * (jnp.array(_TAPS) / jnp.maximum(sigma, 1e-3)) ** 2)
    weights = weights / weights.sum()
    for axis in (1, 2):
        size = image.shape[axis]
        padding = [(0, 0)] * 3
        padding[axis] = (-_TAPS[0], _TAPS[-1])
        padded = jnp.pad(image, padding, mode="edge")
        shifted = [jax.lax.slice_in_dim(padded, n, n + size, axis=axis) for n in range(len(_TAPS))]
        image = jnp.tensordot(weights, jnp.stack(shifted), axes=1)
    return image


def expose(key: jax.Array, scene: Dice, config: SceneConfig, image: jax.Array) -> jax.Array:
    """Apply lens blur, brightness, colour cast, tone curve, and sensor noise.

    Args:
        key: Random key of the sensor noise.
        scene: Random numbers of the whole scene.
        config: Scene settings.
        image: (3, H, W) light at the lens, nominally in [0, 1].

    Returns:
        (3, H, W) image in [0, 1].
    """
    image = blur(image, scene.uniform(config.blur))
    cast = scene.uniform((1.0 - config.colour_cast, 1.0 + config.colour_cast), (3, 1, 1))
    image = image * cast * scene.uniform(config.brightness)
    image = jnp.clip(image, 0.0, 1.0) ** scene.uniform(config.gamma)
    noise = jax.random.normal(key, image.shape)
    return jnp.clip(image + scene.uniform(config.noise) * noise, 0.0, 1.0)
