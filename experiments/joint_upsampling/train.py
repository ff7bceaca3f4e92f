"""The training of one configuration."""

from functools import partial
from pathlib import Path

import jax
from flax import nnx
from rich.console import Console

from experiments.joint_upsampling.config import Config
from experiments.joint_upsampling.losses import relative_error
from experiments.joint_upsampling.networks import build, graphs
from experiments.joint_upsampling.saved_networks import saved_network
from experiments.joint_upsampling.training_data import Batch, Setting, batches, setting_at
from experiments.joint_upsampling.validation import validation
from experiments.training.errors import RunError
from experiments.training.loop import Task, report, run
from experiments.training.optimizer import Loss, optimizer

# Parameters of `PacUpsampler` whose shapes tell how many filters there are.
_OF_FILTERS = ("gates", "scale")


def train(config: Config, folder: Path, console: Console | None = None) -> nnx.Module:
    """Train as `experiments.training.loop.run` does.

    Args:
        config: what to train.
        folder: of the run.
        console: to draw the progress bar on.

    Returns:
        The trained network.

    Raises:
        RunError: the folder is in use, or holds another run, or cannot be written to; or the run to
            start from is not there, or not of this network.
    """
    console = console or Console()
    graph, parameters = nnx.split(build(config))
    task = Task(
        parameters=parameters,
        begin=partial(first_parameters, config, folder.parent, console),
        transform=optimizer(config),
        loss=training_loss(config),
        setting=partial(setting_at, config),
        batches=lambda first: batches(config, first, folder.parent / "scenes"),
        validation=lambda: validation(config, graph),
    )
    return nnx.merge(graph, run(config, task, folder, console))


def training_loss(config: Config) -> Loss:
    """The loss of a batch, for `make_update`."""
    graph_of = graphs(config)

    def loss(parameters: nnx.State, batch: Batch, setting: Setting) -> jax.Array:
        return relative_error(nnx.merge(graph_of[setting], parameters), batch, setting, config)

    return loss


def first_parameters(
    config: Config, runs: Path, console: Console, parameters: nnx.State
) -> nnx.State:
    """What training begins with: as built, or as another run or a network that ships has learned.

    Where that has other filters, what steers them stays as built.

    Args:
        config: of the run.
        runs: folder of all runs.
        console: for messages.
        parameters: as built.

    Raises:
        RunError: the run to start from is not there, or not of this network.
    """
    name = config.start_from
    if not name:
        return parameters
    source = str(runs / name) if (runs / name).is_dir() else name
    saved = saved_network(source, partial(report, console))
    protocol = saved.protocols[0] if saved.protocols else "bicubic"
    network = saved.build(saved.factors[0], protocol)
    learned = dict(nnx.to_flat_state(nnx.state(network, nnx.Param)))
    own = dict(nnx.to_flat_state(parameters))
    if tuple(getattr(network, "dilations", config.dilations)) != config.dilations:
        learned |= {path: own[path] for path in own if path[0] in _OF_FILTERS}
    if {path: leaf.shape for path, leaf in learned.items()} != {
        path: leaf.shape for path, leaf in own.items()
    }:
        raise RunError(f"start_from is {name}, whose network has other parameters")
    return nnx.from_flat_state(learned)
