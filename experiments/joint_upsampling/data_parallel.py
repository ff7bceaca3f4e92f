r"""Train one network in several processes, each of which computes a part of every batch.

    python -m experiments.joint_upsampling.data_parallel --config smoke --out weights.npz \
        --coordinator localhost:9876 --processes 2 --process 0 &
    python -m experiments.joint_upsampling.data_parallel --config smoke --out weights.npz \
        --coordinator localhost:9876 --processes 2 --process 1

Every process runs this program with its own `--process`, on one computer or on several that reach the
coordinator (process 0). All devices of all processes share each batch; the parameters are on all of
them, and XLA adds up their gradients, which is all that is sent. Losses and weights are those of one
process with the same batch. Process 0 prints the losses and writes the weights, without checkpoints
and pictures: this is an example of `jax.distributed`, and `python -m experiments.joint_upsampling` the
training for one process.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from experiments.joint_upsampling.config import CONFIGS, Config
from experiments.joint_upsampling.networks import build
from experiments.joint_upsampling.train import training_loss
from experiments.joint_upsampling.training_data import Batch, batch_at, render_scenes, setting_at
from experiments.training.optimizer import State, make_update, optimizer
from experiments.training.plan import add_overrides, with_overrides


def train_in_parallel(config: Config, scenes: Path) -> tuple[nnx.State, list[float]]:
    """Train on all devices of all processes.

    Args:
        config: what to train; its batch size is that of all devices together.
        scenes: folder of this process's generated scenes.

    Returns:
        The trained parameters, and the losses.

    Raises:
        ValueError: the devices cannot share a batch evenly.
    """
    devices = jax.device_count()
    if config.batch_size % devices:
        raise ValueError(
            f"batch_size is {config.batch_size}; {devices} devices need a multiple of {devices}"
        )
    mesh = jax.make_mesh((devices,), ("batch",), axis_types=(AxisType.Auto,))
    stored = render_scenes(config, scenes)
    parameters = nnx.state(build(config))
    transform = optimizer(config)
    state = jax.device_put(
        State(parameters, transform.init(parameters)), NamedSharding(mesh, PartitionSpec())
    )
    update = make_update(training_loss(config), transform)
    losses = []
    for step in range(config.steps):
        batch = own_part(batch_at(config, stored, step), mesh)
        state, loss = update(state, batch, setting_at(config, step))
        losses.append(loss)
    return jax.device_get(state.parameters), [float(loss) for loss in losses]


def own_part(batch: Batch, mesh: jax.sharding.Mesh) -> Batch:
    """A batch that all devices share, from one that every process has made alike.

    A process gives its own crops to its devices, and never the others' to anything.
    """
    sharding = NamedSharding(mesh, PartitionSpec("batch"))
    return jax.tree.map(
        lambda array: jax.make_array_from_callback(
            array.shape, sharding, np.asarray(array).__getitem__
        ),
        batch,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one of the processes."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.joint_upsampling.data_parallel",
        description=__doc__.splitlines()[0],
    )
    parser.add_argument(
        "--config",
        choices=CONFIGS,
        default="smoke",
        metavar="NAME",
        help=f"default: smoke; one of {', '.join(CONFIGS)}",
    )
    parser.add_argument("--out", type=Path, required=True, help="the weights, .npz")
    parser.add_argument("--coordinator", metavar="HOST:PORT", help="of process 0")
    parser.add_argument("--processes", type=int, default=1, help="how many there are (default: 1)")
    parser.add_argument("--process", type=int, default=0, help="which this is, from 0")
    add_overrides(parser, Config)
    given = parser.parse_args(arguments)
    if (given.processes > 1) != (given.coordinator is not None):
        parser.error("--coordinator and --processes above 1 go together")
    if not 0 <= given.process < given.processes:
        parser.error(f"--process is {given.process}; {given.processes} processes count from 0")
    try:
        config = with_overrides(CONFIGS[given.config], given)
    except ValueError as error:
        parser.error(str(error))
    if given.coordinator:
        # Sums between CPUs; between GPUs or TPUs it has no effect.
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(given.coordinator, given.processes, given.process)
    try:
        parameters, losses = train_in_parallel(config, given.out.parent / "scenes")
    except ValueError as error:
        parser.error(str(error))
    if given.process == 0:
        for step, loss in enumerate(losses, start=1):
            print(f"step {step}: loss {loss:.6f}")
        leaves = jax.tree_util.tree_leaves_with_path(parameters)
        weights = {jax.tree_util.keystr(path): leaf for path, leaf in leaves}
        _write(given.out, {"losses": np.array(losses), **weights})


def _write(path: Path, arrays: dict[str, Any]) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    with partial.open("wb") as file:
        np.savez(file, **arrays)
    os.replace(partial, path)


if __name__ == "__main__":
    main()
