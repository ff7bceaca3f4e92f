"""Brings a network's coarse scores to the size of the image, by the grid that the network has."""

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["ALIGNMENTS", "resized"]

ALIGNMENTS = ("centers", "corners")


def resized(images: jax.Array | np.ndarray, size: tuple[int, int], alignment: str) -> jax.Array:
    """Interpolate bilinearly to a larger size; as it is where the size is the same.

    Args:
        images: (..., h, w, L).
        size: (H, W), at least (h, w).
        alignment: 'corners': the outer pixels' centres coincide; 'centers': the images' borders do
            (half-pixel centres), and values are constant beyond the outer pixels' centres.

    Returns:
        (..., H, W, L).
    """
    images = jnp.asarray(images)
    for axis, to in zip((-3, -2), size, strict=True):
        images = _resized_axis(images, axis % images.ndim, to, alignment)
    return images


def _resized_axis(images: jax.Array, axis: int, to: int, alignment: str) -> jax.Array:
    n = images.shape[axis]
    if n == to:
        return images
    if alignment == "corners":
        places = np.linspace(0, n - 1, to)
    else:
        places = np.clip((np.arange(to) + 0.5) * (n / to) - 0.5, 0, n - 1)
    low = np.floor(places).astype(np.int32)
    high = np.minimum(low + 1, n - 1)
    shape = [1] * images.ndim
    shape[axis] = to
    share = jnp.asarray((places - low).reshape(shape), images.dtype)
    lower = images.take(low, axis)
    return lower + share * (images.take(high, axis) - lower)
