"""Crops of generated scenes: rendered once, cut and turned in the background while we train."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from scipy import ndimage

from experiments.joint_upsampling.config import Config
from experiments.scenes import SceneConfig
from experiments.stored_scenes import StoredScenes, stored_scenes
from experiments.training.ahead import prepared


class Batch(NamedTuple):
    """One update's crops.

    Attributes:
        guide: (N, H, W, 3) photographs in [0, 1].
        target: (N, H, W, C) inverse depths, or flow in pixels.
        contrast: (N,) the part of its image's range that a crop is taken to have.
        level: (N,) where in that range, from 0 (at its lower end) to 1.
    """

    guide: jax.Array
    target: jax.Array
    contrast: jax.Array
    level: jax.Array


class Setting(NamedTuple):
    """One update's task.

    Attributes:
        factor: of upsampling.
        protocol: by which the low-resolution target is made.
    """

    factor: int
    protocol: str


def settings(config: Config) -> list[Setting]:
    """All tasks of a run."""
    return [Setting(factor, name) for factor in config.factors for name in config.protocols]


def setting_at(config: Config, step: int) -> Setting:
    """The task of one update: all of them in turn."""
    every = settings(config)
    return every[step % len(every)]


def render_scenes(config: Config, folder: Path) -> StoredScenes:
    """The run's scenes, a little larger than its crops."""
    side = config.crop + config.margin
    return stored_scenes(folder, config.scenes, SceneConfig(size=(side, side)), config.seed)


def batch_at(config: Config, scenes: StoredScenes, step: int) -> Batch:
    """The crops of one update; they depend on seed and step alone, so a run can be resumed."""
    random = np.random.default_rng([config.seed, step])
    cuts = [_cut(config, scenes, random) for _ in range(config.batch_size)]
    guides, targets = (np.stack(arrays) for arrays in zip(*cuts, strict=True))
    if config.task == "depth":
        targets = _rounded(targets, config.rounded, random)
    contrast = random.uniform(config.smallest_contrast, 1, config.batch_size)
    level = random.uniform(0, 1, config.batch_size)
    at_an_end = random.uniform(0, 1, config.batch_size) < config.ends
    level = np.where(at_an_end, np.round(level), level)
    parts = (guides, targets, contrast.astype(np.float32), level.astype(np.float32))
    return Batch(*jax.device_put(parts))


def batches(config: Config, first_step: int, folder: Path) -> Iterator[tuple[int, Batch]]:
    """Yield (step, batch) up to the configuration's last step, some of them made ahead.

    Args:
        config: of the run.
        first_step: to begin with.
        folder: where rendered scenes are kept.
    """
    scenes = render_scenes(config, folder)
    return prepared(lambda step: batch_at(config, scenes, step), range(first_step, config.steps))


def _cut(
    config: Config, scenes: StoredScenes, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One crop, mirrored and turned at random, its colour channels in any order."""
    number = random.integers(len(scenes.image))
    y, x = random.integers(0, config.margin + 1, 2)
    window = (slice(y, y + config.crop), slice(x, x + config.crop))
    targets = scenes.flow if config.task == "flow" else scenes.depth
    guide, target = scenes.image[number][window].astype(np.float32) / 255, targets[number][window]
    if random.uniform() < config.misaligned:
        shift = random.uniform(-config.largest_shift, config.largest_shift, 2)
        guide = ndimage.shift(guide, (*shift, 0), order=1, mode="nearest")
    mirrored, upside_down, transposed = random.integers(0, 2, 3)
    if mirrored:
        guide, target = guide[:, ::-1], target[:, ::-1] * _signs(config, (-1, 1))
    if upside_down:
        guide, target = guide[::-1], target[::-1] * _signs(config, (1, -1))
    if transposed:
        guide, target = guide.swapaxes(0, 1), target.swapaxes(0, 1)[..., ::-1]
    guide = np.ascontiguousarray(guide[..., random.permutation(3)])
    return guide, np.ascontiguousarray(target, np.float32)


def _rounded(targets: np.ndarray, probability: float, random: np.random.Generator) -> np.ndarray:
    """Some of the crops in steps of their range, as disparities in whole pixels are."""
    lowest, highest = (find(targets, axis=(1, 2, 3), keepdims=True) for find in (np.min, np.max))
    shape = (len(targets), 1, 1, 1)
    levels = np.exp(random.uniform(np.log(6), np.log(60), shape)).astype(np.float32)
    step = np.maximum((highest - lowest) / levels, np.finfo(np.float32).tiny)
    chosen = random.uniform(0, 1, shape) < probability
    return np.where(chosen, np.round(targets / step) * step, targets)


def _signs(config: Config, of_flow: tuple[int, int]) -> np.ndarray:
    """What mirroring does to the target's values: it turns a component of flow round."""
    return np.array(of_flow if config.task == "flow" else (1,), np.float32)
