"""Portable float maps: a short text header, then float32 rows from the bottom up."""

import os
import re

import numpy as np

from pac_jax.files.errors import FileFormatError, Path, reading

__all__ = ["read_pfm", "write_pfm"]

# Identifier, width, height, scale, each followed by white space, of which the last is one byte.
_HEADER = re.compile(rb"(P[Ff])\s+(\d+)\s+(\d+)\s+([-+0-9.eE]+)\s")
_LONGEST_HEADER = 256


def read_pfm(path: Path, expected: str) -> np.ndarray:
    """Read (H, W) of a grey map or (H, W, 3) of a coloured one, float32.

    The sign of the header's scale tells the byte order. Its size is a display hint and not applied.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: the header is no PFM header, or the file has another length than it says.
    """
    with reading(path, expected), open(path, "rb") as file:
        header = _HEADER.match(file.read(_LONGEST_HEADER))
        if header is None:
            raise FileFormatError(path, "it does not start as a PFM", expected)
        identifier, width, height, scale = header.groups()
        channels = 3 if identifier == b"PF" else 1
        shape = (int(height), int(width), channels)
        length = os.path.getsize(path) - header.end()
        wanted = 4 * int(height) * int(width) * channels
        if length != wanted or not wanted:
            raise FileFormatError(
                path, f"{length} bytes follow the header", f"{wanted} for its (H, W, C) = {shape}"
            )
        file.seek(header.end())
        values = np.fromfile(file, "<f4" if float(scale) < 0 else ">f4").reshape(shape)
    values = values[::-1].astype(np.float32)
    return values if channels == 3 else values[..., 0]


def write_pfm(path: str, values: np.ndarray) -> None:
    """Write (H, W) as a grey map or (H, W, 3) as a coloured one, little endian."""
    identifier = "PF" if values.ndim == 3 else "Pf"
    height, width = values.shape[:2]
    with open(path, "wb") as file:
        file.write(f"{identifier}\n{width} {height}\n-1.0\n".encode())
        file.write(np.ascontiguousarray(values[::-1], "<f4").tobytes())
