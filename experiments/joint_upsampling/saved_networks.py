"""Trained networks to be measured: from the folder of a run, a file, or the package."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from flax import nnx

from experiments.joint_upsampling.config import Config
from experiments.joint_upsampling.networks import architecture, build
from experiments.joint_upsampling.training_data import Setting
from experiments.training.checkpoints import Checkpoints
from experiments.training.errors import RunError
from experiments.training.optimizer import State, optimizer
from experiments.training.run_folder import recall
from pac_jax import pretrained
from pac_jax.pretrained.shipping import STORED_DTYPE


@dataclasses.dataclass(frozen=True)
class SavedNetwork:
    """A trained network, for every factor and protocol that its parameters serve.

    Attributes:
        name: for tables.
        kind: `depth` or `flow`.
        factors: that can be built.
        protocols: that it was trained for; empty if not known.
        parameters: how many there are.
        seed: of its training; None if not known.
        steps: updates that it was trained for; None if not known.
        build: (factor, protocol) -> the network.
    """

    name: str
    kind: str
    factors: tuple[int, ...]
    protocols: tuple[str, ...]
    parameters: int
    seed: int | None
    steps: int | None
    build: Callable[[int, str], nnx.Module]


def saved_network(source: str, report: Callable[[str], None]) -> SavedNetwork:
    """Find a network.

    Args:
        source: the folder of a run, the path of a `.safetensors` file, or the name of a network
            that ships with pac_jax.
        report: takes messages, as on damaged checkpoints.

    Raises:
        RunError: there is no such network.
    """
    if Path(source).is_dir():
        return from_run(Path(source), report)
    try:
        return _from_package(source)
    except (ValueError, FileNotFoundError) as error:
        raise RunError(f"{source} is neither the folder of a run nor a network: {error}") from error


def from_run(folder: Path, report: Callable[[str], None]) -> SavedNetwork:
    """The network of a run as of its last whole checkpoint; changes nothing in the folder.

    Its parameters are rounded as they are in the package, so that what is measured is what ships.

    Raises:
        RunError: there is no run, or no checkpoint.
    """
    config = recall(folder, Config)
    parameters = nnx.state(build(config))
    checkpoints = Checkpoints(folder / "checkpoints", report, read_only=True)
    step, state = checkpoints.restore(State(parameters, optimizer(config).init(parameters)))
    checkpoints.close()
    if not step:
        raise RunError(f"{folder} holds no checkpoint; train for longer")
    if step < config.steps:
        report(f"{folder}: trained for {step} of {config.steps} updates")
    parameters = jax.tree.map(_rounded, state.parameters)

    def network(factor: int, protocol: str) -> nnx.Module:
        setting = Setting(factor, protocol)
        graph, _ = nnx.split(
            nnx.eval_shape(lambda: architecture(config, setting, in_training=False))
        )
        return nnx.merge(graph, parameters)

    return SavedNetwork(
        name=folder.name,
        kind=config.task,
        factors=tuple(sorted(set(config.factors))),
        protocols=config.protocols,
        parameters=_count(parameters),
        seed=config.seed,
        steps=step,
        build=network,
    )


def _from_package(name: str) -> SavedNetwork:
    description = pretrained.describe(name)
    load = pretrained.read if name.endswith(".safetensors") else pretrained.load
    knows_protocols = "protocol" in description.arguments

    def network(factor: int, protocol: str) -> nnx.Module:
        changes = {"protocol": protocol} if knows_protocols else {}
        return load(name, factor=factor, **changes)

    model = network(description.factors[0], "bicubic")
    return SavedNetwork(
        name=Path(name).stem,
        kind=description.kind,
        factors=tuple(description.factors),
        protocols=(),
        parameters=_count(nnx.state(model, nnx.Param)),
        seed=description.seed,
        steps=None,
        build=network,
    )


def _rounded(parameter: jax.Array) -> jax.Array:
    return parameter.astype(STORED_DTYPE).astype(parameter.dtype)


def _count(parameters: nnx.State) -> int:
    return sum(int(np.prod(leaf.shape)) for leaf in nnx.to_flat_state(parameters).leaves)
