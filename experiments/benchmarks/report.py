"""What becomes of measurements: a record with machine and commit, a table, and a comparison."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from experiments.benchmarks.competitors import FLOOR, MODES
from experiments.benchmarks.timing import Measurement


@dataclass
class Result:
    """One competitor on one workload in one mode.

    Attributes:
        workload: its name.
        dtype: of the operands.
        competitor: its name.
        mode: 'forward' or 'gradients'.
        data_bytes: of inputs, guide and output together.
        measurement: times and memory.
    """

    workload: str
    dtype: str
    competitor: str
    mode: str
    data_bytes: int
    measurement: Measurement

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What it is a result of."""
        return self.workload, self.dtype, self.competitor, self.mode


def describe_machine() -> dict[str, Any]:
    """What the numbers depend on beside the code."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "backend": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def describe_commit() -> str:
    """The commit of the code, with '+' where files differ from it; 'unknown' outside a checkout."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def describe_run() -> dict[str, Any]:
    """What every record of measurements begins with."""
    now = datetime.datetime.now(datetime.UTC)
    return {
        "machine": describe_machine(),
        "commit": describe_commit(),
        "date": now.isoformat(timespec="seconds"),
    }


def write_json(
    path: Path,
    results: Sequence[Result],
    skipped: Mapping[str, str],
    summary: Mapping[str, Any] | None = None,
) -> None:
    """Write all results, every single time included, with machine, commit and date.

    Args:
        path: of the file.
        results: in the order of the table.
        skipped: reason by 'workload dtype competitor'.
        summary: of the results, if there is one.
    """
    record = {
        **describe_run(),
        "summary": dict(summary or {}),
        "skipped": dict(skipped),
        "results": [_to_json(result) for result in results],
    }
    path.write_text(json.dumps(record, indent=1) + "\n")


def _to_json(result: Result) -> dict[str, Any]:
    fields = dataclasses.asdict(result)
    return {
        **{name: value for name, value in fields.items() if name != "measurement"},
        "median_seconds": result.measurement.median,
        **fields["measurement"],
    }


def read_json(path: Path) -> list[Result]:
    """The results in a file of `write_json`.

    Raises:
        ValueError: The file holds something else.
    """
    try:
        entries = json.loads(path.read_text())["results"]
        return [_from_json(dict(entry)) for entry in entries]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no benchmark results ({error!r})") from error


def read_skipped(path: Path) -> dict[str, str]:
    """The reasons in a file of `write_json`."""
    return dict(json.loads(path.read_text()).get("skipped", {}))


def _from_json(entry: dict[str, Any]) -> Result:
    del entry["median_seconds"]
    names = [field.name for field in dataclasses.fields(Measurement)]
    measurement = Measurement(**{name: entry.pop(name) for name in names})
    return Result(**entry, measurement=measurement)


def format_workload(results: Sequence[Result], skipped: Mapping[str, str]) -> str:
    """Markdown of one workload in one data type: a title, the table, and what was skipped."""
    if results:
        table = f"## {results[0].workload}, {results[0].dtype}\n\n{format_table(results)}\n"
    else:
        table = "## Nothing could be measured\n"
    for reason in dict.fromkeys(skipped.values()):
        names = [label.rpartition(" ")[2] for label, why in skipped.items() if why == reason]
        table += f"\nSkipped {', '.join(names)}: {reason}.\n"
    return table


def format_table(results: Sequence[Result]) -> str:
    """A Markdown table of one workload: a competitor per row, and four columns per mode."""
    header = ["competitor"]
    for title in ("forward", "forward + gradients"):
        header += [f"{title} ms", "x plain", "temporary MiB", "peak MiB", "compile s"]
    by_key = {(result.competitor, result.mode): result.measurement for result in results}
    rows = [
        [name, *(cell for mode in MODES for cell in _cells(by_key, name, mode))]
        for name in dict.fromkeys(result.competitor for result in results)
    ]
    return align_table([header, *rows])


def _cells(by_key: Mapping[tuple[str, str], Measurement], name: str, mode: str) -> list[str]:
    measurement, floor = by_key.get((name, mode)), by_key.get((FLOOR, mode))
    if measurement is None:
        return ["-"] * 5
    ratio = None if floor is None else measurement.median / floor.median
    return [
        f"{1e3 * measurement.median:.1f}",
        _format(ratio, ".2f"),
        *(
            _format(None if size is None else size / 2**20, ".1f")
            for size in (measurement.temporary_bytes, measurement.peak_bytes)
        ),
        _format(measurement.compile_seconds, ".2f"),
    ]


def _format(value: float | None, spec: str) -> str:
    return "-" if value is None else format(value, spec)


def align_table(rows: Sequence[Sequence[str]]) -> str:
    """Markdown of a header and rows, padded to be read as it stands."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = []
    for row in (rows[0], rule, *rows[1:]):
        first, *others = zip(row, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


@dataclass
class Change:
    """One median that two records have in common.

    Attributes:
        result: the later one.
        ratio: later median over earlier median.
        relative_ratio: the same after both were divided by the plain convolution's median in their
            own record, which the machine's speed does not change; None where that is missing.
    """

    result: Result
    ratio: float
    relative_ratio: float | None

    def __str__(self) -> str:
        """One line for the user."""
        later = self.result.measurement.median
        relative = _format(self.relative_ratio, ".2f")
        return (
            f"{' '.join(self.result.key)}: {1e3 * later / self.ratio:.1f} ms -> "
            f"{1e3 * later:.1f} ms ({self.ratio:.2f} x; beside the plain convolution {relative} x)"
        )


def compare(earlier: Sequence[Result], later: Sequence[Result]) -> list[Change]:
    """What changed between two records, for everything that both have measured.

    Args:
        earlier: the results to compare with.
        later: the results in question.

    Returns:
        The changes, the worst first.
    """
    before = {result.key: result.measurement.median for result in earlier}
    after = {result.key: result.measurement.median for result in later}
    changes = []
    for result in later:
        if result.key in before:
            ratio = after[result.key] / before[result.key]
            floor = (result.workload, result.dtype, FLOOR, result.mode)
            known = floor in before and floor in after
            relative = ratio * before[floor] / after[floor] if known else None
            changes.append(Change(result, ratio, relative))
    return sorted(changes, key=lambda change: -change.ratio)
