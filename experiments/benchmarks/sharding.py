"""Show what the operators and the CRF send between devices, and that they compute the same there.

    XLA_FLAGS=--xla_force_host_platform_device_count=8 python -m experiments.benchmarks.sharding

compiles each of them, forward and with the gradients of all arguments, for eight devices that share
the batch, the rows, or the rows and columns (tiles) of an image, and prints every communication in
the compiled program: how many of each kind, the largest operand of those between neighbours beside a
device's part of the inputs, and the error against one device. The last column says whether that is
what scaling needs: nothing but halos forward, and sums of the gradients of what every device holds;
if one does not, the exit code is 1. Runs on eight real devices, too; times are not measured here, as
the eight devices of a CPU share it.
"""

from __future__ import annotations

import argparse
import itertools
import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import pac_jax
from experiments.benchmarks.report import align_table, describe_commit
from pac_jax import crf

DEVICES = 8
SIZE = (8, 64, 16)  # images, rows, columns
MODES = ("forward", "gradients")
TOLERANCE = 1e-5

_KINDS = (
    "all-gather|all-reduce|all-to-all|collective-broadcast|collective-permute|"
    "ragged-all-to-all|reduce-scatter"
)


class Collective(NamedTuple):
    """One array that one communication of a compiled program gives.

    Attributes:
        kind: XLA's name of it.
        shape: on one device.
    """

    kind: str
    shape: tuple[int, ...]


class Case(NamedTuple):
    """One function to be compiled.

    Attributes:
        apply: (implementation, *images, *replicated) -> outputs.
        images: arrays that devices share, (N, H, W, C); the first is what a halo is compared with.
        replicated: arrays that every device holds.
    """

    apply: Callable[..., jax.Array]
    images: tuple[np.ndarray, ...]
    replicated: tuple = ()

    def function(self, mode: str, implementation: str | None) -> Callable[..., tuple]:
        """What is compiled: outputs, with gradients of all arguments behind them."""

        def forward(*arguments) -> tuple:
            return (self.apply(implementation, *arguments),)

        def gradients(*arguments) -> tuple:
            outputs, pull_back = jax.vjp(lambda *given: forward(*given)[0], *arguments)
            return outputs, *pull_back(jnp.cos(outputs))

        return {"forward": forward, "gradients": gradients}[mode]


class Layout(NamedTuple):
    """How devices share the images.

    Attributes:
        mesh: devices along each of its axes.
        spec: of the images.
        implementation: that it needs; None for any.
    """

    mesh: tuple[int, ...]
    spec: PartitionSpec
    implementation: str | None


class Found(NamedTuple):
    """What a compiled program does.

    Attributes:
        collectives: all of its communications.
        halo: elements of the largest operand between neighbours, over those of a device's inputs.
        error: largest difference from one device, over the largest value.
        shared: whether the outputs lie on the devices as the inputs do.
    """

    collectives: list[Collective]
    halo: float
    error: float
    shared: bool

    def surplus(self, case: Case, mode: str, layout: Layout) -> list[Collective]:
        """Communication beyond halos and sums of the gradients of replicated arrays."""
        replicated = [np.shape(leaf) for leaf in jax.tree.leaves(case.replicated)]

        def is_sum(size: int) -> bool:  # of gradients of all or some taps of a kernel
            return size == 1 or any(
                size <= math.prod(shape) and size % math.prod(shape[-2:]) == 0
                for shape in replicated
            )

        def is_due(collective: Collective) -> bool:
            if collective.kind == "all-reduce":
                return mode == "gradients" and is_sum(math.prod(collective.shape))
            return collective.kind == "collective-permute" and layout.implementation is not None

        return [collective for collective in self.collectives if not is_due(collective)]


