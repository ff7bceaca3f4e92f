"""Preparing data sets and reading them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from absl import logging
from google.protobuf.json_format import ParseError

from experiments.datasets import tfds_nyu_depth_v2
from experiments.datasets.builder import FORMAT, FilesBuilder, PairBuilder
from experiments.datasets.camvid import Camvid
from experiments.datasets.fingerprint import fingerprint
from experiments.datasets.folder_of_pairs import FolderOfDepth, FolderOfFlow, FolderOfLabels
from experiments.datasets.middlebury_flow import MiddleburyFlow
from experiments.datasets.middlebury_stereo import MiddleburyStereo
from experiments.datasets.mpi_sintel import MpiSintel
from experiments.datasets.nyu_depth_v2_labeled import NyuDepthV2Labeled
from experiments.datasets.pair import Pair
from experiments.datasets.records import Records, decode_image
from experiments.datasets.voc2012 import Voc2012

__all__ = ["BUILDERS", "NAMES", "load", "prepare"]

# Every copy of these holds the same records: prepared once, they need their folder no more.
_COMPLETE: tuple[type[PairBuilder], ...] = (NyuDepthV2Labeled, MpiSintel)
# Of these, each folder is a data set of its own, and another one when its files change.
_OF_A_FOLDER: tuple[type[FilesBuilder], ...] = (
    MiddleburyStereo,
    MiddleburyFlow,
    Voc2012,
    Camvid,
    FolderOfDepth,
    FolderOfFlow,
    FolderOfLabels,
)
BUILDERS = {builder.name: builder for builder in (*_COMPLETE, *_OF_A_FOLDER)}
NAMES = (*BUILDERS, tfds_nyu_depth_v2.NAME)
_ENCODED = {"guide": tfds.decode.SkipDecoding()}  # Pillow decodes, whatever else is installed


def load(
    name: str,
    split: str,
    folder: str | Path | None = None,
    data_dir: str | Path | None = None,
) -> Records:
    """Open a split for random access; the data set is prepared first if it is not yet.

    Args:
        name: one of `NAMES`.
        split: such as train; also TFDS's slices such as train[:90%], or all.
        folder: where the original files lie, see `prepare`.
        data_dir: see `prepare`.

    Returns:
        The records: guide uint8 (H, W, 3), target float32 (H, W, C) with NaN where unknown, name.

    Raises:
        ValueError: there is no such data set or split; for the rest see `prepare`.

    Example:
        >>> from experiments.datasets import load
        >>> records = load("folder_of_depth", "train", folder="mine")  # doctest: +SKIP
        >>> guide, target, name = records[0]  # doctest: +SKIP
    """
    if name == tfds_nyu_depth_v2.NAME:
        prepare(name, folder, data_dir)
        return tfds_nyu_depth_v2.load(split, _path(data_dir))
    builder = prepare(name, folder, data_dir)
    splits = list(builder.info.splits)
    try:
        source = builder.as_data_source(split, decoders=_ENCODED)
    except ValueError as error:
        reason = f"{name} has no split {split!r}; it has {splits}"
        if folder is not None and isinstance(builder, _OF_A_FOLDER):  # it decides on the splits
            reason += f" of {folder}; expected {builder.LAYOUT}"
        raise ValueError(reason) from error
    return Records(source, _to_pair, name=name, split=split, kind=builder.kind, unit=builder.UNIT)


def prepare(name: str, folder: str | Path | None = None, data_dir: str | Path | None = None) -> Any:
    """Write the records of a data set, unless they are there already.

    Args:
        name: one of `NAMES`.
        folder: where the original files lie, laid out as `BUILDERS[name].LAYOUT` says. Not needed for
            what is prepared already and complete by itself (NYU Depth v2, MPI Sintel).
        data_dir: where prepared data sets lie; by default TFDS's ~/tensorflow_datasets.

    Returns:
        The builder, whose `info` knows splits and numbers of records.

    Raises:
        FileNotFoundError: a folder or a file is missing.
        ValueError: no such data set, no folder given, or files that are damaged or something else;
            one line that ends in what was expected.
    """
    if name == tfds_nyu_depth_v2.NAME:
        if folder is not None:
            raise ValueError(
                f"{name} takes no folder, it is prepared by tensorflow-datasets itself"
            )
        return tfds_nyu_depth_v2.find(_path(data_dir))
    if name not in BUILDERS:
        raise ValueError(f"there is no data set {name!r}; there are {', '.join(NAMES)}")
    cls = BUILDERS[name]
    if issubclass(cls, _COMPLETE):
        builder = _builder(cls, None, data_dir)
        if builder.data_path.exists():
            return builder
    if folder is None:
        raise ValueError(f"{name} needs the folder of its files: {cls.LAYOUT}")
    folder = Path(folder)
    splits = cls.splits(folder)  # wrong folders end here, before anything is written
    config = None
    if issubclass(cls, _OF_A_FOLDER):
        config = tfds.core.BuilderConfig(name=fingerprint(splits), description=str(folder))
    builder = _builder(cls, config, data_dir)
    download_config = tfds.download.DownloadConfig(manual_dir=folder)
    try:
        builder.download_and_prepare(download_config=download_config)
    except OSError:
        if not builder.data_path.exists():
            raise
        return _builder(cls, config, data_dir)  # another process was first to write the same
    return builder


def _builder(
    cls: type[PairBuilder], config: tfds.core.BuilderConfig | None, data_dir: str | Path | None
) -> Any:
    """A builder, which reads what it has prepared earlier."""
    try:
        with _without_warnings():
            builder = cls(config=config, data_dir=_path(data_dir), file_format=FORMAT)
        if builder.data_path.exists() and not builder.info.splits:
            raise ValueError("it names no splits")
    except (ParseError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise ValueError(
            f"{cls.name}: what is prepared in {data_dir or tfds.core.constants.DATA_DIR} is damaged "
            f"({reason}); delete it and prepare it again"
        ) from error
    return builder


def _to_pair(features: Any, index: int) -> Pair:
    return Pair(decode_image(features["guide"]), features["target"], features["name"].decode())


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep TFDS from warning that a configuration is made on the spot, which it is on purpose."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _path(folder: str | Path | None) -> Path | None:
    return None if folder is None else Path(folder)
