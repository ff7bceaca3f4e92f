"""Time CRF inference beside plain convolutions and beside pydensecrf2.

    python -m experiments.benchmarks.crf

Every call takes scores and a photograph of scikit-image's and gives class scores or probabilities,
affinities and lattices computed anew. Medians of warm calls,
taken in turns in one run; temporary memory is what the compiled call holds beside arguments and
results (not known of pydensecrf2, which is not compiled here). `plain` is ten plain convolutions of
the CRF's shape: what `pac, full` would cost without affinities. pydensecrf2 has DeepLab's settings
(https://pypi.org/project/pydensecrf2, in the extra `peers`); the exact full CRF has the same on a
small image, as its time is quadratic.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from experiments.benchmarks.dense_crf import (
    DEEPLAB,
    infer_by_pydensecrf2,
    noisy_log_probabilities,
    photograph,
)
from experiments.benchmarks.report import align_table, describe_commit, describe_machine
from experiments.benchmarks.timing import Contender, Measurement, compile_call, race
from pac_jax import crf
from pac_jax.functional.geometry import channels_last

WINDOW = 5
DILATIONS = (16, 64)
SMALL = (48, 64)

Size = tuple[int, int]


def make_scene(size: Size, classes: int) -> tuple[jax.Array, jax.Array]:
    """Class scores (1, *size, classes) and a photograph of 0 to 255, (1, *size, 3)."""
    image = photograph("coffee", size)
    scores = noisy_log_probabilities(image, classes)
    return jnp.asarray(scores[None]), jnp.asarray(image[None], jnp.float32)


def prepare_pac(mixing: str, scores: jax.Array, image: jax.Array, steps: int) -> Contender:
    """Compile PAC-CRF with a colour guide of standard deviation 30."""
    terms = tuple(crf.PairwiseTerm(WINDOW, dilation=d, mixing=mixing) for d in DILATIONS)
    weights = crf.initial_weights(terms, scores.shape[-1])

    def infer(scores: jax.Array, image: jax.Array, weights: crf.Weights) -> jax.Array:
        return crf.mean_field(scores, image / 30, weights, terms, steps=steps).logits

    return compile_call(infer, scores, image, weights)


def prepare_plain(scores: jax.Array, steps: int) -> Contender:
    """Compile the plain convolutions of as many steps, one after the other."""
    classes = scores.shape[-1]
    shape = (WINDOW, WINDOW, classes, classes)
    kernel = jax.random.normal(jax.random.key(0), shape, jnp.float32) / (WINDOW * classes)

    def convolve(scores: jax.Array, kernel: jax.Array) -> jax.Array:
        for _ in range(steps):
            messages = [
                lax.conv_general_dilated(
                    scores,
                    kernel,
                    (1, 1),
                    "SAME",
                    rhs_dilation=(dilation, dilation),
                    dimension_numbers=channels_last(2),
                )
                for dilation in DILATIONS
            ]
            scores = sum(messages[1:], messages[0])
        return scores

    return compile_call(convolve, scores, kernel)


def prepare_exact(scores: jax.Array, image: jax.Array, steps: int) -> Contender:
    """Compile the exact full CRF with DeepLab's settings."""

    def infer(scores: jax.Array, image: jax.Array) -> jax.Array:
        return DEEPLAB.infer_exactly(scores, image, steps).logits

    return compile_call(infer, scores, image)


def prepare_dense(scores: jax.Array, image: jax.Array, steps: int) -> Contender:
    """pydensecrf2 with DeepLab's settings."""
    given = np.asarray(scores[0]), np.asarray(image[0], np.uint8)
    return Contender(lambda: infer_by_pydensecrf2(*given, DEEPLAB, steps))


def measure(size: Size, classes: int, steps: int, runs: int) -> dict[str, Measurement]:
    """Race all of them; pydensecrf2 only where it is installed."""
    scores, image = make_scene(size, classes)
    small_size = (min(size[0], SMALL[0]), min(size[1], SMALL[1]))
    small_scores, small_image = make_scene(small_size, classes)
    contenders = {
        "pac, matrix": prepare_pac("matrix", scores, image, steps),
        "pac, full": prepare_pac("full", scores, image, steps),
        "plain": prepare_plain(scores, steps),
        f"full CRF, exact, {_times(small_size)}": prepare_exact(small_scores, small_image, steps),
    }
    if importlib.util.find_spec("pydensecrf"):
        contenders["pydensecrf2"] = prepare_dense(scores, image, steps)
        small = f"pydensecrf2, {_times(small_size)}"
        contenders[small] = prepare_dense(small_scores, small_image, steps)
    return race(contenders, runs, budget_seconds=60.0)


def format_report(measured: dict[str, Measurement]) -> str:
    """A table, and the two ratios in question."""
    rows = [["inference", "ms", "temporary MiB", "compile s"]]
    for name, result in measured.items():
        memory, seconds = result.temporary_bytes, result.compile_seconds
        rows.append(
            [
                name,
                f"{1e3 * result.median:.0f}",
                "-" if memory is None else f"{memory / 2**20:.0f}",
                "-" if seconds is None else f"{seconds:.1f}",
            ]
        )
    ratio = measured["pac, full"].median / measured["plain"].median
    lines = [align_table(rows), "", f"pac, full, takes {ratio:.2f} x the plain convolutions' time."]
    if "pydensecrf2" in measured:
        ratio = measured["pydensecrf2"].median / measured["pac, matrix"].median
        lines.append(f"pac, matrix, is {ratio:.2f} x as fast as pydensecrf2.")
    else:
        lines.append("pydensecrf2 is not installed (extra `peers`).")
    return "\n".join(lines)


def _times(size: Sequence[int]) -> str:
    return " x ".join(map(str, size))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.benchmarks.crf", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), default=(375, 500)
    )
    parser.add_argument("--classes", type=int, default=21)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--runs", type=int, default=10, help="turns of each (default: 10)")
    given = parser.parse_args(arguments)
    for name, least in (("classes", 2), ("steps", 1), ("runs", 1)):
        if getattr(given, name) < least:
            parser.error(f"--{name} is {getattr(given, name)}; it needs at least {least}")
    if min(given.size) < 1:
        parser.error(f"--size is {given.size}; it needs at least 1 x 1")
    jax.config.update("jax_enable_compilation_cache", False)  # or compiling would seem free
    measured = measure(tuple(given.size), given.classes, given.steps, given.runs)
    print(f"{given.classes} classes, {_times(given.size)}, {given.steps} steps, ", end="")
    print(f"{WINDOW} x {WINDOW}, dilations {' and '.join(map(str, DILATIONS))}")
    print(f"commit {describe_commit()}, {json.dumps(describe_machine())}\n")
    print(format_report(measured))


if __name__ == "__main__":
    main()
