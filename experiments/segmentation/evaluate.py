"""Measure methods on labelled images; write scores, tables, confusion matrices and pictures."""

import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from experiments.benchmarks.report import describe_commit
from experiments.datasets import Pair
from experiments.segmentation.label_sets import LabelSet
from experiments.segmentation.methods import Method
from experiments.segmentation.metrics import confusion
from experiments.segmentation.pictures import label_rows
from experiments.segmentation.scores import Score, markdown
from experiments.segmentation.training_data import Labelled
from experiments.training.layout import save_picture
from experiments.training.run_folder import write_atomically
from pac_jax.files import write_labels


def evaluate(
    methods: Sequence[Method],
    pairs: Labelled,
    labels: LabelSet,
    folder: Path,
    console: Console,
    *,
    pictures: int = 0,
    export: bool = False,
    count: int | None = None,
) -> list[Score]:
    """Measure; write `scores.json`, `scores.md`, and what is asked for.

    Args:
        methods: rows of the tables.
        pairs: labelled images.
        labels: their classes.
        folder: to write to; made if needed.
        console: for the progress bar.
        pictures: of how many images to draw `METHOD.png`: photograph, truth, result, overlay.
        export: whether to write every label map, `METHOD/NAME.png`, as a palette PNG.
        count: number of images, evenly spread over the set; None for all.

    Returns:
        The scores, one for each method.
    """
    folder.mkdir(parents=True, exist_ok=True)
    number = len(pairs) if count is None else min(count, len(pairs))
    chosen = np.linspace(0, len(pairs) - 1, number).round().astype(int)
    scores = []
    for method in methods:
        total = np.zeros((labels.classes, labels.classes), np.int64)
        seconds: list[float] = []
        shown: list[tuple[Pair, np.ndarray]] = []
        for index in track(chosen, method.name, console=console, transient=True):
            pair = pairs[int(index)]
            start = time.perf_counter()
            result = np.argmax(method.scores(pair.guide), axis=-1)
            seconds.append(time.perf_counter() - start)
            truth = pair.target[..., 0].astype(np.int64)
            total += confusion(truth, result, labels.classes, void=labels.void)
            if len(shown) < pictures:
                shown.append((pair, result))
            if export:
                (folder / method.name).mkdir(exist_ok=True)
                path = folder / method.name / f"{pair.name}.png"
                write_labels(path, result.astype(np.uint8), palette=labels.palette)
        if shown:
            save_picture(label_rows(shown, labels), folder / f"{method.name}.png")
        # The first image compiles.
        scores.append(
            Score(
                method.name,
                method.parameters,
                method.seed,
                total.tolist(),
                number,
                float(np.median(seconds)),
            )
        )
    record = {
        "labels": labels.name,
        "commit": describe_commit(),
        "scores": [dataclasses.asdict(score) for score in scores],
    }
    write_atomically(folder / "scores.json", json.dumps(record) + "\n")
    write_atomically(folder / "scores.md", markdown(scores, labels, describe_commit()))
    return scores
