"""Middlebury's data sets and people's own folders, on small files written in their true formats."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from experiments.datasets import BUILDERS, LayoutError, load, prepare
from pac_jax.files import FileFormatError
from tests.files import made
from tests.oracle.goldens import shared_folder

SHARED = shared_folder() / "data"
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="no real files: set PAC_JAX_SHARED to the folder that holds data/"
)
COLORS = np.random.default_rng(0).integers(0, 256, (4, 6, 3))
PHOTO = made.png(COLORS, 8, made.COLORS)
DEPTH = np.random.default_rng(1).uniform(1, 60, (4, 6)).astype(np.float32)
FLOW = np.random.default_rng(2).uniform(-9, 9, (4, 6, 2)).astype(np.float32)


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def pnm(values: np.ndarray) -> bytes:
    """Binary PGM (H, W) or PPM (H, W, 3) of 8 bits."""
    identifier = "P5" if values.ndim == 2 else "P6"
    header = f"{identifier}\n{values.shape[1]} {values.shape[0]}\n255\n".encode()
    return header + values.astype(np.uint8).tobytes()


def stereo(folder: Path, split: str = "test"):
    return load("middlebury_stereo", split, folder, folder.parent / "prepared")


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / "data"
    path.mkdir()
    return path


def test_stereo_of_2014(folder):
    disparity = DEPTH.copy()
    disparity[1, 2] = np.inf
    write(folder / "Adirondack-perfect" / "im0.png", PHOTO)
    write(folder / "Adirondack-perfect" / "im1.png", PHOTO)
    write(folder / "Adirondack-perfect" / "disp0.pfm", made.pfm(disparity))
    write(folder / "Adirondack-perfect" / "calib.txt", b"ndisp=290\n")
    records = stereo(folder)
    guide, target, name = records[0]
    assert (len(records), name, records.kind) == (1, "Adirondack-perfect", "depth")
    assert records.unit == "pixels of disparity"
    assert (guide == COLORS).all()
    np.testing.assert_array_equal(
        target[..., 0], np.where(np.isinf(disparity), np.float32(np.nan), disparity)
    )


@pytest.mark.parametrize(("scene", "width", "scale"), [("venus", 6, 8), ("Teddy", 450, 4)])
@pytest.mark.parametrize("suffixes", [("ppm", "pgm"), ("png", "png")])
def test_stereo_of_2001_and_2003(folder, scene, width, scale, suffixes):
    stored = np.random.default_rng(3).integers(0, 256, (4, width))
    stored[2, 3] = 0
    colors = np.random.default_rng(4).integers(0, 256, (4, width, 3))
    image = pnm(colors) if suffixes[0] == "ppm" else made.png(colors, 8, made.COLORS)
    disparity = pnm(stored) if suffixes[1] == "pgm" else made.png(stored)
    write(folder / "all" / scene / f"im2.{suffixes[0]}", image)
    write(folder / "all" / scene / f"disp2.{suffixes[1]}", disparity)
    guide, target, name = stereo(folder)[0]
    assert name == f"all/{scene}"
    assert (guide == colors).all()
    np.testing.assert_array_equal(target[..., 0], np.where(stored == 0, np.nan, stored / scale))


@pytest.mark.parametrize("scene", ["teddy", "unheard_of"])
def test_stereo_whose_scale_is_not_known(folder, scene):
    """Teddy exists at other sizes, too, whose integers mean something else."""
    write(folder / scene / "im2.png", PHOTO)
    write(folder / scene / "disp2.png", made.png(np.ones((4, 6), int)))
    with pytest.raises(
        LayoutError, match=rf"{scene}: the scale .* not known; expected .*scenes\.json"
    ):
        stereo(folder)
    write(folder / "scenes.json", json.dumps({"other": {"disparity_scale": 8}}).encode())
    with pytest.raises(LayoutError, match=rf"scenes\.json: it has no disparity_scale of {scene}"):
        stereo(folder)
    write(folder / "scenes.json", json.dumps({scene: {"disparity_scale": 2}}).encode())
    assert (stereo(folder)[0].target == 0.5).all()
    write(folder / "scenes.json", json.dumps({scene: {"disparity_scale": 4}}).encode())
    assert (stereo(folder)[0].target == 0.25).all()  # prepared anew


def test_two_processes_prepare_the_same(folder, monkeypatch):
    """The second to end finds the first's records in its place, and takes them."""
    write(folder / "venus" / "im2.png", PHOTO)
    write(folder / "venus" / "disp2.png", made.png(np.ones((4, 6), int)))
    builder = BUILDERS["middlebury_stereo"]
    read = builder.read

    def overtaken(self, part):
        monkeypatch.undo()
        stereo(folder)
        return read(self, part)

    monkeypatch.setattr(builder, "read", overtaken)
    assert (stereo(folder)[0].target == 0.125).all()


@pytest.mark.parametrize("name", ["middlebury_stereo", "middlebury_flow"])
def test_folder_of_something_else(folder, name):
    write(folder / "photo.png", PHOTO)
    with pytest.raises(LayoutError, match=r"it holds no pairs for test; expected .*SCENE/"):
        prepare(name, folder, folder.parent / "prepared")


