"""CamVid and people's own label maps, on small files written in their true formats."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.datasets import BUILDERS, LayoutError, prepare
from experiments.datasets.camvid import Camvid
from experiments.segmentation.label_sets import LABEL_SETS, read_label_set
from pac_jax.files import FileFormatError
from tests.experiments.labelled_files import SHAPE, grey, jpeg, palette_png, records_of, write
from tests.experiments.without_tensorflow import run_without_tensorflow
from tests.files import made
from tests.oracle.goldens import shared_folder

CAMVID = shared_folder() / "data" / "camvid"

STREETS = {
    name: np.random.default_rng(number).integers(0, 12, SHAPE).astype(np.uint8)
    for number, name in enumerate(("0001TP_1", "0006R0_f2", "Seq05VD_f3"))
}


def write_camvid(folder: Path, split: str, names: Iterable[str], *, apart: bool) -> None:
    for name in names:
        labels = made.png(STREETS[name])
        if apart:
            colors = np.full((*SHAPE, 3), grey(name))
            write(folder / split / f"{name}.png", made.png(colors, 8, made.COLORS))
            write(folder / f"{split}annot" / f"{name}.png", labels)
        else:
            write(folder / split / f"{name}.jpg", jpeg(name))
            write(folder / split / f"{name}.png", labels)


@pytest.mark.parametrize("apart", [True, False])
def test_camvid(tmp_path, apart):
    folder = tmp_path / "CamVid"
    first, *rest = sorted(STREETS)
    write_camvid(folder, "train", rest, apart=apart)
    write_camvid(folder, "test", [first], apart=apart)
    write(folder / "train.txt", b"/SegNet/CamVid/train/0006R0_f2.png ...\n")
    for split, names in (("train", rest), ("test", [first])):
        records = records_of(folder, split, "camvid")
        assert [pair.name for pair in records] == names
        for guide, target, name in records:
            assert (guide == np.full((*SHAPE, 3), grey(name))).all()
            assert (target[..., 0] == STREETS[name]).all()
    with pytest.raises(
        ValueError, match=r"no split 'val'; it has \['train', 'test'\] of .*CamVid;"
    ):
        records_of(folder, "val", "camvid")


NAME = "0001TP_1"


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize(
    ("file", "content", "error", "match"),
    [
        ("labels", None, LayoutError, r"'0001TP_1' has no label map; expected folders train, val"),
        (
            "photo",
            None,
            LayoutError,
            r"train: '0001TP_1' has no photograph; expected folders train",
        ),
        ("labels", b"", FileFormatError, r"0001TP_1\.png: damaged"),
        ("photo", b"", FileFormatError, r"0001TP_1\.(png|jpg): damaged"),
        (
            "labels",
            made.png(np.full(SHAPE, 12)),
            FileFormatError,
            r"0001TP_1\.png: it holds the label 12; expected the classes 0 to 10, and 11 for void",
        ),
        (
            "labels",
            made.png(np.zeros((6, 4), int)),
            FileFormatError,
            r"0001TP_1\.png: its \(H, W\) is \(6, 4\); expected \(4, 6\) as",
        ),
    ],
)
def test_wrong_camvid(tmp_path, apart, file, content, error, match):
    folder = tmp_path / "CamVid"
    write_camvid(folder, "train", STREETS, apart=apart)
    if file == "photo":
        path = folder / "train" / f"{NAME}.{'png' if apart else 'jpg'}"
    else:
        path = folder / ("trainannot" if apart else "train") / f"{NAME}.png"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=match) as caught:
        records_of(folder, "train", "camvid")
    assert "\n" not in str(caught.value)


def test_no_camvid(tmp_path):
    (tmp_path / "CamVid").mkdir()
    with pytest.raises(LayoutError, match=r"no pairs for train, val, test; expected folders train"):
        prepare("camvid", tmp_path / "CamVid", tmp_path)
    (tmp_path / "CamVid" / "val").mkdir()
    with pytest.raises(LayoutError, match=r"no pairs for val; expected folders train"):
        prepare("camvid", tmp_path / "CamVid", tmp_path)


@pytest.mark.skipif(
    not CAMVID.is_dir(), reason="no real files: set PAC_JAX_SHARED to the folder that holds data/"
)
def test_shared_camvid(tmp_path):
    found = Camvid.splits(CAMVID)
    assert {split: len(pairs) for split, pairs in found.items()} == {"train": 367, "val": 101}
    (tmp_path / "CamVid").mkdir()
    (tmp_path / "CamVid" / "val").symlink_to(CAMVID / "val")  # what is the smaller part of it
    records = records_of(tmp_path / "CamVid", "val", "camvid")
    assert len(records) == 101
    for index in (0, 50, 100):
        guide, target, name = records[index]
        with Image.open(CAMVID / "val" / f"{name}.jpg") as photograph:
            assert (guide == np.asarray(photograph)).all()
        with Image.open(CAMVID / "val" / f"{name}.png") as labels:
            assert (target[..., 0] == np.asarray(labels)).all()


def test_works_without_tensorflow(tmp_path):
    folder = tmp_path / "CamVid"
    write_camvid(folder, "val", STREETS, apart=True)
    program = f"""
