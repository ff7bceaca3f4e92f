import numpy as np
import pytest

from pac_jax.files import SUFFIXES, FileFormatError, read_depth, write_depth
from tests.files import made

VALUES = np.random.default_rng(0).uniform(0.5, 400, (5, 7)).astype(np.float32)


def written(folder, name: str, content: bytes):
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_png_values_are_not_scaled(tmp_path, bits):
    values = np.random.default_rng(1).integers(0, 2**bits, (4, 7))
    values[0, :2] = 0, 2**bits - 1
    depth = read_depth(written(tmp_path, "d.png", made.png(values, bits)))
    assert depth.dtype == np.float32
    assert (depth == values).all()


def test_three_equal_channels_of_a_png(tmp_path):
    values = np.arange(6).reshape(2, 3)
    colors = np.stack([values] * 3, -1)
    assert (
        read_depth(written(tmp_path, "d.png", made.png(colors, 8, made.COLORS))) == values
    ).all()


@pytest.mark.parametrize("order", "<>")
def test_pfm_is_stored_from_the_bottom(tmp_path, order):
    depth = read_depth(written(tmp_path, "d.pfm", made.pfm(VALUES, order)))
    assert (depth == VALUES).all()


def test_infinite_is_unknown(tmp_path):
    values = VALUES.copy()
    values[1, 2] = np.inf
    depth = read_depth(written(tmp_path, "d.pfm", made.pfm(values)))
    assert np.isnan(depth[1, 2])
    assert np.isnan(depth).sum() == 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize(
    "names", [("Z",), ("V",), ("A", "Z"), ("B", "Y", "a"), ("Z", "Y"), ("depth.Z", "R", "G", "B")]
)
def test_exr(tmp_path, dtype, names):
    wanted = next(name for name in names if name[-1] in "ZYV")
    channels = {name: np.full(VALUES.shape, 7, dtype) for name in names}
    channels[wanted] = VALUES.astype(dtype)
    depth = read_depth(written(tmp_path, "d.exr", made.exr(channels)))
    assert (depth == VALUES.astype(dtype)).all()


def test_half_an_exr_is_said_to_be_cut_off_in_one_line(tmp_path, capfd):
    whole = made.exr({"Z": np.random.default_rng(0).random((200, 90), np.float32)})
    path = written(tmp_path, "d.exr", whole[: len(whole) // 2])
    with pytest.raises(FileFormatError, match=r"d\.exr: it is damaged or cut off; expected depth"):
        read_depth(path)
    assert capfd.readouterr() == ("", "")  # the library's own lines


def test_a_process_without_error_output_reads_exr(tmp_path, monkeypatch):
    path = written(tmp_path, "d.exr", made.exr({"Z": VALUES}))
    monkeypatch.setattr("sys.stderr", None)
    assert (read_depth(path) == VALUES).all()


def test_exr_of_colours(tmp_path):
    path = written(tmp_path, "d.exr", made.exr(dict.fromkeys("RGB", VALUES)))
    with pytest.raises(FileFormatError, match=r"d\.exr: it has the channels .*expected.* Z or Y"):
        read_depth(path)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_tiff(tmp_path, dtype):
    assert (
        read_depth(written(tmp_path, "d.tiff", made.tiff(VALUES.astype(dtype))))
        == VALUES.astype(dtype)
    ).all()


@pytest.mark.parametrize("maximum", [255, 65535])
def test_pgm(tmp_path, maximum):
    values = np.array([[0, 200, 255]]) * (maximum // 255)
    pixels = values.astype(np.uint8 if maximum == 255 else ">u2").tobytes()
    path = written(tmp_path, "d.pgm", b"P5\n# made by hand\n3 1\n%d\n" % maximum + pixels)
    assert (read_depth(path) == values).all()


def test_pgm_that_pillow_would_rescale(tmp_path):
    path = written(tmp_path, "d.pgm", b"P5\n3 1\n100\n\x00\x32\x64")
    with pytest.raises(FileFormatError, match=r"its maximum is 100; expected .*255 or 65535"):
        read_depth(path)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1)])
