"""The real stereo pair that ships in scikit-image's wheel: a photograph and its disparity."""

from typing import NamedTuple

import numpy as np
import skimage.data
from scipy import ndimage


class RealPair(NamedTuple):
    """A photograph with a measured target.

    Attributes:
        name: for tables and files.
        unit: of the target.
        guide: (1, H, W, 3) photograph in [0, 1], float32.
        target: (1, H, W, 1), holes filled with the nearest measured value, float32.
        valid: (H, W) booleans, where the target was measured.
    """

    name: str
    unit: str
    guide: np.ndarray
    target: np.ndarray
    valid: np.ndarray


def motorcycle(factor: int) -> RealPair:
    """Middlebury 2014's Motorcycle at 741 x 500, cropped right and below to multiples of factor.

    The disparity is not finite where no match was found (7 % of the pixels). These holes are filled
    before the target is made coarse, and are left out of every measurement.
    """
    image, _, disparity = skimage.data.stereo_motorcycle()
    height, width = (n // factor * factor for n in disparity.shape)
    image, disparity = image[:height, :width], disparity[:height, :width]
    valid = np.isfinite(disparity)
    return RealPair(
        "motorcycle",
        "pixels of disparity",
        (image[None] / 255).astype(np.float32),
        fill_holes(disparity, valid)[None, ..., None].astype(np.float32),
        valid,
    )


def fill_holes(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Replace what is not valid by the nearest valid value; both (H, W)."""
    nearest = ndimage.distance_transform_edt(~valid, return_distances=False, return_indices=True)
    return values[tuple(nearest)]
