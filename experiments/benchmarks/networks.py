"""Time the joint upsampling networks beside each other.

    python -m experiments.benchmarks.networks --factor 8 --size 480 640

Times are medians of warm forward passes of one image, taken in turns in one run; temporary memory is
what the compiled call holds beside arguments and results. Parameters are at random: neither depends
on them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from experiments.benchmarks.report import describe_machine
from experiments.benchmarks.timing import Contender, compile_call, race
from pac_jax.models import DJIF, PacNet, PacUpsampler


class Unguided(nnx.Module):
    """A transposed convolution in the place of a PAC stage: called with a guide, which it ignores.

    Args:
        features: of inputs and outputs.
        rngs: of which `params` is drawn.
    """

    def __init__(self, features: int, rngs: nnx.Rngs):
        self.layer = nnx.ConvTranspose(features, features, (5, 5), strides=(2, 2), rngs=rngs)

    def __call__(self, inputs: jax.Array, guide: jax.Array) -> jax.Array:
        """Twice the size."""
        del guide
        return self.layer(inputs)


def plain_pac_net(factor: int, rngs: nnx.Rngs) -> PacNet:
    """PAC-Net whose stages are plain transposed convolutions."""
    network = PacNet(factor, rngs=rngs)
    features = network.stages[0].out_features
    network.stages = nnx.List([Unguided(features, rngs) for _ in network.stages])  # type: ignore
    return network


NETWORKS = {
    "PacUpsampler, 1 view": lambda factor, rngs: PacUpsampler(factor, rngs=rngs),
    "PacUpsampler, 2 views": lambda factor, rngs: PacUpsampler(factor, views=2, rngs=rngs),
    "PacNet": lambda factor, rngs: PacNet(factor, normalize=True, rngs=rngs),
    "PacNet, as published": lambda factor, rngs: PacNet(factor, rngs=rngs),
    "PacNet, plain convolutions": plain_pac_net,
    "PacNet.lite": lambda factor, rngs: PacNet.lite(factor, normalize=True, rngs=rngs),
    "DJIF": lambda factor, rngs: DJIF(factor, rngs=rngs),
}


def prepare(name: str, factor: int, size: tuple[int, int]) -> Contender:
    """Compile a network for images of this size."""
    graph, state = nnx.split(NETWORKS[name](factor, nnx.Rngs(0)))
    low_key, guide_key = jax.random.split(jax.random.key(0))
    low = jax.random.uniform(low_key, (1, *(n // factor for n in size), 1), jnp.float32)
    guide = jax.random.uniform(guide_key, (1, *size, 3), jnp.float32)
    return compile_call(lambda *given: nnx.merge(graph, given[0])(*given[1:]), state, low, guide)


def table(factor: int, size: tuple[int, int], runs: int) -> str:
    """Race all networks, and say what came out."""
    contenders = {name: prepare(name, factor, size) for name in NETWORKS}
    measured = race(contenders, runs, budget_seconds=30.0)
    base = measured["PacNet"].median
    lines = [
        f"x{factor}, {size[0]} x {size[1]}, {describe_machine()}",
        "",
        "| network | forward ms | x PacNet | temporary MiB | compile s |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, result in measured.items():
        memory = (result.temporary_bytes or 0) / 2**20
        lines.append(
            f"| {name} | {1e3 * result.median:.0f} | {result.median / base:.2f} | {memory:.0f} | "
            f"{result.compile_seconds:.1f} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.benchmarks.networks", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--factor", type=int, choices=(4, 8, 16), default=8)
    parser.add_argument(
        "--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), default=(480, 640)
    )
    parser.add_argument("--runs", type=int, default=10, help="turns per network (default: 10)")
    given = parser.parse_args(arguments)
    if any(n < given.factor or n % given.factor for n in given.size):
        parser.error(f"--size is {given.size}; it needs multiples of --factor, {given.factor}")
    if given.runs < 1:
        parser.error(f"--runs is {given.runs}; it needs at least 1")
    jax.config.update("jax_enable_compilation_cache", False)  # or compiling would seem free
    print(table(given.factor, tuple(given.size), given.runs))


if __name__ == "__main__":
    main()
