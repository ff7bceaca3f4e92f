"""Text files in which every line is a name."""

from pathlib import Path

from pac_jax.files.errors import reading

__all__ = ["read_lines"]


def read_lines(path: Path, expected: str) -> list[str]:
    """Read the lines that are not empty, without the white space around them.

    Args:
        path: of a file in UTF-8, with or without a byte order mark.
        expected: ends the line of the error.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: it is no text in UTF-8.
    """
    with reading(path, f"{expected}; as UTF-8"):
        text = path.read_text(encoding="utf-8-sig")
    return [line.strip() for line in text.splitlines() if line.strip()]
