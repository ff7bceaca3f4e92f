"""Generated scenes that are rendered once and kept in a folder."""

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

import experiments.scenes
from experiments.scenes import SceneConfig, render_batch

_RENDERED_AT_ONCE = 16


class StoredScenes(NamedTuple):
    """Rendered scenes.

    Attributes:
        image: (N, H, W, 3) uint8.
        depth: (N, H, W, 1) float32 inverse depths.
        flow: (N, H, W, 2) float32 in pixels.
        labels: (N, H, W) uint8 kinds of things.
    """

    image: np.ndarray
    depth: np.ndarray
    flow: np.ndarray
    labels: np.ndarray


def stored_scenes(folder: Path, count: int, config: SceneConfig, seed: int) -> StoredScenes:
    """Scenes from the folder if they are there, else rendered and put there.

    They depend on the arguments and the generator's code alone; a file is named after both.

    Args:
        folder: made if needed.
        count: number of scenes.
        config: of the scenes.
        seed: of the scenes.
    """
    name = f"{count}_{_fingerprint(config, seed)}"
    paths = [folder / f"{name}_{part}.npy" for part in StoredScenes._fields]
    if not all(path.exists() for path in paths):
        folder.mkdir(parents=True, exist_ok=True)
        for path, array in zip(paths, _render(count, config, seed), strict=True):
            _save(path, array)
    return StoredScenes(*(np.load(path, mmap_mode="r") for path in paths))


def _render(count: int, config: SceneConfig, seed: int) -> StoredScenes:
    parts = []
    for number in range(-(-count // _RENDERED_AT_ONCE)):
        key = jax.random.fold_in(jax.random.key(seed), number)
        scene = jax.tree.map(np.asarray, render_batch(key, _RENDERED_AT_ONCE, config))
        image = np.round(255 * scene.image).astype(np.uint8)
        labels = scene.labels.astype(np.uint8)
        parts.append(StoredScenes(image, scene.depth, scene.flow, labels))
    return StoredScenes(*(np.concatenate(arrays)[:count] for arrays in zip(*parts, strict=True)))


def _fingerprint(config: SceneConfig, seed: int) -> str:
    digest = hashlib.sha256(repr((dataclasses.astuple(config), seed)).encode())
    for path in sorted(Path(experiments.scenes.__path__[0]).glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _save(path: Path, array: np.ndarray) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    with partial.open("wb") as file:
        np.save(file, array)
    os.replace(partial, path)
