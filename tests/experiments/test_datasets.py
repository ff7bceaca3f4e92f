"""The complete data sets and the command, on small files written in their true formats."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from experiments.datasets import LayoutError, load, prepare
from experiments.datasets.__main__ import main
from pac_jax.files import FileFormatError
from tests.experiments.without_tensorflow import run_without_tensorflow
from tests.files import made

# Frames of every sequence of MPI Sintel's training set.
_OF_50_FRAMES = """
    alley_1 alley_2 ambush_5 ambush_7 bamboo_1 bamboo_2 bandage_1 bandage_2 cave_2 cave_4 market_2
    market_5 mountain_1 shaman_2 shaman_3 sleeping_1 sleeping_2 temple_2 temple_3
"""
FRAMES = dict.fromkeys(_OF_50_FRAMES.split(), 50)
FRAMES |= {"ambush_2": 21, "ambush_4": 33, "ambush_6": 20, "market_6": 40}


def write_sintel(folder: Path) -> None:
    """Frames whose colour, and flow whose u and v, tell sequence and frame."""
    for number, (sequence, frames) in enumerate(FRAMES.items()):
        clean = folder / "training" / "clean" / sequence
        flow = folder / "training" / "flow" / sequence
        clean.mkdir(parents=True)
        flow.mkdir(parents=True)
        for frame in range(1, frames + 1):
            colors = np.full((2, 3, 3), (number, frame, 7))
            name = f"frame_{frame:04d}"
            (clean / f"{name}.png").write_bytes(made.png(colors, 8, made.COLORS))
            if frame < frames:
                vectors = np.full((2, 3, 2), (-number, frame + 0.5))
                (flow / f"{name}.flo").write_bytes(made.flo(vectors))


@pytest.fixture(scope="module")
def sintel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sintel")
    write_sintel(folder)
    return folder


@pytest.fixture(scope="module")
def prepared_sintel(sintel, tmp_path_factory) -> Path:
    data_dir = tmp_path_factory.mktemp("prepared")
    prepare("mpi_sintel", sintel, data_dir)
    return data_dir


def test_sintel_splits(prepared_sintel):
    """The published rule, written again: its validation pairs by name."""
    last_25 = [f"frame_{frame:04d}" for frame in range(25, 50)]
    wanted = [f"ambush_6/frame_{frame:04d}" for frame in range(1, 20)]
    wanted += [f"bamboo_2/{frame}" for frame in last_25]
    wanted += [f"cave_4/{frame}" for frame in last_25]
    wanted += [f"market_6/frame_{frame:04d}" for frame in range(1, 40)]
    wanted += [f"temple_2/{frame}" for frame in last_25]
    validation = load("mpi_sintel", "validation", data_dir=prepared_sintel)
    train = load("mpi_sintel", "train", data_dir=prepared_sintel)
    assert [pair.name for pair in validation] == wanted
    assert (len(validation), len(train)) == (133, 908)
    names = [pair.name for pair in train]
    assert names == sorted(names)
    everything = {f"{s}/frame_{f:04d}" for s, frames in FRAMES.items() for f in range(1, frames)}
    assert set(names) == everything - set(wanted)


@pytest.mark.parametrize("index", [0, 500, 907, -1])
def test_sintel_pairs_a_frame_with_its_own_flow(prepared_sintel, index):
    records = load("mpi_sintel", "train", data_dir=prepared_sintel)
    guide, target, name = records[index]
    sequence, frame = name.split("/")
    wanted = list(FRAMES).index(sequence), int(frame.removeprefix("frame_"))
    assert guide.dtype == np.uint8
    assert target.dtype == np.float32
    assert (guide == (*wanted, 7)).all()
    assert (target == (-wanted[0], wanted[1] + 0.5)).all()
    assert guide.shape == (2, 3, 3)
    assert target.shape == (2, 3, 2)
    assert (records.kind, records.unit) == ("flow", "pixels")


def test_incomplete_sintel(tmp_path, sintel):
    """Splits count from a sequence's end, so one missing pair would move others."""
    (tmp_path / "training").symlink_to(sintel / "training")
    lost = sintel / "training" / "flow" / "cave_4" / "frame_0049.flo"
    content = lost.read_bytes()
    lost.unlink()
    try:
        with pytest.raises(LayoutError, match=r"it holds 1040 pairs; expected .*1041 pairs"):
            prepare("mpi_sintel", tmp_path, tmp_path / "prepared")
    finally:
        lost.write_bytes(content)


