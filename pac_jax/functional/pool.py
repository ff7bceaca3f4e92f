"""Pixel-adaptive pooling."""

from collections.abc import Sequence

import jax
from jax import lax
from jax.typing import ArrayLike

from pac_jax.functional.affinity import Affinity, Gaussian
from pac_jax.functional.geometry import Padding
from pac_jax.functional.operators import Given, Guided, Options, pool


def pac_pool(
    inputs: ArrayLike,
    guide: ArrayLike,
    window_shape: Sequence[int],
    *,
    weights: ArrayLike | None = None,
    strides: int | Sequence[int] = 1,
    padding: Padding = "VALID",
    kernel_dilation: int | Sequence[int] = 1,
    affinity: Affinity = Gaussian(),
    channel_wise: bool = False,
    normalize: bool = False,
    mask: ArrayLike | None = None,
    precision: lax.PrecisionLike = None,
    implementation: str | None = None,
) -> jax.Array:
    r"""Sum every channel over a window that a guide's local features re-weight at every pixel.

    $$ y_i = \sum_{t} k(f_j, m_i)\, w_t\, x_j, \qquad j = i s - p + t d. $$

    With `normalize` it is a weighted mean, and with a constant guide besides it is average pooling
    that does not count the padding. With w a spatial Gaussian, `normalize`, and colour as the guide
    it is the joint bilateral filter.

    Args:
        inputs: (N, *spatial, C) with one to three spatial dimensions, floating point.
        guide: (N, *spatial, G), floating point of any width.
        window_shape: odd sizes, one per spatial dimension.
        weights: w, (*window), one spatial filter for all channels, the inputs' type; ones if None.
        strides: step between outputs, an int or one per spatial dimension.
        padding: as in `pac_conv`.
        kernel_dilation: distance between taps, an int or one per spatial dimension.
        affinity: k, see `Affinity`.
        channel_wise: whether each input channel has its own affinity, from the guide's channel of
            the same number (so G = C); otherwise one affinity serves all.
        normalize: whether to divide k (not w) by its sum over the taps inside the image (and that
            the mask lets count).
        mask: (N, *spatial, 1), see `pac_conv`.
        precision: of the sums' products, as in `jax.lax`; the elementwise products are exact.
        implementation: 'pallas', 'pallas_tpu', 'taps', 'shifts', 'patches', or None for the fastest
            that can run (see `explain_implementation`).

    Returns:
        (N, *output_size, C) of the inputs' type.

    Raises:
        ValueError: a shape, a size, a stride or a name does not fit; the message says which.
        TypeError: a dtype or a type does not fit.
        NotImplementedError: the named implementation cannot run this.

    Example:
        >>> import jax.numpy as jnp, pac_jax
        >>> inputs, guide = jnp.ones((1, 8, 9, 2)), jnp.zeros((1, 8, 9, 3))
        >>> pac_jax.pac_pool(inputs, guide, (3, 3), strides=2, padding="SAME").shape
        (1, 4, 5, 2)

    Reference:
        Su et al., "Pixel-Adaptive Convolutional Neural Networks", CVPR 2019, section 3.
    """
    options = Options(
        strides, padding, kernel_dilation, normalize, mask, precision, None, implementation
    )
    source = Guided(guide, affinity)
    return pool(inputs, source, window_shape, weights, options, channel_wise=channel_wise)


def pac_pool_with_affinity(
    inputs: ArrayLike,
    affinity: ArrayLike,
    window_shape: Sequence[int],
    *,
    weights: ArrayLike | None = None,
    strides: int | Sequence[int] = 1,
    padding: Padding = "VALID",
    kernel_dilation: int | Sequence[int] = 1,
    channel_wise: bool = False,
    normalize: bool = False,
    mask: ArrayLike | None = None,
    precision: lax.PrecisionLike = None,
    implementation: str | None = None,
) -> jax.Array:
    r"""`pac_pool` with the affinity given: computed once by `pac_affinity`, used many times.

    $$ y_i = \sum_{t} K_{i,t}\, w_t\, x_j. $$

    Args:
        inputs: (N, *spatial, C).
        affinity: $K$, (N, *output_size, *window), with a last axis C if `channel_wise`.
        window_shape: odd sizes, one per spatial dimension.
        weights: as in `pac_pool`, like every argument below.
        strides: see `pac_pool`.
        padding: see `pac_pool`.
        kernel_dilation: see `pac_pool`.
        channel_wise: see `pac_pool`.
        normalize: see `pac_pool`; leave it False for an affinity that `pac_affinity` normalised.
        mask: see `pac_pool`; leave it None for an affinity that `pac_affinity` masked.
        precision: see `pac_pool`.
        implementation: see `pac_pool`.

    Returns:
        (N, *output_size, C).

    Raises:
        ValueError: a shape, a size, a stride or a name does not fit; the message says which.
        TypeError: a dtype or a type does not fit.
        NotImplementedError: the named implementation cannot run this.

    Example:
        >>> import jax.numpy as jnp, pac_jax
        >>> affinity = pac_jax.pac_affinity(jnp.zeros((1, 8, 9, 3)), (3, 3), padding="VALID")
        >>> pac_jax.pac_pool_with_affinity(jnp.ones((1, 8, 9, 2)), affinity, (3, 3)).shape
        (1, 6, 7, 2)

    Reference:
        Su et al., "Pixel-Adaptive Convolutional Neural Networks", CVPR 2019, section 3.
    """
    options = Options(
        strides, padding, kernel_dilation, normalize, mask, precision, None, implementation
    )
    return pool(inputs, Given(affinity), window_shape, weights, options, channel_wise=channel_wise)
