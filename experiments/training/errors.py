"""Failures that a person can mend, told in one line instead of a traceback."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

# A disk, a quota or a limit of this process that does not let a file grow.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class RunError(Exception):
    """Something outside the code is wrong; the message says what, and the way out."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the program with exit code 2 and one line on a `RunError` or an `OSError`.

    Every other exception is a mistake in the code and keeps its traceback. An interruption from the
    keyboard ends with the shell's usual code 130.
    """
    try:
        yield
    except (RunError, OSError) as error:
        fail(error)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        raise SystemExit(130) from None


def fail(error: Exception) -> None:
    """Print the error on one line and end with exit code 2."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
        if error.errno in _FULL:
            text += "; make room and give the same command again"
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"error: {text}", markup=False)
    raise SystemExit(2)


def existing_folder(folder: Path | None, holds: str) -> None:
    """Raise RunError unless the folder of real images is there, or none is named.

    Args:
        folder: that --data names, or None.
        holds: what is expected in it.
    """
    if folder is not None and not folder.is_dir():
        raise RunError(
            f"there is no folder {folder}; give --data the one that holds {holds}, or leave it out"
        )
