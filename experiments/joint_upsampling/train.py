"""The training loop: from the folder's last whole checkpoint to the configuration's last step."""

from functools import partial
from pathlib import Path

from flax import nnx
from rich.console import Console

from experiments.joint_upsampling.checkpoints import Checkpoints
from experiments.joint_upsampling.config import Config
from experiments.joint_upsampling.errors import RunError
from experiments.joint_upsampling.networks import build
from experiments.joint_upsampling.recorder import Recorder
from experiments.joint_upsampling.run_folder import only_one_run
from experiments.joint_upsampling.saved_networks import saved_network
from experiments.joint_upsampling.training_data import batches, setting_at
from experiments.joint_upsampling.update import State, make_update, optimizer


def train(config: Config, folder: Path, console: Console | None = None) -> nnx.Module:
    """Train, writing to the folder all that is needed to go on after the process is killed.

    Args:
        config: what to train.
        folder: one run, one folder: `checkpoints/`, `log.csv`, `events/` for TensorBoard,
            `curves.png`, `validation.png`.
        console: to draw the progress bar on.

    Returns:
        The trained network.

    Raises:
        RunError: the folder is in use, or holds another run, or cannot be written to; or the run to
            start from is not there, or not of this network.
    """
    console = console or Console()
    with only_one_run(folder):
        return _train(config, folder, console)


def _report(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _train(config: Config, folder: Path, console: Console) -> nnx.Module:
    graph, parameters = nnx.split(build(config))
    transform = optimizer(config)
    checkpoints = Checkpoints(folder / "checkpoints", partial(_report, console))
    first_step, state = checkpoints.restore(State(parameters, transform.init(parameters)))
    if config.start_from and not first_step:
        parameters = _learned_by(config.start_from, folder.parent, parameters, console)
        state = State(parameters, transform.init(parameters))
    if first_step:
        console.print(f"resumed after {first_step} of {config.steps} updates")
    if first_step < config.steps:
        update = make_update(config, transform)
        with Recorder(config, graph, folder, first_step, console) as recorder:
            for step, batch in batches(config, first_step, folder.parent / "scenes"):
                state, loss = update(state, batch, setting_at(config, step))
                recorder.add(step + 1, loss, state)
                if recorder.is_milestone(step + 1):
                    checkpoints.save(step + 1, state)
    checkpoints.close()
    return nnx.merge(graph, state.parameters)


def _learned_by(name: str, runs: Path, like: nnx.State, console: Console) -> nnx.State:
    """The parameters of another run, or of a network that ships."""
    source = str(runs / name) if (runs / name).is_dir() else name
    saved = saved_network(source, partial(_report, console))
    protocol = saved.protocols[0] if saved.protocols else "bicubic"
    parameters = nnx.state(saved.build(saved.factors[0], protocol), nnx.Param)
    shapes = [{path: leaf.shape for path, leaf in nnx.to_flat_state(s)} for s in (parameters, like)]
    if shapes[0] != shapes[1]:
        raise RunError(f"start_from is {name}, whose network has other parameters")
    return parameters
