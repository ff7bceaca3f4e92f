"""Mean-field inference in a CRF whose pairwise terms are pixel-adaptive convolutions."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from pac_jax.crf.blocks import block_means, interpolate_blocks
from pac_jax.crf.inference import Inference, checked_scores, checked_void, run_steps
from pac_jax.crf.terms import PairwiseTerm, TermWeights, Weights
from pac_jax.functional import arguments
from pac_jax.functional.affinity import Affinity, Gaussian
from pac_jax.functional.affinity_map import pac_affinity
from pac_jax.functional.conv import pac_conv_with_affinity
from pac_jax.functional.pool import pac_pool_with_affinity


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
        implementation: of the operators: 'taps', 'patches', or None for the fastest.

    Returns:
        Logits after the last step, and the number of steps.

    Raises:
        ValueError: a shape or a setting does not fit; the message says which.
        TypeError: a dtype does not fit.

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
    senders = [
        partial(
            _message,
            term,
            _term_affinity(term, guide, affinity),
            size=size,
            precision=precision,
            implementation=implementation,
        )
        for term, guide in zip(terms, each, strict=True)
    ]

    def step(logits: jax.Array, weights: Weights) -> jax.Array:
        q = jax.nn.softmax(logits)
        if void is not None:
            q = q * void
        logits = weights.unary * scores
        for send, term, own in zip(senders, terms, weights.terms, strict=True):
            sign = 1 if term.mixing == "potts" else -1
            logits = logits + sign * own.weight * send(own, q)
        return logits

    if remat:
        step = jax.checkpoint(step)
    return run_steps(step, scores, weights, steps, per_step, tolerance)


def _term_affinity(
    term: PairwiseTerm, guide: jax.Array | None, affinity: Affinity
) -> jax.Array | None:
    if guide is None:
        return None
    return pac_affinity(
        block_means(guide, term.blur),
        term.window_shape(guide.ndim - 2),
        kernel_dilation=term.dilation,
        affinity=affinity,
    )


def _message(
    term: PairwiseTerm,
    affinity: jax.Array | None,
    weights: TermWeights,
    q: jax.Array,
    *,
    size: tuple[int, ...],
    precision: lax.PrecisionLike,
    implementation: str | None,
) -> jax.Array:
    """What a term's pixels tell each other of their classes."""
    q = block_means(q, term.blur)
    ndim = len(size)
    if affinity is None:
        message = lax.conv_general_dilated(
            q,
            weights.filter,
            (1,) * ndim,
            "SAME",
            rhs_dilation=(term.dilation,) * ndim,
            dimension_numbers=_channels_last(ndim),
            precision=precision,
        )
    elif term.shares_filter:
        message = pac_pool_with_affinity(
            q,
            affinity,
            term.window_shape(ndim),
            weights=weights.filter,
            padding="SAME",
            kernel_dilation=term.dilation,
            precision=precision,
            implementation=implementation,
        )
    else:
        message = pac_conv_with_affinity(
            q,
            affinity,
            weights.filter,
            kernel_dilation=term.dilation,
            precision=precision,
            implementation=implementation,
        )
    if weights.mixing is not None:
        message = jnp.matmul(message, weights.mixing, precision=precision)
    return interpolate_blocks(message, term.blur, size)


def _channels_last(ndim: int) -> tuple[str, str, str]:
    spatial = "DHW"[3 - ndim :]
    return f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"


def _checked_guides(
    guides: ArrayLike | Sequence[ArrayLike | None],
    terms: Sequence[PairwiseTerm],
    scores: jax.Array,
) -> list[jax.Array | None]:
    """One guide per term, of the scores' size."""
    if isinstance(guides, Sequence):
        if len(guides) != len(terms):
            raise ValueError(f"there are {len(guides)} guides; {len(terms)} terms need one each")
        each = list(guides)
    else:
        each = [guides] * len(terms)
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
