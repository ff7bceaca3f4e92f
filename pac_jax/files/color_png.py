"""PNG of three channels of 16 bits, which Pillow cuts to 8."""

import numpy as np
import png

from pac_jax.files.errors import FileFormatError, Path, reading

__all__ = ["read_color16", "write_color16"]


def read_color16(path: Path, expected: str) -> np.ndarray:
    """Read (H, W, 3), uint16.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: it is damaged, or has other channels or another bit depth.
    """
    with reading(path, expected), open(path, "rb") as file:
        width, height, rows, info = png.Reader(file=file).read()
        if info["bitdepth"] != 16 or info["planes"] != 3:
            raise FileFormatError(
                path, f"it has {info['planes']} channel(s) of {info['bitdepth']} bits", expected
            )
        values = np.stack([np.asarray(row, np.uint16) for row in rows])
        return values.reshape(height, width, 3)


def write_color16(path: str, values: np.ndarray) -> None:
    """Write (H, W, 3), uint16."""
    height, width, _ = values.shape
    with open(path, "wb") as file:
        png.Writer(width, height, greyscale=False, bitdepth=16).write(
            file, values.reshape(height, -1)
        )
