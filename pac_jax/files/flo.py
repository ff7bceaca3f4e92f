"""Middlebury's .flo: a tag, width, height, then (u, v) of every pixel, row by row, little endian."""

import os
import struct

import numpy as np

from pac_jax.files.errors import FileFormatError, Path, reading

__all__ = ["read_flo", "write_flo"]

_HEADER = struct.Struct("<4sii")
_TAG = b"PIEH"  # the float 202021.25
_UNKNOWN = np.float32(1e10)


def read_flo(path: Path, expected: str) -> np.ndarray:
    """Read (H, W, 2), float32, unknown flow as it is stored.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: the tag is missing, or the file has another length than its header says.
    """
    with reading(path, expected), open(path, "rb") as file:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size or not header.startswith(_TAG):
            raise FileFormatError(path, "it does not start with PIEH, width and height", expected)
        _, width, height = _HEADER.unpack(header)
        length = os.path.getsize(path) - _HEADER.size
        if width < 1 or height < 1 or length != 8 * width * height:
            raise FileFormatError(
                path,
                f"{length} bytes follow the header",
                f"{8 * width * height} for its (H, W) = ({height}, {width})",
            )
        values = np.fromfile(file, "<f4")
    return values.reshape(height, width, 2).astype(np.float32, copy=False)


def write_flo(path: str, values: np.ndarray) -> None:
    """Write (H, W, 2); NaN becomes the number that stands for unknown flow."""
    height, width, _ = values.shape
    with open(path, "wb") as file:
        file.write(_HEADER.pack(_TAG, width, height))
        file.write(np.where(np.isnan(values), _UNKNOWN, values).astype("<f4").tobytes())
