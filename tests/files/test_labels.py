import numpy as np
import pytest

from pac_jax.files import FileFormatError, read_labels, write_labels
from tests.files import made


def written(folder, content: bytes):
    path = folder / "l.png"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("color", [made.GREY, made.PALETTE])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_levels_and_indices_as_they_stand(tmp_path, bits, color):
    values = np.random.default_rng(0).integers(0, 2**bits, (4, 7))
    values[0, :2] = 0, 2**bits - 1
    palette = bytes(3 * 2**bits) if color == made.PALETTE else b""
    labels = read_labels(written(tmp_path, made.png(values, bits, color, palette)))
    assert labels.dtype == np.uint8
    assert (labels == values).all()


def test_16_bits(tmp_path):
    values = np.array([[0, 256, 65535]])
    labels = read_labels(written(tmp_path, made.png(values, 16)))
    assert labels.dtype == np.int32
    assert (labels == values).all()


def test_colours_are_no_labels(tmp_path):
    values = np.arange(18).reshape(2, 3, 3)
    with pytest.raises(FileFormatError, match="it has the channels RGB; expected a label map"):
        read_labels(written(tmp_path, made.png(values, 8, made.COLORS)))


@pytest.mark.parametrize("name", ["l.png", "l.npy"])
@pytest.mark.parametrize(("largest", "dtype"), [(255, np.uint8), (1000, np.int32)])
def test_round_trip(tmp_path, name, largest, dtype):
    values = np.array([[0, 7], [largest, 1]], dtype)
    write_labels(tmp_path / name, values[..., None])
    labels = read_labels(tmp_path / name)
    assert labels.dtype == dtype
    assert (labels == values).all()


def test_booleans(tmp_path):
    write_labels(tmp_path / "l.png", np.array([[True, False]]))
    assert (read_labels(tmp_path / "l.png") == [[1, 0]]).all()


def test_floats_are_no_labels(tmp_path):
    np.save(tmp_path / "l.npy", np.zeros((2, 3)))
    with pytest.raises(FileFormatError, match=r"it is float64\[2, 3\]; expected .* integers"):
        read_labels(tmp_path / "l.npy")
    with pytest.raises(ValueError, match="labels are float64"):
        write_labels(tmp_path / "l.png", np.zeros((2, 3)))


@pytest.mark.parametrize("value", [-1, 65536])
def test_png_refuses_what_it_cannot_hold(tmp_path, value):
    with pytest.raises(ValueError, match=r"a PNG holds 0 to 65535; write \.npy"):
        write_labels(tmp_path / "l.png", np.array([[0, value]]))
    assert not list(tmp_path.iterdir())


def test_numbers_beyond_32_bits(tmp_path):
    np.save(tmp_path / "l.npy", np.array([[2**40]]))
    with pytest.raises(FileFormatError, match="labels of 32 bits"):
        read_labels(tmp_path / "l.npy")
