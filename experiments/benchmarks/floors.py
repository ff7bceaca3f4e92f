"""What each workload costs at least on an H200, on paper: bytes, operations, and the times they mean.

    python -m experiments.benchmarks.floors --markdown floors.md

Nothing is measured here. Every array is read once and written once: inputs, guide, kernel, bias and
output in the forward pass; in the reverse pass these (but for the output) and the output's cotangent
are read, and their cotangents written. Of operations there are the products on the tensor cores, 2 C D
for every pair of an output and a sample that a tap joins (no padding, no zeros between samples), and
those of the affinity and of its application, which the other units do: per pair 3 G for the distance
and 2 D for the weighted sum. The reverse pass has three such products where a plain convolution has
two: the third gives the cotangents at the windows' centres. A time is the largest of the three.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.workloads import WORKLOADS, Workload

BYTES_PER_SECOND = 4.8e12  # of the H200's memory, by its datasheet
# Operations per second. bfloat16: measured with large products on an H200 (its datasheet says 990).
# tf32: assumed to be half of that. float32 outside the tensor cores: by the datasheet.
PRODUCTS_PER_SECOND = {"bfloat16": 790e12, "float32": 395e12}
OTHERS_PER_SECOND = 67e12


@dataclass(frozen=True)
class Cost:
    """What a pass costs.

    Attributes:
        memory: bytes that are read and written.
        products: operations on the tensor cores.
        others: operations on the other units.
    """

    memory: float
    products: float
    others: float

    def seconds(self, dtype: str) -> tuple[float, str]:
        """The largest of the three times, and what it is spent on."""
        times = {
            "memory": self.memory / BYTES_PER_SECOND,
            "tensor cores": self.products / PRODUCTS_PER_SECOND[dtype],
            "other units": self.others / OTHERS_PER_SECOND,
        }
        return max((seconds, name) for name, seconds in times.items())


def pairs(workload: Workload) -> int:
    """Pairs of an output and a sample that a tap joins, in the whole batch."""
    number = workload.batch
    axes = zip(workload.size, workload.output_size, workload.window, workload.padding, strict=True)
    for size, outputs, taps, (low, _) in axes:
        first = np.arange(outputs)[:, None] * workload.window_strides - low
        sample, between = np.divmod(
            first + np.arange(taps) * workload.kernel_dilation, workload.spread
        )
        number *= int(np.sum((between == 0) & (sample >= 0) & (sample < size)))
    return number


def costs(workload: Workload, dtype: str, *, guided: bool) -> tuple[Cost, Cost]:
    """Forward and reverse pass, of PAC or (not guided) of the plain convolution of the same shape."""
    size = jnp.dtype(dtype).itemsize
    inputs = workload.batch * math.prod(workload.size) * workload.channels
    guide = workload.batch * math.prod(workload.guide_size) * workload.guide_channels * guided
    outputs = math.prod(workload.output_shape)
    kernel = math.prod(workload.kernel_shape) + workload.features
    joined = pairs(workload)
    depth = workload.channels // workload.feature_group_count
    product = 2 * joined * depth * workload.features
    other = joined * (3 * workload.guide_channels + 2 * workload.features) * guided
    if workload.operator == "pool":  # no sum over channels: nothing for the tensor cores
        product, other = 0, other + 2 * joined * workload.features
    read = inputs + guide + kernel
    forward = Cost(size * (read + outputs), product, other)
    passes = 3 if guided else 2
    return forward, Cost(size * (2 * read + outputs), passes * product, passes * other)


def rows(workload: Workload, dtype: str) -> str:
    """The workload's line of the table."""
    cells = [workload.name, dtype]
    passes = costs(workload, dtype, guided=True)
    plain = costs(workload, dtype, guided=False)
    cells += [f"{passes[0].memory / 1e6:.1f}", f"{passes[0].products / 1e9:.2f}"]
    for count in (1, 2):  # passes: forward, then reverse
        seconds = sum(cost.seconds(dtype)[0] for cost in passes[:count])
        ratio = seconds / sum(cost.seconds(dtype)[0] for cost in plain[:count])
        _, limit = passes[count - 1].seconds(dtype)
        cells += [f"{1e6 * seconds:.1f}", limit, f"{ratio:.2f}"]
    return f"| {' | '.join(cells)} |"


def table(names: Sequence[str]) -> str:
    """All floors as Markdown."""
    lines = [
        "| workload | type | forward MB | forward Gflop | forward µs | limited by | x plain "
        "| with gradients µs | limited by | x plain |",
        "|---|---|---:|---:|---:|---|---:|---:|---|---:|",
    ]
    lines += [rows(WORKLOADS[name], dtype) for name in names for dtype in PRODUCTS_PER_SECOND]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; write it if asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.benchmarks.floors",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table")
    options = parser.parse_args(arguments)
    text = table(list(WORKLOADS))
    print(text)
    if options.markdown:
        options.markdown.write_text(f"{text}\n")


if __name__ == "__main__":
    main()
