"""The one exception of this package, and how a reader's own failures become it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

__all__ = ["FileFormatError", "Path", "check_readable", "reading"]

Path = str | os.PathLike[str]


class FileFormatError(ValueError):
    """A file is not what it has to be; the line names it, what is wrong, and what was expected."""

    def __init__(self, path: Path, wrong: str, expected: str) -> None:
        super().__init__(f"{os.fspath(path)}: {wrong}; expected {expected}")


def check_readable(path: Path, expected: str) -> None:
    """Raise the error that says plainly what stands, or does not stand, at the path."""
    if os.path.isdir(path):
        raise FileFormatError(path, "this is a folder", expected)
    if not os.path.exists(path):
        raise FileNotFoundError(f"{os.fspath(path)}: there is no such file; expected {expected}")


@contextmanager
def reading(path: Path, expected: str) -> Iterator[None]:
    """Turn whatever a damaged file provokes in a reader into one line that names the file.

    Args:
        path: of the file that is read inside.
        expected: ends the line "expected ...".

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: it is a folder, or its content provoked any error in the reader.
    """
    check_readable(path, expected)
    try:
        yield
    except (FileFormatError, PermissionError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise FileFormatError(
            path,
            "it has more pixels than Pillow reads unasked",
            f"{expected}; PIL.Image.MAX_IMAGE_PIXELS = None lifts the limit",
        ) from error
    except Exception as error:  # the libraries raise nearly anything when bytes are wrong
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise FileFormatError(path, f"damaged or of another format ({reason})", expected) from error
