"""Trained networks: from the folder of a run, as they are or as another run begins with them."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from flax import nnx

from experiments.segmentation.config import Config
from experiments.segmentation.learning import transform
from experiments.segmentation.networks import Segmenter, build, new_crf, split, swapped
from experiments.training.checkpoints import Checkpoints
from experiments.training.errors import RunError
from experiments.training.optimizer import State
from experiments.training.run_folder import recall


class SavedRun(NamedTuple):
    """A run's network.

    Attributes:
        folder: of the run.
        config: of the run.
        model: with the parameters of the last whole checkpoint.
        steps: updates that it had.
    """

    folder: Path
    config: Config
    model: Segmenter
    steps: int


def from_run(folder: Path, report: Callable[[str], None]) -> SavedRun:
    """The network of a run as of its last whole checkpoint; changes nothing in the folder.

    Args:
        folder: of the run.
        report: takes messages, as on damaged checkpoints.

    Raises:
        RunError: there is no run, or no checkpoint.
    """
    config = recall(folder, Config)
    graph, parameters, rest = split(build(config))
    checkpoints = Checkpoints(folder / "checkpoints", report, read_only=True)
    step, state = checkpoints.restore(State(parameters, transform(config).init(parameters)))
    checkpoints.close()
    if not step:
        raise RunError(f"{folder} holds no checkpoint; train for longer")
    if step < config.steps:
        report(f"{folder}: trained for {step} of {config.steps} updates")
    return SavedRun(folder, config, nnx.merge(graph, state.parameters, rest), step)


def adapted(start: SavedRun, config: Config) -> Segmenter:
    """The network of a run in the form of another configuration.

    Convolutions are swapped and a CRF is added where the configuration has them and the run does not.

    Raises:
        RunError: the run has what the configuration has not, or another backbone.
    """
    there, backbone = start.config, start.model.backbone
    differing = [
        name for name in ("backbone", "labels") if getattr(there, name) != getattr(config, name)
    ]
    if there.swap and not config.swap:
        differing.append("swap")
    if there.crf and there.crf_terms != config.crf_terms:
        differing.append("crf")
    if differing:
        name = differing[0]
        raise RunError(
            f"start_from is {start.folder.name}, whose {name} is {getattr(there, name)!r}; this run's "
            f"is {getattr(config, name)!r}"
        )
    if config.swap and not there.swap:
        backbone = swapped(backbone, config)
    return Segmenter(backbone, start.model.crf if there.crf else new_crf(config))
