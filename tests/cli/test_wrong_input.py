"""Whatever is wrong: one line that says what and how, exit code 2, and no file."""

from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from pac_jax import files
from tests.cli.conftest import write_pair

PAIR = ("upsample", "depth.png", "photo.png")
OUT = ("-o", "sharp.png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the following arguments are required: COMMAND; see pac-jax --help"),
        (("sharpen",), "invalid choice: 'sharpen'"),
        (PAIR, "required: -o/--output; see pac-jax upsample --help"),
        (
            (*PAIR, *OUT, "--factr", "8"),
            "pac-jax upsample: unrecognized arguments: --factr 8; see pac-jax upsample --help",
        ),
        ((*PAIR, "--hlep"), "pac-jax upsample: the following arguments are required"),
        (("--hlep", *PAIR, *OUT), "pac-jax: unrecognized arguments: --hlep; see pac-jax --help"),
        ((*PAIR, *OUT, "--factor", "one"), "--factor: 'one'; it needs a number above 1"),
        ((*PAIR, *OUT, "--factor", "0.5"), "--factor: '0.5'; it needs a number above 1"),
        ((*PAIR, *OUT, "--tile", "2.5"), "--tile: '2.5'; it needs a whole number above 0"),
        ((*PAIR, *OUT, "--kind", "normals"), "invalid choice: 'normals'"),
        ((*PAIR, *OUT, "--tile", "8"), "tile is 8; this network needs at least"),
        ((*PAIR, *OUT, "--factor", "8"), "factor is 8, but target_low has size (6, 8)"),
        ((*PAIR, *OUT, "--protocol", "center"), "small.safetensors knows no protocols"),
        (("upsample", "no.png", "photo.png", *OUT), "no.png: there is no such file or folder"),
        (("upsample", "depth.png", "no.png", *OUT), "no.png: there is no such file or folder"),
        ((*PAIR, *OUT, "--mask", "no.png"), "no.png: there is no such file or folder"),
        (
            ("upsample", "photo.png", "depth.png", *OUT),
            "expected depth or disparity of one channel",
        ),
        (("upsample", "depth.png", "depth.png", *OUT), "the guide needs to be the larger one"),
        (("upsample", "depth.png", "text.txt", *OUT), "expected an image such as PNG"),
        (("upsample", "text.txt", "photo.png", *OUT), "depth has no format '.txt'"),
        (("upsample", "cut.png", "photo.png", *OUT), "cut.png: damaged or of another format"),
        (("upsample", "zeros.png", "photo.png", *OUT), "target_low has no measured pixel"),
        (("upsample", "depth.png", "turned.png", *OUT), "need to show the same view"),
        ((*PAIR, "-o", "sharp.jpg"), "depth is not written as .jpg; it needs one of .png .npy"),
        ((*PAIR, "-o", "sharp"), "depth is not written as a file without suffix"),
        ((*PAIR, "-o", "no/sharp.png"), "there is no folder 'no'"),
        ((*PAIR, "-o", "depth.png"), "the result would replace an input"),
        ((*PAIR, "-o", "./photo.png"), "the result would replace an input"),
        ((*PAIR, *OUT, "--suffix", ".exr"), "--suffix is .exr, but the output is sharp.png"),
        ((*PAIR, *OUT, "--scale", "1000"), "a PNG of 16 bits holds 0 to 65535"),
        ((*PAIR, *OUT, "--kind", "flow", "--scale", "2"), "are for depth; --kind is flow"),
        ((*PAIR, *OUT, "--mask", "photo.png"), "mask has shape (12, 16); it needs target_low's"),
        (("upsample", "depth.png", ".", *OUT), "depth.png is a file and the guide . a folder"),
        (("upsample", ".", "photo.png", "-o", "x"), ". is a folder and the guide photo.png a file"),
        (("upsample", "depths", "photos", "-o", "text.txt"), "the output text.txt a file"),
        (
            ("upsample", "depths", "photos", "-o", "x"),
            "photos has no photograph for 1 of 2 maps: b",
        ),
        (("upsample", "empty", "photos", "-o", "x"), "empty holds no depth file; expected .png"),
        (("upsample", "twice", "photos", "-o", "x"), "twice holds a.npy and a.png"),
        (("upsample", "depths1", "photos", "-o", "depths1"), "the result would replace an input"),
        (("models", "depth_x5"), "there is no network 'depth_x5' in the package; there are"),
        (("convert", "no.pth", "-o", "x.safetensors"), "there is no checkpoint 'no.pth'"),
        pytest.param(
            ("convert", "text.txt", "-o", "x.safetensors"),
            "is no checkpoint of weights alone",
            marks=pytest.mark.skipif(find_spec("torch") is None, reason="torch reads checkpoints"),
        ),
        (("demo", "-o", "demo.gif"), "it needs to end in .png"),
        (("demo", "-o", "no/demo.png"), "there is no folder 'no'"),
    ],
)
def test_it_is_one_line_and_exit_code_2(folder, command, network, arguments, message):
    for name in ("depths", "depths1", "photos", "empty", "twice"):
        (folder / name).mkdir()
    write_pair("depths/a.png", "photos/a.png", 0)
    write_pair("depths/b.png", "unpaired.png", 0)
    write_pair("depths1/a.png", "turned.png", 0)
    write_pair("twice/a.png", "unpaired.png", 0)
    files.write_depth("twice/a.npy", np.ones((6, 8)))
    files.write_depth("zeros.png", np.zeros((6, 8)))
    Image.fromarray(np.zeros((16, 12, 3), np.uint8)).save("turned.png")
    (folder / "text.txt").write_text("neither map nor photograph")
    (folder / "cut.png").write_bytes((folder / "depth.png").read_bytes()[:60])
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    if arguments[:1] == ("upsample",):
        arguments = (*arguments, "--model", network)
    code, output, errors = command(*arguments)
    assert code == 2
    assert len(errors) == 1, errors
    assert message in errors[0]
    assert errors[0].startswith("pac-jax")
    assert output == ""
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()} == before


