"""The target's own range, in which the networks work."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class TargetRange(NamedTuple):
    r"""An affine map of a target's values, one for each image and channel.

    $$ \hat y = (y - o) / r. $$

    Attributes:
        offset: o, (N, 1, 1, C).
        scale: r, (N, 1, 1, C), positive.

    Example:
        >>> import jax.numpy as jnp
        >>> from pac_jax.models import target_range
        >>> depth = jnp.array([2.0, 3.0, 6.0]).reshape(1, 1, 3, 1)
        >>> values = target_range(depth)
        >>> print(values.normalize(depth).ravel(), values.restore(jnp.ones((1, 1, 1, 1))).ravel())
        [0.   0.25 1.  ] [6.]
    """

    offset: jax.Array
    scale: jax.Array

    def normalize(self, target: jax.Array) -> jax.Array:
        """Map a target (N, H, W, C) of any size to the range: (y - o) / r."""
        return (target - self.offset) / self.scale

    def restore(self, normalized: jax.Array) -> jax.Array:
        """Map back: r y + o."""
        return normalized * self.scale + self.offset


def target_range(target_low: jax.Array) -> TargetRange:
    r"""Measure a low-resolution target: minimum and range of every image and channel.

    $$ o = \min y, \qquad r = \max y - \min y, $$

    but a flat target counts as range 1 around its value: $o = y - 1/2$, $r = 1$. The squared error
    of training is taken on `normalize`d targets, and the network's answer is `restore`d.

    Args:
        target_low: (N, h, w, C), finite.

    Returns:
        The range; with the low-resolution target it normalises to 0 ... 1.

    Example:
        >>> import jax.numpy as jnp
        >>> from pac_jax.models import target_range
        >>> flat = jnp.full((1, 2, 2, 1), 7.0)
        >>> print(target_range(flat).normalize(flat).ravel())
        [0.5 0.5 0.5 0.5]
    """
    low = jnp.min(target_low, axis=(1, 2), keepdims=True)
    high = jnp.max(target_low, axis=(1, 2), keepdims=True)
    flat = high == low
    return TargetRange(offset=jnp.where(flat, low - 0.5, low), scale=jnp.where(flat, 1, high - low))