def test_flow_of_middlebury(folder):
    flow = FLOW.copy()
    flow[0, 0] = 1666666752.0  # what stands for unknown in these files
    for scene in ("Venus", "Dimetrodon"):
        write(folder / "other-data" / scene / "frame10.png", PHOTO)
        write(folder / "other-data" / scene / "frame11.png", PHOTO)
        write(folder / "other-gt-flow" / scene / "flow10.flo", made.flo(flow))
    write(folder / "other-data" / "Beanbags" / "frame10.png", PHOTO)  # its flow is not public
    records = load("middlebury_flow", "test", folder, folder.parent / "prepared")
    assert [pair.name for pair in records] == ["Dimetrodon", "Venus"]
    assert np.isnan(records[1].target[0, 0]).all()
    assert np.isnan(records[1].target).sum() == 2
    assert (records[1].target[1:] == FLOW[1:]).all()
    (folder / "other-data" / "Venus" / "frame10.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"Venus/frame10\.png: there is no such file"):
        prepare("middlebury_flow", folder, folder.parent / "prepared")


TARGETS = {
    "folder_of_depth": {
        "eight.png": (made.png((4 * DEPTH).astype(int)), (4 * DEPTH).astype(int)),
        "sixteen.png": (made.png((999 * DEPTH).astype(int), 16), (999 * DEPTH).astype(int)),
        "little.pfm": (made.pfm(DEPTH), DEPTH),
        "half.exr": (made.exr({"Z": DEPTH.astype(np.float16)}), DEPTH.astype(np.float16)),
        "float.TIF": (made.tiff(DEPTH), DEPTH),
    },
    "folder_of_flow": {
        "middlebury.flo": (made.flo(FLOW), FLOW),
        "things.pfm": (made.pfm(np.concatenate([FLOW, FLOW[..., :1]], -1)), FLOW),
        "rendered.exr": (made.exr({"u": FLOW[..., 0], "v": FLOW[..., 1]}), FLOW),
        "kitti.png": (
            made.png(np.full((4, 6, 3), (32768 + 96, 32768 - 32, 1)), 16, made.COLORS),
            np.full((4, 6, 2), (1.5, -0.5)),
        ),
    },
    "folder_of_labels": {"classes.png": (made.png(COLORS[..., 0]), COLORS[..., 0])},
}


@pytest.mark.parametrize("name", TARGETS)
def test_folder_of_pairs_of_every_format(folder, name):
    for number, (target, (content, _)) in enumerate(TARGETS[name].items()):
        photo = PHOTO if number % 2 else pnm(COLORS)
        write(folder / "guide" / f"{Path(target).stem}.{'png' if number % 2 else 'ppm'}", photo)
        write(folder / "target" / target, content)
    np.save(folder / "target" / "array.npy", FLOW if name == "folder_of_flow" else COLORS[..., 1])
    write(folder / "guide" / "array.png", PHOTO)
    write(folder / "guide" / ".hidden.png", b"")
    write(folder / "target" / "readme.txt", b"")
    records = load(name, "train", folder, folder.parent / "prepared")
    wanted = {Path(target).stem: values for target, (_, values) in TARGETS[name].items()}
    wanted["array"] = FLOW if name == "folder_of_flow" else COLORS[..., 1]
    assert [pair.name for pair in records] == sorted(wanted)
    for guide, target, stem in records:
        values = np.asarray(wanted[stem], np.float32)
        values = values.reshape(4, 6, -1)
        if name == "folder_of_depth":
            values = np.where(values == 0, np.float32(np.nan), values)
        assert (guide == COLORS).all()
        np.testing.assert_array_equal(target, values)


def write_pairs(folder: Path, names: str) -> None:
    for number, name in enumerate(names):
        write(folder / "guide" / f"{name}.png", PHOTO)
        write(folder / "target" / f"{name}.pfm", made.pfm(DEPTH + number))


def names_of(split: str, folder: Path) -> list[str]:
    records = load("folder_of_depth", split, folder, folder.parent / "prepared")
    return [pair.name for pair in records]


def test_splits_by_lists(folder):
    write_pairs(folder, "abcd")
    write(folder / "train.txt", b"d\na\n\n")
    write(folder / "val.txt", b"b")
    assert names_of("train", folder) == ["d", "a"]
    assert names_of("val", folder) == ["b"]
    write(folder / "val.txt", b"e")
    with pytest.raises(LayoutError, match=r"val\.txt: 'e' is no pair of the folder; expected"):
        names_of("val", folder)


def test_lists_of_other_programs(folder):
    write_pairs(folder, "ab")
    write(folder / "train.txt", "b\r\na\r\n".encode("utf-8-sig"))
    assert names_of("train", folder) == ["b", "a"]
    write(folder / "train.txt", "a\n".encode("utf-16"))
    with pytest.raises(
        FileFormatError, match=r"train\.txt: damaged .* expected guide/NAME.* UTF-8"
    ):
        names_of("train", folder)
    write(folder / "train.txt", b"a\nb\na\n")
    with pytest.raises(LayoutError, match=r"train\.txt: 'a' is there 2 times; expected guide/NAME"):
        names_of("train", folder)


def test_splits_by_folders(folder):
    write_pairs(folder / "train", "abc")
    write_pairs(folder / "test", "a")
    assert names_of("train", folder) == ["a", "b", "c"]
    assert names_of("test", folder) == ["a"]
    write_pairs(folder, "d")
    with pytest.raises(LayoutError, match=r"holds \['train', 'test'\] and also another layout"):
        names_of("train", folder)


def test_changed_files_are_prepared_anew(folder):
    write_pairs(folder, "ab")
    assert names_of("train", folder) == ["a", "b"]
    write_pairs(folder, "abc")
    assert names_of("train", folder) == ["a", "b", "c"]


def test_changed_content_of_equal_size_is_prepared_anew(folder):
    write_pairs(folder, "a")
    assert names_of("train", folder) == ["a"]
    changed = folder / "target" / "a.pfm"
    earlier = changed.stat().st_mtime_ns
    write(changed, made.pfm(DEPTH + 5))
    os.utime(changed, ns=(earlier + 10**9, earlier + 10**9))  # also on a clock that is coarse
    (pair,) = load("folder_of_depth", "train", folder, folder.parent / "prepared")
    np.testing.assert_array_equal(pair.target[..., 0], DEPTH + 5)


def break_size(folder: Path) -> None:
    write(folder / "target" / "a.pfm", made.pfm(DEPTH[:2]))


def break_content(folder: Path) -> None:
    write(folder / "target" / "a.pfm", made.pfm(DEPTH)[:-5])


def lose_target(folder: Path) -> None:
    (folder / "target" / "a.pfm").unlink()


def lose_guide(folder: Path) -> None:
    (folder / "guide" / "a.png").unlink()


def double_guide(folder: Path) -> None:
    write(folder / "guide" / "a.ppm", pnm(COLORS))


def lose_everything(folder: Path) -> None:
    shutil.rmtree(folder / "guide")
    shutil.rmtree(folder / "target")


def break_link(folder: Path) -> None:
    (folder / "target/a.pfm").unlink()
    (folder / "target/a.pfm").symlink_to("nowhere.pfm")


def empty_list(folder: Path) -> None:
    write(folder / "train.txt", b"\n")


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (
            break_size,
            FileFormatError,
            r"a\.pfm: its \(H, W\) is \(2, 6\); expected \(4, 6\) as .*a\.png.* guide/NAME",
        ),
        (break_content, FileFormatError, r"91 bytes follow the header; expected 96.* guide/NAME"),
        (lose_target, LayoutError, r"'a' has no target; expected guide/NAME"),
        (lose_guide, LayoutError, r"'a' has no guide; expected guide/NAME"),
        (double_guide, LayoutError, r"guide: 'a' is there twice; expected guide/NAME"),
        (break_link, LayoutError, r"a\.pfm: this link leads nowhere; expected guide/NAME"),
        (lose_everything, LayoutError, r"no pairs for train; expected guide/NAME.*\.pfm"),
        (empty_list, LayoutError, r"no pairs for train; expected guide/NAME"),
    ],
)
def test_wrong_folders(folder, change, error, match):
    write_pairs(folder, "ab")
    change(folder)
    with pytest.raises(error, match=match) as caught:
        names_of("train", folder)
    assert "\n" not in str(caught.value)


