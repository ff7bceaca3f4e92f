"""How label maps are measured: everything follows from one confusion matrix over a whole set.

Matrices of parts of a set add up to that of the set; means over images of a per-image score do not,
so every table here is computed from one matrix.
"""

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["confusion", "iou", "mean_iou", "pixel_accuracy"]


def confusion(
    labels: ArrayLike, predicted: ArrayLike, classes: int, void: int | None = None
) -> np.ndarray:
    """Count pixels by true class (rows) and predicted class (columns).

    Args:
        labels: integers of any shape, 0 ... classes - 1, or `void`.
        predicted: integers of the same shape, 0 ... classes - 1 wherever the label is not void.
        classes: C.
        void: label of pixels that do not count; None where all do.

    Returns:
        (C, C) int64.

    Raises:
        ValueError: shapes differ, or a label is none of the classes.

    Example:
        >>> confusion([0, 0, 1, 255], [0, 1, 1, 0], classes=2, void=255).tolist()
        [[1, 1], [0, 1]]
    """
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    if labels.shape != predicted.shape:
        raise ValueError(f"labels have shape {labels.shape} and predicted {predicted.shape}")
    counted = np.ones(labels.shape, bool) if void is None else labels != void
    rows, columns = labels[counted], predicted[counted]
    for name, values in (("labels", rows), ("predicted", columns)):
        if values.dtype.kind not in "bui":
            raise ValueError(f"{name} are {values.dtype}; they need to be integers")
        if values.size and not (values.min() >= 0 and values.max() < classes):
            raise ValueError(
                f"{name} span [{values.min()}, {values.max()}]; {classes} classes are 0 to "
                f"{classes - 1}" + ("" if void is None else f", and {void} is void")
            )
    pairs = rows.astype(np.int64) * classes + columns.astype(np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def iou(confusion: np.ndarray) -> np.ndarray:
    """Intersection over union of every class.

    Args:
        confusion: (C, C) of `confusion`.

    Returns:
        (C,) float64; NaN for classes that no label has, also if they were predicted.

    Example:
        >>> iou(np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]])).tolist()
        [0.75, 0.6666666666666666, nan]
    """
    matrix = np.asarray(confusion, np.float64)
    hits, labelled = np.diag(matrix), matrix.sum(1)
    union = labelled + matrix.sum(0) - hits
    present = labelled > 0
    return np.where(present, hits / np.where(present, union, 1), np.nan)


def mean_iou(confusion: np.ndarray) -> float:
    """Mean of `iou` over the classes that the labels have; NaN if there are none.

    Args:
        confusion: (C, C) of `confusion`.

    Example:
        >>> mean_iou(np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]]))
        0.7083333333333333
    """
    values = iou(confusion)
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def pixel_accuracy(confusion: np.ndarray) -> float:
    """Part of the counted pixels whose class is right; NaN if none were counted.

    Args:
        confusion: (C, C) of `confusion`.

    Example:
        >>> pixel_accuracy(np.array([[3, 1], [0, 4]]))
        0.875
    """
    matrix = np.asarray(confusion, np.float64)
    total = matrix.sum()
    return float(np.trace(matrix) / total) if total else float("nan")
