"""What a training leaves behind as it goes: log, events, curves, pictures, and the bar."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from rich.console import Console

from experiments.training.curves import draw_curves
from experiments.training.events import Events
from experiments.training.layout import save_picture
from experiments.training.log import Log, Row
from experiments.training.optimizer import State, schedule
from experiments.training.plan import Plan
from experiments.training.progress import Bar


class Validated(NamedTuple):
    """What a validation found.

    Attributes:
        metrics: by their names, which do not change during a run.
        picture: (H, W, 3) uint8.
    """

    metrics: Mapping[str, float]
    picture: np.ndarray


class Validation(NamedTuple):
    """How a run is measured as it goes.

    Attributes:
        metrics: names of the metrics.
        measure: of the network with these parameters.
    """

    metrics: tuple[str, ...]
    measure: Callable[[nnx.State], Validated]


class Recorder:
    """Log, events, curves, pictures and bar of one training.

    Args:
        plan: of the run.
        validation: of the run.
        folder: to write to.
        first_step: updates already done.
        console: for the bar.
    """

    def __init__(
        self, plan: Plan, validation: Validation, folder: Path, first_step: int, console: Console
    ):
        self._plan, self._folder, self._console = plan, folder, console
        self._validation = validation
        self._schedule = schedule(plan)
        self._losses: list[jax.Array] = []
        self._first_step = self._last_step = first_step
        self._time: float | None = None

    def __enter__(self) -> Self:
        metrics = self._validation.metrics
        self._log = Log(self._folder / "log.csv", metrics, self._first_step)
        self._events = Events(self._folder / "events", self._first_step)
        self._bar = Bar(self._console, self._plan.steps, self._first_step).__enter__()
        return self

    def __exit__(self, *failure: object) -> None:
        self._bar.__exit__(None, None, None)
        self._events.close()
        self._log.close()

    def is_milestone(self, step: int) -> bool:
        """Whether validation, pictures and a checkpoint are due after `step` updates."""
        return step % self._plan.checkpoint_every == 0 or step == self._plan.steps

    def add(self, step: int, loss: jax.Array, state: State) -> None:
        """Take the loss of one update, and write down what is due after it."""
        if self._time is None:  # what went before was preparing and compiling
            self._time, self._last_step = time.perf_counter(), step
        self._losses.append(loss)
        if self.is_milestone(step):
            self._milestone(step, state)
        elif step % self._plan.log_every == 0:
            self._write(step, {})
        else:
            self._bar.advance(step)

    def _milestone(self, step: int, state: State) -> None:
        jax.block_until_ready(state)
        trained = time.perf_counter()
        validated = self._validation.measure(state.parameters)
        if self._time is not None:  # validation does not count as training
            self._time += time.perf_counter() - trained
        self._write(step, validated.metrics)
        save_picture(validated.picture, self._folder / "validation.png")
        self._events.add_picture(step, validated.picture)
        draw_curves(self._log.rows, self._folder / "curves.png")
        self._time = time.perf_counter()

    def _write(self, step: int, metrics: Mapping[str, float]) -> None:
        loss = float(jnp.mean(jnp.stack(self._losses)))  # waits for the device
        now = time.perf_counter()
        images = (step - self._last_step) * self._plan.batch_size
        rate = images / (now - self._time) if self._time and images else 0.0
        row = Row(step, loss, float(self._schedule(step)), metrics, rate)
        self._losses, self._time, self._last_step = [], now, step
        self._log.add(row)
        self._events.add_row(row)
        self._bar.show(row)
