"""What users give to `upsample` and `refine`, arrays or files, checked and in one form."""

import os
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

__all__ = [
    "Source",
    "batch_of_images",
    "batch_of_masks",
    "check_not_traced",
    "four_dimensions",
    "read",
]

Source = ArrayLike | str | os.PathLike[str]

# Colours that interpolation has pushed out of their range by rounding.
_SLACK = 1e-4


def check_not_traced(values: dict[str, object], why: str) -> None:
    """Refuse arguments inside of `jax.jit`.

    Args:
        values: arguments by name.
        why: what the function does by itself, and what to use inside.

    Raises:
        TypeError: one of them is traced.
    """
    for name, value in values.items():
        if isinstance(value, jax.core.Tracer):
            raise TypeError(f"{name} is traced; {why}")


def read(value: Source, name: str, reader: Callable[..., np.ndarray]) -> np.ndarray:
    """The array, or the content of the file.

    Raises:
        TypeError: neither array nor path.
        ValueError: the array is empty; or what the reader raises.
    """
    if isinstance(value, str | os.PathLike):
        return reader(value)
    if isinstance(value, list | tuple | bytes) or not hasattr(value, "__array__"):
        raise TypeError(
            f"{name} is a {type(value).__name__}; it needs a NumPy or JAX array or the path of a file"
        )
    array = np.asarray(value)
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}; it needs at least one pixel")
    return array


def batch_of_images(image: np.ndarray, name: str, partner: str, *, batched: bool) -> np.ndarray:
    """(N, H, W, 3), float32 in [0, 1] or uint8; grey images are repeated.

    Args:
        image: the photographs.
        name: of the argument.
        partner: of the argument that tells whether there is a batch.
        batched: whether there is.

    Raises:
        ValueError: shape or values do not fit.
        TypeError: the dtype does not fit.
    """
    if image.ndim == 2 and not batched:
        image = image[..., None]
    if image.ndim != 3 + batched or image.shape[-1] not in (1, 3):
        needed = "(N, H, W, 3) or (N, H, W, 1)" if batched else "(H, W, 3), (H, W, 1) or (H, W)"
        raise ValueError(f"{name} has shape {image.shape}; with this {partner} it needs {needed}")
    if image.dtype != np.uint8:
        if not jnp.issubdtype(image.dtype, jnp.floating):
            raise TypeError(
                f"{name} has dtype {image.dtype}; it needs uint8, or floats in [0, 1]: divide it by "
                "its largest possible value"
            )
        image = image.astype(np.float32)
        low, high = image.min(), image.max()
        if not (low >= -_SLACK and high <= 1 + _SLACK):  # false for NaN, too
            raise ValueError(
                f"{name} holds floats from {low:g} to {high:g}; it needs [0, 1]: divide values of 0 to "
                "255 by 255, clip what interpolation has left beyond"
            )
    image = four_dimensions(image)
    return image if image.shape[-1] == 3 else np.repeat(image, 3, axis=-1)


def batch_of_masks(mask: ArrayLike, shape: tuple[int, ...], partner: str) -> np.ndarray:
    """(N, h, w, 1) booleans.

    Args:
        mask: (h, w), or a batch; nonzero where pixels count.
        shape: (N, h, w, ...) of the argument that it belongs to.
        partner: name of that.

    Raises:
        ValueError: the shape does not fit.
        TypeError: the dtype does not fit.
    """
    values = np.asarray(mask)
    if not any(jnp.issubdtype(values.dtype, t) for t in (jnp.bool_, jnp.integer, jnp.floating)):
        raise TypeError(f"mask has dtype {values.dtype}; it needs booleans, or 0 where unmeasured")
    needed = (*shape[:3], 1)
    allowed = (needed, needed[:-1], *((needed[1:], needed[1:-1]) if shape[0] == 1 else ()))
    if values.shape not in allowed:
        raise ValueError(f"mask has shape {values.shape}; it needs {partner}'s, {needed[1:-1]}")
    return values.reshape(needed) != 0


def four_dimensions(array: np.ndarray) -> np.ndarray:
    """(h, w) and (h, w, C) as (1, h, w, C)."""
    array = array[..., None] if array.ndim == 2 else array
    return array if array.ndim == 4 else array[None]
