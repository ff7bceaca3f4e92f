"""Crops of generated scenes: rendered once, cut and turned in the background while we train."""

import dataclasses
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

import experiments.scenes
from experiments.joint_upsampling.config import Config
from experiments.scenes import SceneConfig, render_batch
from experiments.training.ahead import prepared

_RENDERED_AT_ONCE = 16


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


class Scenes(NamedTuple):
    """Rendered scenes.

    Attributes:
        guide: (N, S, S, 3) uint8.
        depth: (N, S, S, 1) float32 inverse depths.
        flow: (N, S, S, 2) float32 in pixels.
    """

    guide: np.ndarray
    depth: np.ndarray
    flow: np.ndarray


def settings(config: Config) -> list[Setting]:
    """All tasks of a run."""
    return [Setting(factor, name) for factor in config.factors for name in config.protocols]


def setting_at(config: Config, step: int) -> Setting:
    """The task of one update: all of them in turn."""
    every = settings(config)
    return every[step % len(every)]


def render_scenes(config: Config, folder: Path) -> Scenes:
    """The run's scenes, from the folder if they are there, else rendered and put there.

    They depend on the configuration and on the generator's code alone; a file is named after both.
    """
    side = config.crop + config.margin
    scene_config = SceneConfig(size=(side, side))
    name = f"{config.scenes}_{_fingerprint(scene_config, config.seed)}"
    paths = [folder / f"{name}_{part}.npy" for part in Scenes._fields]
    if not all(path.exists() for path in paths):
        folder.mkdir(parents=True, exist_ok=True)
        for path, array in zip(paths, _render(config, scene_config), strict=True):
            _save(path, array)
    return Scenes(*(np.load(path, mmap_mode="r") for path in paths))


def batch_at(config: Config, scenes: Scenes, step: int) -> Batch:
    """The crops of one update; they depend on seed and step alone, so a run can be resumed."""
    random = np.random.default_rng([config.seed, step])
    cuts = [_cut(config, scenes, random) for _ in range(config.batch_size)]
    guides, targets = (np.stack(arrays) for arrays in zip(*cuts, strict=True))
    if config.task == "depth":
        targets = _rounded(targets, config.rounded, random)
    contrast = random.uniform(config.smallest_contrast, 1, config.batch_size)
    level = random.uniform(0, 1, config.batch_size)
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


def _render(config: Config, scene_config: SceneConfig) -> Scenes:
    parts = []
    for number in range(-(-config.scenes // _RENDERED_AT_ONCE)):
        key = jax.random.fold_in(jax.random.key(config.seed), number)
        scene = jax.tree.map(np.asarray, render_batch(key, _RENDERED_AT_ONCE, scene_config))
        guide = np.round(255 * scene.image).astype(np.uint8)
        parts.append(Scenes(guide, scene.depth, scene.flow))
    return Scenes(*(np.concatenate(arrays)[: config.scenes] for arrays in zip(*parts, strict=True)))


def _fingerprint(scene_config: SceneConfig, seed: int) -> str:
    digest = hashlib.sha256(repr((dataclasses.astuple(scene_config), seed)).encode())
    for path in sorted(Path(experiments.scenes.__path__[0]).glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _save(path: Path, array: np.ndarray) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    with partial.open("wb") as file:
        np.save(file, array)
    os.replace(partial, path)


def _cut(
    config: Config, scenes: Scenes, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One crop, mirrored and turned at random, its colour channels in any order."""
    number = random.integers(len(scenes.guide))
    y, x = random.integers(0, config.margin + 1, 2)
    window = (slice(y, y + config.crop), slice(x, x + config.crop))
    targets = scenes.flow if config.task == "flow" else scenes.depth
    guide, target = scenes.guide[number][window], targets[number][window]
    mirrored, upside_down, transposed = random.integers(0, 2, 3)
    if mirrored:
        guide, target = guide[:, ::-1], target[:, ::-1] * _signs(config, (-1, 1))
    if upside_down:
        guide, target = guide[::-1], target[::-1] * _signs(config, (1, -1))
    if transposed:
        guide, target = guide.swapaxes(0, 1), target.swapaxes(0, 1)[..., ::-1]
    guide = guide[..., random.permutation(3)].astype(np.float32) / 255
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
