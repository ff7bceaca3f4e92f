"""Free photographs as textures: one flat table of pixels, looked up at arbitrary points.

The photographs ship in scikit-image's wheel, and their own docstrings there (`skimage.data`) state
their terms: `coffee`, `chelsea`, `camera`, `brick`, `grass`, and `gravel` are CC0, `astronaut`
(NASA), `rocket` (SpaceX), and `text` are in the public domain. No other image is used.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.scenes.draws import Dice

PHOTOGRAPHS = (
    "astronaut",
    "coffee",
    "chelsea",
    "rocket",
    "camera",
    "brick",
    "grass",
    "gravel",
    "text",
)
"""Names of the functions of `skimage.data` whose photographs are used."""

_LEVELS = 4
# Photographs that fill an image; brick, grass, and gravel tile anything, and text is print.
_FREQUENT = 5


class Atlas(NamedTuple):
    """All photographs at all levels of a pyramid; each level halves the size.

    Attributes:
        pixels: (P,) uint32 colours, ten bits per channel.
        start: (photographs, levels) int32 position of the first pixel.
        size: (photographs, levels, 2) int32 height and width in pixels.
    """

    pixels: np.ndarray
    start: np.ndarray
    size: np.ndarray


class Pictures(NamedTuple):
    """Pieces of photographs on L layers.

    Attributes:
        start: (L,) int32 position of the photograph's first pixel in the atlas.
        size: (L, 2) float32 height and width in pixels; zero where the layer has no photograph.
        shift: (L, 2) float32 position of the layer's centre in pixels from the photograph's
            right and lower border.
    """

    start: jax.Array
    size: jax.Array
    shift: jax.Array


@functools.cache
def load_atlas() -> Atlas:
    """Read the photographs that ship with scikit-image.

    Returns:
        Atlas of `PHOTOGRAPHS`.
    """
    import skimage.data

    pixels, start, size, end = [], [], [], 0
    for name in PHOTOGRAPHS:
        level = np.asarray(getattr(skimage.data, name)(), np.float32) / 255.0
        level = level if level.ndim == 3 else np.repeat(level[..., None], 3, axis=-1)
        for _ in range(_LEVELS):
            start.append(end)
            size.append(level.shape[:2])
            pixels.append(_pack(level).ravel())
            end += pixels[-1].size
            level = _halve(level)
    grid = (len(PHOTOGRAPHS), _LEVELS)
    return Atlas(
        np.concatenate(pixels),
        np.reshape(start, grid).astype(np.int32),
        np.reshape(size, (*grid, 2)).astype(np.int32),
    )


def _pack(image: np.ndarray) -> np.ndarray:
    """Pack (H, W, 3) colours in [0, 1] to (H, W) uint32: a look-up then costs one read."""
    whole = np.round(1023.0 * image).astype(np.uint32)
    return whole[..., 0] << 20 | whole[..., 1] << 10 | whole[..., 2]


def _halve(image: np.ndarray) -> np.ndarray:
    """Average 2 x 2 pixels of an (H, W, 3) image."""
    height, width = (length // 2 for length in image.shape[:2])
    return image[: 2 * height, : 2 * width].reshape(height, 2, width, 2, 3).mean(axis=(1, 3))


def draw_pictures(
    each: Dice, probability: jax.Array, scale: jax.Array
) -> tuple[Pictures, jax.Array]:
    """Draw pieces of photographs.

    Args:
        each: Random numbers of L layers.
        probability: (L,) probability of each layer to have a photograph.
        scale: (L,) pixels of the photograph per pixel of the image.

    Returns:
        Pictures, and (L,) pixels of the chosen level of the pyramid per pixel of the image.
    """
    atlas = load_atlas()
    number = jnp.where(
        each.chance(0.7),
        each.uniform((0.0, 1.0)) * _FREQUENT,
        _FREQUENT + each.uniform((0.0, 1.0)) * (len(PHOTOGRAPHS) - _FREQUENT),
    ).astype(jnp.int32)
    # The image averages two samples per axis, so a level may have two of its pixels per pixel.
    level = jnp.clip(jnp.floor(jnp.log2(scale)), 0, _LEVELS - 1).astype(jnp.int32)
    size = jnp.asarray(atlas.size)[number, level].astype(jnp.float32)
    shown = each.chance(probability)
    pictures = Pictures(
        start=jnp.asarray(atlas.start)[number, level],
        size=jnp.where(shown[:, None], size, 0.0),
        shift=size[:, ::-1] * each.uniform((0.1, 0.9), (2,)),
    )
    return pictures, scale / jnp.exp2(level.astype(jnp.float32))


def look_up(u: jax.Array, v: jax.Array, picture: Pictures) -> jax.Array:
    """Interpolate photographs linearly; beyond their borders they go on mirrored.

    Position zero is the last pixel, so that photographs appear turned by half a turn. This is of
    no account, since layers mirror and turn them at random, but seeds depend on it.

    Args:
        u: (...) positions from the layer's centre in pixels, leftwards in the photograph.
        v: (...) positions, upwards in the photograph.
        picture: One picture per point: leaves (...) and (2, ...).

    Returns:
        (3, ...) colour in [0, 1]; of no meaning where a point has no photograph.
    """
    pixels = jnp.asarray(load_atlas().pixels)
    height, width = jnp.maximum(picture.size, 2.0)
    left, right, part_u = _between(u + picture.shift[0], width)
    top, bottom, part_v = _between(v + picture.shift[1], height)
    row = width.astype(jnp.int32)

    def read(x: jax.Array, y: jax.Array) -> jax.Array:
        colour = pixels.at[picture.start + y * row + x].get(mode="promise_in_bounds")
        # Without the barrier XLA would read once per channel.
        colour = jax.lax.optimization_barrier(colour).astype(jnp.int32)
        channels = jnp.stack([colour >> 20, (colour >> 10) & 1023, colour & 1023])
        return channels.astype(jnp.float32) / 1023.0

    above = read(left, top) + part_u * (read(right, top) - read(left, top))
    below = read(left, bottom) + part_u * (read(right, bottom) - read(left, bottom))
    return above + part_v * (below - above)


def _between(position: jax.Array, length: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Find the two pixels (int32) around mirrored positions, and the part of the second one.

    Positions count from the last pixel backwards.
    """
    last = length - 1.0
    turns = position / (2.0 * last)
    mirrored = last * jnp.abs(2.0 * (turns - jnp.floor(turns)) - 1.0)
    first = jnp.clip(jnp.floor(mirrored), 0.0, last - 1.0)
    index = first.astype(jnp.int32)
    return index, index + 1, mirrored - first
