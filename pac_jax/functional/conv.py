"""Pixel-adaptive convolution, plain and transposed."""

from collections.abc import Sequence

import jax
from jax import lax
from jax.typing import ArrayLike, DTypeLike

from pac_jax.functional.affinity import Affinity, Gaussian
from pac_jax.functional.geometry import Padding
from pac_jax.functional.operators import Given, Guided, Options, convolve


def pac_conv(
    inputs: ArrayLike,
    guide: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    kernel_dilation: int | Sequence[int] = 1,
    feature_group_count: int = 1,
    affinity: Affinity = Gaussian(),
    normalize: bool = False,
    mask: ArrayLike | None = None,
    precision: lax.PrecisionLike = None,
    preferred_element_type: DTypeLike | None = None,
    implementation: str | None = None,
) -> jax.Array:
    r"""Convolve with a kernel that a guide's local features re-weight at every pixel.

    $$ y_i = b + \sum_{t} k(f_j, m_i)\, W_t^\top x_j, \qquad j = i s - p + t d, $$

    where $f$ is the guide, $m_i$ the guide (or its smoothed copy) at the window's centre, and $x$ and
    $f$ are 0 outside the image. With a constant guide and the Gaussian affinity this is
    `jax.lax.conv_general_dilated` with the same arguments, away from the borders and at them (where
    the inputs are 0, whatever the affinity).

    Args:
        inputs: (N, *spatial, C) with one to three spatial dimensions, floating point.
        guide: (N, *spatial, G), floating point of any width; its scale sets how fast the Gaussian
            affinity falls.
        kernel: (*window, C / feature_group_count, D), odd window sizes, the inputs' type.
        bias: (D,) of the inputs' type, or None.
        strides: step between outputs, an int or one per spatial dimension.
        padding: 'SAME', 'SAME_LOWER', 'VALID', an int, or one (low, high) per spatial dimension, as
            `jax.lax.conv_general_dilated` means it.
        kernel_dilation: distance between taps, an int or one per spatial dimension.
        feature_group_count: number of groups that the features are split into, as in `jax.lax`.
        affinity: $k$, see `Affinity`.
        normalize: whether to divide $k$ by its sum over the taps that lie inside the image (and that
            the mask lets count).
        mask: (N, *spatial, 1), how much each input counts; where it is 0 the input and the guide's
            neighbour are not read. Without `normalize` the sum is rescaled by (taps inside the
            image) / (sum of the mask), the partial convolution. See `propagate_mask`.
        precision: of the product with the kernel, as in `jax.lax`.
        preferred_element_type: the output's type; the inputs' if None. Affinity and sums have at
            least 32 bits in any case.
        implementation: 'pallas', 'pallas_tpu', 'taps', 'shifts', 'patches', or None for the fastest
            that can run (see `explain_implementation`).

    Returns:
        (N, *output_size, D). Where normalisation or mask leave nothing to divide by, the bias alone.

    Raises:
        ValueError: a shape, a size, a stride or a name does not fit; the message says which.
        TypeError: a dtype or a type does not fit.
        NotImplementedError: the named implementation cannot run this.

    Example:
        >>> import jax, jax.numpy as jnp, pac_jax
        >>> inputs = jax.random.normal(jax.random.key(0), (1, 24, 32, 4))
        >>> guide = jax.random.uniform(jax.random.key(1), (1, 24, 32, 3))
        >>> kernel = jax.random.normal(jax.random.key(2), (5, 5, 4, 8))
        >>> pac_jax.pac_conv(inputs, 10 * guide, kernel).shape
        (1, 24, 32, 8)

    Reference:
        Su et al., "Pixel-Adaptive Convolutional Neural Networks", CVPR 2019, equation 3.
    """
    options = Options(
        strides,
        padding,
        kernel_dilation,
        normalize,
        mask,
        precision,
        preferred_element_type,
        implementation,
    )
    source = Guided(guide, affinity)
    return convolve(inputs, source, kernel, bias, feature_group_count, options, transposed=False)


