"""The training of one configuration."""

from functools import partial
from pathlib import Path

import jax
from flax import nnx
from rich.console import Console

from experiments.segmentation.config import Config
from experiments.segmentation.learning import learned, transform
from experiments.segmentation.losses import cross_entropy
from experiments.segmentation.networks import Segmenter, build, split
from experiments.segmentation.saved_runs import adapted, saved
from experiments.segmentation.training_data import Batch, batches, training_set
from experiments.segmentation.validation import validation
from experiments.training.loop import Task, report, run
from experiments.training.optimizer import Loss


def train(
    config: Config, folder: Path, data: Path | None = None, console: Console | None = None
) -> Segmenter:
    """Train as `experiments.training.loop.run` does.

    Args:
        config: what to train.
        folder: of the run.
        data: folder of the data set; None for generated scenes, or a set that is prepared already.
        console: to draw the progress bar on.

    Returns:
        The trained network.

    Raises:
        RunError: the folder is in use, or holds another run, or cannot be written to; or the run to
            start from is not there, or is of another backbone.
        LayoutError: the data are not where they should be.
    """
    console = console or Console()
    scenes = folder.parent / "scenes"
    graph, parameters, rest = split(build(config))
    task = Task(
        parameters=parameters,
        begin=partial(_begin, config, folder.parent, console),
        transform=transform(config),
        loss=_loss(config, graph, rest),
        setting=lambda step: None,
        batches=lambda first: batches(config, training_set(config, data, scenes), first),
        validation=lambda: validation(config, graph, rest, data, scenes),
    )
    return nnx.merge(graph, run(config, task, folder, console), rest)


def _loss(config: Config, graph: nnx.GraphDef, rest: nnx.State) -> Loss:
    def loss(parameters: nnx.State, batch: Batch, setting: None) -> jax.Array:
        model = nnx.merge(graph, learned(config, parameters), rest)
        scores = model(batch.images, **_randomness(config, batch))
        return cross_entropy(scores / config.temperature, batch.labels, config.label_set.void)

    return loss


def _randomness(config: Config, batch: Batch) -> dict[str, nnx.Rngs]:
    """Dropout where the backbone has it and is trained."""
    if config.backbone == "small" or config.trained == "crf":
        return {}
    return {"rngs": nnx.Rngs(dropout=batch.key)}


def _begin(config: Config, runs: Path, console: Console, parameters: nnx.State) -> nnx.State:
    """The parameters as built, or of another run where that has them."""
    if not config.start_from:
        return parameters
    start = saved(config.start_from, config, runs, partial(report, console))
    return nnx.state(adapted(start, config), nnx.Param)