LAYOUTS = {
    "batch": Layout((DEVICES,), PartitionSpec("a"), None),
    "rows": Layout((DEVICES,), PartitionSpec(None, "a"), "shifts"),
    "tiles": Layout((DEVICES // 2, 2), PartitionSpec(None, "a", "b"), "shifts"),
}


def make_cases(size: tuple[int, int, int] = SIZE) -> dict[str, Case]:
    """The operators and a CRF on images of this size."""
    random = np.random.default_rng(0)
    batch, height, width = size

    def normal(*shape: int) -> np.ndarray:
        return random.standard_normal(shape).astype(np.float32)

    images, guide = normal(batch, height, width, 3), normal(batch, height, width, 2) / 2
    fine = normal(batch, 2 * height, 2 * width, 2) / 2
    terms = (
        crf.PairwiseTerm((3, 3), dilation=2),
        crf.PairwiseTerm((3, 1), blur=2, mixing="potts"),
        crf.PairwiseTerm((1, 3), mixing="matrix"),
    )

    def convolve(name, inputs, guide, kernel):
        return pac_jax.pac_conv(inputs, guide, kernel, kernel_dilation=2, implementation=name)

    def transpose(name, inputs, guide, kernel):
        return pac_jax.pac_conv_transpose(inputs, guide, kernel, strides=2, implementation=name)

    def pool(name, inputs, guide):
        return pac_jax.pac_pool(
            inputs, guide, (3, 3), padding="SAME", normalize=True, implementation=name
        )

    def infer(name, scores, guide, weights):
        return crf.mean_field(scores, guide, weights, terms, steps=2, implementation=name).logits

    weights = crf.initial_weights(terms, 3)
    return {
        "pac_conv": Case(convolve, (images, guide), (normal(3, 3, 3, 4),)),
        "pac_conv_transpose": Case(transpose, (images, fine), (normal(3, 3, 3, 4),)),
        "pac_pool": Case(pool, (images, guide)),
        "crf.mean_field": Case(infer, (images, guide), (weights,)),
    }


def read_collectives(program: str) -> list[Collective]:
    """All communications in the text of a compiled program."""
    found = []
    for line in program.splitlines():
        if match := re.search(rf" = (.*?) ({_KINDS})(?:-start)?\(", line):
            for shape in re.findall(r"\w+\[([\d,]*)\]", match[1]):
                sizes = tuple(int(size) for size in shape.split(",") if size)
                found.append(Collective(match[2], sizes))
    return found


def examine(
    case: Case, layout: Layout, mode: str, alone: tuple, implementation: str | None = None
) -> Found:
    """Compile a case for this layout, run it, and compare with one device.

    Args:
        case: to compile.
        layout: of the images.
        mode: one of `MODES`.
        alone: what one device computes.
        implementation: instead of the layout's own.
    """
    axes = ("a", "b")[: len(layout.mesh)]
    mesh = jax.make_mesh(layout.mesh, axes, axis_types=(AxisType.Auto,) * len(axes))
    images = jax.device_put(case.images, NamedSharding(mesh, layout.spec))
    replicated = jax.device_put(case.replicated, NamedSharding(mesh, PartitionSpec()))
    function = case.function(mode, implementation or layout.implementation)
    compiled = jax.jit(function).lower(*images, *replicated).compile()
    collectives = read_collectives(compiled.as_text() or "")
    part = images[0].size / DEVICES
    sent = [math.prod(c.shape) for c in collectives if c.kind != "all-reduce"]
    outputs = compiled(*images, *replicated)
    pairs = zip(jax.tree.leaves(outputs), jax.tree.leaves(alone), strict=True)
    error = max(_relative_error(np.asarray(one), np.asarray(other)) for one, other in pairs)
    of_images = outputs[: 1 + len(images)]  # the outputs, and gradients if there are any
    shared = all(
        out.sharding.is_equivalent_to(NamedSharding(mesh, layout.spec), out.ndim)
        for out in of_images
    )
    return Found(collectives, max(sent, default=0) / part, error, shared)


def _relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.max(np.abs(found - expected)) / np.max(np.abs(expected)))


def make_row(case: Case, layout: Layout, mode: str, found: Found) -> list[str]:
    """What was found, and the verdict."""
    number = Counter(collective.kind for collective in found.collectives)
    fine = found.shared and found.error < TOLERANCE and found.halo < 0.5
    return [
        ", ".join(f"{count} {kind}" for kind, count in sorted(number.items())) or "none",
        f"{found.halo:.3f}" if found.halo else "-",
        f"{found.error:.0e}",
        "yes" if fine and not found.surplus(case, mode, layout) else "no",
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.benchmarks.sharding", description=__doc__.splitlines()[0]
    )
    for option, choices in (("case", list(make_cases())), ("layout", LAYOUTS), ("mode", MODES)):
        parser.add_argument(
            f"--{option}", nargs="+", choices=choices, default=choices, help="default: all"
        )
    parser.add_argument(
        "--implementation", help="instead of the layout's own; 'taps' shows why there is another"
    )
    given = parser.parse_args(arguments)
    if jax.device_count() < DEVICES:
        parser.error(
            f"there are {jax.device_count()} devices; it needs {DEVICES}: set "
            f"XLA_FLAGS=--xla_force_host_platform_device_count={DEVICES}"
        )
    print(f"images {SIZE}, {DEVICES} devices, JAX {jax.__version__}, commit {describe_commit()}\n")
    rows = [["", "devices share", "mode", "communications", "largest / part", "error", "scales"]]
    cases = make_cases()
    for name, mode in itertools.product(given.case, given.mode):
        case = cases[name]
        alone = jax.jit(case.function(mode, None))(*case.images, *case.replicated)
        for of_layout in given.layout:
            layout = LAYOUTS[of_layout]
            found = examine(case, layout, mode, alone, given.implementation)
            rows.append([name, of_layout, mode, *make_row(case, layout, mode, found)])
    print(align_table(rows))
    if any(row[-1] == "no" for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
