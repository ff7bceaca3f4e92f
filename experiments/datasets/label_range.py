"""Which numbers a label map may hold."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from pac_jax.files import FileFormatError

__all__ = ["LabelRange"]


class LabelRange(NamedTuple):
    """The numbers of classes, and of pixels that count as none.

    Attributes:
        classes: how many there are, 0, 1, 2, ...
        void: the number that is none of them.
    """

    classes: int
    void: int

    def check(self, path: Path, labels: np.ndarray) -> None:
        """Refuse the label map of a file that holds another number."""
        strange = labels[((labels < 0) | (labels >= self.classes)) & (labels != self.void)]
        if strange.size:
            raise FileFormatError(
                path,
                f"it holds the label {strange[0]:.0f}",
                f"the classes 0 to {self.classes - 1}, and {self.void} for void",
            )
