"""How the cost of a convolution grows with pixels, taps and channels, and what compiling costs.

One number grows at a time. The exponent p of time ~ number ** p is fitted by least squares to all
points of a sweep: 1 is linear, and less where a fixed cost is spread over more.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from experiments.benchmarks.competitors import DEFAULT, FLOOR, MODES, list_competitors
from experiments.benchmarks.measuring import measure
from experiments.benchmarks.report import Result, align_table
from experiments.benchmarks.summary import TITLES
from experiments.benchmarks.workloads import WORKLOADS, Workload, make_operands

# 2048 x 2048 with these channels is 0.6 GiB of data.
_BASE = Workload("base", "conv", (256, 256), 16, 8, (5, 5), 16)

# What a sweep changes: a value of its list, and the workload with it.
_CHANGES: dict[str, tuple[tuple[int, ...], Callable[[int], Workload]]] = {
    "pixels": (
        (64, 128, 256, 512, 1024, 2048),
        lambda side: dataclasses.replace(_BASE, size=(side, side)),
    ),
    "taps": ((3, 5, 7, 9), lambda side: dataclasses.replace(_BASE, window=(side, side))),
    "channels": ((8, 16, 32, 64, 128, 256), lambda n: dataclasses.replace(_BASE, channels=n)),
    "features": ((8, 16, 32, 64, 128, 256), lambda n: dataclasses.replace(_BASE, features=n)),
    "guide_channels": (
        (8, 16, 32, 64, 128, 256),
        lambda n: dataclasses.replace(_BASE, guide_channels=n),
    ),
}
_OPERATORS = ("conv_256", "depthwise_256", "transpose_160", "pool_256")


def sweeps(tiny: bool = False) -> dict[str, dict[int, Workload]]:
    """The workloads of every sweep, by the number that grows: 'pixels_64' has 4096 of them.

    Args:
        tiny: the first two of each, on images of a few pixels.
    """
    found: dict[str, dict[int, Workload]] = {}
    for name, (values, change) in _CHANGES.items():
        found[name] = {}
        for value in values[: 2 if tiny else None]:
            workload = dataclasses.replace(change(value), name=f"{name}_{value}")
            if tiny:
                size = (value // 8, value // 8) if name == "pixels" else (12, 12)
                workload = dataclasses.replace(workload, size=size)
            found[name][_number(name, workload)] = workload
    return found


def _number(name: str, workload: Workload) -> int:
    """What a sweep changes, of one of its workloads."""
    if name == "pixels":
        return math.prod(workload.size)
    return math.prod(workload.window) if name == "taps" else getattr(workload, name)


def measure_scaling(
    dtype: str, runs: int, budget_seconds: float, tiny: bool = False
) -> tuple[list[Result], dict[str, str]]:
    """Time the library and the plain convolution over all sweeps.

    Args:
        dtype: of the operands.
        runs: turns of each.
        budget_seconds: see `timing.race`.
        tiny: see `sweeps`.

    Returns:
        As `measuring.measure`.
    """
    results: list[Result] = []
    skipped: dict[str, str] = {}
    for points in sweeps(tiny).values():
        for workload in points.values():
            measured, reasons = measure(workload, (FLOOR, DEFAULT), dtype, runs, budget_seconds)
            results += measured
            skipped |= reasons
    return results, skipped


def measure_compiling(dtype: str, tiny: bool = False) -> dict[tuple[str, str], float]:
    """Seconds of compiling each operator, by workload and mode."""
    seconds = {}
    for name in _OPERATORS:
        workload = WORKLOADS[name].tiny() if tiny else WORKLOADS[name]
        operands, cotangent = make_operands(workload, dtype=dtype)
        for mode in MODES:
            contender = list_competitors()[DEFAULT](workload, operands, cotangent, mode)
            seconds[name, mode] = contender.compile_seconds or 0.0
    return seconds


def fit_exponent(numbers: Sequence[float], costs: Sequence[float]) -> float | None:
    """The p of costs ~ numbers ** p; None for less than two costs above 0."""
    pairs = [(n, cost) for n, cost in zip(numbers, costs, strict=True) if cost > 0]
    if len(pairs) < 2:
        return None
    logarithms = np.log(np.array(pairs, np.float64))
    return float(np.polyfit(logarithms[:, 0], logarithms[:, 1], 1)[0])


def exponents(results: Sequence[Result], tiny: bool = False) -> dict[str, dict[str, float | None]]:
    """Of the library's times and temporary memory in both modes, by sweep, and by its last step."""
    return {
        f"{name}{label}": {
            f"{mode}_{what}": _exponent(own, mode, read, points)
            for mode in MODES
            for what, read in (("seconds", _seconds), ("temporary_bytes", _temporary_bytes))
        }
        for name, own in collect(results, tiny).items()
        for label, points in (("", 0), (", last step", 2))
    }


