"""Time the joint upsampling networks beside each other.

    python -m experiments.benchmarks.networks --factor 8 --size 480 640

Times are medians of warm forward passes of one image, taken in turns in one run; temporary memory is
what the compiled call holds beside arguments and results. Parameters are at random: neither depends
on them.

`PacNet, plain` is the published PAC-Net with plain transposed convolutions for its PAC stages; the
branch on the guide is computed all the same, as everything but the stages is to be equal. `PacNet,
published` is what it is compared with (`PacNet` normalises its affinities).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from experiments.benchmarks.report import describe_machine
from experiments.benchmarks.timing import Contender, compile_call, race
from pac_jax.models import DJIF, PacNet, PacUpsampler
from pac_jax.nn import PacConvTranspose

PUBLISHED = "PacNet, published"
PLAIN = "PacNet, plain"
AIM = 1.3  # times the plain network, at most


class PlainStage(nnx.Module):
    """The transposed convolution of a PAC stage, without an affinity.

    Args:
        stage: whose shape and parameters it takes.
    """

    def __init__(self, stage: PacConvTranspose) -> None:
        self.kernel, self.bias = stage.kernel, stage.bias
        self.strides = stage.strides
        self.padding: Any = stage.padding  # pairs, which both functions take

    def __call__(self, features: jax.Array, group: jax.Array) -> jax.Array:
        """(N, h, w, C), and the guide's group, which only has to exist, -> (N, 2 h, 2 w, D)."""
        # Or XLA would leave out the branch on the guide, and a smaller network would be timed.
        self.group = nnx.Intermediate(group)
        outputs = lax.conv_transpose(features, self.kernel[...], self.strides, self.padding)
        return outputs if self.bias is None else outputs + self.bias[...]


def plain_pac_net(factor: int, rngs: nnx.Rngs) -> PacNet:
    """The published PAC-Net with a `PlainStage` for every PAC stage."""
    model = PacNet(factor, rngs=rngs)
    model.stages = nnx.List([PlainStage(stage) for stage in model.stages])  # type: ignore[misc]
    return model


NETWORKS = {
    "PacUpsampler, 1 view": lambda factor, rngs: PacUpsampler(factor, rngs=rngs),
    "PacUpsampler, 2 views": lambda factor, rngs: PacUpsampler(factor, views=2, rngs=rngs),
    "PacNet": lambda factor, rngs: PacNet(factor, normalize=True, rngs=rngs),
    PUBLISHED: lambda factor, rngs: PacNet(factor, rngs=rngs),
    PLAIN: plain_pac_net,
    "PacNet.lite": lambda factor, rngs: PacNet.lite(factor, normalize=True, rngs=rngs),
    "DJIF": lambda factor, rngs: DJIF(factor, rngs=rngs),
}


def prepare(name: str, factor: int, size: tuple[int, int]) -> Contender:
    """Compile a network for images of this size."""
    graph, state = nnx.split(NETWORKS[name](factor, nnx.Rngs(0)))
    low_key, guide_key = jax.random.split(jax.random.key(0))
    low = jax.random.uniform(low_key, (1, *(n // factor for n in size), 1), jnp.float32)
    guide = jax.random.uniform(guide_key, (1, *size, 3), jnp.float32)

    def forward(state: nnx.State, low: jax.Array, guide: jax.Array) -> tuple[jax.Array, nnx.State]:
        model = nnx.merge(graph, state)
        return model(low, guide), nnx.state(model, nnx.Intermediate)

    return compile_call(forward, state, low, guide)


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
    if PLAIN in measured:
        ratio = measured[PUBLISHED].median / measured[PLAIN].median
        lines += ["", f"{PUBLISHED}, takes {ratio:.2f} x the time of {PLAIN} (aim: {AIM:g})."]
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