@pytest.mark.parametrize(
    ("path", "kept", "error", "match"),
    [
        ("clean/alley_1/frame_0002.png", None, FileNotFoundError, "frame_0002.png: there is no"),
        ("clean/alley_1/frame_0002.png", 40, FileFormatError, "frame_0002.png: damaged"),
        ("flow/alley_1/frame_0003.flo", 30, FileFormatError, "frame_0003.flo: 18 bytes follow"),
    ],
)
def test_damaged_sintel(tmp_path, sintel, path, kept, error, match):
    damaged = sintel / "training" / path
    content = damaged.read_bytes()
    damaged.unlink()
    if kept is not None:
        damaged.write_bytes(content[:kept])
    try:
        with pytest.raises(error, match=f"{match}.*; expected") as caught:
            prepare("mpi_sintel", sintel, tmp_path)
    finally:
        damaged.write_bytes(content)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("mpi_sintel/*")), "something of it was left"


@pytest.fixture(scope="module")
def nyu(tmp_path_factory) -> Path:
    """All 1449 images, of 6 x 4 pixels, with the block of text that MATLAB puts before HDF5."""
    folder = tmp_path_factory.mktemp("nyu")
    write_nyu(folder / "nyu_depth_v2_labeled.mat", 1449)
    return folder


def write_nyu(path: Path, images: int, depths: int | None = None) -> None:
    depths = images if depths is None else depths
    image, channel, x, y = np.ogrid[:images, :3, :6, :4]
    with h5py.File(path, "w", userblock_size=512) as file:
        file["images"] = ((7 * image + 50 * channel + 9 * x + y) % 256).astype(np.uint8)
        image, x, y = np.ogrid[:depths, :6, :4]
        file["depths"] = (1 + image / 1000 + x / 10 + y / 100).astype(np.float32)
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file")


@pytest.fixture(scope="module")
def prepared_nyu(nyu, tmp_path_factory) -> Path:
    data_dir = tmp_path_factory.mktemp("prepared")
    prepare("nyu_depth_v2_labeled", nyu, data_dir)
    return data_dir


@pytest.mark.parametrize(
    ("split", "length", "index", "image"),
    [
        ("train", 1000, 0, 0),
        ("train", 1000, 999, 999),
        ("test", 449, 0, 1000),
        ("test", 449, -1, 1448),
    ],
)
def test_nyu(prepared_nyu, split, length, index, image):
    records = load("nyu_depth_v2_labeled", split, data_dir=prepared_nyu)
    assert len(records) == length
    guide, target, name = records[index]
    assert guide.shape == (4, 6, 3)
    assert target.shape == (4, 6, 1)
    assert int(name) == image
    for y, x in np.ndindex(4, 6):
        assert (guide[y, x] == (7 * image + 50 * np.arange(3) + 9 * x + y) % 256).all()
        assert target[y, x, 0] == pytest.approx(1 + image / 1000 + x / 10 + y / 100)
    assert records.unit == "metres"


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda path: write_nyu(path, 5), r"it holds images \(5, 3, 6, 4\) and depths \(5, 6, 4\)"),
        (lambda path: write_nyu(path, 1449, 1448), r"and depths \(1448, 6, 4\)"),
        (lambda path: h5py.File(path, "w").close(), r"it holds images \(\) and depths \(\)"),
        (lambda path: path.write_bytes(b"no HDF5"), "damaged or no HDF5"),
    ],
)
def test_wrong_nyu(tmp_path, make, match):
    make(tmp_path / "nyu_depth_v2_labeled.mat")
    with pytest.raises(
        LayoutError, match=rf"labeled\.mat: .*{match}.*expected .*\(1449, 640, 480\)"
    ):
        prepare("nyu_depth_v2_labeled", tmp_path, tmp_path / "prepared")


