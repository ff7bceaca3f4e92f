"""The NYU Depth v2 that tensorflow-datasets itself has: 48 k frames of the raw recordings.

Its own code downloads 32 GB and needs TensorFlow for that. What it wrote is read here without.
"""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import read_only_builder

from experiments.datasets.pair import Pair
from experiments.datasets.records import Records, decode_image
from experiments.datasets.tfrecords import TfRecords

__all__ = ["NAME", "find", "load"]

NAME = "nyu_depth_v2"
_FEATURES = ("image", "depth")
_ENCODED = {"image": tfds.decode.SkipDecoding()}


def find(data_dir: Path | None) -> Any:
    """The builder of what is prepared.

    Raises:
        FileNotFoundError: it is not prepared.
        ValueError: something else has its name.
    """
    try:
        builder = read_only_builder.builder_from_files(NAME, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        raise FileNotFoundError(
            f"{NAME} is not prepared in {data_dir or tfds.core.constants.DATA_DIR}; where TensorFlow "
            f"is installed, `tfds build {NAME} --file_format=array_record` does it"
        ) from None
    missing = set(_FEATURES) - set(builder.info.features)
    if missing:
        raise ValueError(
            f"{builder.data_dir} has the features {list(builder.info.features)}; {NAME} has image "
            "and depth"
        )
    return builder


def load(split: str, data_dir: Path | None) -> Records:
    """Open a split, from array_record files or from the TFRecord files that are TFDS's default.

    Raises:
        FileNotFoundError: it is not prepared.
        ValueError: it has no such split, or is damaged.
    """
    builder = find(data_dir)
    if split not in builder.info.splits:
        raise ValueError(f"{NAME} has no split {split!r}; it has {list(builder.info.splits)}")
    if builder.info.file_format == tfds.core.FileFormat.TFRECORD:
        source: Any = TfRecords(builder, split, _ENCODED)
    else:
        source = builder.as_data_source(split, decoders=_ENCODED)
    return Records(source, _to_pair, name=NAME, split=split, kind="depth", unit="metres")


def _to_pair(features: Any, index: int) -> Pair:
    """Its records have no names, and 0 where nothing was measured."""
    depth = np.asarray(features["depth"], np.float32)[..., None]
    target = np.where(depth == 0, np.float32(np.nan), depth)
    return Pair(decode_image(features["image"]), target, f"{index:05d}")
