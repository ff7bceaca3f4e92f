"""What every mean-field inference shares: checked scores, the loop over the steps, its outcome."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from pac_jax.functional import arguments

_SMALLEST_PROBABILITY = 1e-8

Weights = TypeVar("Weights")
Step = Callable[[jax.Array, Weights], jax.Array]


class Inference(NamedTuple):
    """Outcome of an inference.

    Attributes:
        logits: (N, *spatial, L) unnormalised log-probabilities; `jax.nn.softmax` of them is Q.
        steps: () int32, number of steps that were taken.
    """

    logits: jax.Array
    steps: jax.Array


def run_steps(
    step: Step,
    scores: jax.Array,
    weights: Weights,
    steps: int,
    per_step: bool,
    tolerance: float | None,
    class_axis: int = -1,
) -> Inference:
    """Repeat a step from the scores on.

    Args:
        step: (logits, weights) -> logits.
        scores: (N, *spatial, L) logits to begin with.
        weights: of every step, or with a leading axis of steps if `per_step`.
        steps: number of steps, at most if there is a tolerance.
        per_step: see `weights`.
        tolerance: stop when no probability changes by more than this; None for all steps.
        class_axis: of the logits.

    Raises:
        ValueError: steps or tolerance do not fit.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}; it needs to be 1 or more")
    if tolerance is None:
        return _all_steps(step, scores, weights, steps, per_step)
    if tolerance < 0:
        raise ValueError(f"tolerance is {tolerance}; it needs to be 0 or more, or None")
    return _until_still(step, scores, weights, steps, per_step, tolerance, class_axis)


def checked_scores(scores: ArrayLike, probabilities: bool) -> jax.Array:
    """The scores as logits, of a shape that fits."""
    scores = arguments.as_array(scores, "scores")
    if not 3 <= scores.ndim <= 5:
        raise ValueError(
            f"scores have shape {scores.shape}; they need (N, *spatial, L) with one to three "
            "spatial dimensions"
        )
    if scores.shape[-1] < 2:
        raise ValueError(
            f"scores have shape {scores.shape}, {scores.shape[-1]} class; a CRF needs two or more"
        )
    if probabilities:
        return jnp.log(jnp.maximum(scores, _SMALLEST_PROBABILITY))
    return scores


def checked_void(mask: ArrayLike | None, scores: jax.Array) -> jax.Array | None:
    """The mask in the scores' type, of a shape that fits."""
    if mask is None:
        return None
    mask = arguments.as_mask(mask, scores.dtype)
    arguments.check_mask(mask, scores.shape, "scores")
    return mask


def _all_steps(
    step: Step, scores: jax.Array, weights: Weights, steps: int, per_step: bool
) -> Inference:
    def body(logits: jax.Array, own: Weights | None) -> tuple[jax.Array, None]:
        return step(logits, weights if own is None else own), None

    logits, _ = lax.scan(body, scores, weights if per_step else None, length=steps)
    return Inference(logits, jnp.asarray(steps, jnp.int32))


def _until_still(
    step: Step,
    scores: jax.Array,
    weights: Weights,
    steps: int,
    per_step: bool,
    tolerance: float,
    class_axis: int,
) -> Inference:
    def moves(state: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        _, number, change = state
        return (number < steps) & (change > tolerance)

    def body(
        state: tuple[jax.Array, jax.Array, jax.Array],
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        logits, number, _ = state
        own = jax.tree.map(lambda leaf: leaf[number], weights) if per_step else weights
        after = step(logits, own)
        before = jax.nn.softmax(logits, axis=class_axis)
        change = jnp.max(jnp.abs(jax.nn.softmax(after, axis=class_axis) - before))
        return after, number + 1, change

    infinity = jnp.asarray(jnp.inf, scores.dtype)
    start = (scores, jnp.zeros((), jnp.int32), infinity)
    logits, number, _ = lax.while_loop(moves, body, start)
    return Inference(logits, number)
