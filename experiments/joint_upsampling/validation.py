"""The metric during a run: error on held-out generated scenes beside that of bicubic."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from experiments.joint_upsampling.config import Config
from experiments.joint_upsampling.pictures import scene_rows
from experiments.joint_upsampling.training_data import Batch
from experiments.scenes import SceneConfig, render_batch
from pac_jax.models import target_range
from pac_jax.models.protocols import downsample, interpolate

SCENES = 16
# Not a seed that anybody trains with; the same scenes for every run with the same crop.
_SEED = 977_302_451


class Measured(NamedTuple):
    """Errors in the unit of the scenes' targets, and what they were measured on.

    Attributes:
        rmse: of the network, per scene, averaged; a scalar on the device.
        bicubic_rmse: of bicubic interpolation.
        result: (N, H, W, C) the network's.
    """

    rmse: jax.Array
    bicubic_rmse: jax.Array
    result: jax.Array


def held_out_scenes(config: Config) -> Batch:
    """Sixteen scenes that no training sees, of the size of the training's, cut to its crops."""
    side = config.crop + config.margin
    scenes = render_batch(jax.random.key(_SEED), SCENES, SceneConfig(size=(side, side)))
    target = scenes.flow if config.task == "flow" else scenes.depth
    window = slice(config.margin // 2, config.margin // 2 + config.crop)
    whole = jnp.ones(SCENES)
    return Batch(scenes.image[:, window, window], target[:, window, window], whole, whole)


class Validation:
    """Measures a network on held-out scenes, compiled, without waiting for the device.

    Args:
        config: of the run.
        graph: of the network.
    """

    def __init__(self, config: Config, graph: nnx.GraphDef):
        self.scenes = held_out_scenes(config)
        self.low = downsample(self.scenes.target, config.factor, config.protocol)
        self.bicubic = interpolate(self.low, config.factor, config.protocol, "cubic")
        border = config.border

        def rmse(result: jax.Array, target: jax.Array) -> jax.Array:
            inner = slice(border, target.shape[1] - border)
            square = jnp.square(result - target)[:, inner, inner]
            return jnp.mean(jnp.sqrt(jnp.mean(square, axis=(1, 2, 3))))

        def measure(
            parameters: nnx.State, scenes: Batch, low: jax.Array, bicubic: jax.Array
        ) -> Measured:
            values = target_range(low)
            model = nnx.merge(graph, parameters)
            result = values.restore(model(values.normalize(low), scenes.guide))
            target = scenes.target
            return Measured(rmse(result, target), rmse(bicubic, target), result)

        self._measure = jax.jit(measure)

    def __call__(self, parameters: nnx.State) -> Measured:
        """Measure a network with these parameters."""
        return self._measure(parameters, self.scenes, self.low, self.bicubic)

    def picture(self, measured: Measured, count: int = 4) -> np.ndarray:
        """Guide, given, bicubic, network, truth of the first scenes side by side.

        Args:
            measured: of the network.
            count: number of scenes.

        Returns:
            (H, W, 3) uint8.
        """
        shown = (self.scenes.guide, self.low, self.bicubic, measured.result, self.scenes.target)
        return scene_rows(*(np.asarray(array[:count]) for array in shown))
