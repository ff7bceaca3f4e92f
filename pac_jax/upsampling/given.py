"""What the caller gave, checked and in one form, and the result in the form of the caller."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from pac_jax import files, inputs
from pac_jax.inputs import Source

__all__ = ["Given", "given", "in_form_of"]

_READERS = {"depth": files.read_depth, "flow": files.read_flow, "labels": files.read_labels}


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
    inputs.check_not_traced(
        {"target_low": target_low, "guide": guide, "mask": mask},
        "upsample cuts images and compiles programs by itself: call it outside of jit, or inside "
        "call the network, pac_jax.pretrained.load(...)",
    )
    target = inputs.read(target_low, "target_low", _READERS[kind])
    targets = _batch_of_targets(target, kind)
    photographs = inputs.read(guide, "guide", files.read_image)
    guides = inputs.batch_of_images(photographs, "guide", "target_low", batched=target.ndim == 4)
    if len(guides) != len(targets):
        raise ValueError(
            f"target_low has {len(targets)} images and guide {len(guides)}; they need the same number"
        )
    masks = None if mask is None else inputs.batch_of_masks(mask, targets.shape, "target_low")
    return Given(targets, guides, masks, target.ndim, isinstance(target_low, jax.Array))


def in_form_of(given: Given, results: np.ndarray) -> np.ndarray | jax.Array:
    """Bring results (N, H, W, C) to the dimensions and the library of the caller's target."""
    shaped = results if given.ndim == 4 else results[0]
    shaped = shaped[..., 0] if given.ndim == 2 else shaped
    return jnp.asarray(shaped) if given.on_device else shaped


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
    return inputs.four_dimensions(target)
