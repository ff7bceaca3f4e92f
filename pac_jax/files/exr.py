"""OpenEXR files, through the format's own library, which is imported only when one is met."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import numpy as np

from pac_jax.files.errors import FileFormatError, Path, reading

__all__ = ["read_channels", "write_channels"]

_ERROR_OUTPUT = 2
_ONE_AT_A_TIME = threading.Lock()


def read_channels(path: Path, expected: str) -> dict[str, np.ndarray]:
    """Read the channels of a file's first part by their names, each (H, W), float32.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: it is damaged, or holds no channels.
    """
    library = _library()
    with _silence(), reading(path, expected):
        with library.File(str(path), separate_channels=True) as file:
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
        try:
            file.write(path)
        except RuntimeError as error:  # as on a full disk
            raise OSError(str(error)) from error


@contextmanager
def _silence() -> Iterator[None]:
    """Nothing is printed: the library writes several lines of a damaged file, and raises besides.

    Some it writes past Python, so it is the process's own error output that leads nowhere for these
    milliseconds.
    """
    if sys.stderr is None:  # the process was started without, and what it prints goes nowhere
        yield
        return
    with _ONE_AT_A_TIME, open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        sys.stderr.flush()
        kept = os.dup(_ERROR_OUTPUT)
        try:
            os.dup2(nowhere.fileno(), _ERROR_OUTPUT)
            yield
        finally:
            os.dup2(kept, _ERROR_OUTPUT)
            os.close(kept)


def _library() -> Any:
    """OpenEXR takes longer to import than most files take to read."""
    import OpenEXR

    return OpenEXR