def pac_conv_with_affinity(
    inputs: ArrayLike,
    affinity: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    kernel_dilation: int | Sequence[int] = 1,
    feature_group_count: int = 1,
    normalize: bool = False,
    mask: ArrayLike | None = None,
    precision: lax.PrecisionLike = None,
    preferred_element_type: DTypeLike | None = None,
    implementation: str | None = None,
) -> jax.Array:
    r"""`pac_conv` with the affinity given: computed once by `pac_affinity`, used many times.

    $$ y_i = b + \sum_{t} K_{i,t}\, W_t^\top x_j. $$

    Args:
        inputs: (N, *spatial, C).
        affinity: $K$, (N, *output_size, *window), as `pac_affinity` gives it for the same `strides`,
            `padding` and `kernel_dilation`.
        kernel: (*window, C / feature_group_count, D).
        bias: (D,), or None.
        strides: as in `pac_conv`, like every argument below.
        padding: see `pac_conv`.
        kernel_dilation: see `pac_conv`.
        feature_group_count: see `pac_conv`.
        normalize: see `pac_conv`; leave it False for an affinity that `pac_affinity` normalised.
        mask: see `pac_conv`; leave it None for an affinity that `pac_affinity` masked.
        precision: see `pac_conv`.
        preferred_element_type: see `pac_conv`.
        implementation: see `pac_conv`.

    Returns:
        (N, *output_size, D).

    Raises:
        ValueError: a shape, a size, a stride or a name does not fit; the message says which.
        TypeError: a dtype or a type does not fit.
        NotImplementedError: the named implementation cannot run this.

    Example:
        >>> import jax.numpy as jnp, pac_jax
        >>> inputs, guide = jnp.ones((1, 8, 9, 2)), jnp.ones((1, 8, 9, 3))
        >>> affinity = pac_jax.pac_affinity(guide, (3, 3))
        >>> pac_jax.pac_conv_with_affinity(inputs, affinity, jnp.ones((3, 3, 2, 4))).shape
        (1, 8, 9, 4)

    Reference:
        Su et al., "Pixel-Adaptive Convolutional Neural Networks", CVPR 2019, equation 3.
    """
    options = Options(
        strides,
        padding,
        kernel_dilation,
        normalize,
        mask,
        precision,
        preferred_element_type,
        implementation,
    )
    source = Given(affinity)
    return convolve(inputs, source, kernel, bias, feature_group_count, options, transposed=False)


def pac_conv_transpose(
    inputs: ArrayLike,
    guide: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    kernel_dilation: int | Sequence[int] = 1,
    feature_group_count: int = 1,
    affinity: Affinity = Gaussian(),
    normalize: bool = False,
    mask: ArrayLike | None = None,
    precision: lax.PrecisionLike = None,
    preferred_element_type: DTypeLike | None = None,
    implementation: str | None = None,
) -> jax.Array:
    r"""Upsample with a kernel that a guide of the output's size re-weights at every pixel.

    $$ y_i = b + \sum_{t} k(f_{i + (t - (w - 1)/2) d}, m_i)\, W_t^\top \tilde x_{i - p + t d}, $$

    where $\tilde x$ is $x$ with $s - 1$ zeros between samples, $w$ the window's size, and the kernel
    is not flipped. Only the taps that meet a real sample are computed: about $1 / s$ of them along
    every axis. With a constant guide and the Gaussian affinity this is `jax.lax.conv_transpose` with
    `transpose_kernel=False` and the same arguments.

    Args:
        inputs: (N, *spatial, C), the low-resolution samples.
        guide: (N, *output_size, G), at the output's size.
        kernel: (*window, C / feature_group_count, D), odd window sizes, the inputs' type.
        bias: (D,) of the inputs' type, or None.
        strides: $s$, the factor of upsampling, an int or one per spatial dimension.
        padding: 'SAME' or 'VALID' as `jax.lax.conv_transpose` means them, or an int or (low, high)
            pairs for the spread input. PyTorch's padding p and output padding q are the pairs
            ((w - 1) d - p, (w - 1) d - p + q).
        kernel_dilation: $d$, distance between taps on the output's grid.
        feature_group_count: number of groups that the features are split into.
        affinity: $k$, see `Affinity`.
        normalize: whether to divide $k$ by its sum over the taps that meet a real sample (and that
            the mask lets count).
        mask: (N, *spatial, 1) on the inputs' grid, see `pac_conv`.
        precision: of the product with the kernel, as in `jax.lax`.
        preferred_element_type: the output's type; the inputs' if None.
        implementation: 'pallas', 'pallas_tpu', 'taps', 'shifts', 'patches', or None for the fastest
            that can run (see `explain_implementation`).

    Returns:
        (N, *output_size, D). Where normalisation or mask leave nothing to divide by, the bias alone.

    Raises:
        ValueError: a shape, a size, a stride or a name does not fit; the message says which.
        TypeError: a dtype or a type does not fit.
        NotImplementedError: the named implementation cannot run this.

    Example:
        >>> import jax.numpy as jnp, pac_jax
        >>> depth, image = jnp.ones((1, 12, 16, 1)), jnp.ones((1, 24, 32, 3))
        >>> kernel = jnp.ones((5, 5, 1, 1))
        >>> pac_jax.pac_conv_transpose(depth, image, kernel, strides=2, normalize=True).shape
        (1, 24, 32, 1)

    Reference:
        Su et al., "Pixel-Adaptive Convolutional Neural Networks", CVPR 2019, section 4.1.
    """
    options = Options(
        strides,
        padding,
        kernel_dilation,
        normalize,
        mask,
        precision,
        preferred_element_type,
        implementation,
    )
    source = Guided(guide, affinity)
    return convolve(inputs, source, kernel, bias, feature_group_count, options, transposed=True)


