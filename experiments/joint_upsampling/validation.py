"""The metric during a run: error on held-out generated scenes beside that of bicubic."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from experiments.joint_upsampling.config import Config
from experiments.joint_upsampling.pictures import scene_rows
from experiments.joint_upsampling.training_data import Batch
from experiments.scenes import SceneConfig, render_batch
from experiments.training.recorder import Validated, Validation
from pac_jax.models import target_range
from pac_jax.models.protocols import downsample, interpolate

SCENES = 16
_SHOWN = 4
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


def validation(config: Config, graph: nnx.GraphDef) -> Validation:
    """Measure a network on held-out scenes, compiled.

    Args:
        config: of the run.
        graph: of the network.
    """
    scenes = held_out_scenes(config)
    low = downsample(scenes.target, config.factor, config.protocol)
    bicubic = interpolate(low, config.factor, config.protocol, "cubic")
    measure = jax.jit(partial(_measured, config, graph))

    def validate(parameters: nnx.State) -> Validated:
        measured = measure(parameters, scenes, low, bicubic)
        metrics = {
            "rmse": float(measured.rmse),
            "bicubic_rmse": float(measured.bicubic_rmse),
        }
        return Validated(metrics, _picture(scenes, low, bicubic, measured.result))

    return Validation(("rmse", "bicubic_rmse"), validate)


def _measured(
    config: Config,
    graph: nnx.GraphDef,
    parameters: nnx.State,
    scenes: Batch,
    low: jax.Array,
    bicubic: jax.Array,
) -> Measured:
    values = target_range(low)
    model = nnx.merge(graph, parameters)
    result = values.restore(model(values.normalize(low), scenes.guide))
    border, target = config.border, scenes.target
    return Measured(_rmse(result, target, border), _rmse(bicubic, target, border), result)


def _rmse(result: jax.Array, target: jax.Array, border: int) -> jax.Array:
    inner = slice(border, target.shape[1] - border)
    square = jnp.square(result - target)[:, inner, inner]
    return jnp.mean(jnp.sqrt(jnp.mean(square, axis=(1, 2, 3))))


def _picture(scenes: Batch, low: jax.Array, bicubic: jax.Array, result: jax.Array) -> np.ndarray:
    """Guide, given, bicubic, network, truth of the first scenes side by side, (H, W, 3) uint8."""
    shown = (scenes.guide, low, bicubic, result, scenes.target)
    return scene_rows(*(np.asarray(array[:_SHOWN]) for array in shown))
