"""NYU Depth v2, the labelled part, from its .mat file (which is HDF5)."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from experiments.datasets.builder import PairBuilder
from experiments.datasets.layout import LayoutError, require_folder
from experiments.datasets.pair import Pair

__all__ = ["NyuDepthV2Labeled"]

_FILE = "nyu_depth_v2_labeled.mat"
_IMAGES, _TRAIN = 1449, 1000


class Part(NamedTuple):
    """Images start .. stop - 1 of a file."""

    path: Path
    start: int
    stop: int


class NyuDepthV2Labeled(PairBuilder):
    """Rooms and their inpainted Kinect depth: the first 1000 images train, the last 449 test."""

    LAYOUT = f"{_FILE} (HDF5) with images (1449, 3, 640, 480) and depths (1449, 640, 480) in metres"
    UNIT = "metres"
    kind = "depth"

    @classmethod
    def splits(cls, folder: Path) -> Mapping[str, Part]:
        """The two ranges of images."""
        require_folder(folder, cls.LAYOUT)
        path = folder / _FILE
        if not path.is_file():
            raise FileNotFoundError(f"{path}: there is no such file; expected {cls.LAYOUT}")
        try:
            with h5py.File(path) as file:
                shapes = {name: _shape(file, name) for name in ("images", "depths")}
        except OSError as error:  # h5py's word for what is no HDF5, or cut off
            raise LayoutError(path, f"damaged or no HDF5 ({_line(error)})", cls.LAYOUT) from error
        images, depths = shapes["images"], shapes["depths"]
        if images[:2] != (_IMAGES, 3) or len(images) != 4 or depths != (images[:1] + images[2:]):
            raise LayoutError(path, f"it holds images {images} and depths {depths}", cls.LAYOUT)
        return {"train": Part(path, 0, _TRAIN), "test": Part(path, _TRAIN, _IMAGES)}

    def read(self, part: Part) -> Iterator[Pair]:
        """Read image by image; width is stored before height."""
        with h5py.File(part.path) as file:
            for i in range(part.start, part.stop):
                try:
                    image, depth = file["images"][i], file["depths"][i]
                except OSError as error:
                    raise LayoutError(
                        part.path, f"image {i} is damaged ({_line(error)})", self.LAYOUT
                    ) from error
                target = depth.T[..., None].astype(np.float32)
                target[target == 0] = np.nan
                yield Pair(np.ascontiguousarray(image.T), target, f"{i:04d}")


def _shape(file: h5py.File, name: str) -> tuple[int, ...]:
    """Shape of an array, () where there is none."""
    return file[name].shape if isinstance(file.get(name), h5py.Dataset) else ()


def _line(error: Exception) -> str:
    return str(error).split("\n")[0]
