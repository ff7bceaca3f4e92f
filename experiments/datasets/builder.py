"""What the builders of tensorflow-datasets share; nothing here or in them needs TensorFlow.

TensorFlow is what tensorflow-datasets would encode images with and write its default record files.
So photographs are handed over as the PNG that Pillow makes of them, and the records are written as
array_record files, which it also reads at random (`as_data_source`).
"""

import io
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from experiments.datasets.layout import LayoutError, require_folder
from experiments.datasets.pair import CHANNELS, Pair, PairFiles, read_pair
from pac_jax.files import FileFormatError

__all__ = ["FORMAT", "FilesBuilder", "PairBuilder"]

FORMAT = "array_record"
# On photographs a third of the time of 6, which is Pillow's, for a tenth more bytes.
_COMPRESSION = 1


class PairBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Builds a data set of pairs from a folder of the user's, `manual_dir` in TFDS's words.

    Attributes:
        LAYOUT: of the folder, in one line that ends the errors.
        UNIT: of the targets.
        kind: depth, flow or labels.
    """

    VERSION = tfds.core.Version("1.0.0")
    LAYOUT: str
    UNIT: str
    kind: str

    @property
    def MANUAL_DOWNLOAD_INSTRUCTIONS(self) -> str:  # noqa: N802 - TFDS names it so
        """What TFDS prints where the folder is missing."""
        return f"manual_dir has to hold {self.LAYOUT}"

    @classmethod
    @abstractmethod
    def splits(cls, folder: Path) -> Mapping[str, Any]:
        """What there is to read of every split, found without reading all of it.

        Raises:
            FileNotFoundError: there is no such folder, or files are missing.
            LayoutError: the folder holds something else.
        """

    @abstractmethod
    def read(self, part: Any) -> Iterable[Pair]:
        """Read what `splits` found of one split, record by record."""

    def _info(self) -> tfds.core.DatasetInfo:
        target = tfds.features.Tensor(
            shape=(None, None, CHANNELS[self.kind]), dtype=np.float32, encoding="zlib"
        )
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{type(self).__doc__} Unit of the target: {self.UNIT}.",
            features=tfds.features.FeaturesDict(
                {
                    "guide": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
                    "target": target,
                    "name": tfds.features.Text(),
                }
            ),
            disable_shuffling=True,  # record i is the i-th of the source
        )

    def _split_generators(self, manager: Any) -> dict[str, Any]:
        parts = self.splits(Path(manager.manual_dir))
        return {split: self._generate_examples(part) for split, part in parts.items()}

    def _generate_examples(self, part: Any) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, pair in enumerate(self.read(part)):
            yield (
                number,
                {
                    "guide": _png(pair.guide),
                    "target": pair.target,
                    "name": pair.name,
                },
            )


class FilesBuilder(PairBuilder, skip_registration=True):  # type: ignore[call-arg]
    """A data set whose every record is a file of the photograph and a file of the target."""

    @classmethod
    @abstractmethod
    def find(cls, folder: Path) -> Mapping[str, list[PairFiles]]:
        """The files of every split, in the order of the records."""

    @classmethod
    def splits(cls, folder: Path) -> Mapping[str, list[PairFiles]]:
        """See `PairBuilder`; a split without any pair is refused."""
        require_folder(folder, cls.LAYOUT)
        found = cls.find(folder)
        empty = [split for split, pairs in found.items() if not pairs]
        if empty:
            raise LayoutError(folder, f"it holds no pairs for {', '.join(empty)}", cls.LAYOUT)
        return found

    def read(self, part: list[PairFiles]) -> Iterator[Pair]:
        """Read the files one pair after the other.

        Raises:
            FileFormatError: a file is damaged, or does not go with its counterpart; the line ends in
                the folder's layout.
        """
        for files in part:
            try:
                pair = read_pair(files, self.kind)
            except FileFormatError as error:
                error.args = (f"{error}, in a folder of {self.LAYOUT}",)
                raise
            yield pair


def _png(image: np.ndarray) -> bytes:
    """Colours (H, W, 3) in uint8, encoded."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", compress_level=_COMPRESSION)
    return buffer.getvalue()
