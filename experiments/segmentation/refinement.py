"""What `pac_jax.refine` and the full CRF make of a network's scores.

    python -m experiments.segmentation.refinement --data ../shared/data/voc7

The folder holds triples NAME.png (or .jpg), NAME_labels.png, NAME_logits.npz. The full CRF is
pydensecrf2 (`pip install -e ".[peers]"`), left out where it is absent, with DeepLab's published
settings: Gaussian of 3 pixels, weight 3; bilateral of 67 pixels and 5 grey levels, weight 4; 5 steps.
All scores come from one confusion matrix over all images; times are medians, compiled and warm.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

import pac_jax
from experiments.benchmarks.report import describe_commit
from experiments.joint_upsampling.tables import aligned, shortened
from experiments.segmentation.full_crf import Settings, approximate
from experiments.segmentation.metrics import confusion, mean_iou, pixel_accuracy
from experiments.training.errors import RunError, one_line_errors
from experiments.training.run_folder import write_atomically
from pac_jax import files
from pac_jax.refinement.resizing import resized

__all__ = ["Pictured", "labelled_scores"]

_VOID = 255


class Pictured(NamedTuple):
    """One image with what is known of it.

    Attributes:
        name: of the files.
        image: (H, W, 3) uint8.
        labels: (H, W) integers, 255 void.
        scores: (H, W, L) float32 logits, resized with corners aligned.
    """

    name: str
    image: np.ndarray
    labels: np.ndarray
    scores: np.ndarray


Method = Callable[[Pictured], np.ndarray]


def main(arguments: list[str] | None = None) -> None:
    """Compare from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.segmentation.refinement", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of triples")
    parser.add_argument("--repeats", type=int, default=3, help="for the times (default: 3)")
    parser.add_argument("--out", type=Path, help="write this .md file, too")
    given = parser.parse_args(arguments)
    console = Console()
    with one_line_errors():
        samples = labelled_scores(given.data)
        methods: dict[str, Method] = {"scores alone": lambda one: one.scores.argmax(-1)}
        if find_spec("pydensecrf"):
            infer = approximate(Settings())
            methods["full CRF (pydensecrf2)"] = lambda one: infer(one.scores, one.image).argmax(-1)
        else:
            console.print(
                'no pydensecrf2: its row is left out (pip install -e ".[peers]")', markup=False
            )
        methods["`pac_jax.refine`"] = _refined
        text = report(samples, methods, given)
        if given.out:
            write_atomically(given.out, text)
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def labelled_scores(folder: Path) -> list[Pictured]:
    """All triples of a folder.

    Raises:
        RunError: there are none, or a file is missing or damaged.
    """
    found = []
    for path in sorted(folder.glob("*_logits.npz")):
        name = path.name.removesuffix("_logits.npz")
        images = [folder / f"{name}{suffix}" for suffix in (".png", ".jpg")]
        try:
            image = files.read_image(next(filter(Path.exists, images), images[0]))
            labels = files.read_labels(folder / f"{name}_labels.png")
            scores = files.read_scores(path).astype(np.float32)
        except (ValueError, FileNotFoundError) as error:
            raise RunError(str(error)) from error
        height, width = labels.shape
        large = np.asarray(resized(scores, (height, width), "corners"))
        found.append(Pictured(name, (255 * image).round().astype(np.uint8), labels, large))
    if not found:
        raise RunError(
            f"there are no NAME_logits.npz in {folder}; expected those with NAME.png and "
            "NAME_labels.png"
        )
    return found


def _refined(one: Pictured) -> np.ndarray:
    return np.asarray(pac_jax.refine(one.scores, one.image))


def report(
    samples: Sequence[Pictured], methods: dict[str, Method], given: argparse.Namespace
) -> str:
    """Markdown: a row per method."""
    lines = [["", "mean IoU %", "pixels %", "seconds per image"]]
    classes = samples[0].scores.shape[-1]
    for name, method in methods.items():
        total = np.zeros((classes, classes), np.int64)
        seconds = []
        for one in samples:
            method(one)  # compiles
            for _ in range(given.repeats):
                begin = time.perf_counter()
                labels = method(one)
                seconds.append(time.perf_counter() - begin)
            total += confusion(one.labels, labels, classes, _VOID)
        lines.append(
            [
                name,
                f"{100 * mean_iou(total):.2f}",
                f"{100 * pixel_accuracy(total):.2f}",
                f"{np.median(seconds):.2f}",
            ]
        )
    return (
        f"**Refinement on `{given.data.name}`**: {len(samples)} images, {classes} classes, scores "
        f"resized with corners aligned. Commit {shortened(describe_commit())}.\n\n{aligned(lines)}\n"
    )


if __name__ == "__main__":
    main()
