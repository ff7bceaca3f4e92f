"""People's own data: a folder of photographs beside a folder of targets."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from experiments.datasets.builder import FilesBuilder
from experiments.datasets.class_names import VOID, read_class_names
from experiments.datasets.label_range import LabelRange
from experiments.datasets.layout import LayoutError
from experiments.datasets.matching import Side, matching
from experiments.datasets.pair import PairFiles
from experiments.datasets.text_lines import read_lines
from pac_jax.files import SUFFIXES

__all__ = ["FolderOfDepth", "FolderOfFlow", "FolderOfLabels"]

_CLASSES = "classes.txt"
_SPLITS = ("train", "val", "test")
_LAYOUT = (
    "guide/NAME.* (photographs) and target/NAME.* ({suffixes}) of equal names and sizes; splits, if "
    "any, as train.txt, val.txt, test.txt beside them with a NAME a line, or as folders train, val, "
    "test that hold guide and target each"
)


def _layout(kind: str) -> str:
    return _LAYOUT.format(suffixes=" ".join(SUFFIXES[kind].read))


class FolderOfPairs(FilesBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Pairs of files with equal names; the only split is train where the folder names none."""

    UNIT = "as the files have it"

    @classmethod
    def find(cls, folder: Path) -> Mapping[str, list[PairFiles]]:
        """Splits by folders, by lists, or one of everything; by name in each."""
        by_folder = [split for split in _SPLITS if (folder / split).is_dir()]
        by_list = [split for split in _SPLITS if (folder / f"{split}.txt").is_file()]
        whole = (folder / "guide").is_dir() or (folder / "target").is_dir()
        if by_folder and (by_list or whole):
            raise LayoutError(folder, f"it holds {by_folder} and also another layout", cls.LAYOUT)
        if by_folder:
            return {split: cls._pairs(folder / split) for split in by_folder}
        pairs = cls._pairs(folder)
        if not by_list:
            return {"train": pairs}
        by_name = {pair.name: pair for pair in pairs}
        return {split: cls._listed(folder / f"{split}.txt", by_name) for split in by_list}

    @classmethod
    def _pairs(cls, folder: Path) -> list[PairFiles]:
        """All pairs of two folders."""
        guide = Side("guide", folder / "guide", SUFFIXES["image"].read)
        target = Side("target", folder / "target", SUFFIXES[cls.kind].read)
        return matching(guide, target, cls.LAYOUT)

    @classmethod
    def _listed(cls, path: Path, by_name: Mapping[str, PairFiles]) -> list[PairFiles]:
        """The pairs that a list names, in its order."""
        names = read_lines(path, cls.LAYOUT)
        for name, count in Counter(names).items():
            if name not in by_name:
                raise LayoutError(path, f"{name!r} is no pair of the folder", cls.LAYOUT)
            if count > 1:
                raise LayoutError(path, f"{name!r} is there {count} times", cls.LAYOUT)
        return [by_name[name] for name in names]


class FolderOfDepth(FolderOfPairs):
    """A user's photographs and depth or disparity maps."""

    LAYOUT = _layout("depth")
    kind = "depth"


class FolderOfFlow(FolderOfPairs):
    """A user's photographs and optical flow."""

    LAYOUT = _layout("flow")
    UNIT = "pixels"
    kind = "flow"


class FolderOfLabels(FolderOfPairs):
    """A user's photographs and label maps."""

    LAYOUT = (
        f"{_layout('labels')}; {_CLASSES} beside them, if any, with the name of a class a line: labels "
        f"are then 0, 1, 2, ... in its order, and {VOID} for void"
    )
    UNIT = "number of the class"
    kind = "labels"

    @classmethod
    def find(cls, folder: Path) -> Mapping[str, list[PairFiles]]:
        """See `FolderOfPairs`; where classes are named, other labels are refused."""
        found = super().find(folder)
        path = folder / _CLASSES
        if not path.is_file():
            return found
        labels = LabelRange(len(read_class_names(path)), VOID)
        return {
            split: [pair._replace(labels=labels) for pair in pairs]
            for split, pairs in found.items()
        }