def test_truncated_nyu(tmp_path, nyu):
    content = (nyu / "nyu_depth_v2_labeled.mat").read_bytes()
    (tmp_path / "nyu_depth_v2_labeled.mat").write_bytes(content[: len(content) // 2])
    with pytest.raises(LayoutError, match=r"damaged or no HDF5.*; expected") as caught:
        prepare("nyu_depth_v2_labeled", tmp_path, tmp_path / "prepared")
    assert "\n" not in str(caught.value)


def test_slices_and_all(prepared_nyu):
    assert len(load("nyu_depth_v2_labeled", "train[:10%]", data_dir=prepared_nyu)) == 100
    assert len(load("nyu_depth_v2_labeled", "all", data_dir=prepared_nyu)) == 1449


def test_wrong_split_and_index(prepared_nyu):
    with pytest.raises(ValueError, match=r"no split 'validation'; it has \['train', 'test'\]"):
        load("nyu_depth_v2_labeled", "validation", data_dir=prepared_nyu)
    records = load("nyu_depth_v2_labeled", "test", data_dir=prepared_nyu)
    with pytest.raises(IndexError, match="has 449 records in test, none is 449"):
        records[449]


def test_wrong_names_and_folders(tmp_path):
    with pytest.raises(ValueError, match=r"there is no data set 'sintel'; there are .*mpi_sintel"):
        prepare("sintel", tmp_path, tmp_path)
    with pytest.raises(ValueError, match=r"mpi_sintel needs the folder of its files: .*frame_0001"):
        prepare("mpi_sintel", None, tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"none: there is no such folder; expected .*frame_0001"
    ):
        prepare("mpi_sintel", tmp_path / "none", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(LayoutError, match=r"file: this is no folder; expected .*frame_0001"):
        prepare("mpi_sintel", tmp_path / "file", tmp_path)


def test_command(nyu, tmp_path, capsys):
    arguments = ["--name", "nyu_depth_v2_labeled", "--data-dir", str(tmp_path)]
    assert main([*arguments, "--folder", str(nyu)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "nyu_depth_v2_labeled train: 1000 records" in lines
    assert "nyu_depth_v2_labeled test: 449 records" in lines
    assert main(arguments) == 0  # prepared once, it needs its folder no more
    assert "nyu_depth_v2_labeled train: 1000 records" in capsys.readouterr().out.splitlines()


def test_command_with_wrong_input(tmp_path, capsys):
    arguments = ["--name", "mpi_sintel", "--folder", str(tmp_path), "--data-dir", str(tmp_path)]
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: {tmp_path}: it holds no pairs")
    assert captured.err.count("\n") == 1


def test_command_with_a_pair_that_is_found_wrong_while_it_is_read(tmp_path, capsys):
    for name, size in (("guide", (4, 6)), ("target", (2, 6))):
        (tmp_path / name).mkdir()
        Image.fromarray(np.ones(size, np.uint8)).save(tmp_path / name / "a.png")
    arguments = ["--name", "folder_of_depth", "--folder", str(tmp_path), "--data-dir"]
    assert main([*arguments, str(tmp_path / "prepared")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "a.png: its (H, W) is (2, 6); expected (4, 6)" in line


def test_works_without_tensorflow(tmp_path, nyu):
    program = f"""
from experiments.datasets import load
records = load("nyu_depth_v2_labeled", "test", {str(nyu)!r}, {str(tmp_path)!r})
print(len(records), records[0].target.shape)
"""
    assert run_without_tensorflow(program).splitlines()[-1] == "449 (4, 6, 1)"
