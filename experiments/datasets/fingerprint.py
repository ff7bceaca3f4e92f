"""A short name for the present content of a folder."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from experiments.datasets.pair import PairFiles

__all__ = ["fingerprint"]

_DIGITS = 12


def fingerprint(splits: Mapping[str, Iterable[PairFiles]]) -> str:
    """Hash names, sizes and times of all files of a data set, without reading them.

    Raises:
        FileNotFoundError: one of the files is missing; the line names it.
    """
    digest = hashlib.sha256()
    for split, pairs in splits.items():
        for pair in pairs:
            files = map(_describe, (pair.guide, pair.target))
            described = (split, pair.name, pair.scale, pair.labels, *files)
            digest.update(repr(described).encode())
    return digest.hexdigest()[:_DIGITS]


def _describe(path: Path) -> tuple[str, int, int]:
    try:
        status = path.stat()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path}: there is no such file; its counterpart is there"
        ) from None
    return str(path.resolve()), status.st_size, status.st_mtime_ns
