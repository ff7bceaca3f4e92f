"""Traces of compression: cosine transform of 8 x 8 blocks, quantised as JPEG files are."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

_BLOCK = 8
_CHROMA_COARSENESS = 2.0


def compress(image: jax.Array, step: jax.Array) -> jax.Array:
    """Round the cosine coefficients of brightness and colour in blocks.

    Args:
        image: (3, H, W) image of any size; its border is repeated up to whole blocks.
        step: () rounding step of the mean of a block, of a full scale of one; fine details have
            up to seven times coarser steps, and colour twice coarser ones.

    Returns:
        (3, H, W) image, not clipped.
    """
    height, width = image.shape[1:]
    padding = [(0, 0), (0, -height % _BLOCK), (0, -width % _BLOCK)]
    planes = jnp.tensordot(jnp.asarray(_to_luma()), jnp.pad(image, padding, mode="edge"), axes=1)
    rows, columns = planes.shape[1] // _BLOCK, planes.shape[2] // _BLOCK
    blocks = planes.reshape(3, rows, _BLOCK, columns, _BLOCK)
    cosines = jnp.asarray(_cosines())
    waves = jnp.einsum("ui,vj,crisj->crusv", cosines, cosines, blocks)
    frequency = np.arange(_BLOCK)[:, None, None] + np.arange(_BLOCK)
    # Coefficients of an orthonormal transform are eight times a block's mean.
    coarse = _BLOCK * step * jnp.asarray(1.0 + 6.0 * frequency / 14.0, jnp.float32) / 4.0
    plane_steps = jnp.array([1.0, _CHROMA_COARSENESS, _CHROMA_COARSENESS])
    steps = plane_steps[:, None, None, None, None] * coarse
    waves = steps * jnp.round(waves / steps)
    blocks = jnp.einsum("ui,vj,crusv->crisj", cosines, cosines, waves)
    planes = blocks.reshape(planes.shape)[:, :height, :width]
    return jnp.tensordot(jnp.asarray(np.linalg.inv(_to_luma())), planes, axes=1)


def _cosines() -> np.ndarray:
    """Orthonormal cosine transform: row u holds the wave of u half periods."""
    u, i = np.mgrid[:_BLOCK, :_BLOCK]
    waves = np.cos(np.pi * (i + 0.5) * u / _BLOCK) * np.sqrt(2.0 / _BLOCK)
    waves[0] /= np.sqrt(2.0)
    return waves.astype(np.float32)


def _to_luma() -> np.ndarray:
    """Matrix from red, green, and blue to brightness and two differences of colour."""
    luma = np.array([0.299, 0.587, 0.114])
    blue = 0.5 * (np.array([0.0, 0.0, 1.0]) - luma) / (1.0 - luma[2])
    red = 0.5 * (np.array([1.0, 0.0, 0.0]) - luma) / (1.0 - luma[0])
    return np.stack([luma, blue, red]).astype(np.float32)
