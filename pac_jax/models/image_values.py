"""The values that VGG-16's trained convolutions expect of an image."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from pac_jax.functional import arguments

_MEAN_BGR = (104.008, 116.669, 122.675)
_MEAN_RGB, _DEVIATION_RGB = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def bgr_minus_mean(images: ArrayLike) -> jax.Array:
    """Give an image the form that the original's checkpoints were trained on.

    The channels are reversed and lose ImageNet's mean, (104.008, 116.669, 122.675).

    Args:
        images: (..., 3), red, green, blue, integers or floats from 0 to 255.

    Returns:
        The same shape: blue, green, red, about -128 to 151; float32 for integers.

    Raises:
        ValueError: there are not three channels.

    Example:
        >>> import numpy as np
        >>> from pac_jax.models import bgr_minus_mean
        >>> bgr_minus_mean(np.array([255, 128, 0], np.uint8)).round().tolist()
        [-104.0, 11.0, 132.0]
    """
    images = _three_channels(images)
    return images[..., ::-1] - _row(_MEAN_BGR, images)


def normalized_rgb(images: ArrayLike) -> jax.Array:
    """Give an image the form that torchvision's networks were trained on.

    It is divided by 255, then by ImageNet's deviation of every channel once its mean is taken off.

    Args:
        images: (..., 3), red, green, blue, integers or floats from 0 to 255.

    Returns:
        The same shape: red, green, blue, about -2 to 3; float32 for integers.

    Raises:
        ValueError: there are not three channels.

    Example:
        >>> import numpy as np
        >>> from pac_jax.models import normalized_rgb
        >>> (10 * normalized_rgb(np.array([255, 128, 0], np.uint8))).round().tolist()
        [22.0, 2.0, -18.0]
    """
    images = _three_channels(images)
    return (images / 255 - _row(_MEAN_RGB, images)) / _row(_DEVIATION_RGB, images)


def _three_channels(images: ArrayLike) -> jax.Array:
    array = jnp.asarray(images)
    if array.ndim < 1 or array.shape[-1] != 3:
        raise ValueError(f"images has shape {array.shape}; it needs 3 channels at the end, RGB")
    if jnp.issubdtype(array.dtype, jnp.integer):
        array = array.astype(jnp.float32)
    return arguments.as_array(array, "images")


def _row(values: tuple[float, ...], images: jax.Array) -> jax.Array:
    """One value per channel, as an array that goes with the images without implicit broadcasting."""
    return jnp.asarray(values, images.dtype).reshape((1,) * (images.ndim - 1) + (-1,))
