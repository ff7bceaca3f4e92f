"""VOC 2012 with SBD, on small files written in their true formats."""

import io
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_matrix

from experiments.datasets import LayoutError, prepare
from experiments.datasets.voc2012 import Voc2012
from pac_jax.files import FileFormatError
from pac_jax.files.palette import voc_palette
from tests.experiments.labelled_files import SHAPE, grey, jpeg, palette_png, records_of, write
from tests.files import made

LISTS = "ImageSets/Segmentation"
SBD = "benchmark_RELEASE/dataset"
# Every name is an image's; what it is in follows from the lists below.
TRAIN, VAL = ["2007_1", "2008_2", "2007_3"], ["2007_5", "2008_6"]
SBD_TRAIN, SBD_VAL = ["2010_8", "2007_5", "2008_2"], ["2008_7", "2008_6"]
TRAIN_2011, VAL_2011 = ["2007_3", "2007_1"], ["2008_6", "2007_5"]
SMALL = {
    f"VOC2012/{LISTS}/train.txt": TRAIN,
    f"VOC2012/{LISTS}/val.txt": VAL,
    f"VOC2011/{LISTS}/train.txt": TRAIN_2011,
    f"VOC2011/{LISTS}/val.txt": VAL_2011,
    f"{SBD}/train.txt": SBD_TRAIN,
    f"{SBD}/val.txt": SBD_VAL,
}
TOTALS = {path: len(names) for path, names in SMALL.items()}
TOTALS |= {"train_aug": 5, "val_2011_without_sbd": 1}


