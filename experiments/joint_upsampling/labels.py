"""Label maps, upsampled by the networks for depth: which protocol suits them, in wrong pixels.

    python -m experiments.joint_upsampling.labels --data ../shared/data --out docs/results/labels

Labels are one-hot scores to a network. The maps are those of generated scenes, and real depth maps cut
into six classes of equal size, as there are no labels among the real images; each made coarse in two
ways: the pixel in the middle of a block, and the label that most pixels of it have.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from rich.console import Console

import pac_jax
from experiments.benchmarks.report import describe_commit
from experiments.joint_upsampling.fitting import cropped
from experiments.joint_upsampling.real_pairs import DATA, real_pairs
from experiments.joint_upsampling.tables import aligned, shortened, write_report
from experiments.scenes import SceneConfig, render_batch
from experiments.training.errors import RunError, existing_folder, one_line_errors

FACTORS = (4, 8, 16)
PROTOCOLS = ("bicubic", "center")
_CLASSES = 6
# Neither that of a training (0), nor of the validation, nor of the search for scales.
_SEED = 402_655_187


class Case(NamedTuple):
    """What an error belongs to: a set of images, how they became coarse and by what, the method."""

    data: str
    coarse: str
    factor: int
    method: str


class LabelledImage(NamedTuple):
    """A photograph and the label of each of its pixels.

    Attributes:
        data: the set it belongs to, over which errors are averaged.
        guide: (H, W, 3) in [0, 1], float32.
        labels: (H, W) int32.
    """

    data: str
    guide: np.ndarray
    labels: np.ndarray


def main(arguments: list[str] | None = None) -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.joint_upsampling.labels", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, help="folder with further real images")
    parser.add_argument("--scenes", type=int, default=16, help="generated ones (default: 16)")
    parser.add_argument("--size", type=int, default=192, help="of a scene (default: 192)")
    parser.add_argument(
        "--factors", nargs="+", type=int, choices=FACTORS, default=FACTORS, help="default: all"
    )
    parser.add_argument("--out", type=Path, help="write NAME.md and NAME.json (default: print)")
    given = parser.parse_args(arguments)
    console = Console()
    with one_line_errors():
        existing_folder(given.data, holds=DATA)
        if given.scenes < 1 or given.size < 1 or given.size % max(FACTORS):
            raise RunError(
                f"--scenes is {given.scenes} and --size {given.size}; they need to be positive, and "
                f"the size a multiple of {max(FACTORS)}"
            )
        images = [
            *generated(given.scenes, given.size),
            *real(given.data, lambda text: console.print(text, markup=False)),
        ]
        errors = measure(images, given.factors)
        text = report(errors, given)
        if given.out:
            record = {
                "commit": describe_commit(),
                "scenes": given.scenes,
                "size": given.size,
                "seed": _SEED,
                "wrong_percent": [{**case._asdict(), "value": v} for case, v in errors.items()],
            }
            write_report(given.out, text, record)
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def generated(count: int, size: int) -> Iterator[LabelledImage]:
    """Generated scenes and the kinds of their things."""
    scenes = render_batch(jax.random.key(_SEED), count, SceneConfig(size=(size, size)))
    for guide, labels in zip(scenes.image, scenes.labels, strict=True):
        yield LabelledImage(
            "generated", np.asarray(guide), np.asarray(labels, np.int32).reshape(size, size)
        )


def real(data: Path | None, tell: Callable[[str], None]) -> Iterator[LabelledImage]:
    """Real photographs, their depth cut into classes of equal size."""
    for pair in real_pairs("depth", data, tell):
        whole = cropped(pair, max(FACTORS))
        depth = whole.target[0, ..., 0]
        borders = np.quantile(depth, np.arange(1, _CLASSES) / _CLASSES)
        labels = np.digitize(depth, borders).astype(np.int32)
        yield LabelledImage("depth in classes", whole.guide[0], labels)


def middle(labels: np.ndarray, factor: int) -> np.ndarray:
    """The pixel in the middle of every block, as protocol `center` takes it."""
    first = (factor - 1) // 2
    return labels[first::factor, first::factor]


def majority(labels: np.ndarray, factor: int) -> np.ndarray:
    """The label that most pixels of a block have, the smallest of several."""
    height, width = (n // factor for n in labels.shape)
    blocks = labels.reshape(height, factor, width, factor)
    classes = np.unique(labels)
    votes = [(blocks == label).sum((1, 3)) for label in classes]
    return classes[np.argmax(votes, axis=0)]


COARSE = {"middle": middle, "majority": majority}


def measure(images: Sequence[LabelledImage], factors: Sequence[int]) -> dict[Case, float]:
    """Wrong pixels in percent, averaged over the images of a case."""
    errors: dict[Case, list[float]] = {}
    for image, (way, make), factor in product(images, COARSE.items(), factors):
        low = make(image.labels, factor)
        results = {"nearest": low.repeat(factor, 0).repeat(factor, 1)}
        for protocol in PROTOCOLS:
            results[protocol] = pac_jax.upsample(low, image.guide, kind="labels", protocol=protocol)
        for method, result in results.items():
            wrong = 100 * float(np.mean(result != image.labels))
            errors.setdefault(Case(image.data, way, factor, method), []).append(wrong)
    return {case: float(np.mean(values)) for case, values in errors.items()}


def report(errors: dict[Case, float], given: argparse.Namespace) -> str:
    """Markdown: a row for every set and way of coarsening, a column for every factor and method."""
    methods = ("nearest", *PROTOCOLS)
    lines = [["maps", "coarse by", *(f"{m} x{f}" for f in given.factors for m in methods)]]
    for data, way in dict.fromkeys((case.data, case.coarse) for case in errors):
        cells = [f"{errors[Case(data, way, f, m)]:.2f}" for f in given.factors for m in methods]
        lines.append([data, way, *cells])
    caption = (
        f"**Labels, wrong pixels in percent**, whole images, averaged over them: {given.scenes} "
        f"generated scenes of {given.size} pixels, seed {_SEED}, and real depth maps cut into "
        f"{_CLASSES} classes. The networks are those for depth, built for the protocol that a column "
        f"names. Commit {shortened(describe_commit())}."
    )
    return f"{caption}\n\n{aligned(lines, texts=2)}\n"


if __name__ == "__main__":
    main()