from experiments.datasets import load
records = load("camvid", "val", {str(folder)!r}, {str(tmp_path / "prepared")!r})
print(len(records), records[0].target.shape)
"""
    assert run_without_tensorflow(program).splitlines()[-1] == "3 (4, 6, 1)"


@pytest.mark.parametrize(("data", "labels"), [("voc2012", "voc"), ("camvid", "camvid")])
def test_classes_and_void_are_those_of_the_label_set(data, labels):
    builder, label_set = BUILDERS[data], LABEL_SETS[labels]
    assert (label_set.classes, label_set.void) == builder.LABELS


def write_own(folder: Path, classes: str | None) -> np.ndarray:
    labels = np.array([[0, 1, 2], [255, 0, 1]], np.uint8)
    write(folder / "guide" / "a.png", made.png(np.zeros((2, 3, 3), int), 8, made.COLORS))
    write(folder / "target" / "a.png", palette_png(labels))
    if classes is not None:
        write(folder / "classes.txt", classes.encode())
    return labels


@pytest.mark.parametrize("classes", ["road\nlow wall\n\nsky\n", "a\nb\nc\nd", None])
def test_own_labels(tmp_path, classes):
    labels = write_own(tmp_path / "mine", classes)
    (pair,) = records_of(tmp_path / "mine", "train", "folder_of_labels")
    assert (pair.target[..., 0] == labels).all()
    if classes is not None:
        label_set = read_label_set(tmp_path / "mine" / "classes.txt")
        assert label_set.names == tuple(classes.replace("\n\n", "\n").strip().split("\n"))
        assert (label_set.name, label_set.void) == ("mine", 255)
        assert label_set.colours(labels)[1, 0].tolist() == [224, 224, 192]


def test_own_labels_out_of_range(tmp_path):
    """Also when classes are taken away after the data were prepared."""
    write_own(tmp_path / "mine", "road\nwall\nsky")
    assert len(records_of(tmp_path / "mine", "train", "folder_of_labels")) == 1
    write(tmp_path / "mine" / "classes.txt", b"road\nwall")
    with pytest.raises(
        FileFormatError, match=r"a\.png: it holds the label 2; expected the classes 0 to 1, and 255"
    ):
        records_of(tmp_path / "mine", "train", "folder_of_labels")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"\n", "it names 0 classes"),
        (b"\n".join(b"%d" % n for n in range(256)), "it names 256 classes"),
        (b"sky\nroad\nsky", "it names 'sky' more than once"),
        (b"\xff\xfe", "damaged or of another format"),
    ],
)
def test_wrong_names_of_classes(tmp_path, content, match):
    write_own(tmp_path / "mine", None)
    write(tmp_path / "mine" / "classes.txt", content)
    with pytest.raises(
        FileFormatError, match=rf"classes\.txt: {match}.*; expected the name of a class a line"
    ):
        records_of(tmp_path / "mine", "train", "folder_of_labels")
