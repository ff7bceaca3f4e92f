"""Crops of labelled photographs, scaled, mirrored and lit at random, cut in the background."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import jax
import numpy as np
from PIL import Image

from experiments.datasets import Pair, load
from experiments.scenes import SceneConfig
from experiments.segmentation.config import Config
from experiments.stored_scenes import stored_scenes
from experiments.training.ahead import prepared

# Scenes are rendered a little larger than the crops, so that crops differ.
_MARGIN = 48
_SEED_OF_VALIDATION = 977_302_451


class Batch(NamedTuple):
    """One update's crops.

    Attributes:
        images: (N, H, W, 3) in [0, 1].
        labels: (N, H, W) int32.
        key: for what is random in the network.
    """

    images: jax.Array
    labels: jax.Array
    key: jax.Array


class Labelled(Protocol):
    """Random access to labelled photographs."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, index: int) -> Pair:
        """One of them."""


class Scenes(Sequence[Pair]):
    """Generated scenes as a data set.

    Args:
        images: (N, H, W, 3) uint8.
        labels: (N, H, W) integers.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray):
        self._images, self._labels = images, labels

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Pair:  # type: ignore[override]
        labels = np.asarray(self._labels[index], np.float32)[..., None]
        return Pair(np.asarray(self._images[index]), labels, f"scene_{index}")


def training_set(config: Config, data: Path | None, scenes: Path) -> Labelled:
    """What is trained on.

    Args:
        config: of the run.
        data: folder of the data set; None for one that is prepared already, or for scenes.
        scenes: folder in which rendered scenes are kept.
    """
    if config.dataset == "scenes":
        return _scenes(config, config.scenes, config.seed, scenes)
    return load(config.dataset, config.split, folder=data)


def validation_set(config: Config, data: Path | None, scenes: Path) -> Labelled:
    """What a run is measured on as it goes; see `training_set`."""
    if config.dataset == "scenes":
        return _scenes(config, config.measured, _SEED_OF_VALIDATION, scenes)
    return load(config.dataset, config.validation_split, folder=data)


def batches(config: Config, pairs: Labelled, first_step: int) -> Iterator[tuple[int, Batch]]:
    """Yield (step, batch) up to the configuration's last step, some of them made ahead."""
    return prepared(lambda step: batch_at(config, pairs, step), range(first_step, config.steps))


def batch_at(config: Config, pairs: Labelled, step: int) -> Batch:
    """The crops of one update; they depend on seed and step alone, so a run can be resumed."""
    random = np.random.default_rng([config.seed, step])
    cuts = [_cut(config, pairs, random) for _ in range(config.batch_size)]
    images, labels = (np.stack(arrays) for arrays in zip(*cuts, strict=True))
    key = jax.random.fold_in(jax.random.key(config.seed), step)
    images, labels = jax.device_put((images, labels))
    return Batch(images, labels, key)


def _scenes(config: Config, count: int, seed: int, folder: Path) -> Labelled:
    side = max(config.crop) + _MARGIN
    stored = stored_scenes(folder, count, SceneConfig(size=(side, side)), seed)
    return Scenes(stored.image, stored.labels)


def _cut(
    config: Config, pairs: Labelled, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One crop, (H, W, 3) in [0, 1] and (H, W) labels; void where it leaves the image."""
    image, target, _ = pairs[int(random.integers(len(pairs)))]
    scale = np.exp(random.uniform(np.log(config.smallest_scale), np.log(config.largest_scale)))
    mirrored = random.integers(0, 2)
    height, width = config.crop
    # The part of the photograph that becomes the crop.
    tall, wide = (min(round(n / scale), m) for n, m in zip(config.crop, image.shape, strict=False))
    y = int(random.integers(0, image.shape[0] - tall + 1))
    x = int(random.integers(0, image.shape[1] - wide + 1))
    part = image[y : y + tall, x : x + wide]
    labels = target[y : y + tall, x : x + wide, 0].astype(np.int32)
    size = (min(round(wide * scale), width), min(round(tall * scale), height))
    part = np.asarray(Image.fromarray(part).resize(size, Image.Resampling.BILINEAR), np.float32)
    labels = np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))
    if mirrored:
        part, labels = part[:, ::-1], labels[:, ::-1]
    light = np.float32(1 + config.brightness) ** np.float32(random.uniform(-1, 1))
    part = np.clip(part / 255 * light, 0, 1)
    missing = ((0, height - size[1]), (0, width - size[0]))
    labels = np.pad(labels, missing, constant_values=config.label_set.void)
    return np.pad(part, (*missing, (0, 0)), mode="edge"), labels
