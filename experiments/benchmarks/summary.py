"""Geometric means over the network shapes, the worst of them, and the bars that they are held to."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.benchmarks.competitors import DEFAULT, FLOOR, MODES, TORCH
from experiments.benchmarks.report import Result, align_table
from experiments.benchmarks.workloads import NETWORK_SHAPES

TITLES = {"forward": "forward", "gradients": "forward + gradients"}


@dataclass(frozen=True)
class Bar:
    """What a quantity may be at most; None for no bar.

    Attributes:
        mean: of the geometric mean.
        each: of every workload.
    """

    mean: float | None = None
    each: float | None = None


@dataclass(frozen=True)
class Quantity:
    """A number of which less is better.

    Attributes:
        title: of the table's column.
        rival: the competitor that it is divided by the same number of, None for no division.
        read: from a result; None where it is not known.
        bars: by mode.
    """

    title: str
    rival: str | None
    read: Callable[[Result], float | None]
    bars: Mapping[str, Bar]


QUANTITIES: dict[str, Quantity] = {
    "times_plain": Quantity(
        "x plain",
        FLOOR,
        lambda result: result.measurement.median,
        {"forward": Bar(2.5, 4.0), "gradients": Bar(3.0, 4.0)},
    ),
    "memory_over_data": Quantity(
        "temporary / data",
        None,
        lambda result: _divided(result.measurement.temporary_bytes, result.data_bytes),
        {"forward": Bar(each=1.0), "gradients": Bar(each=3.0)},
    ),
    "times_torch": Quantity(
        "x torch",
        TORCH,
        lambda result: result.measurement.median,
        {"forward": Bar(mean=0.1), "gradients": Bar(mean=0.1)},
    ),
    "peak_over_torch": Quantity(
        "peak / torch's",
        TORCH,
        lambda result: result.measurement.peak_bytes,
        {"forward": Bar(mean=0.2), "gradients": Bar(mean=0.2)},
    ),
    "compile_seconds": Quantity(
        "compile s",
        None,
        lambda result: result.measurement.compile_seconds,
        {"forward": Bar(each=2.0), "gradients": Bar(each=2.0)},
    ),
}


@dataclass(frozen=True)
class Summary:
    """One quantity of one competitor in one mode, over workloads.

    Attributes:
        values: by workload; those where it is not known are left out.
        bar: what they are held to.
    """

    values: Mapping[str, float]
    bar: Bar

    @property
    def mean(self) -> float:
        """Geometric mean; of zeros, too."""
        values = self.values.values()
        return statistics.geometric_mean(values) if min(values) > 0 else 0.0

    @property
    def worst(self) -> str:
        """The workload with the largest value."""
        return max(self.values, key=self.values.__getitem__)

    @property
    def is_met(self) -> bool | None:
        """Whether both bars hold; None where there is none."""
        pairs = ((self.mean, self.bar.mean), (self.values[self.worst], self.bar.each))
        known = [value <= limit for value, limit in pairs if limit is not None]
        return all(known) if known else None

    def to_json(self) -> dict[str, Any]:
        """What a record keeps."""
        return {
            "geometric_mean": self.mean,
            "worst": self.values[self.worst],
            "worst_workload": self.worst,
            "bar_of_mean": self.bar.mean,
            "bar_of_each": self.bar.each,
            "is_met": self.is_met,
            "values": dict(self.values),
        }


def summarize(
    results: Sequence[Result], competitor: str = DEFAULT
) -> dict[tuple[str, str], Summary]:
    """All quantities of a competitor over the network shapes among the results.

    Args:
        results: of one data type.
        competitor: its name.

    Returns:
        By mode and name of the quantity; what is known of no workload is left out.
    """
    by_key = {(result.workload, result.competitor, result.mode): result for result in results}
    summaries = {}
    for mode in MODES:
        for name, quantity in QUANTITIES.items():
            values = {}
            for workload in _network_shapes(results):
                value = _value(quantity, by_key, workload, competitor, mode)
                if value is not None:
                    values[workload] = value
            if values:
                summaries[mode, name] = Summary(values, quantity.bars[mode])
    return summaries


def _value(
    quantity: Quantity,
    by_key: Mapping[tuple[str, str, str], Result],
    workload: str,
    competitor: str,
    mode: str,
) -> float | None:
    result = by_key.get((workload, competitor, mode))
    value = None if result is None else quantity.read(result)
    if quantity.rival is None:
        return value
    rival = by_key.get((workload, quantity.rival, mode))
    return _divided(value, None if rival is None else quantity.read(rival))


def _divided(numerator: float | None, denominator: float | None) -> float | None:
    return None if numerator is None or not denominator else numerator / denominator


def _network_shapes(results: Sequence[Result]) -> list[str]:
    """The names of the network shapes, or of their tiny forms, that there are results of."""
    names = dict.fromkeys(result.workload for result in results)
    return [name for name in names if name.removesuffix("_tiny") in NETWORK_SHAPES]


def summaries_to_json(results: Sequence[Result]) -> dict[str, Any]:
    """By data type, competitor, mode and quantity."""
    record: dict[str, Any] = {}
    for dtype, own in by_dtype(results).items():
        for competitor in dict.fromkeys(result.competitor for result in own):
            for (mode, name), summary in summarize(own, competitor).items():
                branch = record.setdefault(dtype, {}).setdefault(competitor, {})
                branch.setdefault(mode, {})[name] = summary.to_json()
    return record


def by_dtype(results: Sequence[Result]) -> dict[str, list[Result]]:
    """The results of every data type."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.dtype, []).append(result)
    return groups


