"""The file in which people name the classes of their label maps."""

from pathlib import Path

from experiments.datasets.text_lines import read_lines
from pac_jax.files import FileFormatError

__all__ = ["VOID", "read_class_names"]

VOID = 255
"""What their label maps hold where nobody decided."""

_EXPECTED = f"the name of a class a line, 1 to {VOID} of them, each once"


def read_class_names(path: Path) -> tuple[str, ...]:
    """Read the names of the classes 0, 1, 2, ...

    Args:
        path: of a text file; empty lines do not count.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: it is no text, names no class, too many, or one twice.
    """
    names = tuple(read_lines(path, _EXPECTED))
    if not 1 <= len(names) <= VOID:
        raise FileFormatError(path, f"it names {len(names)} classes", _EXPECTED)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FileFormatError(path, f"it names {twice[0]!r} more than once", _EXPECTED)
    return names
