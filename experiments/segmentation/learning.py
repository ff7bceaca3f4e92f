"""Which parameters a configuration trains, and how they move."""

import jax
import optax
from flax import nnx

from experiments.segmentation.config import Config
from experiments.training.optimizer import optimizer


def transform(config: Config) -> optax.GradientTransformation:
    """What moves the parameters; those that are not trained stay. A checkpoint holds its state."""
    if config.trained == "all":
        return optimizer(config)
    return optax.multi_transform(
        {"trained": optimizer(config), "fixed": optax.set_to_zero()},
        lambda parameters: jax.tree_util.tree_map_with_path(
            lambda path, _: "trained" if _is_of_crf(path) else "fixed", parameters
        ),
    )


def learned(config: Config, parameters: nnx.State) -> nnx.State:
    """The parameters, without derivatives for those that are not trained: they need not be computed."""
    if config.trained == "all":
        return parameters
    return jax.tree_util.tree_map_with_path(
        lambda path, value: value if _is_of_crf(path) else jax.lax.stop_gradient(value), parameters
    )


def _is_of_crf(path: tuple) -> bool:
    return path[0].key == "crf"
