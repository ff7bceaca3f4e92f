"""Sets of classes: their names, their colours, and the label of pixels without one."""

from dataclasses import dataclass

import numpy as np

from experiments.scenes import OBJECT_KINDS
from pac_jax.files.palette import voc_palette

_CAMVID = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (60, 40, 222),
    "tree": (128, 128, 0),
    "sign": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}
_VOC = (
    "background, aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, dining table, "
    "dog, horse, motorbike, person, potted plant, sheep, sofa, train, tv monitor"
)


@dataclass(frozen=True)
class LabelSet:
    """The classes of a data set.

    Attributes:
        name: of the set.
        names: of the classes.
        void: label of pixels that do not count.
        colors: of the classes, red, green, blue.
    """

    name: str
    names: tuple[str, ...]
    void: int
    colors: tuple[tuple[int, int, int], ...]

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.names)

    @property
    def palette(self) -> np.ndarray:
        """(256, 3) uint8 colours of all labels; those of no class are near white."""
        palette = np.full((256, 3), 230, np.uint8)
        palette[: self.classes] = self.colors
        return palette

    def paint(self, labels: np.ndarray) -> np.ndarray:
        """Labels (H, W) as colours (H, W, 3) uint8."""
        return self.palette[labels]


def _with_voc_colors(name: str, names: tuple[str, ...], void: int) -> LabelSet:
    colors = tuple((int(r), int(g), int(b)) for r, g, b in voc_palette(len(names)))
    return LabelSet(name, names, void, colors)


LABEL_SETS = {
    "scenes": _with_voc_colors("scenes", ("background", *OBJECT_KINDS), 255),
    "camvid": LabelSet("CamVid", tuple(_CAMVID), 11, tuple(_CAMVID.values())),
    "voc": _with_voc_colors("VOC", tuple(_VOC.split(", ")), 255),
}
