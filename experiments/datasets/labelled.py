"""What data sets of photographs and label maps of known classes share."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from experiments.datasets.builder import FilesBuilder
from experiments.datasets.pair import Pair, PairFiles
from pac_jax.files import FileFormatError

__all__ = ["LabelledBuilder"]


class LabelledBuilder(FilesBuilder, skip_registration=True):  # type: ignore[call-arg]
    """A data set whose targets are numbers of classes.

    Attributes:
        CLASSES: how many there are, 0, 1, 2, ...
        VOID: the number of pixels that count as none of them.
    """

    UNIT = "number of the class"
    kind = "labels"
    CLASSES: int
    VOID: int

    def read(self, part: list[PairFiles]) -> Iterator[Pair]:
        """Read the files one pair after the other; other labels than these are refused."""
        for files, pair in zip(part, super().read(part), strict=True):
            self._check(files.target, pair.target)
            yield pair

    def _check(self, path: Path, labels: np.ndarray) -> None:
        strange = labels[((labels < 0) | (labels >= self.CLASSES)) & (labels != self.VOID)]
        if strange.size:
            raise FileFormatError(
                path,
                f"it holds the label {strange[0]:.0f}",
                f"the classes 0 to {self.CLASSES - 1}, and {self.VOID} for void",
            )
