"""Check the fused kernel on a GPU, then measure it against its bars, in one call.

    python -m experiments.benchmarks.gpu --out gpu_results
    python -m experiments.benchmarks.gpu --out trial --tiny

1. The compiled kernels' outputs and gradients are compared with those of 'taps' at full precision, on
   random data. Nothing is timed if they differ.
2. 'plain' (cuDNN's convolution of the same shape), 'pallas' and 'taps' take turns, in both modes and
   types. A call runs the operator several times, one after another, so that starting it weighs little.
3. PAC-Net x8 is trained on crops of 256 x 256, by us and by PyTorch's unfold formulation.

Writes gpu.json and gpu.md into the folder, after every workload. Without a GPU `--tiny` tries the
program itself, with interpreted kernels; its times mean nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.benchmarks import training_steps
from experiments.benchmarks.baselines import plain_conv
from experiments.benchmarks.competitors import MODES, with_gradients
from experiments.benchmarks.report import Result, describe_machine, write_json
from experiments.benchmarks.timing import Contender, compile_call, race
from experiments.benchmarks.workloads import (
    NETWORK_SHAPES,
    WORKLOADS,
    Operands,
    Workload,
    apply_pac,
    make_operands,
)
from pac_jax.functional.implementations.fusing import interpreted

COMPETITORS: dict[str, Callable[[Workload, Operands], jax.Array]] = {
    "plain": plain_conv,
    "pallas": partial(apply_pac, implementation="pallas"),
    "taps": partial(apply_pac, implementation="taps"),
}
TYPES = ("float32", "bfloat16")
# Of the norm of what is compared: float32 by tf32, and gradients that sum rounded products.
TOLERANCES = {"float32": 3e-3, "bfloat16": 1.5e-2}
LARGEST_RATIO = {"forward": 1.5, "gradients": 2.0}  # to the plain convolution
SMALLEST_GAIN = 3.0  # over 'taps', at the networks' shapes
LARGEST_MEMORY = 1.1  # times inputs, guide and output
SMALLEST_TRAINING_GAIN = 5.0  # over PyTorch


def check(workload: Workload, dtype: str) -> float:
    """The largest relative error of the kernels' output and gradients.

    Raises:
        ArithmeticError: it is larger than the type explains, or something is no number.
    """
    operands, cotangent = make_operands(workload, seed=1, dtype=dtype)

    def answers(name: str) -> list[np.ndarray]:
        def both(operands: Operands, cotangent: jax.Array) -> tuple:
            outputs, pull_back = jax.vjp(partial(COMPETITORS[name], workload), operands)
            return outputs, pull_back(cotangent)

        leaves = jax.tree.leaves(jax.jit(both)(operands, cotangent))
        return [np.asarray(leaf, np.float64) for leaf in leaves]

    got = answers("pallas")
    with jax.default_matmul_precision("highest"):
        expected = answers("taps")
    errors = [
        float(np.linalg.norm(a - b)) / max(float(np.linalg.norm(b)), 1e-30)
        for a, b in zip(got, expected, strict=True)
    ]
    if not max(errors) < TOLERANCES[dtype]:  # also if it is no number
        raise ArithmeticError(f"{workload.name} {dtype}: relative errors are {errors}")
    return max(errors)


def prepare(workload: Workload, name: str, dtype: str, mode: str, times: int) -> Contender:
    """A call that runs the competitor so many times, one run after the other; memory is of one run."""
    operands, cotangent = make_operands(workload, dtype=dtype)
    if name == "plain":
        operands = operands._replace(guide=None)
    evaluate = partial(COMPETITORS[name], workload)
    function: Callable[..., Any] = evaluate
    arguments: tuple = (operands,)
    if mode == "gradients":
        function, arguments = with_gradients(evaluate), (operands, cotangent)

    def repeatedly(*arguments: Any) -> Any:
        results = function(*arguments)
        for _ in range(times - 1):  # a barrier: the next run waits for this one's results
            arguments, results = jax.lax.optimization_barrier((arguments, results))
            results = function(*arguments)
        return results

    once = compile_call(function, *arguments)
    if times == 1:
        return once
    contender = compile_call(repeatedly, *arguments)
    contender.compile_seconds = once.compile_seconds
    contender.temporary_bytes, contender.peak_bytes = once.temporary_bytes, once.peak_bytes
    return contender


def measure(workload: Workload, dtype: str, runs: int, times: int) -> list[Result]:
    """Race the competitors in both modes."""
    results = []
    for mode in MODES:
        contenders = {name: prepare(workload, name, dtype, mode, times) for name in COMPETITORS}
        for name, found in race(contenders, runs, budget_seconds=20.0).items():
            found.seconds = [seconds / times for seconds in found.seconds]
            data = workload.data_bytes(dtype)
            results.append(Result(workload.name, dtype, name, mode, data, found))
    return results


def train(options: argparse.Namespace) -> dict[str, float]:
    """Steps a second of PAC-Net x8, by name; PyTorch only where it is."""
    crop, batch, steps = (32, 1, 1) if options.tiny else (256, 8, 20)
    rates = {
        name: training_steps.steps_per_second(training_steps.jax_steps(crop, batch, name), steps)
        for name in ("pallas", "taps")
    }
    try:
        make = training_steps.torch_steps(crop, batch)
        rates["torch"] = training_steps.steps_per_second(make, steps)
    except NotImplementedError as reason:
        print(f"torch: {reason}", file=sys.stderr)
    return rates


def summarise(results: Sequence[Result], rates: dict[str, float]) -> dict[str, float]:
    """What the bars are about, by name: ratios, geometric means over the networks' shapes."""
    found = {result.key: result.measurement for result in results}
    summary: dict[str, float] = {}
    for dtype in dict.fromkeys(result.dtype for result in results):
        for mode in MODES:
            names = dict.fromkeys(r.workload for r in results if r.dtype == dtype)
            pallas = [found[name, dtype, "pallas", mode] for name in names]
            for other in ("plain", "taps"):
                ratios = [
                    own.median / found[name, dtype, other, mode].median
                    for name, own in zip(names, pallas, strict=True)
                ]
                summary[f"{dtype} {mode} time over {other}"] = statistics.geometric_mean(ratios)
                summary[f"{dtype} {mode} time over {other}, worst"] = max(ratios)
        forward = [
            r for r in results if (r.dtype, r.competitor, r.mode) == (dtype, "pallas", "forward")
        ]
        peaks = [(r.measurement.peak_bytes or 0) / r.data_bytes for r in forward]
        summary[f"{dtype} forward peak memory over data, worst"] = max(peaks)
    for other in set(rates) - {"pallas"}:
        summary[f"training steps over {other}"] = rates["pallas"] / rates[other]
    return summary


