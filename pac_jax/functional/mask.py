"""The mask that a masked operator hands to the next layer."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from pac_jax.functional import arguments
from pac_jax.functional.geometry import Padding, conv_geometry, transpose_geometry
from pac_jax.functional.problem import window_sum


def propagate_mask(
    mask: ArrayLike,
    window_shape: Sequence[int],
    *,
    strides: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    kernel_dilation: int | Sequence[int] = 1,
    transposed: bool = False,
) -> jax.Array:
    r"""Tell which outputs of a masked operator saw any input that counts.

    $$ M'_i = [\textstyle\sum_t M_j \neq 0], \qquad j = i s - p + t d. $$

    Args:
        mask: (N, *spatial, 1), not negative: how much each input counts.
        window_shape: odd sizes, one per spatial dimension.
        strides: of the operator whose mask this is, like every argument below.
        padding: see `pac_conv`, or `pac_conv_transpose` if `transposed`.
        kernel_dilation: see `pac_conv`.
        transposed: whether the operator is `pac_conv_transpose`.

    Returns:
        (N, *output_size, 1) of the mask's type, 1 or 0.

    Raises:
        ValueError: a shape, a size or a stride does not fit; the message says which.
        TypeError: a type does not fit.

    Example:
        >>> import jax.numpy as jnp, pac_jax
        >>> mask = jnp.zeros((1, 5, 1)).at[0, 4].set(1)
        >>> print(pac_jax.propagate_mask(mask, (3,)).ravel())
        [0. 0. 0. 1. 1.]

    Reference:
        Liu et al., "Image Inpainting for Irregular Holes Using Partial Convolutions", ECCV 2018.
    """
    samples = arguments.as_mask(mask, jnp.float32)
    window = arguments.window_shape(window_shape, "window_shape")
    arguments.check_rank(samples, "mask", len(window), "window_shape")
    arguments.check_mask(samples, samples.shape, "masks")
    arguments.check_flag(transposed, "transposed")
    geometry_of = transpose_geometry if transposed else conv_geometry
    geometry = geometry_of(
        samples.shape[1:-1],
        window,
        arguments.per_dimension(strides, len(window), "strides"),
        padding,
        arguments.per_dimension(kernel_dilation, len(window), "kernel_dilation"),
    )
    # Counting, not adding up: many small soft values must not vanish in the sum.
    counts = window_sum((samples != 0).astype(jnp.float32), geometry)
    return (counts > 0.5).astype(jnp.asarray(mask).dtype)
