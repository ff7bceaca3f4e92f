"""What methods reached on one set of images, and tables of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.joint_upsampling.tables import aligned, shortened
from experiments.segmentation.label_sets import LabelSet
from experiments.segmentation.metrics import iou, mean_iou, pixel_accuracy


@dataclass(frozen=True)
class Score:
    """What a method reached.

    Attributes:
        method: its name.
        parameters: how many it has, or None.
        seed: of its training, or None.
        confusion: pixels of every class (rows) that were given every class (columns).
        images: number of images.
        seconds: for an image, the median.
    """

    method: str
    parameters: int | None
    seed: int | None
    confusion: list[list[int]]
    images: int
    seconds: float

    @property
    def matrix(self) -> np.ndarray:
        """The confusion matrix."""
        return np.array(self.confusion)


def markdown(scores: Sequence[Score], labels: LabelSet, commit: str) -> str:
    """Two tables: of the means, and of every class; and the first method's confusion matrix."""
    first = scores[0]
    head = (
        f"{labels.name}, {first.images} images, in %: mean IoU over the classes that occur, of one "
        f"confusion matrix over all images. In brackets: over {first.method}. Commit "
        f"{shortened(commit)}."
    )
    return (
        "\n\n".join([head, _means(scores), _classes(scores, labels), _matrix(first, labels)]) + "\n"
    )


def _means(scores: Sequence[Score]) -> str:
    lines = [["method", "parameters", "seed", "mean IoU", "pixels", "s / image"]]
    for score in scores:
        cells = [
            _gained(mean_iou(score.matrix), mean_iou(scores[0].matrix)),
            _gained(pixel_accuracy(score.matrix), pixel_accuracy(scores[0].matrix)),
        ]
        parameters = "" if score.parameters is None else f"{score.parameters:,}"
        seed = "" if score.seed is None else str(score.seed)
        lines.append([score.method, parameters, seed, *cells, f"{score.seconds:.2f}"])
    return aligned(lines)


def _gained(value: float, reference: float) -> str:
    return f"{100 * value:.2f} ({100 * (value - reference):+.2f})"


def _classes(scores: Sequence[Score], labels: LabelSet) -> str:
    values = [iou(score.matrix) for score in scores]
    lines = [["class", *(score.method for score in scores)]]
    for number, name in enumerate(labels.names):
        lines.append(
            [name, *("" if np.isnan(v[number]) else f"{100 * v[number]:.1f}" for v in values)]
        )
    return aligned(lines)


def _matrix(score: Score, labels: LabelSet) -> str:
    matrix = score.matrix
    shares = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    lines = [[f"{score.method}: true \\ found, %", *labels.names]]
    lines += [
        [name, *(f"{share:.0f}" for share in row)]
        for name, row in zip(labels.names, shares, strict=True)
    ]
    return aligned(lines)