def test_npy_and_npz(tmp_path, shape):
    values = VALUES.reshape(shape).astype(np.float64)
    np.save(tmp_path / "d.npy", values)
    np.savez(tmp_path / "one.npz", values)
    np.savez(tmp_path / "named.npz", other=np.zeros(3), depth=values)
    for name in ("d.npy", "one.npz", "named.npz"):
        assert (read_depth(tmp_path / name) == VALUES).all()


def test_npz_of_other_arrays(tmp_path):
    np.savez(tmp_path / "d.npz", a=VALUES, b=VALUES)
    with pytest.raises(FileFormatError, match=r"holds the arrays \['a', 'b'\].*named 'depth'"):
        read_depth(tmp_path / "d.npz")


@pytest.mark.parametrize("values", [np.zeros((2, 3, 3)), np.zeros(4), np.array([["a"]])])
def test_npy_of_something_else(tmp_path, values):
    np.save(tmp_path / "d.npy", values)
    with pytest.raises(FileFormatError, match=r"d\.npy: it.*expected depth or disparity"):
        read_depth(tmp_path / "d.npy")


def test_nothing_pickled_is_run(tmp_path):
    np.save(tmp_path / "d.npy", np.array([[{}]], object), allow_pickle=True)
    with pytest.raises(FileFormatError, match="damaged or of another format"):
        read_depth(tmp_path / "d.npy")


COMPLETE = {
    "d.png": made.png(np.random.default_rng(2).integers(0, 65536, (20, 20)), 16),
    "d.pfm": made.pfm(VALUES),
    "d.exr": made.exr({"Z": VALUES}),
    "d.tif": made.tiff(VALUES),
    "d.pgm": b"P5 2 2 255 abcd",
}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
@pytest.mark.parametrize("name", COMPLETE)
@pytest.mark.parametrize("kept", [0.0, 0.05, 0.6, 0.97])
def test_truncated(tmp_path, name, kept):
    content = COMPLETE[name]
    path = written(tmp_path, name, content[: int(kept * len(content))])
    with pytest.raises(FileFormatError, match=f"{name}: .*; expected ") as caught:
        read_depth(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.97])
@pytest.mark.parametrize("name", ["d.npy", "d.npz"])
def test_truncated_numpy(tmp_path, name, kept):
    path = tmp_path / name
    np.save(path, VALUES) if name == "d.npy" else np.savez(path, VALUES)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(FileFormatError, match=f"{name}: .*; expected depth"):
        read_depth(path)


@pytest.mark.parametrize("color", [made.COLORS, made.GREY_ALPHA, made.PALETTE])
def test_png_of_something_else(tmp_path, color):
    channels = {made.COLORS: 3, made.GREY_ALPHA: 2, made.PALETTE: 1}[color]
    values = np.arange(6 * channels).reshape(2, 3, channels)
    palette = bytes(range(60)) if color == made.PALETTE else b""
    path = written(tmp_path, "d.png", made.png(values, 8, color, palette))
    with pytest.raises(FileFormatError, match=r"d\.png: it has .*expected depth or disparity"):
        read_depth(path)


def test_equal_colours_of_16_bits_are_not_cut_to_8(tmp_path):
    colors = np.full((2, 3, 3), 1000)
    with pytest.raises(FileFormatError, match="it has the channels RGB"):
        read_depth(written(tmp_path, "d.png", made.png(colors, 16, made.COLORS)))


def test_unknown_suffix(tmp_path):
    with pytest.raises(FileFormatError, match=r"d\.jpg: depth has no format '\.jpg'; .*\.exr"):
        read_depth(tmp_path / "d.jpg")
    with pytest.raises(FileFormatError, match=r"d\.tif: depth has no format '\.tif'; .*\.exr"):
        write_depth(tmp_path / "d.tif", VALUES)


