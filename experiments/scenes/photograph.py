"""What a camera does: focus, lens blur, tone, sensor noise, sharpening, and compression."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from experiments.scenes.blur import blur, defocus
from experiments.scenes.compression import compress
from experiments.scenes.config import SceneConfig
from experiments.scenes.draws import Dice


def expose(
    key: jax.Array, scene: Dice, config: SceneConfig, image: jax.Array, depth: jax.Array
) -> jax.Array:
    """Photograph what the lens sees.

    Args:
        key: Random key of the sensor noise.
        scene: Random numbers of the whole scene.
        config: Scene settings.
        image: (3, H, W) light at the lens, nominally in [0, 1].
        depth: (H, W) inverse depth.

    Returns:
        (3, H, W) image in [0, 1].
    """
    focus = depth.min() * (depth.max() / depth.min()) ** scene.uniform((0.0, 1.0))
    image = defocus(image, depth, focus, scene.sometimes(config.defocus_prob, (0.3, 2.0)))
    image = blur(image, scene.uniform(config.blur))
    cast = scene.uniform((1.0 - config.colour_cast, 1.0 + config.colour_cast), (3, 1, 1))
    image = image * cast * scene.uniform(config.brightness)
    image = jnp.clip(image, 0.0, 1.0) ** scene.uniform(config.gamma)
    # The square makes clean images frequent.
    low, high = config.noise
    noise = low + (high - low) * scene.uniform((0.0, 1.0)) ** 2
    image = image + noise * jax.random.normal(key, image.shape)
    halo = scene.sometimes(config.halo_prob, config.halo)
    image = jnp.clip(image + halo * (image - blur(image, 1.0)), 0.0, 1.0)
    compressed = compress(image, scene.log_uniform(config.jpeg_step))
    image = jnp.where(scene.chance(config.jpeg_prob), compressed, image)
    return jnp.clip(image, 0.0, 1.0)
