"""Real photographs with measured depth or motion, to test on; nothing is trained on them.

One depth map ships in scikit-image's wheel. The others lie in a folder that the user names:

    DATA/depth_middlebury/scenes.json      disparity_scale of every scene
    DATA/depth_middlebury/SCENE/rgb.png
    DATA/depth_middlebury/SCENE/disparity.png   8 bits: disparity times its scale, 0 is unknown
    DATA/flow/NAME_frame.png
    DATA/flow/NAME.flo
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import skimage.data
from scipy import ndimage

from experiments.training.errors import RunError
from pac_jax.files import read_depth, read_flow, read_image

# What the folder of real images holds.
DATA = "depth_middlebury/ and flow/"


class RealPair(NamedTuple):
    """A photograph with a measured target.

    Attributes:
        name: for tables and files.
        data: the set it belongs to, over which errors are averaged.
        kind: `depth` or `flow`.
        unit: of the target.
        guide: (1, H, W, 3) photograph in [0, 1], float32.
        target: (1, H, W, C), holes filled with the nearest measured value, float32.
        valid: (H, W) booleans, where the target was measured.
        to_8_bit: the target times this is in units of an 8-bit map.
    """

    name: str
    data: str
    kind: str
    unit: str
    guide: np.ndarray
    target: np.ndarray
    valid: np.ndarray
    to_8_bit: float


def real_pairs(kind: str, data: Path | None, report: Callable[[str], None]) -> list[RealPair]:
    """All images of a kind that are at hand.

    Args:
        kind: `depth` or `flow`.
        data: the folder with further images, or None.
        report: takes a line about what is left out.

    Raises:
        RunError: the folder is there, and a file in it is missing or damaged.
    """
    pairs = [motorcycle()] if kind == "depth" else []
    folder = {"depth": "depth_middlebury", "flow": "flow"}[kind]
    if data is None or not (data / folder).is_dir():
        where = "no --data" if data is None else f"no folder {data / folder}"
        report(f"{where}: the images of {folder} are left out")
        return pairs
    read = {"depth": _middlebury, "flow": _flow_folder}[kind]
    try:
        return pairs + read(data / folder)
    # Also those of a scenes.json that is no JSON, or of another form.
    except (FileNotFoundError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{data / folder} is not complete ({error}); it needs the layout described in "
            "experiments/joint_upsampling/real_pairs.py"
        ) from error


def motorcycle() -> RealPair:
    """Middlebury 2014's Motorcycle at 741 x 500, from scikit-image's wheel.

    The disparity is not finite where no match was found (7 % of the pixels). The data has no 8-bit
    map; its units are taken as those in which the largest disparity is 255.
    """
    image, _, disparity = skimage.data.stereo_motorcycle()
    valid = np.isfinite(disparity)
    to_8_bit = 255 / float(disparity[valid].max())
    return _depth_pair("motorcycle", "motorcycle", image / 255, disparity, valid, to_8_bit)


def _middlebury(folder: Path) -> list[RealPair]:
    pairs = []
    for name, scene in json.loads((folder / "scenes.json").read_text()).items():
        image = read_image(folder / name / "rgb.png")
        values = read_depth(folder / name / "disparity.png")
        scale = float(scene["disparity_scale"])
        if not 0 < scale < math.inf:
            raise ValueError(f"{name}'s disparity_scale is {scale:g}, and needs to be above 0")
        if image.shape[:2] != values.shape or not values.any():
            raise ValueError(
                f"{name}'s photograph has size {image.shape[:2]} and its disparity {values.shape}, "
                f"{np.count_nonzero(values)} of them known; sizes need to be equal, and some known"
            )
        pairs.append(_depth_pair(name, "middlebury", image, values / scale, values > 0, scale))
    return pairs


def _depth_pair(
    name: str,
    data: str,
    image: np.ndarray,
    disparity: np.ndarray,
    valid: np.ndarray,
    to_8_bit: float,
) -> RealPair:
    return RealPair(
        name,
        data,
        "depth",
        "pixels of disparity",
        image[None].astype(np.float32),
        fill_holes(disparity, valid)[None, ..., None].astype(np.float32),
        valid,
        to_8_bit,
    )


def _flow_folder(folder: Path) -> list[RealPair]:
    pairs = []
    for path in sorted(folder.glob("*.flo")):
        flow = read_flow(path)
        image = read_image(path.with_name(f"{path.stem}_frame.png"))
        valid = np.isfinite(flow).all(axis=-1)
        filled = np.stack([fill_holes(flow[..., c], valid) for c in range(2)], axis=-1)
        data = path.stem.partition("_")[0]
        pairs.append(
            RealPair(path.stem, data, "flow", "pixels", image[None], filled[None], valid, 1.0)
        )
    if not pairs:
        raise FileNotFoundError("no .flo file")
    return pairs


def fill_holes(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Replace what is not valid by the nearest valid value; both (H, W)."""
    nearest = ndimage.distance_transform_edt(~valid, return_distances=False, return_indices=True)
    return values[tuple(nearest)]
