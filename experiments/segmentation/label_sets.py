"""Names and colours of the classes that label maps number."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from experiments.datasets.class_names import VOID, read_class_names
from experiments.scenes.config import OBJECT_KINDS
from experiments.scenes.contact_sheet import colour_labels
from pac_jax.files.palette import voc_palette

__all__ = ["CAMVID", "LABEL_SETS", "SCENES", "VOC", "LabelSet", "read_label_set"]

_NUMBERS = 256
_WHITE = (255, 255, 255)


@dataclass(frozen=True, eq=False)
class LabelSet:
    """What the numbers in label maps of 8 bits stand for.

    Attributes:
        name: of the set, its key in `LABEL_SETS`.
        names: of the classes 0, 1, 2, ...
        void: the number of pixels that count as no class; beyond the classes.
        palette: colour of every number, (256, 3) uint8; read-only.

    Raises:
        ValueError: void is the number of a class or beyond 255, or palette is something else.

    Example:
        >>> from experiments.segmentation.label_sets import CAMVID
        >>> CAMVID.classes, CAMVID.names[3], CAMVID.void
        (11, 'road', 11)
        >>> CAMVID.colours([[3, 11]]).tolist()
        [[[128, 64, 128], [0, 0, 0]]]
    """

    name: str
    names: tuple[str, ...]
    void: int
    palette: np.ndarray

    def __post_init__(self) -> None:
        """Check that every number has one meaning and one colour."""
        if not self.classes <= self.void < _NUMBERS:
            raise ValueError(
                f"void is {self.void}; {self.name} needs {self.classes} to {_NUMBERS - 1}, beyond its "
                f"{self.classes} classes"
            )
        if self.palette.shape != (_NUMBERS, 3) or self.palette.dtype != np.uint8:
            raise ValueError(
                f"palette is {self.palette.dtype}{list(self.palette.shape)}; it needs "
                f"uint8[{_NUMBERS}, 3]"
            )
        self.palette.setflags(write=False)

    @property
    def classes(self) -> int:
        """How many there are; void is none of them."""
        return len(self.names)

    def colours(self, labels: np.typing.ArrayLike) -> np.ndarray:
        """Paint labels.

        Args:
            labels: of any shape (...), integers: classes or void.

        Returns:
            Of shape (..., 3), uint8.

        Raises:
            ValueError: other labels, or no integers.
        """
        values = np.asarray(labels)
        if values.dtype.kind not in "ui":
            raise ValueError(f"labels are {values.dtype}; they need to be integers")
        strange = values[((values < 0) | (values >= self.classes)) & (values != self.void)]
        if strange.size:
            raise ValueError(
                f"labels hold {strange.flat[0]}; {self.name} has the classes 0 to "
                f"{self.classes - 1} and void {self.void}"
            )
        return self.palette[values]


def _palette(colours: Mapping[int, tuple[int, ...]]) -> np.ndarray:
    """Colour of every number; black where there is none."""
    palette = np.zeros((_NUMBERS, 3), np.uint8)
    for number, colour in colours.items():
        palette[number] = colour
    return palette


def read_label_set(path: str | Path) -> LabelSet:
    """The classes of people's own data, `folder_of_labels`, in the colours of PASCAL VOC.

    Args:
        path: of its classes.txt, with a name a line; void is 255.

    Returns:
        Called as the folder of the file is.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: it is no text, names no class, too many, or one twice.
    """
    path = Path(path)
    return LabelSet(path.resolve().parent.name, read_class_names(path), VOID, voc_palette())


_VOC_NAMES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "dining table",
    "dog",
    "horse",
    "motorbike",
    "person",
    "potted plant",
    "sheep",
    "sofa",
    "train",
    "tv monitor",
)
VOC = LabelSet("voc", _VOC_NAMES, 255, voc_palette())
"""PASCAL VOC: the background and 20 kinds of objects; void is the border drawn around them."""

# SegNet's order; each class has the colour of its like among the 32 that CamVid was drawn in.
_CAMVID_COLOURS = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (0, 0, 192),
    "tree": (128, 128, 0),
    "sign": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}
CAMVID = LabelSet(
    "camvid", tuple(_CAMVID_COLOURS), 11, _palette(dict(enumerate(_CAMVID_COLOURS.values())))
)
"""CamVid in the 11 classes that SegNet merged its 32 into."""

_SCENE_NAMES = ("background", *OBJECT_KINDS)
_SCENE_COLOURS = colour_labels(np.arange(len(_SCENE_NAMES))[None])[0]
SCENES = LabelSet(
    "scenes", _SCENE_NAMES, 255, _palette({**dict(enumerate(_SCENE_COLOURS)), 255: _WHITE})
)
"""Generated scenes: the background and the kinds of layers. They have no void; what is cut beyond
an image's edge is."""

LABEL_SETS: Mapping[str, LabelSet] = MappingProxyType(
    {labels.name: labels for labels in (VOC, CAMVID, SCENES)}
)
"""All of them by name."""
