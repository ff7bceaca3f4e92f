"""A training of a segmenter that kills itself with SIGKILL at a given update.

python killed_segmentation.py FOLDER UPDATE
"""

import sys
import time
from pathlib import Path

import jax.numpy as jnp
import killed_run

from experiments import stored_scenes
from experiments.segmentation.config import Config
from experiments.segmentation.train import train
from experiments.training import recorder

TINY = Config(
    crf="0ds3_1_1",
    crf_steps=2,
    crop=(24, 32),
    scenes=6,
    steps=7,
    batch_size=2,
    warmup_steps=1,
    measured=2,
    checkpoint_every=3,
    log_every=2,
)


def render_noise(key, batch_size, config):
    """In place of scenes, which take long to compile: dark pixels are of class 0, others of 3."""
    scenes = killed_run.render_noise(key, batch_size, config)
    return scenes._replace(labels=3 * (scenes.image[..., 0] > 0.5).astype(jnp.int32))


def without_rendering(patch=setattr):
    patch(stored_scenes, "render_batch", render_noise)


def die_at(update):
    add = recorder.Recorder.add

    def add_or_die(self, step, loss, state):
        if step == update:
            while not (self._folder / "checkpoints/3").exists():  # it is written in the background
                time.sleep(0.01)
            killed_run.die()
        add(self, step, loss, state)

    recorder.Recorder.add = add_or_die


if __name__ == "__main__":
    without_rendering()
    die_at(int(sys.argv[2]))
    train(TINY, Path(sys.argv[1]))
