"""The training loop: compiled updates, a progress bar, checkpoints, resuming."""

import csv
import time
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from experiments.joint_upsampling.checkpoints import Checkpoints
from experiments.joint_upsampling.config import Config
from experiments.joint_upsampling.networks import build
from experiments.joint_upsampling.protocols import sample_center
from experiments.joint_upsampling.training_data import Batch, batches
from pac_jax.models import target_range


class State(NamedTuple):
    """All that changes during training."""

    parameters: nnx.State
    optimizer: optax.OptState


def schedule(config: Config) -> optax.Schedule:
    """A linear warm-up to the peak, then a cosine to zero at the last step."""
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0 if config.warmup_steps else config.learning_rate,
        peak_value=config.learning_rate,
        warmup_steps=config.warmup_steps,
        decay_steps=config.steps,
    )


def optimizer(config: Config) -> optax.GradientTransformation:
    """Adam with clipped gradients."""
    return optax.chain(
        optax.clip_by_global_norm(config.gradient_clip), optax.adam(schedule(config))
    )


def mean_squared_error(model: nnx.Module, batch: Batch, config: Config) -> jax.Array:
    """Squared error of a batch, targets normalised by the range of the low-resolution target."""
    low = sample_center(batch.target, config.factor)
    values = target_range(low)
    error = model(values.normalize(low), batch.guide) - values.normalize(batch.target)
    inner = slice(config.border, config.crop - config.border)
    return jnp.mean(error[:, inner, inner] ** 2)


def make_update(config: Config, graph: nnx.GraphDef, transform: optax.GradientTransformation):
    """The compiled update: (state, batch) -> (state, loss)."""

    def loss(parameters: nnx.State, batch: Batch) -> jax.Array:
        return mean_squared_error(nnx.merge(graph, parameters), batch, config)

    def update(state: State, batch: Batch) -> tuple[State, jax.Array]:
        value, gradient = jax.value_and_grad(loss)(state.parameters, batch)
        change, optimizer_state = transform.update(gradient, state.optimizer, state.parameters)
        parameters = optax.apply_updates(state.parameters, change)
        return State(parameters, optimizer_state), value

    return jax.jit(update, donate_argnums=0)


def train(config: Config, folder: Path, console: Console | None = None) -> nnx.Module:
    """Train to the configuration's last step, from the folder's latest checkpoint if it has one.

    Args:
        config: what to train.
        folder: for checkpoints and `log.csv`; one run, one folder.
        console: to draw the progress bar on.

    Returns:
        The trained network.
    """
    folder.mkdir(parents=True, exist_ok=True)
    console = console or Console()
    graph, parameters = nnx.split(build(config))
    transform = optimizer(config)
    update = make_update(config, graph, transform)
    checkpoints = Checkpoints(folder / "checkpoints", config.checkpoint_every)
    state = State(parameters, transform.init(parameters))
    first_step, state = checkpoints.restore(state)
    if first_step:
        console.print(f"resumed after {first_step} of {config.steps} updates")
    with Log(folder / "log.csv", config, first_step, console) as log:
        for step, batch in batches(config, first_step):
            state, loss = update(state, batch)
            log.add(step + 1, loss)
            checkpoints.save(step + 1, state)
    checkpoints.save(config.steps, state, force=True)
    checkpoints.close()
    return nnx.merge(graph, state.parameters)


class Log:
    """Progress bar and CSV; losses stay on the device until a line is due."""

    def __init__(self, path: Path, config: Config, first_step: int, console: Console):
        self._path, self._config, self._first_step = path, config, first_step
        self._console = console
        self._losses: list[jax.Array] = []

    def __enter__(self) -> "Log":
        fresh = self._first_step == 0 or not self._path.exists()
        self._file = self._path.open("w" if fresh else "a", newline="")
        self._writer = csv.writer(self._file)
        if fresh:
            self._writer.writerow(["step", "loss", "learning_rate", "scenes_per_second"])
        self._schedule = schedule(self._config)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}  {task.fields[figures]}"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._progress.start()
        self._task = self._progress.add_task(
            "training", total=self._config.steps, completed=self._first_step, figures="compiling"
        )
        self._time, self._step = time.perf_counter(), self._first_step
        return self

    def add(self, step: int, loss: jax.Array) -> None:
        """Take one update's loss; write the mean of the last ones when a line is due."""
        self._losses.append(loss)
        if step % self._config.log_every and step != self._config.steps:
            self._progress.update(self._task, completed=step)
            return
        mean = float(jnp.mean(jnp.stack(self._losses)))
        now = time.perf_counter()
        rate = (step - self._step) * self._config.batch_size / (now - self._time)
        self._losses, self._time, self._step = [], now, step
        self._writer.writerow([step, mean, float(self._schedule(step)), rate])
        self._file.flush()
        figures = f"loss {mean:.5f}  {rate:.0f} scenes/s"
        self._progress.update(self._task, completed=step, figures=figures)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        self._file.close()
