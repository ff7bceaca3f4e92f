"""Arrays in NumPy's own formats."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pac_jax.files.errors import FileFormatError, Path, reading

__all__ = ["read_array", "write_array"]


def read_array(path: Path, names: Sequence[str], expected: str) -> np.ndarray:
    """Read the array of an .npy, or the one of an .npz; nothing that is pickled.

    Args:
        path: of the file.
        names: which array of an .npz to take, the first that is there; an only array may have any.
        expected: for the line of the error.

    Returns:
        Numbers or booleans of any shape.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: it is damaged, or holds no such array, or no numbers.
    """
    with reading(path, expected):
        content: Any = np.load(path, allow_pickle=False)
        if isinstance(content, np.lib.npyio.NpzFile):
            with content:
                values = content[_choose(path, content.files, names, expected)]
        else:
            values = content
        if values.dtype.kind not in "buif":
            raise FileFormatError(path, f"it holds {values.dtype}", expected)
        return values


def _choose(path: Path, present: list[str], names: Sequence[str], expected: str) -> str:
    """Name of the array to read."""
    for name in names:
        if name in present:
            return name
    if len(present) == 1:
        return present[0]
    raise FileFormatError(
        path, f"it holds the arrays {present}", f"{expected}, as one array or named {names[0]!r}"
    )


def write_array(path: str, values: np.ndarray) -> None:
    """Write an .npy; through a handle, since np.save appends a suffix to names without one."""
    with open(path, "wb") as file:
        np.save(file, values, allow_pickle=False)
