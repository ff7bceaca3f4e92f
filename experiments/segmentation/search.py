"""Which terms `pac_jax.refine` ships: a random search on images whose scores are simulated.

    python -m experiments.segmentation.search --data ../shared/data/camvid/train
    python -m experiments.segmentation.search

The first draws photographs from a folder in CamVid's layout (images .jpg, labels .png of the same
names, 11 is void), the second generates scenes. Half of the trials are drawn anew, each of the others
is the best so far, changed a little. The same seed gives the same table. Real scores are not looked at.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.progress import track

from experiments.joint_upsampling.tables import aligned
from experiments.scenes import OBJECT_KINDS, SceneConfig, render_batch
from experiments.segmentation.metrics import confusion, mean_iou, pixel_accuracy
from experiments.segmentation.simulated_scores import Errors, severity_for, simulated_scores
from experiments.training.errors import RunError, one_line_errors
from experiments.training.run_folder import write_atomically
from pac_jax import files
from pac_jax.crf.terms import PairwiseTerm
from pac_jax.refinement.inference import infer
from pac_jax.refinement.terms import STEPS, TERMS

Layout = tuple[tuple[int, int, int], ...]
# (window, dilation, blur) of the terms, near ones first. A first search with three terms in every
# layout gave the middle one next to no weight.
LAYOUTS: tuple[Layout, ...] = (
    ((5, 2, 2), (7, 6, 4)),
    ((5, 2, 2), (9, 5, 4)),
    ((7, 1, 2), (7, 6, 4)),
    ((5, 1, 2), (5, 4, 2), (7, 4, 4)),
    ((5, 2, 2), (7, 4, 4), (7, 10, 4)),
)
_WEIGHTS = 0.2, 6.0
_COLORS = 0.006, 0.1
_ACCURACY = 0.885  # of the simulated scores
_CHANGE = 0.35  # standard deviation of the logarithms, of a trial that changes the best
_VOID = 255
_CLASSES = 21
_SHOWN = 10


class Sample(NamedTuple):
    """An image, its labels (`_VOID` for void), and simulated scores."""

    image: np.ndarray
    labels: np.ndarray
    scores: np.ndarray


class Trial(NamedTuple):
    """One setting of the CRF.

    Attributes:
        layout: (window, dilation, blur) of every term.
        weights: of every term.
        colors: their deviations.
    """

    layout: Layout
    weights: tuple[float, ...]
    colors: tuple[float, ...]


def main(arguments: list[str] | None = None) -> None:
    """Search from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.segmentation.search", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, help="folder of photographs; default: scenes")
    parser.add_argument("--images", type=int, default=8, help="how many (default: 8)")
    parser.add_argument("--trials", type=int, default=64, help="default: 64")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--out", type=Path, help="write this .md file, too")
    given = parser.parse_args(arguments)
    console = Console()
    with one_line_errors():
        maps = (
            photographs(given.data, given.images)
            if given.data
            else scenes(given.images, given.seed)
        )
        samples, errors = with_scores(*maps, given.seed)
        text = report(search(samples, given.trials, given.seed, console), samples, errors, given)
        if given.out:
            write_atomically(given.out, text)
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def photographs(folder: Path, count: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Images and label maps, evenly from a folder in CamVid's layout."""
    paths = sorted(folder.glob("*.png"))
    if not paths:
        raise RunError(f"there are no .png in {folder}; expected label maps .png and images .jpg")
    chosen = [paths[i] for i in np.linspace(0, len(paths) - 1, min(count, len(paths))).astype(int)]
    images = [files.read_image(path.with_suffix(".jpg")) for path in chosen]
    labels = [files.read_labels(path).astype(np.int32) for path in chosen]
    return images, [np.where(values == len(OBJECT_KINDS) + 1, _VOID, values) for values in labels]


def scenes(count: int, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Generated scenes of few large objects, whose kinds get random class numbers.

    What lies flat on the background, and a quarter of the kinds, is background: it has texture, too.
    """
    config = SceneConfig(
        size=(288, 384),
        presence=(0.05, 0.3),
        zoom=(2.0, 7.0),
        fences=0,
        bars=1,
        camouflage_prob=0.1,
    )
    generator = np.random.default_rng(seed)
    images, labels = [], []
    for key in jax.random.split(jax.random.key(1000 + seed), count):
        scene = render_batch(key, 1, config)
        names = np.zeros(len(OBJECT_KINDS) + 1, np.int32)
        names[2:] = 1 + generator.permutation(_CLASSES - 1)[: len(OBJECT_KINDS) - 1]
        names[generator.uniform(size=names.shape) < 0.25] = 0
        images.append(np.asarray(scene.image[0]))
        labels.append(names[np.asarray(scene.labels[0])])
    return images, labels


def with_scores(
    images: Sequence[np.ndarray], labels: Sequence[np.ndarray], seed: int
) -> tuple[list[Sample], Errors]:
    """Samples whose simulated scores have the wanted accuracy, and what they look like."""
    errors, _ = severity_for(_ACCURACY, labels, _CLASSES, Errors(), seed)
    scores = [
        simulated_scores(values, _CLASSES, errors, np.random.default_rng((seed, number)))
        for number, values in enumerate(labels)
    ]
    return [Sample(*each) for each in zip(images, labels, scores, strict=True)], errors


def search(
    samples: Sequence[Sample], trials: int, seed: int, console: Console
) -> list[tuple[Trial, float, float]]:
    """Trials with mean IoU and pixel accuracy, the best sum of both first."""
    generator = np.random.default_rng(seed)
    found: list[tuple[Trial, float, float]] = []
    for number in track(range(trials), "searching", console=console, transient=True):
        if number < trials // 2:
            layout = LAYOUTS[generator.integers(len(LAYOUTS))]
            weights, colors = (
                _log_uniform(limits, len(layout), generator) for limits in (_WEIGHTS, _COLORS)
            )
        else:
            best = max(found, key=lambda each: each[1] + each[2])[0]
            layout = best.layout
            weights, colors = (
                np.asarray(values) * np.exp(_CHANGE * generator.standard_normal(len(layout)))
                for values in (best.weights, best.colors)
            )
        trial = _trial(layout, weights, colors)
        found.append((trial, *measured(samples, trial)))
    return sorted(found, key=lambda each: -each[1] - each[2])


def measured(samples: Sequence[Sample], trial: Trial, steps: int = STEPS) -> tuple[float, float]:
    """Mean IoU and pixel accuracy over all samples; no terms leave the scores alone."""
    total = np.zeros((_CLASSES, _CLASSES), np.int64)
    terms = tuple(
        PairwiseTerm(window, dilation=dilation, blur=blur, mixing="potts")
        for window, dilation, blur in trial.layout
    )
    for image, labels, scores in samples:
        logits = infer(
            jnp.asarray(scores)[None],
            jnp.asarray(image)[None],
            None,
            jnp.asarray(trial.weights, jnp.float32),
            jnp.asarray(trial.colors, jnp.float32),
            pairwise=terms,
            alignment="corners",
            probabilities=False,
            steps=steps,
        )
        total += confusion(labels, np.asarray(logits[0].argmax(-1)), _CLASSES, _VOID)
    return mean_iou(total), pixel_accuracy(total)


def report(
    found: Sequence[tuple[Trial, float, float]],
    samples: Sequence[Sample],
    errors: Errors,
    given: argparse.Namespace,
) -> str:
    """Markdown: the scores alone, what ships, and the best trials."""
    shipped = Trial(
        tuple((max(t.window_shape(2)), t.dilation, t.blur) for t, _ in TERMS),
        tuple(t.weight for t, _ in TERMS),
        tuple(color for _, color in TERMS),
    )
    rows = [("scores alone", Trial((), (), ())), ("ships", shipped)]
    lines = [["", "terms: window/dilation/blur weight (colour)", "mIoU %", "pixels %"]]
    for name, trial in rows:
        lines.append(_line(name, trial, *measured(samples, trial)))
    lines += [_line(str(n + 1), *each) for n, each in enumerate(found[:_SHOWN])]
    where = f"`{given.data.name}` of CamVid's layout" if given.data else "generated scenes"
    return (
        f"**Search for the terms of `pac_jax.refine`**: {len(samples)} images, {where}, simulated "
        f"scores (stride {errors.stride}, severity {errors.severity:.3f}), {len(found)} trials, "
        f"{STEPS} steps, seed {given.seed}.\n\n{aligned(lines)}\n"
    )


def _log_uniform(
    limits: tuple[float, float], count: int, generator: np.random.Generator
) -> np.ndarray:
    low, high = np.log(limits)
    return np.exp(generator.uniform(low, high, count))


def _trial(
    layout: Sequence[tuple[int, int, int]], weights: np.ndarray, colors: np.ndarray
) -> Trial:
    """Rounded to what is worth writing down."""
    return Trial(
        tuple(layout),
        tuple(float(f"{value:.2g}") for value in weights),
        tuple(float(f"{value:.2g}") for value in colors),
    )


def _line(name: str, trial: Trial, miou: float, accuracy: float) -> list[str]:
    terms = ", ".join(
        f"{'/'.join(map(str, sizes))} {weight:g} ({color:g})"
        for sizes, weight, color in zip(*trial, strict=True)
    )
    return [name, terms, f"{100 * miou:.2f}", f"{100 * accuracy:.2f}"]


if __name__ == "__main__":
    main()
