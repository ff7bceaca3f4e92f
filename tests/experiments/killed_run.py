"""A training that kills itself with SIGKILL at a given moment: for the test of the training.

    python killed_run.py FOLDER MOMENT

Everything runs as in a real training but the renderer, whose compilation would take long.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp

from experiments import stored_scenes
from experiments.joint_upsampling import validation
from experiments.joint_upsampling.config import Config
from experiments.joint_upsampling.train import train
from experiments.scenes import Scene
from experiments.training import recorder

TINY = Config(
    network="djif",
    protocols=("center",),
    steps=12,
    batch_size=2,
    crop=16,
    scenes=6,
    margin=4,
    border=2,
    learning_rate=1e-3,
    warmup_steps=2,
    checkpoint_every=5,
    log_every=4,
)
MOMENTS = ("update", "writing", "picture", "never")


def render_noise(key, batch_size, config):
    """In place of scenes: what the training needs of them, in no time."""
    shape = (batch_size, *config.size)
    depth = jax.random.uniform(key, (*shape, 1))
    image = jax.random.uniform(jax.random.fold_in(key, 1), (*shape, 3))
    labels = jnp.zeros(shape, jnp.int32)
    return Scene(image, depth, jnp.concatenate([depth, -depth], axis=-1), labels)


def die():
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def die_at(moment, folder):
    if moment == "update":  # before there is any checkpoint
        add = recorder.Recorder.add

        def add_or_die(self, step, loss, state):
            if step == 3:
                die()
            add(self, step, loss, state)

        recorder.Recorder.add = add_or_die
    elif moment == "writing":  # a checkpoint, in the background
        threading.Thread(target=_die_when_writing, args=(folder,), daemon=True).start()
    elif moment == "picture":  # after the log's row, before the checkpoint of the same update
        save = recorder.save_picture

        def save_or_die(picture, path):
            if "\n10," in (folder / "log.csv").read_text():
                _wait_for(folder / "checkpoints/5")
                die()
            save(picture, path)

        recorder.save_picture = save_or_die


def _wait_for(path):
    while not path.exists():
        time.sleep(0.01)


def _die_when_writing(folder):
    while True:
        if any(not path.name.isdigit() for path in (folder / "checkpoints").glob("*")):
            die()
        time.sleep(0.0005)


def without_rendering(patch=setattr):
    patch(stored_scenes, "render_batch", render_noise)
    patch(validation, "render_batch", render_noise)


if __name__ == "__main__":
    without_rendering()
    die_at(sys.argv[2], Path(sys.argv[1]))
    train(TINY, Path(sys.argv[1]))
