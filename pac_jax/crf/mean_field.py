"""Mean-field inference in a CRF whose pairwise terms are pixel-adaptive convolutions."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from pac_jax.crf.inference import Inference, checked_scores, checked_void, run_steps
from pac_jax.crf.messages import select
from pac_jax.crf.terms import PairwiseTerm, Weights
from pac_jax.functional import arguments
from pac_jax.functional.affinity import Affinity, Gaussian


def mean_field(
    scores: ArrayLike,
    guides: ArrayLike | Sequence[ArrayLike | None],
    weights: Weights,
    terms: Sequence[PairwiseTerm],
    *,
    steps: int = 5,
    per_step: bool = False,
    probabilities: bool = False,
    mask: ArrayLike | None = None,
    tolerance: float | None = None,
    affinity: Affinity = Gaussian(),
    remat: bool = False,
    precision: lax.PrecisionLike = None,
    implementation: str | None = None,
) -> Inference:
    r"""Infer label maps from scores and an image.

    $$ Q \leftarrow \mathrm{softmax}(\log Q), \qquad
       \log Q \leftarrow w_u u - \sum_i w_i m_i(Q), $$

    from $\log Q = u$. The message $m_i$ of a term filters Q with the affinity of the term's guide,
    computed once, and mixes classes; for 'potts' it counts with the other sign: equal labels
    attract. The steps are one compiled loop: at inference, memory does not grow with their number.

    Args:
        scores: u, (N, *spatial, L), one to three spatial dimensions, floating point: logits, or
            class probabilities if `probabilities`.
        guides: (N, *spatial, G), scaled so that the affinity exp(-distance^2 / 2) fits; one for all
            terms, or a sequence of one for each ('plain' terms need none: None).
        weights: of `initial_weights`, or trained ones; with a leading axis of steps if `per_step`.
        terms: the pairwise terms.
        steps: number of steps, at most if there is a tolerance.
        per_step: whether every step has weights of its own.
        probabilities: whether the scores are probabilities.
        mask: (N, *spatial, 1), 0 for void pixels: they receive messages but send none.
        tolerance: stop when no probability changes by more than this. The loop then has no
            reverse-mode derivative.
        affinity: k, see `pac_jax.Affinity`.
        remat: whether a step's intermediate arrays are computed again for the gradient rather than
            kept.
        precision: as in `jax.lax`.
        implementation: of the messages: 'rows', an implementation of the operators ('taps',
            'shifts', 'patches'), or None for the fastest; see `pac_jax.crf.messages`.

    Returns:
        Logits after the last step, and the number of steps.

    Raises:
        ValueError: a shape or a setting does not fit; the message says which.
        TypeError: a dtype does not fit.
        NotImplementedError: the named implementation cannot run this.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from pac_jax import crf
        >>> terms = (crf.PairwiseTerm(5, dilation=2, mixing="potts"),)
        >>> weights = crf.initial_weights(terms, classes=3)
        >>> scores, image = jnp.zeros((1, 12, 16, 3)), jnp.zeros((1, 12, 16, 3))
        >>> crf.mean_field(scores, image, weights, terms, steps=2).logits.shape
        (1, 12, 16, 3)

    Reference:
        Su et al., "Pixel-Adaptive Convolutional Neural Networks", CVPR 2019, section 5.
    """
    scores = checked_scores(scores, probabilities)
    terms = tuple(terms)
    size = scores.shape[1:-1]
    _check_weights(weights, terms, scores.shape[-1], len(size), steps if per_step else None)
    each = _checked_guides(guides, terms, scores)
    void = checked_void(mask, scores)
    messages = select(implementation, terms, scores)
    unary = messages.arrange(scores)
    if void is not None:
        void = messages.arrange(void)
    affinities = [
        None if guide is None else messages.affinity(term, guide, affinity)
        for term, guide in zip(terms, each, strict=True)
    ]

    def step(logits: jax.Array, weights: Weights) -> jax.Array:
        q = jax.nn.softmax(logits, axis=messages.class_axis)
        if void is not None:
            q = q * void
        logits = weights.unary * unary
        for term, own_affinity, own in zip(terms, affinities, weights.terms, strict=True):
            sign = 1 if term.mixing == "potts" else -1
            message = messages.send(term, own_affinity, own, q, size=size, precision=precision)
            logits = logits + sign * own.weight * message
        return logits

    if remat:
        step = jax.checkpoint(step)
    axis = messages.class_axis
    inferred = run_steps(step, unary, weights, steps, per_step, tolerance, class_axis=axis)
    return inferred._replace(logits=messages.restore(inferred.logits))


def guide_of_each(
    guides: ArrayLike | Sequence[ArrayLike | None], terms: int
) -> list[ArrayLike | None]:
    """One guide per term, from one for all or a sequence."""
    if not isinstance(guides, Sequence):
        return [guides] * terms
    if len(guides) != terms:
        raise ValueError(f"there are {len(guides)} guides; {terms} terms need one each")
    return list(guides)


def _checked_guides(
    guides: ArrayLike | Sequence[ArrayLike | None],
    terms: Sequence[PairwiseTerm],
    scores: jax.Array,
) -> list[jax.Array | None]:
    """One guide per term, of the scores' size."""
    each = guide_of_each(guides, len(terms))
    checked: list[jax.Array | None] = []
    for number, (term, guide) in enumerate(zip(terms, each, strict=True)):
        if not term.has_affinity:
            checked.append(None)
            continue
        if guide is None:
            raise ValueError(
                f"guides[{number}] is None; a term of mixing {term.mixing!r} needs one"
            )
        array = arguments.as_array(guide, f"guides[{number}]")
        if array.shape[:-1] != scores.shape[:-1]:
            raise ValueError(
                f"guides[{number}] has shape {array.shape}; scores of shape {scores.shape} need "
                f"{(*scores.shape[:-1], 'G')}"
            )
        checked.append(array)
    return checked


def _check_weights(
    weights: Weights, terms: Sequence[PairwiseTerm], classes: int, ndim: int, steps: int | None
) -> None:
    if len(weights.terms) != len(terms):
        raise ValueError(f"weights are of {len(weights.terms)} terms; there are {len(terms)} terms")
    lead = () if steps is None else (steps,)
    found = {"weights.unary": (weights.unary, lead)}
    for number, (term, own) in enumerate(zip(terms, weights.terms, strict=True)):
        name = f"weights.terms[{number}]"
        window = term.window_shape(ndim)
        shape = window if term.shares_filter else (*window, classes, classes)
        found[f"{name}.filter"] = (own.filter, (*lead, *shape))
        found[f"{name}.weight"] = (own.weight, lead)
        if (own.mixing is not None) != (term.mixing == "matrix"):
            raise ValueError(
                f"{name}.mixing goes with mixing 'matrix'; the term's is {term.mixing!r}"
            )
        if own.mixing is not None:
            found[f"{name}.mixing"] = (own.mixing, (*lead, classes, classes))
    for name, (array, needed) in found.items():
        if jnp.shape(array) != needed:
            raise ValueError(f"{name} has shape {jnp.shape(array)}; it needs {needed}")