def test_a_damaged_model_is_refused(folder, command, network):
    (folder / "bad.safetensors").write_bytes(network.read_bytes()[:-40])
    code, _, errors = command(*PAIR, *OUT, "--model", "bad.safetensors")
    assert code == 2
    assert len(errors) == 1
    assert "bad.safetensors: damaged" in errors[0]


def test_a_full_disk_leaves_nothing(folder, command, network, monkeypatch):
    def full(path, values):
        with open(path, "wb") as file:
            file.write(b"half")
        raise OSError(28, "No space left on device", path)

    monkeypatch.setitem(files.depth._WRITERS, ".png", full)
    code, _, errors = command(*PAIR, *OUT, "--model", network)
    assert code == 2
    assert len(errors) == 1
    assert "No space left on device" in errors[0]
    assert {path.name for path in folder.iterdir()} == {"depth.png", "photo.png"}


def test_a_mistake_of_the_program_is_no_mistake_of_the_user(folder, command, network, monkeypatch):
    def broken(*_, **__):
        raise AssertionError("a bug")

    monkeypatch.setattr("pac_jax.files.write_depth", broken)
    with pytest.raises(AssertionError, match="a bug"):
        command(*PAIR, *OUT, "--model", network)


def test_too_little_memory_names_the_way_out(folder, command, network, monkeypatch):
    def exhausted(*_, **__):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes")

    monkeypatch.setattr("pac_jax.files.write_depth", exhausted)
    code, _, errors = command(*PAIR, *OUT, "--model", network)
    assert (code, errors) == (
        2,
        [
            "pac-jax: out of memory; upsample --tile 512 computes smaller tiles, refine needs smaller "
            "images"
        ],
    )


@pytest.mark.parametrize("output", ["sharp.png", "new/folder"])
def test_a_folder_that_cannot_be_written_to_is_told_before_anything_is_computed(
    output, folder, command, monkeypatch
):
    if output == "new/folder":
        for name, file in (("depths", "depth.png"), ("photos", "photo.png")):
            (folder / name).mkdir()
            (folder / file).rename(folder / name / "a.png")
        pair = ("depths", "photos")
    else:
        pair = ("depth.png", "photo.png")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    monkeypatch.setattr("pac_jax.upsample", None)
    code, _, errors = command("upsample", *pair, "-o", output)
    assert code == 2
    assert errors == ["pac-jax: .: this folder cannot be written to; give another output"]
    assert not (folder / "new").exists()
