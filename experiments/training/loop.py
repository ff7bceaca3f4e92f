"""The training loop: from the folder's last whole checkpoint to the plan's last step."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import optax
from flax import nnx
from rich.console import Console

from experiments.training.checkpoints import Checkpoints
from experiments.training.optimizer import Loss, State, make_update
from experiments.training.plan import Plan
from experiments.training.recorder import Recorder, Validation
from experiments.training.run_folder import only_one_run, refuse_another, remember


class Task(NamedTuple):
    """What is trained, to be made when it is needed.

    Attributes:
        parameters: at their start, in the structure of a checkpoint.
        begin: gives the parameters that a new run begins with.
        transform: of the gradients.
        loss: of (parameters, batch, setting).
        setting: of a step; the update is compiled once for each.
        batches: (step, batch) from a step on.
        validation: how the run is measured.
    """

    parameters: nnx.State
    begin: Callable[[nnx.State], nnx.State]
    transform: optax.GradientTransformation
    loss: Loss
    setting: Callable[[int], Any]
    batches: Callable[[int], Iterator[tuple[int, Any]]]
    validation: Callable[[], Validation]


def run(plan: Plan, task: Task, folder: Path, console: Console) -> nnx.State:
    """Train, writing to the folder all that is needed to go on after the process is killed.

    Args:
        plan: how long and how fast.
        task: what.
        folder: one run, one folder: `config.json`, `checkpoints/`, `log.csv`, `events/` for
            TensorBoard, `curves.png`, `validation.png`.
        console: to draw the progress bar on.

    Returns:
        The trained parameters.

    Raises:
        RunError: the folder is in use, or holds another run, or cannot be written to.
    """
    with only_one_run(folder):
        refuse_another(plan, folder)
        checkpoints = Checkpoints(folder / "checkpoints", partial(report, console))
        untouched = State(task.parameters, task.transform.init(task.parameters))
        first_step, state = checkpoints.restore(untouched)
        if first_step:
            console.print(f"resumed after {first_step} of {plan.steps} updates")
        else:
            parameters = task.begin(task.parameters)
            state = State(parameters, task.transform.init(parameters))
        remember(plan, folder)  # not before it is known that the run can begin
        if first_step < plan.steps:
            update = make_update(task.loss, task.transform)
            with Recorder(plan, task.validation(), folder, first_step, console) as recorder:
                for step, batch in task.batches(first_step):
                    state, loss = update(state, batch, task.setting(step))
                    recorder.add(step + 1, loss, state)
                    if recorder.is_milestone(step + 1):
                        checkpoints.save(step + 1, state)
        checkpoints.close()
        return state.parameters


def report(console: Console, text: str) -> None:
    """Print a message as it stands, on one line."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
