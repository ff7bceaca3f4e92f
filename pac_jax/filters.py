"""Classical filters, each of them a special case of pixel-adaptive pooling or upsampling."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from pac_jax.functional import arguments
from pac_jax.functional.affinity import Inverse, Smoothing
from pac_jax.functional.conv import pac_conv_transpose
from pac_jax.functional.geometry import Ints, Padding
from pac_jax.functional.pool import pac_pool

__all__ = [
    "bilateral_filter",
    "detail_preserving_pool",
    "joint_bilateral_filter",
    "joint_bilateral_upsample",
]


def bilateral_filter(
    image: ArrayLike,
    *,
    window_size: int | Sequence[int],
    color_scale: ArrayLike,
    space_scale: ArrayLike,
    mask: ArrayLike | None = None,
    implementation: str | None = None,
) -> jax.Array:
    r"""Smooth an image but not across its edges.

    $$ y_i = \sum_j k_{ij} x_j / \sum_j k_{ij}, \qquad
    k_{ij} = e^{-\lVert c (x_j - x_i) \rVert^2 / 2}\, e^{-\lVert s (j - i) \rVert^2 / 2}. $$

    It is `joint_bilateral_filter` with the image as its own guide.

    Args:
        image: (N, *spatial, C), floating point, one to three spatial dimensions.
        window_size: odd, an int or one per spatial dimension.
        color_scale: c, one over the standard deviation in the image's units.
        space_scale: s, one over the standard deviation in pixels.
        mask: (N, *spatial, 1), pixels where it is 0 are not read.
        implementation: see `pac_pool`.

    Returns:
        (N, *spatial, C), 0 where the mask leaves a window empty.

    Raises:
        ValueError: a shape or a size does not fit; the message says which.
        TypeError: a dtype or a type does not fit.

    Example:
        >>> import jax.numpy as jnp, pac_jax
        >>> step = jnp.array([0.0, 0.1, 0.0, 1.0, 0.9, 1.0]).reshape(1, 6, 1)
        >>> smooth = pac_jax.filters.bilateral_filter(
        ...     step, window_size=3, color_scale=5.0, space_scale=0.5)
        >>> print(smooth.ravel().round(2))
        [0.04 0.04 0.04 0.96 0.96 0.96]

    Reference:
        Tomasi and Manduchi, "Bilateral Filtering for Gray and Color Images", ICCV 1998.
    """
    return joint_bilateral_filter(
        image,
        image,
        window_size=window_size,
        color_scale=color_scale,
        space_scale=space_scale,
        mask=mask,
        implementation=implementation,
    )


def joint_bilateral_filter(
    inputs: ArrayLike,
    guide: ArrayLike,
    *,
    window_size: int | Sequence[int],
    color_scale: ArrayLike,
    space_scale: ArrayLike,
    mask: ArrayLike | None = None,
    implementation: str | None = None,
) -> jax.Array:
    r"""Smooth an image but not across the edges of another, the guide (also: cross bilateral).

    It is normalised `pac_pool` with the Gaussian affinity and the guide
    $[c\,g, s\,\text{position}]$: colour and position together, so that the spatial Gaussian is part
    of the affinity and of its normalisation.

    Args:
        inputs: (N, *spatial, C), floating point, one to three spatial dimensions.
        guide: (N, *spatial, G).
        window_size: odd, an int or one per spatial dimension.
        color_scale: c, one over the standard deviation in the guide's units.
        space_scale: s, one over the standard deviation in pixels.
        mask: (N, *spatial, 1), inputs where it is 0 are not read.
        implementation: see `pac_pool`.

    Returns:
        (N, *spatial, C), 0 where the mask leaves a window empty.

    Raises:
        ValueError: a shape or a size does not fit; the message says which.
        TypeError: a dtype or a type does not fit.

    Example:
        >>> import jax.numpy as jnp, pac_jax
        >>> depth, image = jnp.ones((1, 8, 9, 1)), jnp.ones((1, 8, 9, 3))
        >>> pac_jax.filters.joint_bilateral_filter(
        ...     depth, image, window_size=5, color_scale=8.0, space_scale=0.5).shape
        (1, 8, 9, 1)

    Reference:
        Petschnigg et al., "Digital Photography with Flash and No-Flash Image Pairs", SIGGRAPH 2004.
    """
    guide = arguments.as_array(guide, "guide")
    window = _window(window_size, guide.ndim - 2)
    return pac_pool(
        inputs,
        with_positions(guide, color_scale, space_scale),
        window,
        padding="SAME",
        normalize=True,
        mask=mask,
        implementation=implementation,
    )


def joint_bilateral_upsample(
    target: ArrayLike,
    guide: ArrayLike,
    factor: int,
    *,
    window_size: int | Sequence[int] | None = None,
    color_scale: ArrayLike,
    space_scale: ArrayLike,
    mask: ArrayLike | None = None,
    implementation: str | None = None,
) -> jax.Array:
    r"""Upsample a coarse map along the edges of a full-resolution guide.

    It is normalised `pac_conv_transpose` with the identity as its kernel and the guide
    $[c\,g, s\,\text{position}]$:

    $$ y_i = \sum_j k_{ij} x_j / \sum_j k_{ij}, \qquad
    k_{ij} = e^{-\lVert c (g_j - g_i) \rVert^2 / 2}\, e^{-\lVert s (j - i) \rVert^2 / 2}, $$

    over the samples j of the target that lie in the window, at their places on the guide's grid:
    sample n of an axis at n * factor + (factor - 1) // 2.

    Args:
        target: (N, *spatial, C), the coarse map, floating point, one to three spatial dimensions.
        guide: (N, *(spatial * factor), G).
        factor: of upsampling.
        window_size: odd and larger than the factor, in pixels of the guide, an int or one per
            spatial dimension; the smallest odd number from 2 * factor if None.
        color_scale: c, one over the standard deviation in the guide's units.
        space_scale: s, one over the standard deviation in pixels of the guide.
        mask: (N, *spatial, 1) of the target, samples where it is 0 (holes) are not read.
        implementation: see `pac_conv_transpose`.

    Returns:
        (N, *(spatial * factor), C) of the target's type; 0 where a window holds no sample that
        counts, or none whose affinity is above the smallest number of the guide's type.

    Raises:
        ValueError: a shape or a size does not fit; the message says which.
        TypeError: a dtype or a type does not fit.

    Example:
        >>> import jax.numpy as jnp, pac_jax
        >>> depth, image = jnp.ones((1, 12, 16, 1)), jnp.ones((1, 48, 64, 3))
        >>> pac_jax.filters.joint_bilateral_upsample(
        ...     depth, image, 4, color_scale=8.0, space_scale=0.5).shape
        (1, 48, 64, 1)

    Reference:
        Kopf et al., "Joint Bilateral Upsampling", SIGGRAPH 2007.
    """
    target = arguments.as_array(target, "target")
    guide = arguments.as_array(guide, "guide")
    if not 3 <= target.ndim <= 5:
        raise ValueError(f"target has shape {target.shape}; it needs (N, *spatial, channels)")
    ndim = target.ndim - 2
    (factor,) = set(arguments.per_dimension(factor, 1, "factor"))
    window = _window(2 * factor + 1 if window_size is None else window_size, ndim)
    if min(window) <= factor:
        raise ValueError(
            f"window_size is {window}; factor {factor} needs at least {factor + 1} so that every "
            "output sees a sample of the target"
        )
    needed = tuple(n * factor for n in target.shape[1:-1])
    if guide.ndim != target.ndim or guide.shape[1:-1] != needed:
        raise ValueError(
            f"guide has shape {guide.shape}; target {target.shape} upsampled by {factor} needs "
            f"spatial size {needed} = {target.shape[1:-1]} x {factor}"
        )
    channels = target.shape[-1]
    return pac_conv_transpose(
        target,
        with_positions(guide, color_scale, space_scale),
        jnp.ones((*window, 1, channels), target.dtype),
        strides=factor,
        padding=tuple(_pair_for_factor(k, factor) for k in window),
        feature_group_count=channels,
        normalize=True,
        mask=mask,
        implementation=implementation,
    )


def detail_preserving_pool(
    inputs: ArrayLike,
    window_shape: Sequence[int],
    *,
    alpha: ArrayLike,
    exponent: ArrayLike,
    asymmetric: bool = False,
    smoothing: Smoothing = "gaussian",
    strides: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    mask: ArrayLike | None = None,
    implementation: str | None = None,
) -> jax.Array:
    r"""Downsample so that what differs from its surroundings weighs more.

    $$ y_i = \frac{\sum_j k_{ij} x_j}{\sum_j k_{ij}}, \qquad
    k_{ij} = \alpha + ((x_j - m_i)^2 + 10^{-4})^{\lambda / 2}, $$

    per channel, with m the smoothed inputs. It is normalised, channel-wise `pac_pool` with the
    inputs as their own guide and the `Inverse` affinity. An exponent of 0 makes it average pooling,
    a large one tends towards the value farthest from the mean.

    Args:
        inputs: (N, *spatial, C), floating point, one to three spatial dimensions.
        window_shape: odd sizes, one per spatial dimension.
        alpha: the constant share, a number or a traced scalar.
        exponent: $\lambda$, a number or a traced scalar.
        asymmetric: whether only values above m count as different, which keeps bright details.
        smoothing: of the inputs for m, see `Gaussian`.
        strides: step between outputs, an int or one per spatial dimension.
        padding: as in `pac_pool`.
        mask: (N, *spatial, 1), inputs where it is 0 are not read.
        implementation: see `pac_pool`.

    Returns:
        (N, *output_size, C) of the inputs' type.

    Raises:
        ValueError: a shape or a size does not fit; the message says which.
        TypeError: a dtype or a type does not fit.

    Example:
        >>> import jax.numpy as jnp, pac_jax
        >>> inputs = jnp.zeros((1, 8, 8, 1)).at[0, 3, 3, 0].set(1.0)
        >>> pooled = pac_jax.filters.detail_preserving_pool(
        ...     inputs, (3, 3), alpha=0.0, exponent=1.0, strides=2)
        >>> bool(pooled.max() > 1 / 9)
        True

    Reference:
        Saeedan et al., "Detail-Preserving Pooling in Deep Networks", CVPR 2018.
    """
    return pac_pool(
        inputs,
        inputs,
        window_shape,
        strides=strides,
        padding=padding,
        affinity=Inverse(alpha, exponent, asymmetric, smoothing),
        channel_wise=True,
        normalize=True,
        mask=mask,
        implementation=implementation,
    )


def with_positions(guide: jax.Array, color_scale: ArrayLike, space_scale: ArrayLike) -> jax.Array:
    """Join the guide's channels times `color_scale` and the positions times `space_scale`.

    Args:
        guide: (N, *spatial, G).
        color_scale: one number, or one per channel.
        space_scale: one number, or one per spatial dimension.

    Returns:
        (N, *spatial, G + spatial dimensions) of the guide's type, with at least 32 bits.
    """
    dtype = arguments.at_least_float32(guide.dtype)
    size = guide.shape[1:-1]
    # Counted from the centre, the numbers stay small and their differences exact.
    axes = [np.arange(n) - (n - 1) / 2 for n in size]
    positions = jnp.asarray(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1), dtype)
    positions = _scaled(positions, space_scale, "space_scale")
    positions = jnp.broadcast_to(positions[None], (guide.shape[0], *positions.shape))
    return jnp.concatenate(
        [_scaled(guide.astype(dtype), color_scale, "color_scale"), positions], axis=-1
    )


def _scaled(features: jax.Array, scale: ArrayLike, name: str) -> jax.Array:
    """Features times one number, or one per channel."""
    factors = jnp.asarray(scale, features.dtype)
    if factors.shape not in ((), features.shape[-1:]):
        raise ValueError(
            f"{name} has shape {factors.shape}; it needs one number or {features.shape[-1]}"
        )
    return features * factors.reshape((1,) * (features.ndim - factors.ndim) + factors.shape)


def _window(size: int | Sequence[int], ndim: int) -> Ints:
    return arguments.window_shape(arguments.per_dimension(size, ndim, "window_size"), "window_size")


def _pair_for_factor(window: int, factor: int) -> tuple[int, int]:
    """Padding of the spread input for an output of exactly factor times the input's size."""
    padding = 1 + (window - factor - 1) // 2
    output_padding = (window - factor) % 2
    return window - 1 - padding, window - 1 - padding + output_padding