def collect(
    results: Sequence[Result], tiny: bool = False
) -> dict[str, dict[tuple[str, str], dict[int, Result]]]:
    """The results of every sweep: by competitor and mode, by the number that grows."""
    by_key = {(result.workload, result.competitor, result.mode): result for result in results}
    found: dict[str, dict[tuple[str, str], dict[int, Result]]] = {}
    for name, points in sweeps(tiny).items():
        found[name] = {}
        for competitor in (FLOOR, DEFAULT):
            for mode in MODES:
                keys = {n: (point.name, competitor, mode) for n, point in points.items()}
                found[name][competitor, mode] = {
                    n: by_key[key] for n, key in keys.items() if key in by_key
                }
    return found


def format_scaling(
    results: Sequence[Result], compiling: Mapping[tuple[str, str], float], tiny: bool = False
) -> str:
    """Markdown: a table for every sweep, the exponents, and the operators' compile times."""
    parts = []
    for name, own in collect(results, tiny).items():
        parts.append(f"## Scaling with {name}\n\n{_format_sweep(name, own)}")
    fitted = [["grows", *(f"{TITLES[mode]}, {what}" for mode in MODES for what in _WHAT)]]
    for name, values in exponents(results, tiny).items():
        cells = ("-" if value is None else f"{value:.2f}" for value in values.values())
        fitted.append([name, *cells])
    parts.append(f"## Exponents of `{DEFAULT}`\n\n{align_table(fitted)}")
    rows = [["operator", *(f"{TITLES[mode]}, compile s" for mode in MODES)]]
    for name in dict.fromkeys(name for name, _ in compiling):
        rows.append([name, *(f"{compiling[name, mode]:.2f}" for mode in MODES)])
    parts.append(f"## Compile time of `{DEFAULT}`\n\n{align_table(rows)}")
    return "\n\n".join(parts)


_WHAT = ("time", "temporary memory")


def _format_sweep(name: str, own: Mapping[tuple[str, str], Mapping[int, Result]]) -> str:
    header = [name]
    for mode in MODES:
        header += [f"{TITLES[mode]} ms", "µs each", "x plain", "temporary / data"]
    rows = [header]
    for n in own[DEFAULT, MODES[0]]:
        row = [f"{n}"]
        for mode in MODES:
            result, plain = own[DEFAULT, mode].get(n), own[FLOOR, mode].get(n)
            if result is None or plain is None:
                row += ["-"] * 4
                continue
            seconds = _seconds(result)
            row += [
                f"{1e3 * seconds:.2f}",
                f"{1e6 * seconds / n:.4g}",
                f"{seconds / _seconds(plain):.2f}",
                f"{_temporary_bytes(result) / result.data_bytes:.2f}",
            ]
        rows.append(row)
    return align_table(rows)


def _exponent(
    own: Mapping[tuple[str, str], Mapping[int, Result]],
    mode: str,
    read: Callable[[Result], float],
    last: int,
) -> float | None:
    """Of the last so many points; 0 for all."""
    points = own[DEFAULT, mode]
    costs = [read(result) for result in points.values()]
    return fit_exponent(list(points)[-last:], costs[-last:])


def _seconds(result: Result) -> float:
    return result.measurement.median


def _temporary_bytes(result: Result) -> float:
    """0 where it is not known."""
    return float(result.measurement.temporary_bytes or 0)
