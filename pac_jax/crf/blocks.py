"""Averaging over blocks, and interpolation back: how terms with a blur see the image."""

import jax
import jax.numpy as jnp
from jax import lax


def block_means(images: jax.Array, block: int) -> jax.Array:
    """Average over blocks; those at the borders over what they have of the image.

    Args:
        images: (N, *spatial, C).
        block: pixels per block and dimension.

    Returns:
        (N, *ceil(spatial / block), C). What is missing to whole blocks is missing in equal parts at
        both ends, at the first by one pixel more where it is odd.
    """
    if block == 1:
        return images
    padding = [(0, 0), *(_missing(size, block) for size in images.shape[1:-1]), (0, 0)]
    inside = jnp.ones((1, *images.shape[1:-1], 1), images.dtype)
    return _block_sums(images, padding, block) / _block_sums(inside, padding, block)


def interpolate_blocks(blocks: jax.Array, block: int, size: tuple[int, ...]) -> jax.Array:
    """Linear interpolation between the blocks' centres, constant beyond the outer ones.

    Args:
        blocks: (N, *ceil(size / block), C), as `block_means` gives them.
        block: pixels per block and dimension.
        size: spatial size of the result.

    Returns:
        (N, *size, C).
    """
    if block == 1:
        return blocks
    full = (blocks.shape[0], *(block * n for n in blocks.shape[1:-1]), blocks.shape[-1])
    images = jax.image.resize(
        blocks, full, "linear", antialias=False, precision=lax.Precision.HIGHEST
    )
    for axis, n in enumerate(size, start=1):
        low, _ = _missing(n, block)
        images = lax.slice_in_dim(images, low, low + n, axis=axis)
    return images


def _missing(size: int, block: int) -> tuple[int, int]:
    missing = -size % block
    return -(-missing // 2), missing // 2


def _block_sums(images: jax.Array, padding: list[tuple[int, int]], block: int) -> jax.Array:
    padded = jnp.pad(images, padding)
    shape = [padded.shape[0]]
    for n in padded.shape[1:-1]:
        shape += [n // block, block]
    within = tuple(range(2, 2 * images.ndim - 3, 2))
    return jnp.sum(padded.reshape(*shape, images.shape[-1]), axis=within)
