"""Scores as Markdown; every table says protocol, data, unit, commit and seed."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.joint_upsampling.fitting import RULES
from experiments.joint_upsampling.metrics import CONVENTIONS
from experiments.joint_upsampling.scores import Score
from experiments.training.run_folder import write_atomically

# What errors are also given relative to, as the publications of the kind do.
REFERENCES = {"depth": "bicubic", "flow": "bilinear"}
Column = tuple[str, int]  # a set of images, a factor


def markdown(scores: Sequence[Score], commit: str) -> str:
    """One table for every kind, convention and protocol.

    Args:
        scores: of any number of methods and images.
        commit: that they were measured at.

    Returns:
        The text; cells are means over the images of a set.
    """
    keys = dict.fromkeys((s.kind, s.convention, s.protocol) for s in scores)
    tables = []
    for kind, convention, protocol in keys:
        chosen = [
            s for s in scores if (s.kind, s.convention, s.protocol) == (kind, convention, protocol)
        ]
        tables.append(f"{_caption(chosen, commit)}\n\n{_table(chosen)}")
    return "\n\n".join(tables) + "\n"


def per_image(scores: Sequence[Score]) -> str:
    """One table of every image by itself: all methods, under every protocol, by the first convention.

    Args:
        scores: of one kind and one factor.
    """
    convention = CONVENTIONS[scores[0].kind][0]
    chosen = [s for s in scores if s.convention == convention.name]
    values = {(s.image, s.protocol, s.method): s.value for s in chosen}
    columns = list(dict.fromkeys((s.protocol, s.method) for s in chosen))
    lines = [["image", *(f"{method}, `{protocol}`" for protocol, method in columns)]]
    for image in dict.fromkeys(s.image for s in chosen):
        lines.append([image, *(f"{values[image, *column]:.3f}" for column in columns)])
    return (
        f"**Every image by itself**: {convention.metric}, {convention.text}. Unit: {chosen[0].unit}."
        f"\n\n{aligned(lines)}\n"
    )


def means(scores: Sequence[Score]) -> dict[tuple[str, str, int], float]:
    """Mean over images by method, set and factor."""
    values: dict[tuple[str, str, int], list[float]] = {}
    for s in scores:
        values.setdefault((s.method, s.data, s.factor), []).append(s.value)
    return {key: float(np.mean(group)) for key, group in values.items()}


def shortened(commit: str) -> str:
    """The first twelve digits of a commit, and the sign that files differ from it."""
    return commit[:12] + ("+" if commit.endswith("+") else "")


def _caption(scores: Sequence[Score], commit: str) -> str:
    first = scores[0]
    convention = next(c for c in CONVENTIONS[first.kind] if c.name == first.convention)
    images: dict[str, dict[str, None]] = {}
    for score in scores:
        images.setdefault(score.data, {})[score.image] = None
    data = "; ".join(
        f"{name} ({len(found)} images: {', '.join(found)})" if len(found) > 1 else name
        for name, found in images.items()
    )
    return (
        f"**{first.kind}, {first.metric}, protocol `{first.protocol}`**, {convention.text}; per "
        f"image, then averaged. Unit: {first.unit}. In brackets: over that of "
        f"{REFERENCES[first.kind]}. Data: {data}; {RULES[first.kind]}. Commit {shortened(commit)}."
    )


def _table(scores: Sequence[Score]) -> str:
    columns: list[Column] = list(dict.fromkeys((s.data, s.factor) for s in scores))
    methods = {s.method: s for s in scores}
    table = means(scores)
    best = {
        column: min(table[m, *column] for m in methods if (m, *column) in table)
        for column in columns
    }
    lines = [["method", "parameters", "seed", *(f"{data} x{factor}" for data, factor in columns)]]
    for name, score in methods.items():
        parameters = "" if score.parameters is None else f"{score.parameters:,}"
        seed = "" if score.seed is None else str(score.seed)
        cells = [_cell(table, name, column, best[column], score.kind) for column in columns]
        lines.append([name, parameters, seed, *cells])
    return aligned(lines)


def write_report(path: Path, text: str, record: object) -> None:
    """Write NAME.md and NAME.json, each whole or not at all; the folder is made if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path.with_suffix(".md"), text)
    write_atomically(path.with_suffix(".json"), json.dumps(record, indent=1) + "\n")


def aligned(lines: Sequence[Sequence[str]], texts: int = 1) -> str:
    """A Markdown table that also reads as text.

    Args:
        lines: cells; the first line is the head.
        texts: how many of the first columns are texts, which stand left; numbers stand right.
    """
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * n if k < texts else "-" * (n - 1) + ":" for k, n in enumerate(widths)]
    padded = [
        [
            cell.ljust(width) if k < texts else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        for cells in (lines[0], rule, *lines[1:])
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def _cell(
    table: dict[tuple[str, str, int], float], method: str, column: Column, best: float, kind: str
) -> str:
    value = table.get((method, *column))
    if value is None:
        return ""
    text = f"**{value:.3f}**" if value == best else f"{value:.3f}"
    reference = table.get((REFERENCES[kind], *column))
    return f"{text} ({value / reference:.2f})" if reference else text
