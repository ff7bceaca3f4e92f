"""The function that does everything around the CRF."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from pac_jax.inputs import Source
from pac_jax.refinement.given import Given, given
from pac_jax.refinement.inference import infer
from pac_jax.refinement.resizing import ALIGNMENTS
from pac_jax.refinement.terms import STEPS, TERMS

__all__ = ["refine"]

Maps = np.ndarray | jax.Array


def refine(
    scores: Source,
    image: Source,
    *,
    probabilities: bool | None = None,
    alignment: str = "centers",
    mask: ArrayLike | None = None,
    void_label: int | None = None,
    steps: int = STEPS,
    strength: float = 1.0,
    return_probabilities: bool = False,
) -> Maps | tuple[Maps, Maps]:
    r"""Make a segmentation network's label map follow the edges of the image. No training.

    Mean-field inference in a CRF with fixed Potts terms: pixels of like colour, near and far,
    attract each other's labels,

    $$ \log Q_i \leftarrow u_i + s \sum_m w_m \sum_{j \in \Omega_m(i)}
       W_m(j - i) \exp\Big(-\frac{\|c_i - c_j\|^2}{2 \sigma_m^2}\Big) \, Q_j , $$

    with scores u, colours c, strength s, and windows, weights w and deviations sigma that ship. They
    were found on eight photographs with simulated scores. Compiled once for each shape; images of a
    batch follow each other.

    Args:
        scores: (h, w, L) or (N, h, w, L) floats, NumPy or JAX, or the path of an .npy or .npz: for
            any number of classes. As large as the image, or smaller by the network's stride; they are
            then interpolated.
        image: (H, W, 3), (H, W, 1) or (H, W), or a batch (N, H, W, 3) or (N, H, W, 1) if the scores
            are one; uint8, or floats in [0, 1]; or the path of an image.
        probabilities: whether the scores are probabilities, not logits; None to see by the values:
            none negative, and a sum of 1 at every pixel.
        alignment: where smaller scores lie: 'centers' if the borders of both images coincide
            (half-pixel centres; most networks), 'corners' if the centres of the corner pixels do
            (DeepLab, align_corners=True). Without effect on scores as large as the image.
        mask: (H, W) or (N, H, W), 0 for void pixels, which nobody listens to.
        void_label: label of these pixels in the result; None to label them like any other.
        steps: of the inference.
        strength: of the image's say; 0 leaves the scores alone, 1 is the default.
        return_probabilities: whether to return these, too.

    Returns:
        Labels (H, W) or (N, H, W), uint8 for up to 256 classes, else int32. With
        `return_probabilities` a pair: labels, and probabilities (H, W, L) or (N, H, W, L) float32.
        NumPy, or JAX if the scores are a JAX array.

    Raises:
        ValueError: shapes, values or sizes do not fit; the message says what would.
        TypeError: a dtype or a type does not fit.
        FileNotFoundError: there is no such file.
        FileFormatError: a file is damaged, or holds something else; a `ValueError`.

    Example:
        >>> import numpy as np, pac_jax
        >>> scores = np.random.default_rng(0).normal(size=(6, 8, 21))
        >>> pac_jax.refine(scores, np.zeros((48, 64, 3), np.uint8)).shape
        (48, 64)

    Reference:
        Su et al., "Pixel-Adaptive Convolutional Neural Networks", CVPR 2019, section 5.
    """
    if alignment not in ALIGNMENTS:
        raise ValueError(f"alignment is {alignment!r}; it needs one of {', '.join(ALIGNMENTS)}")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps is {steps!r}; it needs a whole number, 1 or more")
    if not 0 <= strength < np.inf:
        raise ValueError(f"strength is {strength}; it needs to be 0 or more")
    batch = given(scores, image, mask, probabilities)
    dtype = np.uint8 if batch.scores.shape[-1] <= 256 else np.int32
    _check_void_label(void_label, dtype, masked=mask is not None)
    labels, shares = [], []
    # One image after another: a batch takes no more memory than one image.
    for number in range(len(batch.scores)):
        logits = _inferred(batch, number, alignment, steps, strength)
        found = np.asarray(jnp.argmax(logits[0], axis=-1)).astype(dtype)
        if batch.masks is not None and void_label is not None:
            found[~batch.masks[number, ..., 0]] = void_label
        labels.append(found)
        if return_probabilities:
            shares.append(np.asarray(jax.nn.softmax(logits[0])))
    maps = _in_form_of(batch, labels)
    return (maps, _in_form_of(batch, shares)) if return_probabilities else maps


def _inferred(batch: Given, number: int, alignment: str, steps: int, strength: float) -> jax.Array:
    one = slice(number, number + 1)
    weights = np.array([term.pairwise.weight for term in TERMS], np.float32)
    deviations = np.array([term.color_deviation for term in TERMS], np.float32)
    return infer(
        jnp.asarray(batch.scores[one]),
        jnp.asarray(batch.images[one]),
        None if batch.masks is None else jnp.asarray(batch.masks[one]),
        jnp.asarray(np.float32(strength) * weights),
        jnp.asarray(deviations),
        pairwise=tuple(term.pairwise for term in TERMS),
        alignment=alignment,
        probabilities=batch.probabilities,
        steps=steps,
    )


def _in_form_of(batch: Given, maps: list[np.ndarray]) -> Maps:
    result = np.stack(maps) if batch.batched else maps[0]
    return jnp.asarray(result) if batch.on_device else result


def _check_void_label(void_label: int | None, dtype: type, *, masked: bool) -> None:
    if void_label is None:
        return
    if not masked:
        raise ValueError(
            f"void_label is {void_label}, but there is no mask that says where; give both"
        )
    limits = np.iinfo(dtype)
    if not 0 <= void_label <= limits.max:
        raise ValueError(
            f"void_label is {void_label}; with this number of classes it needs 0 to {limits.max}"
        )
