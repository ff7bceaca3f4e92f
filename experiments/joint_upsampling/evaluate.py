"""Upsample a real target by every method, measure, and draw."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from experiments.joint_upsampling.baselines import interpolate, joint_bilateral
from experiments.joint_upsampling.config import Config
from experiments.joint_upsampling.pictures import comparison
from experiments.joint_upsampling.protocols import sample_center
from experiments.joint_upsampling.real_pair import RealPair
from pac_jax.models import target_range

Upsampler = Callable[[jax.Array, jax.Array], jax.Array]


def upsample(
    model: nnx.Module, target_low: jax.Array, guide: jax.Array, margin: int = 4
) -> jax.Array:
    """The network's answer in the target's own units.

    The networks pad with zeros, which disturbs their answer at the border; and training leaves the
    border out. So the image is continued by its last pixels, and the continuation cut off again.

    Args:
        model: called as `model(target_low, guide)`.
        target_low: (N, h, w, C).
        guide: (N, H, W, 3).
        margin: low-resolution pixels of continuation at every side.

    Returns:
        (N, H, W, C).
    """
    values = target_range(target_low)
    factor = guide.shape[1] // target_low.shape[1]
    target_low, continued = (
        jnp.pad(array, ((0, 0), (width, width), (width, width), (0, 0)), mode="edge")
        for array, width in ((target_low, margin), (guide, margin * factor))
    )
    result = values.restore(nnx.jit(model)(values.normalize(target_low), continued))
    height, width = guide.shape[1:3]
    first = margin * factor
    return result[:, first : first + height, first : first + width]


def methods(config: Config, model: nnx.Module) -> dict[str, Upsampler]:
    """The trained network and what it must beat, by name."""
    factor = config.factor

    def by_interpolation(method: str, low: jax.Array, guide: jax.Array) -> jax.Array:
        del guide
        return interpolate(low, factor, method)

    return {
        "bilinear": partial(by_interpolation, "linear"),
        "bicubic": partial(by_interpolation, "cubic"),
        "joint bilateral": lambda low, guide: joint_bilateral(low, guide, factor),
        config.network.replace("_", " "): partial(upsample, model),
    }


def root_mean_square(error: np.ndarray, valid: np.ndarray, border: int = 6) -> float:
    """RMSE over the valid pixels of one image, a border left out.

    Args:
        error: (H, W).
        valid: (H, W) booleans.
        border: pixels left out at every side.
    """
    inner = (slice(border, -border or None),) * 2
    return float(np.sqrt(np.mean(np.square(error[inner][valid[inner]], dtype=np.float64))))


def evaluate(config: Config, model: nnx.Module, pair: RealPair, folder: Path) -> dict[str, float]:
    """Measure all methods on one pair; write `NAME.json` and the picture `NAME.png`.

    Args:
        config: of the network.
        model: the network.
        pair: what to upsample.
        folder: to write to.

    Returns:
        RMSE by method, in the pair's unit.
    """
    guide, target = jnp.asarray(pair.guide), jnp.asarray(pair.target)
    low = sample_center(target, config.factor)
    results, scores = {}, {}
    for name, method in methods(config, model).items():
        results[name] = np.asarray(method(low, guide))[0, ..., 0]
        scores[name] = root_mean_square(results[name] - pair.target[0, ..., 0], pair.valid)
    record = {
        "data": pair.name,
        "protocol": "center",
        "factor": config.factor,
        "unit": pair.unit,
        "border": 6,
        "seed": config.seed,
        "rmse": scores,
    }
    (folder / f"{pair.name}.json").write_text(json.dumps(record, indent=2) + "\n")
    picture = comparison(pair, np.asarray(low)[0, ..., 0], results, scores)
    picture.save(folder / f"{pair.name}.png")
    return scores
