"""The nyu_depth_v2 of tensorflow-datasets itself, from both formats in which TFDS stores it."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.datasets.nyu_depth_v2.nyu_depth_v2_dataset_builder import Builder

from experiments.datasets import LayoutError, load, prepare

COUNTS = {"train": 3, "validation": 2}


def example(split: str, number: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng([len(split), number])
    return {
        "image": generator.integers(0, 256, (480, 640, 3)).astype(np.uint8),
        "depth": generator.integers(0, 9, (480, 640)).astype(np.float16) / 2,
    }


class Tiny(Builder, skip_registration=True):
    """The true builder with its true features, whose download is replaced."""

    name = "nyu_depth_v2"
    __module__ = Builder.__module__  # where its description lies

    def _split_generators(self, manager):
        return {split: self._generate_examples(split) for split in COUNTS}

    def _generate_examples(self, split):
        for number in range(COUNTS[split]):
            made = example(split, number)
            yield number, made | {"image": Image.fromarray(made["image"])}


def checksum(content: bytes) -> int:
    """CRC-32C, rotated and shifted as TFRecord files have it."""
    value = 0xFFFFFFFF
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    value ^= 0xFFFFFFFF
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def tfrecord(contents: list[bytes]) -> bytes:
    """A TFRecord file; the contents' own checksums would take long in Python and stay 0."""
    whole = b""
    for content in contents:
        length = struct.pack("<Q", len(content))
        whole += length + struct.pack("<I", checksum(length)) + content + bytes(4)
    return whole


@pytest.fixture(scope="module", params=["array_record", "tfrecord"])
def data_dir(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    builder = Tiny(data_dir=folder, file_format="array_record")
    builder.download_and_prepare()
    if request.param == "tfrecord":
        to_tfrecord(builder)
    return folder


def to_tfrecord(builder: tfds.core.DatasetBuilder) -> None:
    """Replace the files by what TFDS would have written with TensorFlow."""
    raw = tfds.decode.DeserializeMethod.RAW_BYTES
    for split in COUNTS:
        contents = list(builder.as_data_source(split, deserialize_method=raw))
        old = builder.data_path / f"{builder.name}-{split}.array_record-00000-of-00001"
        old.unlink()
        (old.parent / old.name.replace("array_record", "tfrecord")).write_bytes(tfrecord(contents))
    path = builder.data_path / "dataset_info.json"
    info = json.loads(path.read_text()) | {"fileFormat": "tfrecord"}
    path.write_text(json.dumps(info))


@pytest.mark.parametrize("split", COUNTS)
def test_same_records_as_our_own(data_dir, split):
    records = load("nyu_depth_v2", split, data_dir=data_dir)
    assert (len(records), records.kind, records.unit) == (COUNTS[split], "depth", "metres")
    made = [example(split, number) for number in range(COUNTS[split])]
    for guide, target, _ in records:  # TFDS shuffles what it writes
        (wanted,) = [each for each in made if (each["image"] == guide).all()]
        assert target.shape == (480, 640, 1)
        assert target.dtype == np.float32
        depth = wanted["depth"].astype(np.float32)[..., None]
        np.testing.assert_array_equal(target, np.where(depth == 0, np.float32(np.nan), depth))
    assert len({pair.name for pair in records}) == COUNTS[split]


def test_wrong_split(data_dir):
    with pytest.raises(ValueError, match=r"no split 'test'; it has \['train', 'validation'\]"):
        load("nyu_depth_v2", "test", data_dir=data_dir)


def test_not_prepared(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"not prepared in .*tfds build nyu_depth_v2"):
        prepare("nyu_depth_v2", None, tmp_path)


def test_takes_no_folder(tmp_path):
    with pytest.raises(ValueError, match="takes no folder"):
        prepare("nyu_depth_v2", tmp_path, tmp_path)


@pytest.mark.parametrize("kept", [5, 2000, -1])
def test_truncated_tfrecord(tmp_path, kept):
    builder = Tiny(data_dir=tmp_path, file_format="array_record")
    builder.download_and_prepare()
    to_tfrecord(builder)
    (path,) = tmp_path.glob("nyu_depth_v2/*/*train.tfrecord*")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(
        LayoutError, match=r"cut off after [02] records; expected a complete TFRecord"
    ):
        load("nyu_depth_v2", "train", data_dir=tmp_path)
