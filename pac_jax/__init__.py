"""Pixel-adaptive convolution in JAX: convolutions whose kernels adapt to a guide at every pixel.

Example:
    >>> import jax.numpy as jnp
    >>> import pac_jax
    >>> inputs, guide = jnp.ones((1, 24, 32, 4)), jnp.ones((1, 24, 32, 3))
    >>> pac_jax.pac_conv(inputs, guide, jnp.ones((5, 5, 4, 8))).shape
    (1, 24, 32, 8)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pac_jax import convert, crf, files, filters, models, nn, pretrained
    from pac_jax.functional.affinity import Affinity, Gaussian, Inverse
    from pac_jax.functional.affinity_map import pac_affinity
    from pac_jax.functional.conv import (
        pac_conv,
        pac_conv_transpose,
        pac_conv_transpose_with_affinity,
        pac_conv_with_affinity,
    )
    from pac_jax.functional.explanation import explain_implementation
    from pac_jax.functional.mask import propagate_mask
    from pac_jax.functional.pool import pac_pool, pac_pool_with_affinity
    from pac_jax.nn.swapping import hot_swap
    from pac_jax.refinement.api import refine
    from pac_jax.upsampling.api import upsample

__all__ = [
    "Affinity",
    "Gaussian",
    "Inverse",
    "convert",
    "crf",
    "explain_implementation",
    "files",
    "filters",
    "hot_swap",
    "models",
    "nn",
    "pac_affinity",
    "pac_conv",
    "pac_conv_transpose",
    "pac_conv_transpose_with_affinity",
    "pac_conv_with_affinity",
    "pac_pool",
    "pac_pool_with_affinity",
    "pretrained",
    "propagate_mask",
    "refine",
    "upsample",
]

__version__ = "0.1.0"

# Imported when first used: `pac-jax --help`, and whoever reads a file, need not wait for JAX.
_MODULES = ("convert", "crf", "files", "filters", "models", "nn", "pretrained")
_HOMES = {
    "Affinity": "functional.affinity",
    "Gaussian": "functional.affinity",
    "Inverse": "functional.affinity",
    "explain_implementation": "functional.explanation",
    "hot_swap": "nn.swapping",
    "pac_affinity": "functional.affinity_map",
    "pac_conv": "functional.conv",
    "pac_conv_transpose": "functional.conv",
    "pac_conv_transpose_with_affinity": "functional.conv",
    "pac_conv_with_affinity": "functional.conv",
    "pac_pool": "functional.pool",
    "pac_pool_with_affinity": "functional.pool",
    "propagate_mask": "functional.mask",
    "refine": "refinement.api",
    "upsample": "upsampling.api",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"pac_jax.{name}")
    if name in _HOMES:
        value = getattr(import_module(f"pac_jax.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'pac_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
