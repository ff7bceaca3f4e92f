"""Pixel-adaptive convolution in JAX: convolutions whose kernels adapt to a guide at every pixel.

Example:
    >>> import jax.numpy as jnp
    >>> import pac_jax
    >>> inputs, guide = jnp.ones((1, 24, 32, 4)), jnp.ones((1, 24, 32, 3))
    >>> pac_jax.pac_conv(inputs, guide, jnp.ones((5, 5, 4, 8))).shape
    (1, 24, 32, 8)
"""

from pac_jax import convert, filters, models, nn
from pac_jax.functional.affinity import Affinity, Gaussian, Inverse
from pac_jax.functional.affinity_map import pac_affinity
from pac_jax.functional.conv import (
    pac_conv,
    pac_conv_transpose,
    pac_conv_transpose_with_affinity,
    pac_conv_with_affinity,
)
from pac_jax.functional.mask import propagate_mask
from pac_jax.functional.pool import pac_pool, pac_pool_with_affinity

__all__ = [
    "Affinity",
    "Gaussian",
    "Inverse",
    "convert",
    "filters",
    "models",
    "nn",
    "pac_affinity",
    "pac_conv",
    "pac_conv_transpose",
    "pac_conv_transpose_with_affinity",
    "pac_conv_with_affinity",
    "pac_pool",
    "pac_pool_with_affinity",
    "propagate_mask",
]
