"""Random access to the records of a prepared data set."""

import io
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from experiments.datasets.pair import Pair

__all__ = ["Records", "decode_image"]


class Records:
    """The pairs of one split, read when they are asked for.

    Attributes:
        name: of the data set.
        split: of it.
        kind: depth, flow or labels.
        unit: of the targets.

    Example:
        >>> from experiments.datasets import load
        >>> records = load("mpi_sintel", "train", folder="MPI-Sintel")  # doctest: +SKIP
        >>> len(records), records[0].target.shape  # doctest: +SKIP
        (908, (436, 1024, 2))
    """

    def __init__(
        self,
        source: Any,
        to_pair: Callable[[Any, int], Pair],
        *,
        name: str,
        split: str,
        kind: str,
        unit: str,
    ) -> None:
        """Wrap a source of TFDS.

        Args:
            source: has a length and, at every index, features by their names.
            to_pair: makes a record of the features and the index.
            name: see the class, like what follows.
            split: see the class.
            kind: see the class.
            unit: see the class.
        """
        self.name, self.split, self.kind, self.unit = name, split, kind, unit
        self._source, self._to_pair = source, to_pair

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Pair:
        position = operator.index(index)
        if not -len(self) <= position < len(self):
            raise IndexError(
                f"{self.name} has {len(self)} records in {self.split}, none is {index}"
            )
        position %= len(self)
        try:
            return self._to_pair(self._source[position], position)
        except Exception as error:  # whatever a damaged file provokes in TFDS and in Pillow
            reason = str(error).strip().split("\n")[0] or type(error).__name__
            raise ValueError(
                f"{self.name}: record {position} of {self.split} is damaged ({reason}); delete the "
                "prepared data set and prepare it again"
            ) from error

    def __iter__(self) -> Iterator[Pair]:
        return (self[index] for index in range(len(self)))


def decode_image(content: bytes) -> np.ndarray:
    """Colours (H, W, 3) in uint8 of an encoded image."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))
