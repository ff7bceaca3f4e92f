"""Pictures of measurements, for the docs."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, StrMethodFormatter

from experiments.benchmarks import scaling
from experiments.benchmarks.competitors import DEFAULT, FLOOR, MODES
from experiments.benchmarks.report import Result
from experiments.benchmarks.summary import QUANTITIES, TITLES
from experiments.training.run_folder import write_atomically

_MARKERS = "os^vDP*X<>dph"


def draw_ratios(results: Sequence[Result], path: Path) -> None:
    """Draw every competitor's time over the plain convolution's, a line for every workload.

    Args:
        results: of one data type.
        path: of the picture, a PNG.
    """
    workloads = list(dict.fromkeys(result.workload for result in results))[::-1]
    competitors = [name for name in dict.fromkeys(r.competitor for r in results) if name != FLOOR]
    by_key = {(r.workload, r.competitor, r.mode): r.measurement.median for r in results}
    figure = Figure(figsize=(10, 1.6 + 0.3 * len(workloads)), layout="constrained")
    panels = figure.subplots(1, len(MODES), sharey=True)
    for axes, mode in zip(panels, MODES, strict=True):
        for number, name in enumerate(competitors):
            points = [
                (by_key[workload, name, mode] / by_key[workload, FLOOR, mode], line)
                for line, workload in enumerate(workloads)
                if (workload, name, mode) in by_key and (workload, FLOOR, mode) in by_key
            ]
            own = name == DEFAULT
            axes.plot(
                [ratio for ratio, _ in points],
                [line for _, line in points],
                _MARKERS[number % len(_MARKERS)],
                label=name,
                markersize=8 if own else 5,
                color="black" if own else f"C{number % 10}",
                zorder=3 if own else 2,
            )
        _mark_ratio(axes, 1.0, "-")
        _mark_ratio(axes, QUANTITIES["times_plain"].bars[mode].mean or 1.0, "--")
        axes.set(xscale="log", xlabel=f"{TITLES[mode]}: time over the plain convolution's")
        low, high = axes.get_xlim()
        between = (1, 2, 5) if high < 100 * low else (1,)  # as many labels as there is room for
        axes.xaxis.set_major_locator(LogLocator(subs=between))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_yticks(range(len(workloads)), workloads)
        axes.grid(alpha=0.3, which="both")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=6)
    _write(figure, path)


def draw_scaling(results: Sequence[Result], path: Path, tiny: bool = False) -> None:
    """Draw the library's and the plain convolution's times over what grows, one panel a sweep.

    Args:
        results: of `scaling.measure_scaling`.
        path: of the picture, a PNG.
        tiny: see `scaling.sweeps`.
    """
    collected = scaling.collect(results, tiny)
    figure = Figure(figsize=(3 * len(collected), 3.2), layout="constrained")
    panels = figure.subplots(1, len(collected), squeeze=False)[0]
    for axes, (name, own) in zip(panels, collected.items(), strict=True):
        for (competitor, mode), points in own.items():
            axes.plot(
                list(points),
                [1e3 * result.measurement.median for result in points.values()],
                "o-" if mode == MODES[0] else "s--",
                color="black" if competitor == DEFAULT else "C0",
                markersize=4,
                label=f"{competitor}, {TITLES[mode]}",
            )
        axes.set(xscale="log", yscale="log", xlabel=name.replace("_", " "))
        squared = "²" if name in ("pixels", "taps") else ""  # their names hold one side
        own_points = own[DEFAULT, MODES[0]]
        sides = (result.workload.rpartition("_")[2] for result in own_points.values())
        axes.set_xticks(list(own_points), [f"{side}{squared}" for side in sides])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.tick_params(axis="x", labelsize=8)
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("ms")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    _write(figure, path)


def _mark_ratio(axes: Axes, ratio: float, style: str) -> None:
    axes.axvline(ratio, color="gray", linestyle=style, linewidth=1, zorder=1)


def _write(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)  # no pyplot: no state, no display
    data = io.BytesIO()
    figure.savefig(data, dpi=100, format="png")
    write_atomically(path, data.getvalue())
