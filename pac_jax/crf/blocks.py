"""Averaging over blocks, and interpolation back: how terms with a blur see the image."""

import jax
import jax.numpy as jnp
import numpy as np
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
    images = blocks
    for axis in range(1, blocks.ndim - 1):
        images = _interpolate_axis(images, block, axis)
    for axis, n in enumerate(size, start=1):
        low, _ = _missing(n, block)
        images = lax.slice_in_dim(images, low, low + n, axis=axis)
    return images


def _interpolate_axis(blocks: jax.Array, block: int, axis: int) -> jax.Array:
    """Weighted sums of each block and its neighbours: by the known factor, in one pass."""
    n = blocks.shape[axis]
    before, after = (_neighbours(blocks, axis, step) for step in (-1, 1))
    # Where each of a block's pixels lies, from the block's centre, in blocks.
    place = (np.arange(block) + 0.5) / block - 0.5
    shape = [1] * (blocks.ndim + 1)
    shape[axis + 1] = block
    images = jnp.zeros(shape, blocks.dtype)
    for values, share in (
        (before, np.maximum(-place, 0)),
        (blocks, 1 - np.abs(place)),
        (after, np.maximum(place, 0)),
    ):
        images = images + jnp.expand_dims(values, axis + 1) * jnp.asarray(
            share.reshape(shape), blocks.dtype
        )
    return images.reshape(*blocks.shape[:axis], n * block, *blocks.shape[axis + 1 :])


def _neighbours(blocks: jax.Array, axis: int, step: int) -> jax.Array:
    """The next block on one side, at the border the block itself.

    A shift and a choice rather than the border's slice, joined to the rest: where devices share the
    axis, this needs one row of each, and the slice all of them.
    """
    config = [(0, 0, 0)] * blocks.ndim
    config[axis] = (-step, step, 0)
    shifted = lax.pad(blocks, jnp.zeros((), blocks.dtype), config)
    border = 0 if step < 0 else blocks.shape[axis] - 1
    at_border = lax.broadcasted_iota(jnp.int32, blocks.shape, axis) == border
    return jnp.where(at_border, blocks, shifted)


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
