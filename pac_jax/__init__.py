"""Pixel-adaptive convolution in JAX."""

from pac_jax import filters
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
    "filters",
    "pac_affinity",
    "pac_conv",
    "pac_conv_transpose",
    "pac_conv_transpose_with_affinity",
    "pac_conv_with_affinity",
    "pac_pool",
    "pac_pool_with_affinity",
    "propagate_mask",
]
