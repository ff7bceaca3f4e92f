import numpy as np
import pytest
from PIL import Image

from pac_jax.files import FileFormatError, read_image
from pac_jax.files.errors import reading
from tests.files import made


def written(folder, content: bytes, name: str = "image.png"):
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.fixture
def colors():
    return np.random.default_rng(0).integers(0, 256, (3, 5, 3))


def test_colors(tmp_path, colors):
    image = read_image(written(tmp_path, made.png(colors, color=made.COLORS)))
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, colors / 255, atol=1e-7)


def test_alpha_is_dropped_not_blended(tmp_path, colors):
    with_alpha = np.concatenate([colors, np.zeros((3, 5, 1), int)], -1)
    image = read_image(written(tmp_path, made.png(with_alpha, color=made.COLORS_ALPHA)))
    np.testing.assert_allclose(image, colors / 255, atol=1e-7)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_grey_becomes_three_equal_channels(tmp_path, bits):
    values = np.random.default_rng(1).integers(0, 2**bits, (4, 7))
    values[0, :2] = 0, 2**bits - 1
    image = read_image(written(tmp_path, made.png(values, bits)))
    assert image.shape == (4, 7, 3)
    np.testing.assert_allclose(image, np.stack([values / (2**bits - 1)] * 3, -1), atol=1e-7)


def test_palette(tmp_path):
    palette = bytes([255, 0, 0, 0, 51, 102])
    image = read_image(written(tmp_path, made.png(np.array([[1, 0]]), 8, made.PALETTE, palette)))
    np.testing.assert_allclose(image, [[[0, 0.2, 0.4], [1, 0, 0]]], atol=1e-7)


def test_palette_with_transparency_gives_no_warning(tmp_path, recwarn):
    image = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    image.putpalette([255, 0, 0, 0, 51, 102])
    image.save(tmp_path / "p.png", transparency=bytes([0, 128]))
    np.testing.assert_allclose(read_image(tmp_path / "p.png"), [[[1, 0, 0], [0, 0.2, 0.4]]])
    assert not recwarn.list


def test_more_pixels_than_pillow_reads_are_no_damage(tmp_path, colors, monkeypatch):
    path = written(tmp_path, made.png(colors, color=made.COLORS))
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 7)
    with pytest.raises(FileFormatError, match=r"more pixels than Pillow .*MAX_IMAGE_PIXELS = None"):
        read_image(path)


def test_colors_of_16_bits(tmp_path):
    values = np.random.default_rng(2).integers(0, 65536, (3, 4, 3))
    image = read_image(written(tmp_path, made.png(values, 16, made.COLORS)))
    np.testing.assert_allclose(image, values / 65535, atol=1 / 255)


def test_orientation_of_the_camera(tmp_path, colors):
    path = tmp_path / "photo.png"
    exif = Image.Exif()
    exif[274] = 6  # the camera was turned: rotate clockwise by 90 degrees to see it upright
    Image.fromarray(colors.astype(np.uint8)).save(path, exif=exif)
    np.testing.assert_allclose(read_image(path), np.rot90(colors, -1) / 255, atol=1e-7)


def test_jpeg(tmp_path):
    path = tmp_path / "photo.JPG"
    Image.new("RGB", (6, 4), (200, 100, 50)).save(path, quality=95)
    np.testing.assert_allclose(read_image(path)[2, 3] * 255, (200, 100, 50), atol=3)


def test_floats_of_known_range_only(tmp_path):
    values = np.array([[0, 0.25], [0.5, 1]], np.float32)
    assert (read_image(written(tmp_path, made.tiff(values), "a.tif"))[..., 1] == values).all()
    with pytest.raises(FileFormatError, match=r"b\.tif: its values span \[0, 3\]; expected .*0, 1"):
        read_image(written(tmp_path, made.tiff(3 * values), "b.tif"))


def test_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.png: there is no such file"):
        read_image(tmp_path / "none.png")


def test_reasons_of_several_lines_become_one(tmp_path):
    path = written(tmp_path, b"content")
    with pytest.raises(FileFormatError, match=r"\(first\); expected more$"), reading(path, "more"):
        raise RuntimeError("first\nsecond")


def test_folder(tmp_path):
    with pytest.raises(FileFormatError, match="this is a folder; expected an image"):
        read_image(tmp_path)


def test_truncated(tmp_path):
    values = np.random.default_rng(3).integers(0, 256, (40, 40))
    content = made.png(values)
    with pytest.raises(FileFormatError, match=r"image\.png: damaged .*expected an image"):
        read_image(written(tmp_path, content[: len(content) // 2]))


@pytest.mark.parametrize("content", [b"", b"no image at all"])
def test_no_image(tmp_path, content):
    with pytest.raises(FileFormatError, match=r"image\.png: damaged .*expected an image") as caught:
        read_image(written(tmp_path, content))
    assert "\n" not in str(caught.value)
