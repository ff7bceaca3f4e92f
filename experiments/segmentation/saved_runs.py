"""Trained networks: from the folder of a run, as they are or as another run begins with them."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from flax import nnx

from experiments.segmentation.config import Config
from experiments.segmentation.crf_terms import ORIGINAL_DEVIATION
from experiments.segmentation.learning import transform
from experiments.segmentation.networks import Segmenter, build, new_crf, split, swapped
from experiments.training.checkpoints import Checkpoints
from experiments.training.errors import RunError
from experiments.training.optimizer import State
from experiments.training.run_folder import recall
from pac_jax.convert import fcn_from_torch, load_vgg16
from pac_jax.crf import PacCRF, PairwiseTerm
from pac_jax.models import FCN8s, ScoresWithCRF
from pac_jax.nn import HotSwapped


class SavedRun(NamedTuple):
    """A trained network.

    Attributes:
        name: of the run, or of the file.
        config: of the run, or one that describes the file's network.
        model: with the parameters of the last whole checkpoint.
    """

    name: str
    config: Config
    model: Segmenter


def saved(source: str, config: Config, runs: Path, report: Callable[[str], None]) -> SavedRun:
    """Where a run starts from.

    Args:
        source: `vgg16`, the path of a checkpoint of the original, or a run's name.
        config: of the run that starts.
        runs: folder of the runs.
        report: takes messages, as on damaged checkpoints.

    Raises:
        RunError: there is no such thing, or it does not fit.
    """
    if source == "vgg16":
        return _of_vgg16(config)
    if source.endswith(".pth"):
        return _of_original(Path(source), config)
    return from_run(runs / source, report)


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
    return SavedRun(folder.name, config, nnx.merge(graph, state.parameters, rest))


def adapted(start: SavedRun, config: Config) -> Segmenter:
    """The network of a run in the form of another configuration.

    Convolutions are swapped and a CRF is added where the configuration has them and the run does not.

    Raises:
        RunError: the run has what the configuration has not, or another backbone.
    """
    there, backbone = start.config, start.model.backbone
    differing = [
        name
        for name in ("backbone", "labels", "values")
        if getattr(there, name) != getattr(config, name)
    ]
    if there.swap and not config.swap:
        differing.append("swap")
    if there.crf and there.crf_terms != config.crf_terms:
        differing.append("crf")
    if differing:
        name = differing[0]
        raise RunError(
            f"start_from is {start.name}, whose {name} is {getattr(there, name)!r}; this run's "
            f"is {getattr(config, name)!r}"
        )
    if config.swap and not there.swap:
        backbone = swapped(backbone, config)
    head = start.model.crf if there.crf else new_crf(config)
    return Segmenter(backbone, head, config)


def _of_vgg16(config: Config) -> SavedRun:
    """A new network on VGG-16's convolutions as they were trained on ImageNet."""
    plain = dataclasses.replace(config, crf="", swap=False, trained="all", start_from="")
    if config.backbone == "small" or config.values != "normalized_rgb":
        raise RunError(
            f"start_from is vgg16, whose convolutions are those of an fcn8s and want values "
            f"normalized_rgb; backbone is {config.backbone} and values is {config.values}"
        )
    model = build(plain)
    try:
        # The arrays alone: paddings stay the backbone's own.
        nnx.update(cast(FCN8s, model.backbone).vgg16, nnx.state(load_vgg16()))
    except (ImportError, ValueError) as error:
        raise RunError(str(error)) from error
    return SavedRun("vgg16", plain, model)


def _of_original(path: Path, config: Config) -> SavedRun:
    """The network of a checkpoint of the original, which is named after it."""
    try:
        model = fcn_from_torch(path, path.stem)
    except (ValueError, ImportError, FileNotFoundError) as error:
        raise RunError(str(error)) from error
    head: PacCRF | None = None
    backbone: nnx.Module = model
    if isinstance(model, ScoresWithCRF):
        head, backbone = model.crf, model.backbone
        if [_form(term) for term in head.terms] != [
            _form(term.pairwise) for term in config.crf_terms
        ]:
            raise RunError(f"start_from is {path.stem}, whose crf is not {config.crf!r}")
        if (head.steps, head.per_step) != (config.crf_steps, False):
            own = " with weights of their own" if head.per_step else ""
            raise RunError(
                f"start_from is {path.stem}, whose crf has {head.steps} steps{own}; crf_steps is "
                f"{config.crf_steps}, with the same weights in each"
            )
        head = _as_configured(head, config, path.stem)
    there = dataclasses.replace(
        config,
        swap=isinstance(backbone, HotSwapped),
        crf=config.crf if head else "",
        trained="all",
        values="bgr_minus_mean",
        start_from="",
    )
    return SavedRun(path.stem, there, Segmenter(backbone, head, there))


def _as_configured(theirs: PacCRF, config: Config, name: str) -> PacCRF | None:
    """The configuration's CRF with what a checkpoint's has learned."""
    head = new_crf(config)
    weights = dict(nnx.to_flat_state(nnx.state(theirs)))
    state = nnx.state(head)
    for path, variable in nnx.to_flat_state(state):
        value = weights[path][...]
        if isinstance(variable, nnx.Param):
            variable[...] = value
        elif not np.allclose(variable[...], value):
            raise RunError(
                f"start_from is {name}, whose crf has {'.'.join(map(str, path))} = {value}; this "
                f"is not learned, and crf {config.crf!r} has {variable[...]}"
            )
    nnx.update(head, state)
    if head is not None:
        for own, term in zip(head.pairwise, config.crf_terms, strict=True):
            # There guides are blue, green, red over 30 of 255; here red, green, blue over the
            # term's deviation.
            change = term.color_deviation / ORIGINAL_DEVIATION
            if own.scale is not None:
                own.scale[...] = own.scale[...][::-1] * change
    return head


def _form(term: PairwiseTerm) -> tuple:
    return term.mixing, term.window, term.dilation, term.blur, term.spatial_filter
