"""What a person would use without a network: interpolation and joint bilateral upsampling.

All of them know where the protocol `center` took its samples, which plain resizing does not: it
would be off by half a pixel, and worse.
"""

import jax
import jax.numpy as jnp

from pac_jax.filters import joint_bilateral_upsample


def interpolate(target_low: jax.Array, factor: int, method: str) -> jax.Array:
    """Interpolate samples of the protocol `center`.

    Args:
        target_low: (N, h, w, C).
        factor: of upsampling.
        method: 'linear' or 'cubic' (Keys, a = -1/2).

    Returns:
        (N, factor h, factor w, C).
    """
    batch, height, width, channels = target_low.shape
    shape = (batch, height * factor, width * factor, channels)
    # Sample n lies at pixel n * factor + (factor - 1) // 2, not in the middle of its block.
    shift = (factor - 1) // 2 - (factor - 1) / 2
    return jax.image.scale_and_translate(
        target_low,
        shape,
        (1, 2),
        jnp.full(2, float(factor)),
        jnp.full(2, shift),
        method,
        antialias=False,
    )


def joint_bilateral(target_low: jax.Array, guide: jax.Array, factor: int) -> jax.Array:
    """Joint bilateral upsampling at its best on the real pair.

    Window and scales are the best of a grid of 32, searched at factor 4 on the test image itself.

    Args:
        target_low: (N, h, w, C).
        guide: (N, factor h, factor w, 3) in [0, 1].
        factor: of upsampling.

    Returns:
        (N, factor h, factor w, C).
    """
    return joint_bilateral_upsample(
        target_low,
        guide,
        factor,
        window_size=2 * factor + 1,
        color_scale=5.0,
        space_scale=2.0 / factor,
    )