def pac_conv_transpose_with_affinity(
    inputs: ArrayLike,
    affinity: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    kernel_dilation: int | Sequence[int] = 1,
    feature_group_count: int = 1,
    normalize: bool = False,
    mask: ArrayLike | None = None,
    precision: lax.PrecisionLike = None,
    preferred_element_type: DTypeLike | None = None,
    implementation: str | None = None,
) -> jax.Array:
    r"""`pac_conv_transpose` with the affinity given: computed once, used many times.

    $$ y_i = b + \sum_{t} K_{i,t}\, W_t^\top \tilde x_{i - p + t d}. $$

    Args:
        inputs: (N, *spatial, C).
        affinity: $K$, (N, *output_size, *window): `pac_affinity` of the guide at the output's size
            with strides 1, 'SAME' padding and the same `kernel_dilation`, neither normalised nor
            masked (that depends on where the real samples lie: use the arguments here).
        kernel: (*window, C / feature_group_count, D).
        bias: (D,), or None.
        strides: as in `pac_conv_transpose`, like every argument below.
        padding: see `pac_conv_transpose`.
        kernel_dilation: see `pac_conv_transpose`.
        feature_group_count: see `pac_conv_transpose`.
        normalize: see `pac_conv_transpose`.
        mask: see `pac_conv_transpose`.
        precision: see `pac_conv_transpose`.
        preferred_element_type: see `pac_conv_transpose`.
        implementation: see `pac_conv_transpose`.

    Returns:
        (N, *output_size, D).

    Raises:
        ValueError: a shape, a size, a stride or a name does not fit; the message says which.
        TypeError: a dtype or a type does not fit.
        NotImplementedError: the named implementation cannot run this.

    Example:
        >>> import jax.numpy as jnp, pac_jax
        >>> affinity = pac_jax.pac_affinity(jnp.ones((1, 8, 10, 3)), (5, 5))
        >>> inputs, kernel = jnp.ones((1, 4, 5, 2)), jnp.ones((5, 5, 2, 2))
        >>> pac_jax.pac_conv_transpose_with_affinity(inputs, affinity, kernel, strides=2).shape
        (1, 8, 10, 2)

    Reference:
        Su et al., "Pixel-Adaptive Convolutional Neural Networks", CVPR 2019, section 4.1.
    """
    options = Options(
        strides,
        padding,
        kernel_dilation,
        normalize,
        mask,
        precision,
        preferred_element_type,
        implementation,
    )
    source = Given(affinity)
    return convolve(inputs, source, kernel, bias, feature_group_count, options, transposed=True)
