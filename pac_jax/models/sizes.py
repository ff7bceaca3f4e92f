"""Sizes of target and guide, and the resizing between them."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from pac_jax.functional import arguments

Size = tuple[int, ...]


def check_images(
    target_low: ArrayLike, guide: ArrayLike, guide_features: int
) -> tuple[jax.Array, jax.Array]:
    """Both as floating-point arrays (N, h, w, C) and (N, H, W, guide_features).

    Raises:
        ValueError: a shape does not fit.
        TypeError: a type is no floating-point type.
    """
    target_low = arguments.as_array(target_low, "target_low")
    guide = arguments.as_array(guide, "guide")
    for array, name in ((target_low, "target_low"), (guide, "guide")):
        if array.ndim != 4:
            raise ValueError(
                f"{name} has shape {array.shape}; it needs (batch, height, width, channels)"
            )
    if guide.shape[0] != target_low.shape[0]:
        raise ValueError(
            f"guide has batch size {guide.shape[0]} and target_low {target_low.shape[0]}; they "
            "need the same"
        )
    if guide.shape[-1] != guide_features:
        raise ValueError(
            f"guide has {guide.shape[-1]} channels; this model needs its guide_features, "
            f"{guide_features}"
        )
    return target_low, guide


def full_size(target_size: Size, guide_size: Size, factor: int) -> Size:
    """The size at which the network works: the target's times the factor.

    Raises:
        ValueError: the target is not the guide's size divided by the factor and rounded up.
    """
    needed = tuple(-(-n // factor) for n in guide_size)
    if target_size != needed:
        exact = tuple(n * factor for n in target_size)
        raise ValueError(
            f"target_low has size {target_size} and guide {guide_size}; at factor {factor} a guide "
            f"of {guide_size} needs a target of {needed}, or a target of {target_size} a guide of "
            f"{exact}: resize one of them, for example with jax.image.resize"
        )
    return tuple(n * factor for n in target_size)


def resize(images: jax.Array, size: Size) -> jax.Array:
    """Resize (N, h, w, C) bilinearly: half-pixel centres, no antialiasing."""
    if images.shape[1:3] == size:
        return images
    shape = (images.shape[0], *size, images.shape[-1])
    return jax.image.resize(images, shape, "linear", antialias=False)


def channels_to_batch(target: jax.Array) -> jax.Array:
    """(N, h, w, C) -> (N * C, h, w, 1): every channel an image of its own."""
    return jnp.moveaxis(target, -1, 1).reshape(-1, *target.shape[1:3], 1)


def batch_to_channels(target: jax.Array, channels: int) -> jax.Array:
    """(N * C, h, w, 1) -> (N, h, w, C): the inverse of `channels_to_batch`."""
    size = target.shape[1:3]
    return jnp.moveaxis(target.reshape(target.shape[0] // channels, channels, *size), 1, -1)


def for_every_channel(guide: jax.Array, channels: int) -> jax.Array:
    """Repeat (N, H, W, G) to go with the images of `channels_to_batch`: (N * channels, H, W, G)."""
    return guide if channels == 1 else jnp.repeat(guide, channels, axis=0)
