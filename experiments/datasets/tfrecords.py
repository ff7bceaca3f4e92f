"""Random access to TFRecord files without TensorFlow.

A record is its length (8 bytes, little endian), a checksum of that (4 bytes), the content, and a
checksum of it (4 bytes). The lengths of all records are read once, from record to record.
"""

import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.datasets.layout import LayoutError

__all__ = ["TfRecords"]

_HEAD, _CHECKSUM = struct.Struct("<Q4x"), 4
_EXPECTED = "a complete TFRecord file"


class TfRecords:
    """The records of one split of a data set that TFDS wrote as TFRecord files."""

    def __init__(self, builder: Any, split: str, decoders: Any) -> None:
        """Find the records.

        Args:
            builder: of TFDS, of a data set that is prepared.
            split: one of its splits.
            decoders: as for `as_data_source`.

        Raises:
            LayoutError: a file is cut off.
        """
        self._features, self._decoders = builder.info.features, decoders
        paths = [Path(path) for path in builder.info.splits[split].filepaths]
        self._places = [place for path in paths for place in _places(path)]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Any:
        path, start, length = self._places[index]
        with open(path, "rb") as file:
            file.seek(start)
            content = file.read(length)
        return self._features.deserialize_example_np(content, decoders=self._decoders)


def _places(path: Path) -> Sequence[tuple[Path, int, int]]:
    """Path, start and length of every record of a file."""
    size, position = os.path.getsize(path), 0
    found: list[tuple[Path, int, int]] = []
    with open(path, "rb") as file:
        while position < size:
            file.seek(position)
            head = file.read(_HEAD.size)
            length = _HEAD.unpack(head)[0] if len(head) == _HEAD.size else size
            start = position + _HEAD.size
            position = start + length + _CHECKSUM
            if position > size:
                raise LayoutError(path, f"cut off after {len(found)} records", _EXPECTED)
            found.append((path, start, length))
    return found
