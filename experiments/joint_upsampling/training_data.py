"""Batches of generated scenes, made in the background while the device trains."""

import queue
import threading
from collections.abc import Iterator
from typing import NamedTuple

import jax

from experiments.joint_upsampling.config import Config
from experiments.scenes import SceneConfig, render_batch


class Batch(NamedTuple):
    """One update's scenes.

    Attributes:
        guide: (N, H, W, 3) photographs in [0, 1].
        target: (N, H, W, 1) inverse depths.
    """

    guide: jax.Array
    target: jax.Array


def batch_at(config: Config, step: int) -> Batch:
    """The scenes of one update; they depend on seed and step alone, so a run can be resumed."""
    key = jax.random.fold_in(jax.random.key(config.seed), step)
    scenes = render_batch(key, config.batch_size, SceneConfig(size=(config.crop, config.crop)))
    return Batch(scenes.image, scenes.depth)


def batches(config: Config, first_step: int, ahead: int = 3) -> Iterator[tuple[int, Batch]]:
    """Yield (step, batch) up to the configuration's last step, `ahead` of them prepared."""
    ready: queue.Queue = queue.Queue(maxsize=ahead)
    stopped = threading.Event()

    def put(item: object) -> None:
        while not stopped.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except queue.Full:
                continue
        return None

    def render() -> None:
        try:
            for step in range(first_step, config.steps):
                if stopped.is_set():
                    return
                put((step, jax.block_until_ready(batch_at(config, step))))
            put(None)
        except Exception as error:  # handed to the consumer, who would wait for ever
            put(error)

    threading.Thread(target=render, name="scenes", daemon=True).start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        stopped.set()
