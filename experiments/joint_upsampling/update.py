"""One update of the training: state, optimizer and loss, compiled as a whole."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import optax
from flax import nnx

from experiments.joint_upsampling.config import Config
from experiments.joint_upsampling.losses import relative_error
from experiments.joint_upsampling.networks import graphs
from experiments.joint_upsampling.training_data import Batch, Setting


class State(NamedTuple):
    """All that changes during training."""

    parameters: nnx.State
    optimizer: optax.OptState


Update = Callable[[State, Batch, Setting], tuple[State, jax.Array]]


def schedule(config: Config) -> optax.Schedule:
    """A linear warm-up to the peak, then a cosine to zero at the last step."""
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0 if config.warmup_steps else config.learning_rate,
        peak_value=config.learning_rate,
        warmup_steps=config.warmup_steps,
        decay_steps=config.steps,
    )


def optimizer(config: Config) -> optax.GradientTransformation:
    """Adam with clipped gradients."""
    return optax.chain(
        optax.clip_by_global_norm(config.gradient_clip), optax.adam(schedule(config))
    )


def make_update(config: Config, transform: optax.GradientTransformation) -> Update:
    """The compiled update: (state, batch, setting) -> (state, loss); reuses the state's memory."""
    graph_of = graphs(config)

    def loss(parameters: nnx.State, batch: Batch, setting: Setting) -> jax.Array:
        model = nnx.merge(graph_of[setting], parameters)
        return relative_error(model, batch, setting, config)

    def update(state: State, batch: Batch, setting: Setting) -> tuple[State, jax.Array]:
        value, gradient = jax.value_and_grad(loss)(state.parameters, batch, setting)
        change, optimizer_state = transform.update(gradient, state.optimizer, state.parameters)
        parameters = optax.apply_updates(state.parameters, change)
        return State(parameters, optimizer_state), value

    return jax.jit(update, donate_argnums=0, static_argnums=2)
