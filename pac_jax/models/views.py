"""Mirrored and transposed copies of an image and its samples, and the way back of their results."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

_SPATIAL = (1, 2)


class View(NamedTuple):
    """A way to look at a scene: an operation that is its own inverse, followed by another one.

    Attributes:
        mirrored: the axes (1: rows, 2: columns) that run backwards.
        transposed: whether rows and columns are exchanged, after that.
    """

    mirrored: tuple[int, ...]
    transposed: bool

    def of(self, images: jax.Array, shift: int) -> jax.Array:
        """Look at images.

        Args:
            images: (N, H, W, C).
            shift: pixels by which mirrored axes are moved to their start, see
                `pac_jax.models.protocols.mirror_shift`; what is missing repeats the border.

        Returns:
            (N, H, W, C), or (N, W, H, C).
        """
        for axis in self.mirrored:
            images = _shifted(jnp.flip(images, axis), shift, axis)
        return jnp.swapaxes(images, *_SPATIAL) if self.transposed else images

    def back(self, images: jax.Array, shift: int) -> jax.Array:
        """The inverse of `of`, but for `shift` pixels at the border."""
        if self.transposed:
            images = jnp.swapaxes(images, *_SPATIAL)
        for axis in self.mirrored:
            images = jnp.flip(_shifted(images, -shift, axis), axis)
        return images


# Half a turn tells most of what another look can tell.
VIEWS = tuple(
    View(mirrored, transposed)
    for transposed in (False, True)
    for mirrored in ((), (1, 2), (1,), (2,))
)


def _shifted(images: jax.Array, shift: int, axis: int) -> jax.Array:
    """Move to the axis' start (to its end if negative), repeating the border."""
    if not shift:
        return images
    size, far = images.shape[axis], abs(shift)
    padding = [(0, 0)] * images.ndim
    padding[axis] = (0, far) if shift > 0 else (far, 0)
    start = far if shift > 0 else 0
    return lax.slice_in_dim(jnp.pad(images, padding, mode="edge"), start, start + size, axis=axis)
