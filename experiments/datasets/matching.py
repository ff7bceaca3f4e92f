"""Photographs and targets that belong together by their names."""

from pathlib import Path
from typing import NamedTuple

from experiments.datasets.layout import LayoutError
from experiments.datasets.pair import PairFiles

__all__ = ["Side", "matching"]


class Side(NamedTuple):
    """One file of every pair.

    Attributes:
        word: what it is called in errors.
        folder: where it lies.
        suffixes: in lower case with their dot; what has none of them is no part of the data.
    """

    word: str
    folder: Path
    suffixes: tuple[str, ...]


def matching(guide: Side, target: Side, layout: str) -> list[PairFiles]:
    """All pairs of files with equal names, by name.

    Raises:
        LayoutError: a file has no counterpart, or a name is there twice.
    """
    guides, targets = _by_name(guide, layout), _by_name(target, layout)
    for name in sorted(guides.keys() ^ targets.keys()):
        missing = target if name in guides else guide
        raise LayoutError(missing.folder, f"{name!r} has no {missing.word}", layout)
    return [PairFiles(name, guides[name], targets[name]) for name in sorted(guides)]


def _by_name(side: Side, layout: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(side.folder.glob("*")):
        if path.suffix.lower() in side.suffixes and not path.name.startswith("."):
            if path.stem in found:
                raise LayoutError(side.folder, f"{path.stem!r} is there twice", layout)
            if not path.exists():
                raise LayoutError(path, "this link leads nowhere", layout)
            found[path.stem] = path
    return found
