"""How results are measured: the conventions of the publications, by name.

All are computed per image; tables average them over the images of a set.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from experiments.joint_upsampling.real_pairs import RealPair


class Convention(NamedTuple):
    """A metric as one line of publications computes it.

    Attributes:
        name: for tables and files.
        metric: `RMSE` or `EPE`.
        text: for captions.
        unit: the unit of a pair's error.
        measure: (result (H, W, C), pair) -> error of one image.
    """

    name: str
    metric: str
    text: str
    unit: Callable[[RealPair], str]
    measure: Callable[[np.ndarray, RealPair], float]


def root_mean_square(error: np.ndarray, valid: np.ndarray, border: int = 0) -> float:
    """RMSE over the valid pixels of one image.

    Args:
        error: (H, W, C) or (H, W).
        valid: (H, W) booleans.
        border: pixels left out at every side.
    """
    inner = (slice(border, -border or None),) * 2
    return float(np.sqrt(np.mean(np.square(error[inner][valid[inner]], dtype=np.float64))))


def end_point_error(error: np.ndarray, valid: np.ndarray) -> float:
    """Mean length of the error of a flow field over the valid pixels of one image.

    Args:
        error: (H, W, 2).
        valid: (H, W) booleans.
    """
    lengths = np.sqrt(np.sum(np.square(error[valid], dtype=np.float64), axis=-1))
    return float(np.mean(lengths))


_BORDER = 6


def _without_border(result: np.ndarray, pair: RealPair) -> float:
    return root_mean_square(result - pair.target[0], pair.valid, _BORDER)


def _eight_bit(result: np.ndarray, pair: RealPair) -> float:
    return pair.to_8_bit * root_mean_square(result - pair.target[0], pair.valid)


def _end_point(result: np.ndarray, pair: RealPair) -> float:
    return end_point_error(result - pair.target[0], pair.valid)


CONVENTIONS: dict[str, tuple[Convention, ...]] = {
    "depth": (
        Convention(
            "without_border",
            "RMSE",
            f"in the data's unit, a border of {_BORDER} pixels left out (as for PAC-Net)",
            lambda pair: pair.unit,
            _without_border,
        ),
        Convention(
            "8_bit",
            "RMSE",
            "full images, in units of the 8-bit map (as for DKN, DCTNet)",
            lambda pair: "8-bit values",
            _eight_bit,
        ),
    ),
    "flow": (Convention("full", "EPE", "full images", lambda pair: pair.unit, _end_point),),
}