def format_summary(results: Sequence[Result]) -> str:
    """Markdown: the library over the network shapes with its bars, and all competitors' means.

    Returns:
        Empty where no network shape was measured.
    """
    parts = []
    for dtype, own in by_dtype(results).items():
        shapes = _network_shapes(own)
        if not shapes:
            continue
        parts.append(
            f"## Summary of {len(shapes)} of {len(NETWORK_SHAPES)} network shapes, {dtype}"
        )
        for mode in MODES:
            table = _format_mode(summarize(own), mode, shapes)
            if table:
                parts.append(f"`{DEFAULT}`, {TITLES[mode]}:\n\n{table}")
        parts.append(f"All, x {FLOOR}:\n\n{_format_competitors(own)}")
    return "\n\n".join(parts)


def _format_mode(
    summaries: Mapping[tuple[str, str], Summary], mode: str, shapes: Sequence[str]
) -> str:
    """A row for every workload, then means, worst, and bars."""
    columns = {
        QUANTITIES[name].title: summary for (own, name), summary in summaries.items() if own == mode
    }
    if not columns:
        return ""
    rows = [["workload", *columns]]
    for shape in shapes:
        values = (summary.values.get(shape) for summary in columns.values())
        rows.append([shape, *map(_number, values)])
    every = columns.values()
    rows += [
        ["geometric mean", *(_number(summary.mean) for summary in every)],
        ["worst", *(_number(summary.values[summary.worst]) for summary in every)],
        ["bar of the mean", *(_number(summary.bar.mean) for summary in every)],
        ["bar of each", *(_number(summary.bar.each) for summary in every)],
        ["met", *(_verdict(summary.is_met) for summary in every)],
    ]
    return align_table(rows)


def _format_competitors(results: Sequence[Result]) -> str:
    """A row for every competitor: its mean, its worst, and over how many workloads."""
    header = ["competitor"]
    for mode in MODES:
        header += [TITLES[mode], "worst", "workloads"]
    rows = [header]
    for competitor in dict.fromkeys(result.competitor for result in results):
        summaries = summarize(results, competitor)
        if not summaries:
            continue
        cells = []
        for mode in MODES:
            summary = summaries.get((mode, "times_plain"))
            if summary is None:
                cells += ["-", "-", "0"]
            else:
                worst = f"{_number(summary.values[summary.worst])} ({summary.worst})"
                cells += [_number(summary.mean), worst, str(len(summary.values))]
        rows.append([competitor, *cells])
    return align_table(rows)


def _number(value: float | None) -> str:
    """Two digits after the point, more where a number is small."""
    if value is None:
        return "-"
    return f"{value:.2f}" if value == 0 or value >= 0.1 else f"{value:.2g}"


def _verdict(is_met: bool | None) -> str:
    return {True: "yes", False: "no", None: "-"}[is_met]
