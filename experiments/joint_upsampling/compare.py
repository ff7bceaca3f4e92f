"""What each change brought: the scores of several runs in one table.

    python -m experiments.joint_upsampling.compare runs/ablation runs/ablation_without_*

The first run is the one to compare with; of the others the table names what is different in their
configuration. The scores are those that the runs wrote at their end, or, with `--scores`, those of a
benchmark that measured all of them.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from experiments.joint_upsampling.config import Config
from experiments.joint_upsampling.metrics import CONVENTIONS
from experiments.joint_upsampling.scores import Score
from experiments.joint_upsampling.scores import read as read_scores
from experiments.joint_upsampling.tables import aligned, means, shortened, write_report
from experiments.training.errors import RunError, one_line_errors
from experiments.training.log import read as read_log
from experiments.training.run_folder import recall

# Differences that say nothing of a change.
_IRRELEVANT = ("checkpoint_every", "log_every")


def main(arguments: list[str] | None = None) -> None:
    """Compare runs from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.joint_upsampling.compare", description=__doc__.splitlines()[0]
    )
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs, the base first")
    parser.add_argument("--scores", type=Path, help="scores.json of a benchmark of all of them")
    parser.add_argument("--convention", default=None, help="default: the first of the kind")
    parser.add_argument("--out", type=Path, help="write NAME.md and NAME.json (default: print)")
    given = parser.parse_args(arguments)
    with one_line_errors():
        text, record = compare(given.runs, given.scores, given.convention)
        if given.out:
            write_report(given.out, text, record)
        Console().print(text, markup=False, highlight=False, soft_wrap=True)


def compare(
    folders: Sequence[Path], benchmark: Path | None = None, convention: str | None = None
) -> tuple[str, list[dict]]:
    """Compare runs.

    Args:
        folders: of the runs, the one to compare with first.
        benchmark: `scores.json` with methods named after the folders; None for the runs' own.
        convention: of the metric; None for the first of the kind.

    Returns:
        Markdown, a table for every protocol; and the same as records.

    Raises:
        RunError: a run or its scores are missing, or the runs are of several kinds.
    """
    configs = [recall(folder, Config) for folder in folders]
    kinds = {config.task for config in configs}
    if len(kinds) > 1:
        raise RunError(f"the runs are of the kinds {', '.join(sorted(kinds))}; compare one")
    (kind,) = kinds
    names = [c.name for c in CONVENTIONS[kind]]
    convention = convention or names[0]
    if convention not in names:
        raise RunError(f"there is no convention {convention!r} for {kind}: {', '.join(names)}")
    found = [_scores(folder, benchmark, convention) for folder in folders]
    changes = [_change(config, configs[0]) for config in configs]
    held_out = [_held_out(folder) for folder in folders]
    protocols = dict.fromkeys(score.protocol for scores, _ in found for score in scores)
    texts = []
    records = []
    for protocol in protocols:
        chosen = [[s for s in scores if s.protocol == protocol] for scores, _ in found]
        commits = sorted({shortened(commit) for _, commit in found})
        texts.append(_caption(chosen, configs, commits))
        texts.append(_table(folders, changes, held_out, chosen))
    for folder, config, (scores, commit) in zip(folders, configs, found, strict=True):
        records.append(
            {
                "run": folder.name,
                "config": dataclasses.asdict(config),
                "commit": commit,
                "scores": [dataclasses.asdict(score) for score in scores],
            }
        )
    return "\n\n".join(texts) + "\n", records


def _scores(folder: Path, benchmark: Path | None, convention: str) -> tuple[list[Score], str]:
    """The run's own rows."""
    path = benchmark or folder / "scores.json"
    scores, commit = read_scores(path)
    own = [s for s in scores if s.method == folder.name and s.convention == convention]
    if not own:
        raise RunError(f"{path} has no scores of {folder.name}, convention {convention}")
    return own, commit


def _change(config: Config, base: Config) -> str:
    fields = dataclasses.asdict(config)
    different = [
        f"{name} {fields[name]} instead of {there}"
        for name, there in dataclasses.asdict(base).items()
        if fields[name] != there and name not in _IRRELEVANT
    ]
    return "; ".join(different)


def _held_out(folder: Path) -> str:
    """Error on held-out scenes over that of bicubic, at the end."""
    measured = [row.metrics for row in read_log(folder / "log.csv") if row.metrics]
    if not measured or not measured[-1]["bicubic_rmse"]:
        return ""
    return f"{measured[-1]['rmse'] / measured[-1]['bicubic_rmse']:.3f}"


def _caption(
    chosen: Sequence[Sequence[Score]], configs: Sequence[Config], commits: Sequence[str]
) -> str:
    first = next(score for scores in chosen for score in scores)
    seeds = ", ".join(sorted({str(config.seed) for config in configs}))
    convention = next(c for c in CONVENTIONS[first.kind] if c.name == first.convention)
    data = ", ".join(dict.fromkeys(s.data for scores in chosen for s in scores))
    return (
        f"**{first.kind}, {first.metric}, protocol `{first.protocol}`**, {convention.text}; per "
        f"image, then averaged. Unit: {first.unit}. In brackets: over the first row. Data: {data}; "
        f"generated: error on held-out scenes over that of bicubic, at the run's first factor and "
        f"protocol. Commit {', '.join(commits)}. Seed {seeds}."
    )


def _table(
    folders: Sequence[Path],
    changes: Sequence[str],
    held_out: Sequence[str],
    chosen: Sequence[Sequence[Score]],
) -> str:
    tables = [means(scores) for scores in chosen]
    columns = list(dict.fromkeys((d, f) for table in tables for _, d, f in table))
    base = {(d, f): value for (_, d, f), value in tables[0].items()}
    head = ["run", "change", "parameters", "generated", *(f"{d} x{f}" for d, f in columns)]
    lines = [head]
    rows = zip(folders, changes, held_out, chosen, tables, strict=True)
    for folder, change, generated, scores, table in rows:
        parameters = f"{scores[0].parameters:,}" if scores else ""
        cells = []
        for column in columns:
            value = table.get((folder.name, *column))
            ratio = f" ({value / base[column]:.2f})" if value and column in base else ""
            cells.append("" if value is None else f"{value:.3f}{ratio}")
        lines.append([folder.name, change or "-", parameters, generated, *cells])
    return aligned(lines, texts=2)


if __name__ == "__main__":
    main()
