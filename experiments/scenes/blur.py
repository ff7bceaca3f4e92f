"""Blurs: of the whole image, and by distance from the depth in focus."""

from __future__ import annotations

import jax
import jax.numpy as jnp

_TAPS = (-2, -1, 0, 1, 2)
_FIRST_SIGMA = 0.9


def blur(image: jax.Array, sigma: jax.Array | float, spacing: int = 1) -> jax.Array:
    """Blur with a Gaussian of five taps, repeating the border.

    Args:
        image: (C, H, W) image.
        sigma: () standard deviation in units of `spacing`, at most about one.
        spacing: Distance between taps in pixels.

    Returns:
        (C, H, W) image.
    """
    weights = jnp.exp(-0.5 * (jnp.array(_TAPS) / jnp.maximum(sigma, 1e-3)) ** 2)
    weights = weights / weights.sum()
    for axis in (1, 2):
        size = image.shape[axis]
        padding = [(0, 0)] * 3
        padding[axis] = (-_TAPS[0] * spacing, _TAPS[-1] * spacing)
        padded = jnp.pad(image, padding, mode="edge")
        starts = range(0, len(_TAPS) * spacing, spacing)
        shifted = [jax.lax.slice_in_dim(padded, n, n + size, axis=axis) for n in starts]
        image = jnp.tensordot(weights, jnp.stack(shifted), axes=1)
    return image


def defocus(image: jax.Array, depth: jax.Array, focus: jax.Array, lens: jax.Array) -> jax.Array:
    """Blur each pixel by how far its inverse depth is from the one in focus.

    What is in front is blurred up to its own outline only, so that image and depth edges stay at
    the same place.

    Args:
        image: (3, H, W) image.
        depth: (H, W) inverse depth.
        focus: () inverse depth in focus.
        lens: () strength; zero keeps the image sharp everywhere.

    Returns:
        (3, H, W) image.
    """
    slightly = blur(image, _FIRST_SIGMA)
    strongly = blur(slightly, _FIRST_SIGMA, spacing=2)
    # Zero is the image itself, one the first blur, two the second.
    amount = jnp.minimum(lens * jnp.abs(jnp.log(depth / focus)), 2.0)
    near, far = jnp.minimum(amount, 1.0), jnp.maximum(amount - 1.0, 0.0)
    return image + near * (slightly - image) + far * (strongly - slightly)
