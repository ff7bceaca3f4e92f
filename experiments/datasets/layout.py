"""Errors that show what a data set's folder has to look like."""

from pathlib import Path

from experiments.training.errors import RunError

__all__ = ["LayoutError", "require_folder"]


class LayoutError(RunError, ValueError):
    """A folder is not laid out as its data set is; the line says what is wrong and what is expected."""

    def __init__(self, folder: Path, wrong: str, layout: str) -> None:
        super().__init__(f"{folder}: {wrong}; expected {layout}")


def require_folder(folder: Path, layout: str) -> None:
    """Raise the error that says what should stand there, unless there is a folder."""
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: there is no such folder; expected {layout}")
    if not folder.is_dir():
        raise LayoutError(folder, "this is no folder", layout)
