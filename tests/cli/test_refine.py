"""`pac-jax refine`: what it writes, and one line for whatever is wrong."""

import numpy as np
import pytest
from PIL import Image

import pac_jax
from pac_jax import files
from pac_jax.cli.parser import ALIGNMENTS
from pac_jax.refinement import resizing

PAIR = ("refine", "scores.npy", "photo.png")
OUT = ("-o", "labels.png")


def write_pair(scores, photo, seed):
    generator = np.random.default_rng(seed)
    np.save(scores, generator.normal(size=(6, 8, 5)).astype(np.float32))
    Image.fromarray(generator.integers(0, 256, (24, 32, 3), np.uint8)).save(photo)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The working folder of a test, with scores.npy (6, 8, 5) and photo.png (24, 32)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pac_jax.cli.refine.keep_programs", lambda: None)
    write_pair("scores.npy", "photo.png", 0)
    return tmp_path


def test_it_writes_what_the_function_gives_in_a_palette(place, command):
    code, output, errors = command(*PAIR, *OUT)
    assert (code, output, errors) == (0, "", [])
    wanted = pac_jax.refine("scores.npy", "photo.png")
    np.testing.assert_array_equal(files.read_labels("labels.png"), wanted)
    with Image.open("labels.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(image.convert("RGB"), files.voc_palette()[wanted])
    assert {path.name for path in place.iterdir()} == {"labels.png", "photo.png", "scores.npy"}
    command(*PAIR, "-o", "labels.npy")
    np.testing.assert_array_equal(np.load("labels.npy"), wanted)


def test_options_reach_the_function(place, command):
    mask = np.full((24, 32), 255, np.uint8)
    mask[:5] = 0
    Image.fromarray(mask).save("mask.png")
    options = ("--alignment", "corners", "--steps", "2", "--strength", "0.5", "--logits")
    code, _, errors = command(
        *PAIR, *OUT, *options, "--mask", "mask.png", "--void-label", "255", "--verbose"
    )
    assert (code, errors) == (0, [])
    wanted = pac_jax.refine(
        "scores.npy", "photo.png", alignment="corners", steps=2, strength=0.5, mask=mask,
        void_label=255,
    )  # fmt: skip
    np.testing.assert_array_equal(files.read_labels("labels.png"), wanted)
    assert not (wanted == pac_jax.refine("scores.npy", "photo.png"))[5:].all()
    code, _, errors = command(*PAIR, *OUT, "--probabilities")
    assert code == 2
    assert "scores are no probabilities" in errors[0]


def test_the_preview_shows_photograph_before_and_after(place, command):
    assert command(*PAIR, *OUT, "--preview")[0] == 0
    picture = np.asarray(Image.open("labels_preview.png"))
    thirds = np.array_split(picture, 3, axis=1)
    assert all(part.std() > 10 for part in thirds)


def test_folders_and_one_bad_file(place, command):
    for name in ("scores", "photos"):
        (place / name).mkdir()
    for seed, name in enumerate("abc"):
        write_pair(f"scores/{name}.npy", f"photos/{name}.png", seed)
    (place / "scores" / "b.npy").write_bytes(b"no array")
    code, output, errors = command("refine", "scores", "photos", "-o", "new/labels")
    assert code == 2
    assert "2 of 3 maps" in output
    assert len(errors) == 1
    assert "b.npy: damaged" in errors[0]
    assert sorted(p.name for p in (place / "new" / "labels").iterdir()) == ["a.png", "c.png"]
    single = pac_jax.refine("scores/c.npy", "photos/c.png")
    np.testing.assert_array_equal(files.read_labels("new/labels/c.png"), single)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (PAIR, "required: -o/--output; see pac-jax refine --help"),
        ((*PAIR, "-o", "labels.jpg"), "labels is not written as .jpg; it needs one of .png .npy"),
        ((*PAIR, *OUT, "--steps", "0"), "--steps: '0'; it needs a whole number of 1 or more"),
        ((*PAIR, *OUT, "--strength", "x"), "--strength: 'x'; it needs a number of 0 or more"),
        ((*PAIR, *OUT, "--void-label", "255"), "--void-label is the label of pixels that --mask"),
        ((*PAIR, *OUT, "--void-label", "256", "--mask", "photo.png"), "it needs 0 to 255"),
        ((*PAIR, *OUT, "--logits", "--probabilities"), "not allowed with argument"),
        ((*PAIR, *OUT, "--mask", "small.png"), "mask has shape (6, 8); it needs image's, (24, 32)"),
        (("refine", "no.npy", "photo.png", *OUT), "no.npy: there is no such file or folder"),
        (("refine", "one.npy", "photo.png", *OUT), "1 class; refining needs two or more"),
        (("refine", "nan.npy", "photo.png", *OUT), "scores hold 1 values that are not finite"),
        (("refine", "large.npy", "photo.png", *OUT), "scores have size (25, 32) and the image"),
        (("refine", "flat.npy", "photo.png", *OUT), "expected class scores, floats of shape"),
        (("refine", "whole.npy", "photo.png", *OUT), "expected class scores, floats of shape"),
        (("refine", "batch.npy", "photo.png", *OUT), "the command needs one image a file"),
        (("refine", "many.npy", "photo.png", *OUT), "the palette has 256 colours"),
        (("refine", "cut.npy", "photo.png", *OUT), "cut.npy: damaged"),
        (("refine", "two.npz", "photo.png", *OUT), "two.npz: it holds the arrays ['a', 'b']"),
        (("refine", "scores.npy", "cut.npy", *OUT), "expected an image such as PNG"),
        (("refine", "photo.png", "photo.png", *OUT), "scores has no format '.png'"),
        (("refine", "scores.npy", "photo.png", "-o", "photo.png"), "would replace an input"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(place, command, arguments, message):
    scores = np.load("scores.npy")
    wrong = {
        "one": scores[..., :1],
        "nan": np.where(np.arange(240).reshape(6, 8, 5) == 7, np.nan, scores),
        "large": np.zeros((25, 32, 5)),
        "flat": scores[0],
        "whole": scores.astype(np.int32),
        "batch": scores[None],
        "many": np.eye(48, 300)[::-1].reshape(6, 8, 300) - np.eye(48, 300).reshape(6, 8, 300),
    }
    wrong["many"][..., 299] = 9
    for name, values in wrong.items():
        np.save(f"{name}.npy", values)
    np.savez("two.npz", a=scores, b=scores)
    (place / "cut.npy").write_bytes((place / "scores.npy").read_bytes()[:200])
    Image.fromarray(np.zeros((6, 8), np.uint8)).save("small.png")
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()}
    code, output, errors = command(*arguments)
    assert code == 2
    assert len(errors) == 1, errors
    assert message in errors[0]
    assert errors[0].startswith("pac-jax")
    assert output == ""
    assert {p: p.stat().st_mtime_ns for p in place.rglob("*") if p.is_file()} == before


def test_choices_are_those_of_the_library():
    assert ALIGNMENTS == resizing.ALIGNMENTS
