"""PASCAL VOC 2012's segmentation, with the labels that SBD adds to it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from experiments.datasets.builder import FilesBuilder
from experiments.datasets.label_range import LabelRange
from experiments.datasets.layout import LayoutError
from experiments.datasets.pair import PairFiles

__all__ = ["Voc2012"]

_VOC = Path("VOC2012")
_PHOTOGRAPHS = _VOC / "JPEGImages"
_LABELS = _VOC / "SegmentationClass"
_AUGMENTED = _VOC / "SegmentationClassAug"
_LISTS = Path("ImageSets") / "Segmentation"
_TRAIN, _VAL = _VOC / _LISTS / "train.txt", _VOC / _LISTS / "val.txt"
_TRAIN_2011, _VAL_2011 = (Path("VOC2011") / _LISTS / name for name in ("train.txt", "val.txt"))
_SBD = Path("benchmark_RELEASE") / "dataset"
_SBD_TRAIN, _SBD_VAL, _SBD_LABELS = _SBD / "train.txt", _SBD / "val.txt", _SBD / "cls"


class Source(NamedTuple):
    """A folder of files NAME + suffix."""

    folder: Path
    suffix: str


class Voc2012(FilesBuilder):
    """Photographs with 20 kinds of objects: 1464 train, 1449 val; others by further lists.

    With SBD: train_aug, 10,582, are train and all that SBD labels, without val. VOC's own label maps
    come first where there are both. With the lists of VOC 2011: train_2011 (1112), and with both of
    them val_2011_without_sbd (736), which are VOC 2011's val without what SBD's train labels.
    """

    LAYOUT = (
        "VOCdevkit with VOC2012/JPEGImages, VOC2012/SegmentationClass, VOC2012/ImageSets/"
        "Segmentation/{train,val}.txt; for train_aug also SBD as benchmark_RELEASE/dataset/"
        "{train.txt,val.txt,cls} or its label maps as VOC2012/SegmentationClassAug/NAME.png; for "
        "train_2011 and val_2011_without_sbd also VOC2011/ImageSets/Segmentation/{train,val}.txt, "
        "for the latter SBD's train.txt, too"
    )
    UNIT = "number of the class"
    kind = "labels"
    LABELS = LabelRange(classes=21, void=255)
    TOTALS: Mapping[str, int] = {
        # What the lists name.
        str(_TRAIN): 1464,
        str(_VAL): 1449,
        str(_TRAIN_2011): 1112,
        str(_VAL_2011): 1111,
        str(_SBD_TRAIN): 8498,
        str(_SBD_VAL): 2857,
        # What follows from them.
        "train_aug": 10582,
        "val_2011_without_sbd": 736,
    }

    @classmethod
    def find(cls, folder: Path) -> Mapping[str, list[PairFiles]]:
        """The splits whose lists are there, each in its list's order, train_aug by name."""
        train, val = cls._listed(folder, _TRAIN), cls._listed(folder, _VAL)
        own = Source(_LABELS, ".png")
        found = {
            "train": cls._pairs(folder, str(_TRAIN), dict.fromkeys(train, own)),
            "val": cls._pairs(folder, str(_VAL), dict.fromkeys(val, own)),
        }
        added = cls._labels_of_sbd(folder)
        if added:
            labels = {**added, **dict.fromkeys(train, own)}
            augmented = {name: labels[name] for name in sorted(labels.keys() - set(val))}
            cls._check_total(folder, "train_aug", augmented)
            found["train_aug"] = cls._pairs(folder, "train_aug", augmented)
        if (folder / _TRAIN_2011).exists():
            names = cls._listed(folder, _TRAIN_2011)
            found["train_2011"] = cls._pairs(folder, str(_TRAIN_2011), dict.fromkeys(names, own))
        if (folder / _VAL_2011).exists() and (folder / _SBD_TRAIN).exists():
            sbd = set(cls._listed(folder, _SBD_TRAIN))
            names = [name for name in cls._listed(folder, _VAL_2011) if name not in sbd]
            split = "val_2011_without_sbd"
            cls._check_total(folder, split, names)
            found[split] = cls._pairs(folder, split, dict.fromkeys(names, own))
        return found

    @classmethod
    def _labels_of_sbd(cls, folder: Path) -> Mapping[str, Source]:
        """What SBD labels, or nothing; names of its own lists, or of the files where there are none."""
        mat, png = Source(_SBD_LABELS, ".mat"), Source(_AUGMENTED, ".png")
        if (folder / _SBD_LABELS).is_dir():
            lists = (cls._listed(folder, path) for path in (_SBD_TRAIN, _SBD_VAL))
            return dict.fromkeys((name for names in lists for name in names), mat)
        return dict.fromkeys(sorted(_names(folder, png)), png)

    @classmethod
    def _listed(cls, folder: Path, path: Path) -> list[str]:
        """The names of a list, which has to be whole."""
        if not (folder / path).is_file():
            raise FileNotFoundError(
                f"{folder / path}: there is no such file; expected {cls.LAYOUT}"
            )
        try:
            names = list(dict.fromkeys((folder / path).read_text().split()))
        except UnicodeDecodeError as error:
            raise LayoutError(folder / path, "this is no list of names", cls.LAYOUT) from error
        cls._check_total(folder, str(path), names)
        return names

    @classmethod
    def _check_total(cls, folder: Path, what: str, names: Iterable[str]) -> None:
        """Splits are made of whole lists; from one that is not, everybody would get another one."""
        count = sum(1 for _ in names)
        if count != cls.TOTALS[what]:
            wrong = f"{what} has {count} images, the complete one has {cls.TOTALS[what]}"
            raise LayoutError(folder, wrong, cls.LAYOUT)

    @classmethod
    def _pairs(cls, folder: Path, what: str, labels: Mapping[str, Source]) -> list[PairFiles]:
        """The files of names whose label maps lie in one folder or the other; all have to be there."""
        photographs = Source(_PHOTOGRAPHS, ".jpg")
        for source in (photographs, *sorted(set(labels.values()))):
            wanted = [n for n in labels if source in (photographs, labels[n])]
            there = _names(folder, source)
            missing = [name for name in wanted if name not in there]
            if missing:
                wrong = (
                    f"{len(missing)} of the {len(wanted)} files that {what} needs are missing, "
                    f"{missing[0]}{source.suffix} is the first"
                )
                raise LayoutError(folder / source.folder, wrong, cls.LAYOUT)
        return [
            PairFiles(
                name,
                folder / _PHOTOGRAPHS / f"{name}.jpg",
                folder / source.folder / f"{name}{source.suffix}",
                labels=cls.LABELS,
            )
            for name, source in labels.items()
        ]


def _names(folder: Path, source: Source) -> set[str]:
    """Of the files that a folder holds, if it is there."""
    return {path.stem for path in (folder / source.folder).glob(f"*{source.suffix}")}