@pytest.mark.parametrize("name", ["d.npy", "d.exr", "d.pfm", "D.EXR"])
def test_float_formats_keep_everything(tmp_path, name):
    values = VALUES.copy()
    values[2, 3] = np.nan
    write_depth(tmp_path / name, values[..., None], scale=2)
    np.testing.assert_array_equal(read_depth(tmp_path / name), 2 * values)


def test_pfm_as_defined(tmp_path):
    write_depth(tmp_path / "d.pfm", VALUES)
    assert (tmp_path / "d.pfm").read_bytes() == made.pfm(VALUES).replace(b"-0.003922", b"-1.0")


@pytest.mark.parametrize(("bits", "largest"), [(None, 65535), (16, 65535), (8, 255)])
def test_png_rounds(tmp_path, bits, largest):
    write_depth(tmp_path / "d.png", [[0.4, 100.6, np.nan], [largest + 0.4, 0, 7]], bits=bits)
    assert (read_depth(tmp_path / "d.png") == [[0, 101, 0], [largest, 0, 7]]).all()
    assert (tmp_path / "d.png").read_bytes()[24] == (bits or 16)  # the header's bit depth


@pytest.mark.parametrize(
    ("values", "options"),
    [
        ([[-1.0]], {}),
        ([[65536.0]], {}),
        ([[np.inf]], {}),
        ([[256.0]], {"bits": 8}),
        ([[66.0]], {"scale": 1000}),
    ],
)
def test_png_refuses_values_outside(tmp_path, values, options):
    with pytest.raises(ValueError, match=r"holds 0 to \d+; .*\.npy, \.exr or \.pfm"):
        write_depth(tmp_path / "d.png", values, **options)
    assert not list(tmp_path.iterdir())


def test_png_refuses_metres(tmp_path):
    metres = np.linspace(0.5, 5, 35).reshape(5, 7)
    with pytest.raises(
        ValueError, match=r"reaches only 5, .* give a scale .*\.npy, \.exr or \.pfm"
    ):
        write_depth(tmp_path / "d.png", metres)
    write_depth(tmp_path / "d.png", metres, scale=1000)
    np.testing.assert_allclose(read_depth(tmp_path / "d.png"), 1000 * metres, atol=0.5001)


@pytest.mark.parametrize(
    ("values", "options", "match"),
    [
        (np.zeros((2, 3, 3)), {}, r"depth is float64\[2, 3, 3\]; it needs numbers \(H, W\)"),
        (np.zeros((0, 3)), {}, r"it needs numbers \(H, W\)"),
        (np.ones((2, 3), bool), {}, "depth is bool"),
        (np.ones((2, 3)), {"scale": 0}, "scale is 0"),
        (np.ones((2, 3)), {"scale": np.nan}, "scale is nan"),
        (np.ones((2, 3)), {"bits": 12}, "bits is 12; a depth PNG has 8 or 16"),
    ],
)
def test_wrong_arguments(tmp_path, values, options, match):
    with pytest.raises(ValueError, match=match):
        write_depth(tmp_path / "d.png", values, **options)


def test_bits_are_for_png_alone(tmp_path):
    with pytest.raises(ValueError, match=r"bits=8 is for PNG alone; leave it out for \.exr"):
        write_depth(tmp_path / "d.exr", VALUES, bits=8)


def test_every_listed_suffix_is_read_and_written(tmp_path):
    for suffix in SUFFIXES["depth"].write:
        write_depth(tmp_path / f"d{suffix}", np.full((2, 3), 40))
        assert (read_depth(tmp_path / f"d{suffix}") == 40).all()
    for suffix in SUFFIXES["depth"].read:
        with pytest.raises(FileNotFoundError):
            read_depth(tmp_path / f"none{suffix}")
