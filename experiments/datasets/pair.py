"""What every data set consists of: a photograph and what was measured of it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.datasets.label_range import LabelRange
from experiments.datasets.sbd_labels import read_sbd_labels
from pac_jax.files import FileFormatError, read_depth, read_flow, read_image, read_labels

__all__ = ["CHANNELS", "Pair", "PairFiles", "read_guide", "read_pair"]


class Pair(NamedTuple):
    """One record.

    Attributes:
        guide: (H, W, 3), uint8 colours.
        target: (H, W, C), float32, NaN where unknown; C is 2 for flow, else 1.
        name: of the scene or file, unique in its split.
    """

    guide: np.ndarray
    target: np.ndarray
    name: str


class PairFiles(NamedTuple):
    """Where one record comes from.

    Attributes:
        name: of the record.
        guide: path of the photograph.
        target: path of the target, of the same size.
        scale: what the numbers in the target's file have to be divided by.
        labels: which of them there may be; None where any, or where the target is no label map.
    """

    name: str
    guide: Path
    target: Path
    scale: float = 1.0
    labels: LabelRange | None = None


def _depth(path: Path) -> np.ndarray:
    """Depth or disparity, where also 0 stands for unknown."""
    values = read_depth(path)
    return np.where(values == 0, np.float32(np.nan), values)[..., None]


def _labels(path: Path) -> np.ndarray:
    """Numbers of classes, which float32 holds exactly up to 2**24; none of them means unknown."""
    values = read_sbd_labels(path) if path.suffix == ".mat" else read_labels(path)
    return values[..., None].astype(np.float32)


_TARGETS: dict[str, Callable[[Path], np.ndarray]] = {
    "depth": _depth,
    "flow": read_flow,
    "labels": _labels,
}
CHANNELS = {"depth": 1, "flow": 2, "labels": 1}


def read_guide(path: Path) -> np.ndarray:
    """Photograph (H, W, 3) in uint8, as records have it."""
    return np.round(read_image(path) * 255).astype(np.uint8)


def read_pair(files: PairFiles, kind: str) -> Pair:
    """Read a record.

    Args:
        files: its paths.
        kind: depth, flow or labels.

    Raises:
        FileNotFoundError: a file is missing.
        FileFormatError: a file is damaged, the two differ in size, or a label is out of range.
    """
    guide, target = read_guide(files.guide), _TARGETS[kind](files.target)
    if guide.shape[:2] != target.shape[:2]:
        raise FileFormatError(
            files.target,
            f"its (H, W) is {target.shape[:2]}",
            f"{guide.shape[:2]} as {files.guide} has it",
        )
    if files.labels:
        files.labels.check(files.target, target)
    return Pair(guide, target / np.float32(files.scale), files.name)
