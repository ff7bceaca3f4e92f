"""Photographs, label maps and overlays side by side."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from experiments.datasets import Pair
from experiments.segmentation.label_sets import LabelSet
from experiments.training.layout import row, scaled, stack, titled

_WIDTH = 320
_SHARE_OF_LABELS = 0.55


def label_rows(results: Sequence[tuple[Pair, np.ndarray]], labels: LabelSet) -> np.ndarray:
    """A row for each image: photograph, truth, result, result over the photograph.

    Args:
        results: labelled photographs with (H, W) labels of a network.
        labels: their colours.

    Returns:
        (H, W, 3) uint8.
    """
    rows = []
    for pair, result in results:
        truth = labels.colours(pair.target[..., 0].astype(np.int64))
        found = labels.colours(result)
        shown = {
            pair.name: pair.guide,
            "truth": truth,
            "result": found,
            "result over photograph": overlay(pair.guide, found),
        }
        rows.append(row([titled(name, _picture(image)) for name, image in shown.items()]))
    return np.asarray(stack(rows))


def overlay(image: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Colours of labels over a photograph, both (H, W, 3) uint8."""
    mixed = (1 - _SHARE_OF_LABELS) * image + _SHARE_OF_LABELS * colors
    return mixed.round().astype(np.uint8)


def _picture(image: np.ndarray) -> Image.Image:
    return scaled(image, _WIDTH, whole=image.shape[1] >= _WIDTH)
