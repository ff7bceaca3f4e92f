"""Middlebury stereo: left images and their disparity, as 2001, 2003 and 2014 were published.

Not read: 2001's map and tsukuba, whose files have names of their own, and 2005 and 2006.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from experiments.datasets.builder import FilesBuilder
from experiments.datasets.layout import LayoutError
from experiments.datasets.pair import PairFiles
from pac_jax.files import read_image

__all__ = ["MiddleburyStereo"]

_SCALES = "scenes.json"
# Image and disparity of a scene's folder, in the order in which they are looked for.
_NAMES = (
    ("im0.png", "disp0.pfm"),
    ("im2.ppm", "disp2.pgm"),
    ("im2.png", "disp2.png"),
    ("rgb.png", "disparity.png"),
)
_SCALE_2001 = dict.fromkeys(("barn1", "barn2", "bull", "poster", "sawtooth", "venus"), 8.0)
_SCALE_2003, _WIDTH_2003 = dict.fromkeys(("cones", "teddy"), 4.0), 450


class MiddleburyStereo(FilesBuilder):
    """Every scene below the folder, all of them in the split test."""

    LAYOUT = (
        "folders of scenes SCENE/im0.png + disp0.pfm (2014), im2.ppm + disp2.pgm (2001, 2003), or "
        "rgb.png + disparity.png; disparity in integers needs its scale, which is known of 2001's "
        'scenes and of 2003\'s at 450 x 375, or scenes.json beside SCENE: {"SCENE": '
        '{"disparity_scale": 8}}'
    )
    UNIT = "pixels of disparity"
    kind = "depth"

    @classmethod
    def find(cls, folder: Path) -> Mapping[str, list[PairFiles]]:
        """Every folder with an image and a disparity, however deep, by path."""
        found = []
        for path, folders, files in os.walk(folder):
            folders.sort()
            for image, disparity in _NAMES:
                if image in files and disparity in files:
                    found.append(cls._pair(folder, Path(path), image, disparity))
                    break
        return {"test": found}

    @classmethod
    def _pair(cls, root: Path, scene: Path, image: str, disparity: str) -> PairFiles:
        name = scene.relative_to(root).as_posix()
        scale = 1.0 if disparity.endswith(".pfm") else cls._scale(scene, scene / image)
        return PairFiles(
            scene.name if name == "." else name, scene / image, scene / disparity, scale
        )

    @classmethod
    def _scale(cls, scene: Path, image: Path) -> float:
        """What one pixel of disparity is in the integers of the file."""
        path = scene.parent / _SCALES
        if path.is_file():
            try:
                scale = float(json.loads(path.read_text())[scene.name]["disparity_scale"])
            except (ValueError, KeyError, TypeError):
                scale = 0.0
            if not scale > 0:
                raise LayoutError(path, f"it has no disparity_scale of {scene.name}", cls.LAYOUT)
            return scale
        name = scene.name.lower()
        if name in _SCALE_2001:
            return _SCALE_2001[name]
        if name in _SCALE_2003 and read_image(image).shape[1] == _WIDTH_2003:
            return _SCALE_2003[name]
        raise LayoutError(scene, "the scale of its disparity is not known", cls.LAYOUT)
