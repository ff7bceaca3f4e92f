"""Time the operators beside what a user could write instead.

python -m experiments.benchmarks.operators --list
python -m experiments.benchmarks.operators --workload conv_256 --json now.json --markdown now.md
python -m experiments.benchmarks.operators --compare before.json now.json

'forward' is the output alone; 'forward + gradients' is the sum of the output times a fixed
cotangent, with its gradients for inputs, guide, kernel and bias. Times are medians of warm calls,
taken in turns in one run; temporary memory is what the compiled call holds beside arguments and
results.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import jax

from experiments.benchmarks import report
from experiments.benchmarks.competitors import MODES, list_competitors
from experiments.benchmarks.timing import Contender, race
from experiments.benchmarks.workloads import WORKLOADS, Workload, make_operands


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read and check the command line; what is wrong ends the program in one line, status 2."""
    parser = _Parser(
        prog="python -m experiments.benchmarks.operators",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--workload", nargs="+", metavar="NAME", default=list(WORKLOADS), help="default: all")
    add("--competitor", nargs="+", metavar="NAME", default=None, help="default: all")
    add("--dtype", choices=("float32", "bfloat16"), default="float32")
    add("--runs", type=int, default=20, metavar="N", help="turns per competitor (default: 20)")
    add(
        "--budget",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="fewer turns for a competitor that would take longer than this (default: 10)",
    )
    add("--tiny", action="store_true", help="the tests' small sizes, to try the program itself")
    add("--json", type=Path, metavar="FILE", help="write every time, with machine and commit")
    add("--markdown", type=Path, metavar="FILE", help="write the tables")
    add("--list", action="store_true", help="name the workloads and competitors, measure nothing")
    add(
        "--compare",
        nargs=2,
        type=Path,
        metavar=("EARLIER", "LATER"),
        help="name what got slower between two JSON files; status 1 if anything did",
    )
    add("--threshold", type=float, default=1.2, help="ratio of medians that counts (default: 1.2)")
    options = parser.parse_args(arguments)
    competitors = list(list_competitors())
    options.competitor = options.competitor or competitors
    for kind, names, known in (
        ("workload", options.workload, list(WORKLOADS)),
        ("competitor", options.competitor, competitors),
    ):
        for name in names:
            if name not in known:
                parser.error(f"{kind} is {name!r}; it needs one of {', '.join(known)}")
    if options.runs < 1:
        parser.error(f"--runs is {options.runs}; it needs at least 1")
    return options


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\n")


def measure(
    workload: Workload, competitors: Sequence[str], dtype: str, runs: int, budget_seconds: float
) -> tuple[list[report.Result], dict[str, str]]:
    """Race the competitors on one workload, in both modes.

    Args:
        workload: the shapes.
        competitors: their names.
        dtype: of the operands.
        runs: turns per competitor.
        budget_seconds: see `timing.race`.

    Returns:
        The results, and by 'workload competitor' the reasons of those that could not run.
    """
    operands, cotangent = make_operands(workload, dtype=dtype)
    prepare = list_competitors()
    results: list[report.Result] = []
    skipped: dict[str, str] = {}
    for mode in MODES:
        contenders: dict[str, Contender] = {}
        for name in competitors:
            label = f"{workload.name} {name}"
            if label in skipped:
                continue
            _progress(f"{label}: preparing {mode}")
            try:
                contenders[name] = prepare[name](workload, operands, cotangent, mode)
            except NotImplementedError as reason:
                skipped[label] = str(reason)
                _progress(f"{label}: skipped, {reason}")
        _progress(f"{workload.name}: timing {mode}")
        for name, measurement in race(contenders, runs, budget_seconds).items():
            results.append(report.Result(workload.name, dtype, name, mode, measurement))
    return results, skipped


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def list_names() -> str:
    """What can be asked for, one name a line."""
    lines = ["workloads:"]
    for workload in WORKLOADS.values():
        size = " x ".join(map(str, (workload.batch, *workload.size, workload.channels)))
        window = " x ".join(map(str, workload.window))
        lines.append(
            f"  {workload.name:<14} {workload.operator}, {size} -> {workload.features}, "
            f"guide {workload.guide_channels}, {window}, stride {workload.strides}, "
            f"dilation {workload.kernel_dilation}, groups {workload.feature_group_count}"
            + (", normalized" if workload.normalize else "")
        )
    return "\n".join([*lines, "competitors:", f"  {', '.join(list_competitors())}"])


def compare_files(earlier: Path, later: Path, threshold: float) -> int:
    """Print what got slower, and return the program's status: 1 if anything did."""
    changes = report.compare(report.read_json(earlier), report.read_json(later))
    if not changes:
        raise ValueError(f"{earlier} and {later} have no result in common")
    slower = [change for change in changes if change.ratio > threshold]
    for change in slower:
        print(change)
    print(f"{len(slower)} of {len(changes)} results are more than {threshold:g} x slower")
    return 1 if slower else 0


def run(options: argparse.Namespace) -> None:
    """Measure, print the tables, and write the files that were asked for."""
    results: list[report.Result] = []
    skipped: dict[str, str] = {}
    tables = []
    for name in options.workload:
        workload = WORKLOADS[name].tiny() if options.tiny else WORKLOADS[name]
        measured, reasons = measure(
            workload, options.competitor, options.dtype, options.runs, options.budget
        )
        results += measured
        skipped |= reasons
        table = f"## {workload.name}, {options.dtype}\n\n{report.format_table(measured)}\n"
        for label, reason in reasons.items():
            table += f"\nSkipped {label}: {reason}.\n"
        print(table, flush=True)
        tables.append(table)
        if options.json:  # after every workload, so that an interrupted run leaves what it has
            report.write_json(options.json, results, skipped)
    if not options.tiny and any(WORKLOADS[name].of_network for name in options.workload):
        means = report.format_means(results, [WORKLOADS[name] for name in options.workload])
        tables.append(f"## Geometric means over the networks' shapes, {options.dtype}\n\n{means}\n")
        print(tables[-1])
    if options.markdown:
        options.markdown.write_text("\n".join(tables))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    options = parse_arguments(arguments)
    jax.config.update("jax_enable_compilation_cache", False)  # or compiling would seem free
    try:
        if options.list:
            print(list_names())
        elif options.compare:
            return compare_files(options.compare[0], options.compare[1], options.threshold)
        else:
            run(options)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
