"""A training of a segmenter that kills itself with SIGKILL at a given update.

python killed_segmentation.py FOLDER UPDATE
"""

import sys
from pathlib import Path

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


def without_rendering(patch=setattr):
    patch(stored_scenes, "render_batch", killed_run.render_noise)


def die_at(update):
    add = recorder.Recorder.add

    def add_or_die(self, step, loss, state):
        if step == update:
            killed_run.die()
        add(self, step, loss, state)

    recorder.Recorder.add = add_or_die


if __name__ == "__main__":
    without_rendering()
    die_at(int(sys.argv[2]))
    train(TINY, Path(sys.argv[1]))
