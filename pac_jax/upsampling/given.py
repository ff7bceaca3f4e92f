"""What the caller gave, checked and in one form, and the result in the form of the caller."""

import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from pac_jax import files

__all__ = ["Given", "Source", "given", "in_form_of"]

Source = ArrayLike | str | os.PathLike[str]

_READERS = {"depth": files.read_depth, "flow": files.read_flow, "labels": files.read_labels}
# Colours that interpolation has pushed out of their range by rounding.
_SLACK = 1e-4


class Given(NamedTuple):
    """A batch to upsample.

    Attributes:
        targets: (N, h, w, C), float32, or integers for labels.
        guides: (N, H, W, 3), float32 in [0, 1] or uint8.
        masks: (N, h, w, 1) booleans, true where measured, or None.
        ndim: of the target that the caller gave: 2, 3 or 4.
        on_device: whether that was a JAX array.
    """

    targets: np.ndarray
    guides: np.ndarray
    masks: np.ndarray | None
    ndim: int
    on_device: bool


def given(target_low: Source, guide: Source, mask: ArrayLike | None, kind: str) -> Given:
    """Check the arguments of `upsample`.

    Raises:
        ValueError: a shape or a value does not fit; the message says what would.
        TypeError: a dtype or a type does not fit.
        FileNotFoundError: there is no such file.
        FileFormatError: a file is damaged, or holds something else.
    """
    for value, name in ((target_low, "target_low"), (guide, "guide"), (mask, "mask")):
        if isinstance(value, jax.core.Tracer):
            raise TypeError(
                f"{name} is traced; upsample cuts images and compiles programs by itself: call it "
                "outside of jit, or inside call the network, pac_jax.pretrained.load(...)"
            )
    target = _read(target_low, "target_low", _READERS[kind])
    targets = _batch_of_targets(target, kind)
    guides = _batch_of_guides(_read(guide, "guide", files.read_image), batched=target.ndim == 4)
    if len(guides) != len(targets):
        raise ValueError(
            f"target_low has {len(targets)} images and guide {len(guides)}; they need the same number"
        )
    masks = None if mask is None else _batch_of_masks(mask, targets)
    return Given(targets, guides, masks, target.ndim, isinstance(target_low, jax.Array))


def in_form_of(given: Given, results: np.ndarray) -> np.ndarray | jax.Array:
    """Bring results (N, H, W, C) to the dimensions and the library of the caller's target."""
    shaped = results if given.ndim == 4 else results[0]
    shaped = shaped[..., 0] if given.ndim == 2 else shaped
    return jnp.asarray(shaped) if given.on_device else shaped


def _read(value: Source, name: str, reader: Any) -> np.ndarray:
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


def _batch_of_targets(target: np.ndarray, kind: str) -> np.ndarray:
    if kind == "flow" and not (target.ndim in (3, 4) and target.shape[-1] == 2):
        raise ValueError(
            f"target_low has shape {target.shape}; flow needs (h, w, 2) or (N, h, w, 2)"
        )
    if not 2 <= target.ndim <= 4:
        raise ValueError(
            f"target_low has shape {target.shape}; it needs (h, w), (h, w, channels) or "
            "(N, h, w, channels)"
        )
    whole = jnp.issubdtype(target.dtype, jnp.integer)
    if kind == "labels":
        if not whole or (target.ndim > 2 and target.shape[-1] != 1):
            raise ValueError(
                f"target_low is {target.dtype}{list(target.shape)}; labels need integers, (h, w) or "
                "(N, h, w, 1)"
            )
    elif not (whole or jnp.issubdtype(target.dtype, jnp.floating)):
        raise TypeError(f"target_low has dtype {target.dtype}; it needs integers or floats")
    else:
        target = target.astype(np.float32)
    return _four_dimensions(target)


def _batch_of_guides(guide: np.ndarray, *, batched: bool) -> np.ndarray:
    """(N, H, W, 3); grey guides are repeated."""
    if guide.ndim == 2 and not batched:
        guide = guide[..., None]
    if guide.ndim != 3 + batched or guide.shape[-1] not in (1, 3):
        needed = "(N, H, W, 3) or (N, H, W, 1)" if batched else "(H, W, 3), (H, W, 1) or (H, W)"
        raise ValueError(f"guide has shape {guide.shape}; with this target_low it needs {needed}")
    if guide.dtype != np.uint8:
        if not jnp.issubdtype(guide.dtype, jnp.floating):
            raise TypeError(
                f"guide has dtype {guide.dtype}; it needs uint8, or floats in [0, 1]: divide it by "
                "its largest possible value"
            )
        guide = guide.astype(np.float32)
        low, high = guide.min(), guide.max()
        if not (low >= -_SLACK and high <= 1 + _SLACK):  # false for NaN, too
            raise ValueError(
                f"guide holds floats from {low:g} to {high:g}; it needs [0, 1]: divide values of 0 to "
                "255 by 255, clip what interpolation has left beyond"
            )
    guide = _four_dimensions(guide)
    return guide if guide.shape[-1] == 3 else np.repeat(guide, 3, axis=-1)


def _batch_of_masks(mask: ArrayLike, targets: np.ndarray) -> np.ndarray:
    """(N, h, w, 1) booleans."""
    values = np.asarray(mask)
    if values.dtype.kind not in "buif":
        raise TypeError(f"mask has dtype {values.dtype}; it needs booleans, or 0 where unmeasured")
    needed = (*targets.shape[:3], 1)
    allowed = (needed, needed[:-1], *((needed[1:], needed[1:-1]) if len(targets) == 1 else ()))
    if values.shape not in allowed:
        raise ValueError(f"mask has shape {values.shape}; it needs target_low's, {needed[1:-1]}")
    return values.reshape(needed) != 0


def _four_dimensions(array: np.ndarray) -> np.ndarray:
    array = array[..., None] if array.ndim == 2 else array
    return array if array.ndim == 4 else array[None]
