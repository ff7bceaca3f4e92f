"""Measure runs and CRFs on labelled images: one command, Markdown, JSON and pictures.

    python -m experiments.segmentation.benchmark --data ../shared/data/camvid --split val \
        --run runs/small_camvid runs/small_camvid_crf --full-crf full_crf.json --out results

Of the first run also the scores refined by the full CRF are measured, with the settings of the file,
by pydensecrf2, and with `--exact-reduced` exactly. `--export` writes every label map as a palette PNG.
"""

import argparse
from functools import partial
from pathlib import Path

from rich.console import Console

from experiments.datasets import load
from experiments.segmentation.evaluate import evaluate
from experiments.segmentation.full_crf import approximate, exact, read_settings
from experiments.segmentation.methods import Method, of_run, then
from experiments.segmentation.saved_runs import from_run
from experiments.segmentation.training_data import validation_set
from experiments.training.errors import existing_folder, one_line_errors
from experiments.training.loop import report


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.segmentation.benchmark", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--run", nargs="+", type=Path, required=True, help="folders of runs")
    parser.add_argument("--data", type=Path, help="folder of the first run's data set")
    parser.add_argument("--split", help="default: the validation split of the first run")
    parser.add_argument("--full-crf", type=Path, help="settings, see full_crf")
    parser.add_argument(
        "--exact-reduced",
        type=int,
        help="measure the exact full CRF, too, averaging over blocks of this many pixels first",
    )
    parser.add_argument("--count", type=int, help="number of images (default: all)")
    parser.add_argument("--pictures", type=int, default=4, help="of how many images (default: 4)")
    parser.add_argument("--export", action="store_true", help="write every label map")
    parser.add_argument("--out", type=Path, default=Path("results"), help="default: results")
    given = parser.parse_args(arguments)
    with one_line_errors():
        run(given, Console())


def run(given: argparse.Namespace, console: Console) -> None:
    """Measure what is asked for."""
    first = from_run(given.run[0], partial(report, console))
    config = first.config
    existing_folder(given.data, holds=f"the data set {config.dataset}")
    pairs = (
        load(config.dataset, given.split, folder=given.data)
        if given.split and config.dataset != "scenes"
        else validation_set(config, given.data, given.run[0].parent / "scenes")
    )
    methods = [of_run(folder, partial(report, console)) for folder in given.run]
    if given.full_crf:
        methods[1:1] = _with_full_crf(methods[0], given.full_crf, given.exact_reduced)
    evaluate(
        methods,
        pairs,
        config.label_set,
        given.out,
        console,
        pictures=given.pictures,
        export=given.export,
        count=given.count,
    )
    report(console, (given.out / "scores.md").read_text())


def _with_full_crf(method: Method, path: Path, reduce: int | None) -> list[Method]:
    settings = read_settings(path)
    methods = [then(method, f"{method.name} + pydensecrf2", approximate(settings))]
    if reduce is not None:
        exactly = f"exact full CRF, 1 of {reduce}" if reduce > 1 else "exact full CRF"
        methods.append(then(method, f"{method.name} + {exactly}", exact(settings, reduce)))
    return methods


if __name__ == "__main__":
    main()
