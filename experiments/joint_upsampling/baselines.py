"""What a person would use without a network: interpolation and joint bilateral upsampling.

All know where a protocol's samples lie, single pixels at their place, averages in the middle of their
block. On the latter, bilinear and bicubic equal Pillow's, which is how the literature computes them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pac_jax.filters import joint_bilateral_upsample
from pac_jax.models.protocols import first_pixel, interpolate


def nearest(target_low: jax.Array, factor: int, protocol: str) -> jax.Array:
    """The nearest sample, the later one of two.

    Args:
        target_low: (N, h, w, C).
        factor: of upsampling.
        protocol: of the samples.

    Returns:
        (N, factor h, factor w, C).
    """
    first = first_pixel(factor, protocol)
    rows, columns = (
        np.clip(np.floor((np.arange(n * factor) - first) / factor + 0.5), 0, n - 1).astype(int)
        for n in target_low.shape[1:3]
    )
    return target_low[:, rows][:, :, columns]


def bilinear(target_low: jax.Array, factor: int, protocol: str) -> jax.Array:
    """Linear interpolation, (N, h, w, C) -> (N, factor h, factor w, C)."""
    return interpolate(target_low, factor, protocol, "linear")


def bicubic(target_low: jax.Array, factor: int, protocol: str) -> jax.Array:
    """Keys' interpolation with a = -1/2, (N, h, w, C) -> (N, factor h, factor w, C)."""
    return interpolate(target_low, factor, protocol, "cubic")


class Scales(NamedTuple):
    """Settings of joint bilateral upsampling.

    Attributes:
        reach: half the window in low-resolution pixels.
        color_scale: one over the standard deviation of colours in [0, 1].
        space_scale: one over the standard deviation of positions in low-resolution pixels.
    """

    reach: int
    color_scale: float
    space_scale: float


# The best of a grid on the motorcycle, so an advantage there. What is best elsewhere differs by a few
# hundredths of bicubic's error: `python -m experiments.joint_upsampling.search` shows it.
SCALES = Scales(reach=1, color_scale=5.0, space_scale=2.0)


def joint_bilateral(
    target_low: jax.Array,
    guide: jax.Array,
    factor: int,
    protocol: str,
    scales: Scales = SCALES,
) -> jax.Array:
    """Joint bilateral upsampling.

    The filter takes samples as lying where `center` has them. Images of `first` and `last` are moved
    there; averages are taken as lying there, half a pixel from their place at even factors.

    Args:
        target_low: (N, h, w, C).
        guide: (N, factor h, factor w, 3) in [0, 1].
        factor: of upsampling.
        protocol: of the samples.
        scales: of the filter.

    Returns:
        (N, factor h, factor w, C).
    """
    moved = (factor - 1) // 2 - int(first_pixel(factor, protocol))
    before = moved % factor
    if before:  # one more sample at an end puts each at its place of the wider image
        one_more = (int(moved < 0), int(moved > 0))
        target_low = jnp.pad(target_low, ((0, 0), one_more, one_more, (0, 0)), mode="edge")
        widths = (before, factor - before)
        guide = jnp.pad(guide, ((0, 0), widths, widths, (0, 0)), mode="edge")
    result = joint_bilateral_upsample(
        target_low,
        guide,
        factor,
        window_size=2 * scales.reach * factor + 1,
        color_scale=scales.color_scale,
        space_scale=scales.space_scale / factor,
    )
    height, width = (n - (factor if before else 0) for n in result.shape[1:3])
    return result[:, before : before + height, before : before + width]
