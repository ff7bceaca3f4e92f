"""The program that is compiled: interpolation of the scores, then mean-field inference."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from pac_jax.crf.mean_field import mean_field
from pac_jax.crf.terms import PairwiseTerm, initial_weights
from pac_jax.refinement.resizing import resized

__all__ = ["infer"]


@partial(jax.jit, static_argnames=("pairwise", "alignment", "probabilities", "steps"))
def infer(
    scores: jax.Array,
    images: jax.Array,
    mask: jax.Array | None,
    weights: jax.Array,
    color_deviations: jax.Array,
    *,
    pairwise: tuple[PairwiseTerm, ...],
    alignment: str,
    probabilities: bool,
    steps: int,
) -> jax.Array:
    """Logits (N, H, W, L) float32 after the last step.

    Args:
        scores: (N, h, w, L) float32.
        images: (N, H, W, 3), float32 in [0, 1] or uint8.
        mask: (N, H, W, 1), 0 for void pixels, or None.
        weights: one per term, in place of the terms' own; traced, so that a search need not compile
            anew.
        color_deviations: one per term; traced likewise.
        pairwise: the terms.
        alignment: see `pac_jax.refinement.resizing.resized`.
        probabilities: whether the scores are.
        steps: of the inference.
    """
    # Probabilities are interpolated before their logarithm is taken: that of a single tiny one
    # would outweigh its neighbours.
    height, width = images.shape[1:3]
    scores = resized(scores, (height, width), alignment)
    if images.dtype == jnp.uint8:
        images = images.astype(jnp.float32) / 255
    start = initial_weights(pairwise, scores.shape[-1])
    own = tuple(term._replace(weight=weights[number]) for number, term in enumerate(start.terms))
    guides = [images / color_deviations[number] for number in range(len(pairwise))]
    return mean_field(
        scores,
        guides,
        start._replace(terms=own),
        pairwise,
        steps=steps,
        probabilities=probabilities,
        mask=mask,
        precision=lax.Precision.HIGHEST,
    ).logits
