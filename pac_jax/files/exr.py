"""OpenEXR files, through the format's own library, which is imported only when one is met."""

from typing import Any

import numpy as np

from pac_jax.files.errors import FileFormatError, Path, reading

__all__ = ["read_channels", "write_channels"]


def read_channels(path: Path, expected: str) -> dict[str, np.ndarray]:
    """Read the channels of a file's first part by their names, each (H, W), float32.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: it is damaged, or holds no channels.
    """
    with reading(path, expected):
        with _library().File(str(path), separate_channels=True) as file:
            if not file.parts:
                raise FileFormatError(path, "it is damaged or cut off", expected)
            channels = {
                name: np.asarray(channel.pixels, np.float32)
                for name, channel in file.channels().items()
            }
        if not channels:
            raise FileFormatError(path, "it has no channels", expected)
        return channels


def write_channels(path: str, channels: dict[str, np.ndarray]) -> None:
    """Write channels by their names, each (H, W), as float32 with lossless compression."""
    library = _library()
    header = {"compression": library.ZIP_COMPRESSION, "type": library.scanlineimage}
    pixels = {name: np.ascontiguousarray(values, np.float32) for name, values in channels.items()}
    with library.File(header, pixels) as file:
        file.write(path)


def _library() -> Any:
    """OpenEXR takes longer to import than most files take to read."""
    import OpenEXR

    return OpenEXR