def report(results: Sequence[Result], errors: dict[str, float], summary: dict[str, float]) -> str:
    """All of it as Markdown."""
    lines = [
        f"{describe_machine()}",
        "",
        "| workload | type | mode | plain µs | pallas µs | taps µs | pallas / plain | taps / pallas "
        "| peak / data | error |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    found = {result.key: result for result in results}
    for (name, dtype, competitor, mode), result in found.items():
        if competitor != "pallas":
            continue
        own = result.measurement
        plain, taps = (
            found[name, dtype, other, mode].measurement.median for other in ("plain", "taps")
        )
        cells = [name, dtype, mode]
        cells += [f"{1e6 * seconds:.1f}" for seconds in (plain, own.median, taps)]
        cells += [f"{own.median / plain:.2f}", f"{taps / own.median:.2f}"]
        cells += [f"{(own.peak_bytes or 0) / result.data_bytes:.2f}"]
        cells += [f"{errors[f'{name} {dtype}']:.1e}"]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| figure | value |", "|---|---:|"]
    lines += [f"| {name} | {value:.3f} |" for name, value in summary.items()]
    lines += ["", _bars()]
    return "\n".join(lines) + "\n"


def _bars() -> str:
    return (
        f"Bars: forward at most {LARGEST_RATIO['forward']} x plain, forward + gradients "
        f"{LARGEST_RATIO['gradients']} x; over taps at most {1 / SMALLEST_GAIN:.3f}; peak memory at "
        f"most {LARGEST_MEMORY} x inputs, guide and output; training at least "
        f"{SMALLEST_TRAINING_GAIN:g} x PyTorch's steps."
    )


def run(options: argparse.Namespace) -> None:
    """Check, measure, train; write as it goes."""
    options.out.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    errors: dict[str, float] = {}

    def write(rates: dict[str, float]) -> None:
        summary = summarise(results, rates)
        write_json(options.out / "gpu.json", results, {}, {**summary, "errors": errors, **rates})
        (options.out / "gpu.md").write_text(report(results, errors, summary))

    chosen = {}
    for name in options.workload:
        workload = WORKLOADS[name].tiny() if options.tiny else WORKLOADS[name]
        for dtype in options.dtype:
            chosen[workload, dtype] = check(workload, dtype)
            errors[f"{workload.name} {dtype}"] = chosen[workload, dtype]
            print(f"{workload.name} {dtype}: error {chosen[workload, dtype]:.1e}", flush=True)
    runs, times = (1, 1) if options.tiny else (20, 10)
    for workload, dtype in chosen:
        results += measure(workload, dtype, runs, times)
        write({})
    write({} if options.no_training else train(options))
    print((options.out / "gpu.md").read_text())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="FOLDER", help="where the results go")
    add("--workload", nargs="+", choices=list(WORKLOADS), default=list(NETWORK_SHAPES))
    add("--dtype", nargs="+", choices=TYPES, default=list(TYPES))
    add("--no-training", action="store_true", help="leave out the third part")
    add("--tiny", action="store_true", help="small sizes, to try the program itself")
    options = parser.parse_args(arguments)
    has_gpu = jax.default_backend() == "gpu"
    if not has_gpu and not options.tiny:
        print(
            f"error: JAX computes on {jax.default_backend()!r}; this needs a GPU", file=sys.stderr
        )
        return 2
    with contextlib.nullcontext() if has_gpu else interpreted():
        run(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
