"""What a training leaves behind as it goes: log, events, curves, pictures, and the bar."""

import time
from pathlib import Path
from typing import Self

import jax
import jax.numpy as jnp
from flax import nnx
from rich.console import Console

from experiments.joint_upsampling.config import Config
from experiments.joint_upsampling.curves import draw_curves
from experiments.joint_upsampling.events import Events
from experiments.joint_upsampling.layout import save_picture
from experiments.joint_upsampling.log import Log, Row
from experiments.joint_upsampling.progress import Bar
from experiments.joint_upsampling.update import State, schedule
from experiments.joint_upsampling.validation import Validation


class Recorder:
    """Log, events, curves, pictures and bar of one training.

    Args:
        config: of the run.
        graph: of the network.
        folder: to write to.
        first_step: updates already done.
        console: for the bar.
    """

    def __init__(
        self, config: Config, graph: nnx.GraphDef, folder: Path, first_step: int, console: Console
    ):
        self._config, self._folder, self._console = config, folder, console
        self._validation = Validation(config, graph)
        self._schedule = schedule(config)
        self._losses: list[jax.Array] = []
        self._first_step = self._last_step = first_step
        self._time: float | None = None

    def __enter__(self) -> Self:
        self._log = Log(self._folder / "log.csv", self._first_step)
        self._events = Events(self._folder / "events", self._first_step)
        self._bar = Bar(self._console, self._config.steps, self._first_step).__enter__()
        return self

    def __exit__(self, *failure: object) -> None:
        self._bar.__exit__(None, None, None)
        self._events.close()
        self._log.close()

    def is_milestone(self, step: int) -> bool:
        """Whether validation, pictures and a checkpoint are due after `step` updates."""
        return step % self._config.checkpoint_every == 0 or step == self._config.steps

    def add(self, step: int, loss: jax.Array, state: State) -> None:
        """Take the loss of one update, and write down what is due after it."""
        if self._time is None:  # what went before was rendering and compiling
            self._time, self._last_step = time.perf_counter(), step
        self._losses.append(loss)
        if self.is_milestone(step):
            self._milestone(step, state)
        elif step % self._config.log_every == 0:
            self._write(step, None, None)
        else:
            self._bar.advance(step)

    def _milestone(self, step: int, state: State) -> None:
        measured = self._validation(state.parameters)
        self._write(step, float(measured.rmse), float(measured.bicubic_rmse))
        picture = self._validation.picture(measured)
        save_picture(picture, self._folder / "validation.png")
        self._events.add_picture(step, picture)
        draw_curves(self._log.rows, self._folder / "curves.png")
        self._time = time.perf_counter()  # none of this counts as training

    def _write(self, step: int, rmse: float | None, bicubic_rmse: float | None) -> None:
        loss = float(jnp.mean(jnp.stack(self._losses)))  # waits for the device
        now = time.perf_counter()
        images = (step - self._last_step) * self._config.batch_size
        rate = images / (now - self._time) if self._time and images else 0.0
        row = Row(step, loss, float(self._schedule(step)), rmse, bicubic_rmse, rate)
        self._losses, self._time, self._last_step = [], now, step
        self._log.add(row)
        self._events.add_row(row)
        self._bar.show(row)
