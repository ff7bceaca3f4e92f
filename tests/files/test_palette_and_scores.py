"""Label maps with a palette, and class scores."""

import numpy as np
import pytest
from PIL import Image

from pac_jax.files import FileFormatError, read_labels, read_scores, voc_palette, write_labels


def test_a_palette_shows_colours_and_keeps_the_labels(tmp_path):
    labels = np.array([[0, 20, 3], [255, 15, 0]])
    write_labels(tmp_path / "l.png", labels, voc_palette())
    np.testing.assert_array_equal(read_labels(tmp_path / "l.png"), labels)
    with Image.open(tmp_path / "l.png") as image:
        np.testing.assert_array_equal(image.convert("RGB"), voc_palette()[labels])
    write_labels(tmp_path / "l.npy", labels, voc_palette())
    np.testing.assert_array_equal(read_labels(tmp_path / "l.npy"), labels)


@pytest.mark.parametrize(
    ("labels", "palette", "message"),
    [
        ([[0, 2]], np.zeros((2, 3), np.uint8), "the palette has 2 colours"),
        ([[0, 300]], voc_palette(), r"labels span \[0, 300\], the palette has 256 colours"),
        ([[0, 1]], np.zeros((2, 3)), r"palette is float64\[2, 3\]; it needs uint8 \(n, 3\)"),
        ([[0, 1]], np.zeros(6, np.uint8), r"palette is uint8\[6\]"),
    ],
)
def test_what_a_palette_cannot_hold(tmp_path, labels, palette, message):
    with pytest.raises(ValueError, match=message):
        write_labels(tmp_path / "l.png", labels, palette)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_scores_keep_their_type(tmp_path, dtype):
    scores = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(dtype)
    np.save(tmp_path / "s.npy", scores)
    np.savez_compressed(tmp_path / "s.npz", logits=scores, names=np.zeros(3))
    for path in tmp_path.iterdir():
        found = read_scores(path)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, scores)


@pytest.mark.parametrize(
    "values", [np.zeros((3, 4)), np.zeros((3, 4, 5), int), np.zeros((0, 4, 5))]
)
def test_what_are_no_scores(tmp_path, values):
    np.save(tmp_path / "s.npy", values)
    with pytest.raises(FileFormatError, match="expected class scores, floats of shape"):
        read_scores(tmp_path / "s.npy")
