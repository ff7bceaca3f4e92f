"""Files that are there whole, or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pac_jax.files.errors import Path

__all__ = ["replacing"]


@contextmanager
def replacing(path: Path) -> Iterator[str]:
    """Give a temporary name in the same folder, which becomes `path` if nothing failed meanwhile.

    The same folder means the same file system, where `os.replace` is atomic. The name has no suffix
    of any format, so that no listing of a folder takes it for a result.

    Raises:
        FileNotFoundError: the folder is missing.
        IsADirectoryError: there is a folder of this name.
        OSError: whatever the system refused; it names `path`.
    """
    path = os.fspath(path)
    folder, name = os.path.split(path)
    if not os.path.isdir(folder or "."):
        raise FileNotFoundError(f"{path}: there is no folder {folder!r} to write it into")
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path}: there is a folder of this name")
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException as error:  # also Ctrl-C leaves nothing behind
        with suppress(FileNotFoundError):
            os.remove(temporary)
        if isinstance(error, OSError) and error.filename in (None, temporary):
            raise _about(path, error) from error
        raise


def _about(path: str, error: OSError) -> OSError:
    """The error with the name that the user knows; some libraries give neither name nor reason."""
    if error.strerror:
        return OSError(error.errno, error.strerror, path)
    return OSError(f"{path}: it could not be written whole ({error}); is the disk full?")
