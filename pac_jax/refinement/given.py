"""What the caller of `refine` gave, checked and in one form."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from pac_jax import files, inputs
from pac_jax.inputs import Source

__all__ = ["Given", "given"]

# Pixels of the image per score, along one axis; and how much the axes may differ in that: scores of
# an image that was made square still pass, scores whose axes are swapped mostly not.
_LARGEST_STRIDE = 64
_LARGEST_SQUEEZE = 1.6
# Of the sum of probabilities from one: half precision, eight bits and JPEG-like storage are rough.
_SUM_SLACK = 0.02
_SUM_SLACK_OF_GUESS = 1e-3


class Given(NamedTuple):
    """A batch to refine.

    Attributes:
        scores: (N, h, w, L) float32.
        images: (N, H, W, 3), float32 in [0, 1] or uint8.
        masks: (N, H, W, 1) booleans, false for void pixels, or None.
        probabilities: whether the scores are.
        batched: whether the caller gave a batch.
        on_device: whether the scores were a JAX array.
    """

    scores: np.ndarray
    images: np.ndarray
    masks: np.ndarray | None
    probabilities: bool
    batched: bool
    on_device: bool


def given(
    scores: Source, image: Source, mask: ArrayLike | None, probabilities: bool | None
) -> Given:
    """Check the arguments of `refine`.

    Raises:
        ValueError: a shape or a value does not fit; the message says what would.
        TypeError: a dtype or a type does not fit.
        FileNotFoundError: there is no such file.
        FileFormatError: a file is damaged, or holds something else.
    """
    inputs.check_not_traced(
        {"scores": scores, "image": image, "mask": mask},
        "refine looks at values and compiles programs by itself: call it outside of jit, or inside "
        "call pac_jax.crf.mean_field",
    )
    values = inputs.read(scores, "scores", files.read_scores)
    if values.ndim not in (3, 4):
        raise ValueError(
            f"scores have shape {values.shape}; they need (h, w, classes) or (N, h, w, classes)"
        )
    if not jnp.issubdtype(values.dtype, jnp.floating):
        raise TypeError(f"scores have dtype {values.dtype}; they need floats, one for every class")
    batched = values.ndim == 4
    batch = inputs.four_dimensions(values.astype(np.float32))
    photographs = inputs.read(image, "image", files.read_image)
    images = inputs.batch_of_images(photographs, "image", "scores", batched=batched)
    if len(images) != len(batch):
        raise ValueError(
            f"scores are of {len(batch)} images and image has {len(images)}; they need the same number"
        )
    _check_size(batch, images.shape[1:3])
    if batch.shape[-1] < 2:
        raise ValueError(
            f"scores have shape {values.shape}, {batch.shape[-1]} class; refining needs two or more: "
            "for one, give np.stack([0 * scores, scores], axis=-1)"
        )
    if not np.isfinite(batch).all():
        count = np.count_nonzero(~np.isfinite(batch))
        raise ValueError(
            f"scores hold {count} values that are not finite (of {batch.size}); replace them, for "
            "logarithms of 0 by a number such as -20"
        )
    return Given(
        batch,
        images,
        None if mask is None else inputs.batch_of_masks(mask, images.shape, "image"),
        _are_probabilities(batch, probabilities),
        batched,
        isinstance(scores, jax.Array),
    )


def _fits(small: tuple[int, ...], size: tuple[int, int]) -> bool:
    low, high = sorted(to / n for n, to in zip(small, size, strict=True))
    return low >= 1 and high <= _LARGEST_STRIDE and high <= _LARGEST_SQUEEZE * low


def _check_size(scores: np.ndarray, size: tuple[int, int]) -> None:
    if _fits(scores.shape[1:3], size):
        return
    strides = [to / n for n, to in zip(scores.shape[1:3], size, strict=True)]
    message = (
        f"scores have size {scores.shape[1:3]} and the image {size}, {strides[0]:.3g} and "
        f"{strides[1]:.3g} pixels per score; they need to be as large as the image, or smaller by a "
        f"network's stride, alike in both axes and at most {_LARGEST_STRIDE}"
    )
    if _fits(scores.shape[2:4], size):
        message += "; with classes first, give np.moveaxis(scores, -3, -1)"
    elif _fits(scores.shape[2:0:-1], size):
        message += "; height and width seem to be swapped"
    raise ValueError(message)


def _are_probabilities(scores: np.ndarray, told: bool | None) -> bool:
    """Check what was told; or guess: logits that sum to one at every pixel do not occur."""
    if told is False:
        return False
    low = scores.min()
    wrong = float(np.abs(scores.sum(-1) - 1).max())
    if told is None:
        return bool(low >= 0 and wrong <= _SUM_SLACK_OF_GUESS)
    if low < 0 or wrong > _SUM_SLACK:
        raise ValueError(
            f"scores are no probabilities: the least is {low:g}, and the sum over the classes differs "
            f"from 1 by up to {wrong:g}; give probabilities=False for logits"
        )
    return True
