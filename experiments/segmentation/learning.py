"""Which parameters a configuration trains, and how they move."""

import jax
import optax

from experiments.segmentation.config import Config
from experiments.training.optimizer import optimizer


def transform(config: Config) -> optax.GradientTransformation:
    """What moves the parameters; those that are not trained stay. A checkpoint holds its state."""
    if config.trained == "all":
        return optimizer(config)
    return optax.multi_transform(
        {"trained": optimizer(config), "fixed": optax.set_to_zero()},
        lambda parameters: jax.tree_util.tree_map_with_path(
            lambda path, _: "trained" if path[0].key == "crf" else "fixed", parameters
        ),
    )
