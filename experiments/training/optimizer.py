"""Adam under a warm-up and a cosine, and the state that it moves."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax
from flax import nnx

from experiments.training.plan import Plan


class State(NamedTuple):
    """All that changes during training."""

    parameters: nnx.State
    optimizer: optax.OptState


Loss = Callable[[nnx.State, Any, Any], jax.Array]
Update = Callable[[State, Any, Any], tuple[State, jax.Array]]


def schedule(plan: Plan) -> optax.Schedule:
    """A linear warm-up to the peak, then a cosine to zero at the last step."""
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0 if plan.warmup_steps else plan.learning_rate,
        peak_value=plan.learning_rate,
        warmup_steps=plan.warmup_steps,
        decay_steps=plan.steps,
    )


def optimizer(plan: Plan) -> optax.GradientTransformation:
    """Adam with clipped gradients."""
    return optax.chain(optax.clip_by_global_norm(plan.gradient_clip), optax.adam(schedule(plan)))


def make_update(loss: Loss, transform: optax.GradientTransformation) -> Update:
    """The compiled update: (state, batch, setting) -> (state, loss); reuses the state's memory.

    Args:
        loss: of (parameters, batch, setting); settings are static: each is compiled for itself.
        transform: of the gradients.
    """

    def update(state: State, batch: Any, setting: Any) -> tuple[State, jax.Array]:
        value, gradient = jax.value_and_grad(loss)(state.parameters, batch, setting)
        change, optimizer_state = transform.update(gradient, state.optimizer, state.parameters)
        parameters = optax.apply_updates(state.parameters, change)
        return State(parameters, optimizer_state), value

    return jax.jit(update, donate_argnums=0, static_argnums=2)
