"""Whether the values of a coarse map are means or single pixels, told from its edges.

Where a map falls from one level to another, a mean lies on the way between them for most positions of
the edge, and a single pixel never does: there the step is taken between two neighbours.
"""

import numpy as np

__all__ = ["takes_single_pixels"]

# What counts as an edge, as a part of the map's range; and how little, as a part of the edge's height,
# the map may change on either side of it.
_LEAST, _FLAT = 0.05, 0.15
# From which share of edges with a value on the way a map is one of means. Real maps lie 0.09 and more
# from it at x4 to x16 (tests/upsampling/test_sampling.py); with fewer edges the share says little.
_SHARE, _ENOUGH = 0.45, 20


def takes_single_pixels(target: np.ndarray, measured: np.ndarray) -> bool:
    """Tell which of the two a map holds.

    Args:
        target: (h, w, C) float32.
        measured: (h, w, 1) booleans, some of them true; what is not measured takes no part.

    Returns:
        Whether they are single pixels; false, too, where there are too few edges to tell.
    """
    known = np.where(measured, target, np.nan)
    span = np.nanmax(known, (0, 1)) - np.nanmin(known, (0, 1))
    counts = np.zeros(2, int)
    for axis in (0, 1):
        counts += _edges(np.diff(known, axis=axis).swapaxes(0, axis), _LEAST * span)
    direct, between = counts
    return direct + between >= _ENOUGH and between < _SHARE * (direct + between)


def _edges(steps: np.ndarray, least: np.ndarray) -> tuple[int, int]:
    """How many edges are one step between neighbours, and how many are two, one after the other.

    Args:
        steps: differences of neighbours along axis 0; comparisons with NaN are false.
        least: height of an edge.
    """
    before, step, after = steps[:-2], np.abs(steps[1:-1]), steps[2:]
    flat = np.maximum(np.abs(before), np.abs(after)) < _FLAT * step
    direct = int(np.count_nonzero(flat & (step > least)))

    before, first, second, after = (steps[i : i - 3 or None] for i in range(4))
    height = np.abs(first + second)
    flat = np.maximum(np.abs(before), np.abs(after)) < _FLAT * height
    on_the_way = np.minimum(first * np.sign(second), second * np.sign(first)) >= _FLAT * height
    return direct, int(np.count_nonzero(flat & on_the_way & (height > least)))
