"""Which suffixes each kind of file may have."""

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from pac_jax.files.errors import FileFormatError, Path

__all__ = ["SUFFIXES", "Suffixes", "by_suffix", "suffix_of"]

Function = TypeVar("Function")


class Suffixes(NamedTuple):
    """Suffixes of one kind, in lower case with their dot; files may have them in upper case.

    Attributes:
        read: what the reader takes.
        write: what the writer takes.
    """

    read: tuple[str, ...]
    write: tuple[str, ...]


SUFFIXES: Mapping[str, Suffixes] = MappingProxyType(
    {
        # Pillow reads more; these are the ones to look for in a folder.
        "image": Suffixes(
            (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".ppm", ".pgm", ".gif"), ()
        ),
        "depth": Suffixes(
            (".png", ".npy", ".npz", ".exr", ".pfm", ".tif", ".tiff", ".pgm"),
            (".png", ".npy", ".exr", ".pfm"),
        ),
        "flow": Suffixes(
            (".flo", ".png", ".npy", ".npz", ".exr", ".pfm"),
            (".flo", ".png", ".npy", ".exr", ".pfm"),
        ),
        "labels": Suffixes((".png", ".npy", ".npz"), (".png", ".npy")),
        "scores": Suffixes((".npy", ".npz"), ()),
    }
)


def suffix_of(path: Path) -> str:
    """Suffix in lower case, with its dot."""
    return os.path.splitext(os.fspath(path))[1].lower()


def by_suffix(path: Path, functions: Mapping[str, Function], kind: str) -> Function:
    """Choose what reads or writes files of this suffix.

    Raises:
        FileFormatError: there is nothing for this suffix; the line lists those there are.
    """
    suffix = suffix_of(path)
    if suffix not in functions:
        raise FileFormatError(
            path, f"{kind} has no format {suffix!r}", f"one of {', '.join(functions)}"
        )
    return functions[suffix]
