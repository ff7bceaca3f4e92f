"""Sizes that the factor does not divide: depth is cropped, flow is resized, as its papers do."""

from math import lcm
from typing import NamedTuple

import numpy as np
from PIL import Image

from experiments.joint_upsampling.protocols import downsample, resize
from experiments.joint_upsampling.real_pairs import RealPair
from experiments.training.errors import RunError

# Depth is cropped to multiples of the largest factor, so that all factors are measured on the same
# pixels.
MULTIPLE = 16
RULES = {
    "depth": f"cropped right and below to multiples of {MULTIPLE} and of the factor",
    "flow": "resized up to multiples of the factor (bilinear), results resized back",
}


class Task(NamedTuple):
    """What a method is given, and what it is measured against.

    Attributes:
        guide: (1, H', W', 3), its size a multiple of the factor.
        target_low: (1, H' / factor, W' / factor, C).
        pair: photograph and target at the size at which errors are measured.
    """

    guide: np.ndarray
    target_low: np.ndarray
    pair: RealPair

    def at_measured_size(self, result: np.ndarray) -> np.ndarray:
        """A result (1, H', W', C) at the size of the pair, (H, W, C)."""
        size = self.pair.valid.shape
        if result.shape[1:3] != size:
            result = resize(result, size, Image.Resampling.BILINEAR)
        return result[0]


def fit(pair: RealPair, factor: int, protocol: str) -> Task:
    """Make the low-resolution target of a pair, by the rule of its kind.

    Args:
        pair: of any size.
        factor: of upsampling.
        protocol: by which the target is made coarse.
    """
    if pair.kind == "depth":
        pair = cropped(pair, lcm(MULTIPLE, factor))
        return Task(pair.guide, downsample(pair.target, factor, protocol), pair)
    size = tuple(-(-n // factor) * factor for n in pair.valid.shape)
    guide, target = pair.guide, pair.target
    if size != pair.valid.shape:
        guide, target = (resize(a, size, Image.Resampling.BILINEAR) for a in (guide, target))
    return Task(guide, downsample(target, factor, protocol), pair)


def cropped(pair: RealPair, multiple: int) -> RealPair:
    """The pair without the last rows and columns, if there are more than a multiple.

    Raises:
        RunError: nothing would be left.
    """
    height, width = (n // multiple * multiple for n in pair.valid.shape)
    if not height or not width:
        raise RunError(
            f"{pair.name} has {pair.valid.shape[0]} x {pair.valid.shape[1]} pixels, and is cropped to "
            f"multiples of {multiple}, which leaves nothing; take a smaller factor"
        )
    return pair._replace(
        guide=pair.guide[:, :height, :width],
        target=pair.target[:, :height, :width],
        valid=pair.valid[:height, :width],
    )
