"""Time the operators beside what a user could write instead.

python -m experiments.benchmarks.operators --list
python -m experiments.benchmarks.operators --workload conv_256 --json now.json --markdown now.md
python -m experiments.benchmarks.operators --workload networks --plot now.png
python -m experiments.benchmarks.operators --scaling --json scaling.json --plot scaling.png
python -m experiments.benchmarks.operators --compare before.json now.json

'forward' is the output alone; 'forward + gradients' is the sum of the output times a fixed
cotangent, with its gradients for inputs, guide, kernel and bias. Times are medians of warm calls,
taken in turns in one run; temporary memory is what the compiled call holds beside arguments and
results, and peak memory all of it together. 'networks' are all the shapes that networks have; the
summary has geometric means over those that were measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import jax

from experiments.benchmarks import report, scaling
from experiments.benchmarks.competitors import list_competitors
from experiments.benchmarks.measuring import measure
from experiments.benchmarks.summary import by_dtype, format_summary, summaries_to_json
from experiments.benchmarks.workloads import NETWORK_SHAPES, WORKLOADS

_ALL_NETWORKS = "networks"


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read and check the command line; what is wrong ends the program in one line, status 2."""
    parser = _Parser(
        prog="python -m experiments.benchmarks.operators",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--workload", nargs="+", metavar="NAME", help=f"default: all; '{_ALL_NETWORKS}' is many")
    add("--competitor", nargs="+", metavar="NAME", default=None, help="default: all")
    add(
        "--dtype",
        nargs="+",
        choices=("float32", "bfloat16"),
        default=["float32"],
        help="default: float32",
    )
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
    add("--plot", type=Path, metavar="FILE", help="draw the ratios, or the scaling, as PNG")
    add("--read", type=Path, metavar="FILE", help="take the results of a JSON file, do not measure")
    add("--list", action="store_true", help="name the workloads and competitors, measure nothing")
    add(
        "--scaling",
        action="store_true",
        help="how time and memory of the convolution grow with pixels, taps and channels instead",
    )
    add(
        "--compare",
        nargs=2,
        type=Path,
        metavar=("EARLIER", "LATER"),
        help="name what got slower between two JSON files; status 1 if anything did",
    )
    add("--threshold", type=float, default=1.2, help="ratio of medians that counts (default: 1.2)")
    options = parser.parse_args(arguments)
    for name in ("scaling", "read"):
        if getattr(options, name) and (options.workload or options.competitor):
            parser.error(f"--{name} has its own workloads and competitors")
    if options.scaling and options.read:
        parser.error("--scaling measures, --read does not; it needs one of them")
    competitors = list(list_competitors())
    options.competitor = options.competitor or competitors
    options.workload = _with_networks(options.workload or list(WORKLOADS))
    for kind, names, known in (
        ("workload", options.workload, list(WORKLOADS)),
        ("competitor", options.competitor, competitors),
    ):
        for name in names:
            if name not in known:
                parser.error(f"{kind} is {name!r}; it needs one of {', '.join(known)}")
    if options.runs < 1:
        parser.error(f"--runs is {options.runs}; it needs at least 1")
    if (options.plot or options.scaling) and len(options.dtype) > 1:
        parser.error(f"--plot and --scaling have one --dtype, not {' and '.join(options.dtype)}")
    return options


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\n")


def _with_networks(names: Sequence[str]) -> list[str]:
    """The names, each once, with the network shapes for their common name."""
    spelled = (NETWORK_SHAPES if name == _ALL_NETWORKS else (name,) for name in names)
    return list(dict.fromkeys(name for group in spelled for name in group))


def list_names() -> str:
    """What can be asked for, one name a line."""
    lines = [f"workloads ('{_ALL_NETWORKS}': those with a *):"]
    for workload in WORKLOADS.values():
        size = " x ".join(map(str, (workload.batch, *workload.size, workload.channels)))
        window = " x ".join(map(str, workload.window))
        lines.append(
            f"{'*' if workload.name in NETWORK_SHAPES else ' '} {workload.name:<16} "
            f"{workload.operator}, {size} -> {workload.features}, "
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
    for dtype in options.dtype:
        for name in options.workload:
            workload = WORKLOADS[name].tiny() if options.tiny else WORKLOADS[name]
            measured, reasons = measure(
                workload, options.competitor, dtype, options.runs, options.budget
            )
            results += measured
            skipped |= reasons
            tables.append(report.format_workload(measured, reasons))
            print(tables[-1], flush=True)
            if options.json:  # after every workload, so that an interrupted run leaves what it has
                report.write_json(options.json, results, skipped, summaries_to_json(results))
    finish(options, results, tables)


def read(options: argparse.Namespace) -> None:
    """Print and draw what a file holds."""
    results = report.read_json(options.read)
    skipped = report.read_skipped(options.read)
    tables = []
    for own in by_dtype(results).values():
        for name in dict.fromkeys(result.workload for result in own):
            measured = [result for result in own if result.workload == name]
            start = f"{name} {measured[0].dtype} "
            reasons = {label: why for label, why in skipped.items() if label.startswith(start)}
            tables.append(report.format_workload(measured, reasons))
            print(tables[-1])
    finish(options, results, tables)


def run_scaling(options: argparse.Namespace) -> None:
    """Measure how cost grows, print the tables, and write the files that were asked for."""
    (dtype,) = options.dtype
    results, skipped = scaling.measure_scaling(dtype, options.runs, options.budget, options.tiny)
    compiling = scaling.measure_compiling(dtype, options.tiny)
    tables = scaling.format_scaling(results, compiling, options.tiny)
    print(tables)
    if options.json:
        summary = {
            "exponents": scaling.exponents(results, options.tiny),
            "compile_seconds": {" ".join(key): seconds for key, seconds in compiling.items()},
        }
        report.write_json(options.json, results, skipped, summary)
    if options.markdown:
        options.markdown.write_text(f"{tables}\n")
    if options.plot:
        from experiments.benchmarks import plots

        plots.draw_scaling(results, options.plot, options.tiny)


def finish(
    options: argparse.Namespace, results: Sequence[report.Result], tables: Sequence[str]
) -> None:
    """Print the summary; write tables and picture if they were asked for."""
    summary = format_summary(results)
    print(summary)
    if options.markdown:
        options.markdown.write_text("\n".join([*tables, summary]).strip() + "\n")
    if options.plot:
        from experiments.benchmarks import plots  # matplotlib is for who wants pictures

        plots.draw_ratios(results, options.plot)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    options = parse_arguments(arguments)
    jax.config.update("jax_enable_compilation_cache", False)  # or compiling would seem free
    try:
        if options.list:
            print(list_names())
        elif options.compare:
            return compare_files(options.compare[0], options.compare[1], options.threshold)
        elif options.scaling:
            run_scaling(options)
        elif options.read:
            read(options)
        else:
            run(options)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