def labels_of(name: str, source: str) -> np.ndarray:
    """Labels that tell the name and who drew them; VOC draws a void border."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:3, 2:5] = int(name[-1]) + {"voc": 0, "sbd": 10, "aug": 5}[source]
    if source == "voc":
        labels[1, 2:5] = 255
    return labels


def mat(labels: np.ndarray, field: str = "Segmentation") -> bytes:
    """As SBD has it: a struct with sparse boundaries of every class, too."""
    boundaries = np.empty((20, 1), object)
    boundaries[:, 0] = [csc_matrix(labels == 1 + number) for number in range(20)]
    present = np.unique(labels[labels > 0])[:, None]
    file = io.BytesIO()
    record = {"Boundaries": boundaries, field: labels, "CategoriesPresent": present}
    savemat(file, {"GTcls": record}, do_compression=True)
    return file.getvalue()


def write_lists(folder: Path, lists: dict[str, list[str]]) -> None:
    for path, names in lists.items():
        write(folder / path, "".join(f"{name}\n" for name in names).encode())


@pytest.fixture
def voc(tmp_path, monkeypatch) -> Path:
    """Few images; the known totals are those of their lists."""
    monkeypatch.setattr(Voc2012, "TOTALS", TOTALS)
    folder = tmp_path / "VOCdevkit"
    write_lists(folder, SMALL)
    for name in {name for names in SMALL.values() for name in names}:
        write(folder / f"VOC2012/JPEGImages/{name}.jpg", jpeg(name))
    for name in TRAIN + VAL:
        write(folder / f"VOC2012/SegmentationClass/{name}.png", palette_png(labels_of(name, "voc")))
    for name in SBD_TRAIN + SBD_VAL:
        write(folder / f"{SBD}/cls/{name}.mat", mat(labels_of(name, "sbd")))
    return folder


def voc_records(folder: Path, split: str):
    return records_of(folder, split, "voc2012")


SPLITS = {
    "train": [(name, "voc") for name in TRAIN],
    "val": [(name, "voc") for name in VAL],
    "train_aug": [
        ("2007_1", "voc"),
        ("2007_3", "voc"),
        ("2008_2", "voc"),  # SBD has it, too
        ("2008_7", "sbd"),
        ("2010_8", "sbd"),
    ],
    "train_2011": [(name, "voc") for name in TRAIN_2011],
    "val_2011_without_sbd": [("2008_6", "voc")],  # only SBD's val labels it
}


def test_voc_with_everything(voc):
    for split, wanted in SPLITS.items():
        records = voc_records(voc, split)
        assert [pair.name for pair in records] == [name for name, _ in wanted]
        assert (records.kind, records.unit) == ("labels", "number of the class")
        for (guide, target, _), (name, source) in zip(records, wanted, strict=True):
            assert guide.dtype == np.uint8
            assert (guide == np.full((*SHAPE, 3), grey(name))).all()
            assert (target[..., 0] == labels_of(name, source)).all()
    assert len(prepared_folders(voc)) == 1


def test_voc_with_augmented_pngs(voc):
    """12,031 palette PNGs of everything, also of what VOC labels, without any list."""
    for name in (*TRAIN, *VAL, *SBD_TRAIN, *SBD_VAL):
        content = palette_png(labels_of(name, "aug"))
        write(voc / f"VOC2012/SegmentationClassAug/{name}.png", content)
    (voc / "benchmark_RELEASE").rename(voc.parent / "elsewhere")
    records = voc_records(voc, "train_aug")
    wanted = [(name, "aug" if source == "sbd" else source) for name, source in SPLITS["train_aug"]]
    for (_, target, name), (wanted_name, source) in zip(records, wanted, strict=True):
        assert name == wanted_name
        assert (target[..., 0] == labels_of(name, source)).all()
    with pytest.raises(ValueError, match=r"no split 'val_2011_without_sbd'.*SBD's train\.txt"):
        voc_records(voc, "val_2011_without_sbd")
    write_lists(voc, {f"{SBD}/train.txt": SBD_TRAIN})
    assert [pair.name for pair in voc_records(voc, "val_2011_without_sbd")] == ["2008_6"]


def test_voc_alone(voc):
    (voc / "benchmark_RELEASE").rename(voc.parent / "elsewhere")
    (voc / "VOC2011").rename(voc.parent / "2011")
    assert len(voc_records(voc, "val")) == 2
    with pytest.raises(
        ValueError, match=r"no split 'train_aug'; it has \['train', 'val'\].*SBD as"
    ):
        voc_records(voc, "train_aug")


def test_voc_of_full_size(tmp_path):
    """The published totals, from lists that overlap as much as they must to give them."""
    train, val = ([f"{kind}_{i:04d}" for i in range(n)] for kind, n in (("t", 1464), ("v", 1449)))
    others = [f"o_{i:04d}" for i in range(9118)]  # with 1464 they are 10,582
    lists = {
        f"VOC2012/{LISTS}/train.txt": train,
        f"VOC2012/{LISTS}/val.txt": val,
        f"VOC2011/{LISTS}/train.txt": train[:1112],
        f"VOC2011/{LISTS}/val.txt": val[:1111],
        f"{SBD}/train.txt": val[736:1111] + train[:1000] + others[:7123],
        f"{SBD}/val.txt": others[7123:] + val[:736] + train[1000:1126],
    }
    write_lists(tmp_path, lists)
    linked(tmp_path / "VOC2012/JPEGImages", (*train, *val, *others), ".jpg")
    linked(tmp_path / "VOC2012/SegmentationClass", (*train, *val), ".png")
    linked(tmp_path / f"{SBD}/cls", (*train[:1126], *val[:1111], *others), ".mat")
    found = Voc2012.splits(tmp_path)
    names = {split: [pair.name for pair in pairs] for split, pairs in found.items()}
    assert {split: len(set(of)) for split, of in names.items()} == {
        "train": 1464,
        "val": 1449,
        "train_aug": 10582,
        "train_2011": 1112,
        "val_2011_without_sbd": 736,
    }
    assert set(names["train_aug"]) == {*train, *others}
    assert names["val_2011_without_sbd"] == val[:736]
    kinds = [pair.target.suffix for pair in found["train_aug"]]
    assert (kinds.count(".mat"), kinds.count(".png")) == (9118, 1464)


def linked(folder: Path, names: Iterable[str], suffix: str) -> None:
    """One empty file by many names."""
    folder.mkdir(parents=True)
    (folder / "one").write_bytes(b"")
    for name in names:
        os.link(folder / "one", folder / f"{name}{suffix}")


def shorten(path: str):
    def change(folder: Path) -> None:
        lines = (folder / path).read_text().splitlines()
        (folder / path).write_text("\n".join(lines[:-1]))

    return change


def replace(path: str, content: bytes):
    return lambda folder: write(folder / path, content)


def lose(path: str):
    return lambda folder: (folder / path).unlink()


def cut(path: str, kept: int):
    return lambda folder: write(folder / path, (folder / path).read_bytes()[:kept])


def empty_cls(folder: Path) -> None:
    for path in (folder / SBD / "cls").iterdir():
        path.unlink()


LABELS = labels_of("2007_1", "voc")
PNG, MAT = "VOC2012/SegmentationClass/2007_1.png", f"{SBD}/cls/2010_8.mat"
JPEG = "VOC2012/JPEGImages/2007_1.jpg"


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        *(
            (
                shorten(path),
                LayoutError,
                rf"{path} has {n - 1} images, the complete one has {n}; expected VOC",
            )
            for path, n in TOTALS.items()
            if path in SMALL
        ),
        (
            replace(f"VOC2012/{LISTS}/val.txt", b""),
            LayoutError,
            r"has 0 images, the complete one has 2; exp",
        ),
        (replace(f"VOC2012/{LISTS}/val.txt", b"\xff\xfe"), LayoutError, "this is no list of names"),
        (
            lose(f"VOC2012/{LISTS}/val.txt"),
            FileNotFoundError,
            r"val\.txt: there is no such file; ex",
        ),
        (lose(f"{SBD}/val.txt"), FileNotFoundError, r"dataset/val\.txt: there is no such file; ex"),
        (
            replace(f"{SBD}/val.txt", b"2008_7\n2008_9\n"),
            LayoutError,
            "train_aug has 6 images, the complete one has 5; expected VOCdevkit with",
        ),
        (
            lose(JPEG),
            LayoutError,
            r"JPEGImages: 1 of the 3 .*train\.txt needs.* 2007_1\.jpg is the",
        ),
        (
            lose(PNG),
            LayoutError,
            r"SegmentationClass: 1 of the 3 files .* 2007_1\.png is the first",
        ),
        (
            empty_cls,
            LayoutError,
            r"cls: 2 of the 2 files that train_aug .* 2008_7\.mat is the first",
        ),
        (cut(PNG, 60), FileFormatError, r"2007_1\.png: damaged"),
        (cut(JPEG, 200), FileFormatError, r"2007_1\.jpg: damaged"),
        (cut(MAT, 150), FileFormatError, r"2010_8\.mat: damaged .*; expected a \.mat file of SBD"),
        (replace(MAT, b""), FileFormatError, r"2010_8\.mat: damaged"),
        (
            replace(MAT, mat(LABELS, "Borders")),
            FileFormatError,
            r"2010_8\.mat: it has no GTcls\.Segmentation; expected",
        ),
        (
            replace(MAT, mat(LABELS.astype(float))),
            FileFormatError,
            r"its Segmentation is float64\[4, 6\]; expected",
        ),
        (
            replace(PNG, palette_png(np.full(SHAPE, 21))),
            FileFormatError,
            r"2007_1\.png: it holds the label 21; expected the classes 0 to 20, and 255 for void",
        ),
        (
            replace(MAT, mat(np.full(SHAPE, 254, np.uint8))),
            FileFormatError,
            r"2010_8\.mat: it holds the label 254; expected the classes 0 to 20, and 255",
        ),
        (
            replace(PNG, palette_png(LABELS[:3])),
            FileFormatError,
            r"2007_1\.png: its \(H, W\) is \(3, 6\); expected \(4, 6\) as .*2007_1\.jpg has it",
        ),
        (
            replace(MAT, mat(labels_of("2010_8", "sbd").T)),
            FileFormatError,
            r"2010_8\.mat: its \(H, W\) is \(6, 4\); expected \(4, 6\) as .*2010_8\.jpg has it",
        ),
        (
            replace(PNG, made.png(voc_palette()[LABELS], 8, made.COLORS)),
            FileFormatError,
            r"2007_1\.png: it has the channels RGB; expected a label map",
        ),
    ],
)
def test_wrong_voc(voc, change, error, match):
    change(voc)
    with pytest.raises(error, match=match) as caught:
        voc_records(voc, "train")
    assert "\n" not in str(caught.value)
    assert not prepared_folders(voc), "something of it was left"


def prepared_folders(voc: Path) -> list[Path]:
    """Of every version, also of what is not whole yet."""
    return list((voc.parent / "prepared").glob("voc2012/*/*.*.*"))


def test_the_folder_itself_instead_of_the_one_above(voc):
    with pytest.raises(
        FileNotFoundError, match=r"VOC2012/VOC2012/.*no such file; expected VOCdevkit"
    ):
        prepare("voc2012", voc / "VOC2012", voc.parent)