def prepared_file(folder: Path, pattern: str) -> Path:
    (found,) = (folder.parent / "prepared").glob(f"folder_of_depth/*/*/{pattern}")
    return found


@pytest.mark.parametrize("pattern", ["*.array_record*", "dataset_info.json"])
@pytest.mark.parametrize("kept", [None, 0, 20])
def test_damaged_prepared_data(folder, pattern, kept):
    write_pairs(folder, "ab")
    names_of("train", folder)
    damaged = prepared_file(folder, pattern)
    content = damaged.read_bytes()
    damaged.unlink()
    if kept is not None:
        damaged.write_bytes(content[:kept])
    with pytest.raises(
        ValueError, match=r"folder_of_depth: .*damaged .*prepare it again"
    ) as caught:
        names_of("train", folder)
    assert "\n" not in str(caught.value)


@needs_shared
def test_shared_stereo_and_flow(tmp_path):
    scenes = json.loads((SHARED / "depth_middlebury" / "scenes.json").read_text())
    records = load("middlebury_stereo", "test", SHARED / "depth_middlebury", tmp_path)
    assert [pair.name for pair in records] == sorted(scenes)
    for guide, target, name in records:
        height, width = scenes[name]["height"], scenes[name]["width"]
        assert guide.shape == (height, width, 3)
        assert np.isnan(target).mean() == pytest.approx(scenes[name]["unknown_fraction"])
        assert np.nanmax(target) <= 255 / scenes[name]["disparity_scale"]
    flows = load("middlebury_flow", "test", SHARED / "flow", tmp_path)
    assert [pair.name for pair in flows] == [*(f"chairs_{i}" for i in range(4)), "sintel_alley_1"]
    assert flows[4].target.shape == (436, 1024, 2)
    assert not np.isnan(flows[4].target).any()
