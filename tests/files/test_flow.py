import numpy as np
import pytest

from pac_jax.files import SUFFIXES, FileFormatError, read_flow, write_flow
from tests.files import made

FLOW = np.random.default_rng(0).uniform(-80, 80, (4, 6, 2)).astype(np.float32)


def written(folder, name: str, content: bytes):
    path = folder / name
    path.write_bytes(content)
    return path


def kitti(flow: np.ndarray, valid: np.ndarray) -> bytes:
    stored = np.concatenate([np.round(flow * 64) + 32768, valid[..., None]], -1)
    return made.png(stored.astype(int), 16, made.COLORS)


def with_third_channel(flow: np.ndarray) -> np.ndarray:
    return np.concatenate([flow, np.full_like(flow[..., :1], 9)], -1)


def test_flo(tmp_path):
    flow = read_flow(written(tmp_path, "f.flo", made.flo(FLOW)))
    assert flow.dtype == np.float32
    assert (flow == FLOW).all()


@pytest.mark.parametrize("unknown", [1e10, -1e10, 2e7, np.nan, np.inf])
@pytest.mark.parametrize("component", [0, 1])
def test_both_components_of_unknown_flow_are_nan(tmp_path, unknown, component):
    stored = FLOW.copy()
    stored[1, 2, component] = unknown
    flow = read_flow(written(tmp_path, "f.flo", made.flo(stored)))
    wanted = FLOW.copy()
    wanted[1, 2] = np.nan
    np.testing.assert_array_equal(flow, wanted)


def test_kitti(tmp_path):
    valid = np.random.default_rng(1).uniform(size=FLOW.shape[:2]) < 0.7
    flow = read_flow(written(tmp_path, "f.png", kitti(FLOW, valid)))
    assert (np.isnan(flow).all(-1) == ~valid).all()
    np.testing.assert_allclose(flow[valid], FLOW[valid], atol=1 / 128)


def test_pfm_with_three_channels(tmp_path):
    path = written(tmp_path, "f.pfm", made.pfm(with_third_channel(FLOW), ">"))
    assert (read_flow(path) == FLOW).all()


@pytest.mark.parametrize("names", ["uv", "XY", "RG", "RGB", ("flow.u", "flow.v")])
def test_exr(tmp_path, names):
    channels = dict(zip(names, np.moveaxis(with_third_channel(FLOW), -1, 0), strict=False))
    assert (read_flow(written(tmp_path, "f.exr", made.exr(channels))) == FLOW).all()


@pytest.mark.parametrize("names", ["ab", "XYZW", "R"])
def test_exr_whose_channels_say_nothing(tmp_path, names):
    path = written(tmp_path, "f.exr", made.exr(dict.fromkeys(names, FLOW[..., 0])))
    with pytest.raises(
        FileFormatError, match=r"it has the channels .*expected optical flow.*u and v"
    ):
        read_flow(path)


def test_npy_and_npz(tmp_path):
    np.save(tmp_path / "f.npy", FLOW.astype(np.float64))
    np.savez(tmp_path / "f.npz", FLOW)
    assert (read_flow(tmp_path / "f.npy") == FLOW).all()
    assert (read_flow(tmp_path / "f.npz") == FLOW).all()


def test_wrong_shapes(tmp_path):
    np.save(tmp_path / "f.npy", np.zeros((2, 5, 7)))
    with pytest.raises(FileFormatError, match=r"its shape is \(2, 5, 7\); expected .*\(H, W, 2\)"):
        read_flow(tmp_path / "f.npy")
    with pytest.raises(FileFormatError, match=r"f\.pfm: its shape is \(4, 6\)"):
        read_flow(written(tmp_path, "f.pfm", made.pfm(FLOW[..., 0])))


@pytest.mark.parametrize(("bits", "color"), [(8, made.COLORS), (16, made.GREY)])
def test_png_of_something_else(tmp_path, bits, color):
    values = np.ones((4, 6, 3 if color == made.COLORS else 1), int)
    path = written(tmp_path, "f.png", made.png(values, bits, color))
    with pytest.raises(FileFormatError, match=r"channel\(s\) of \d+ bits; expected KITTI's flow"):
        read_flow(path)


COMPLETE = {
    "f.flo": made.flo(FLOW),
    "f.png": kitti(np.random.default_rng(2).uniform(-9, 9, (20, 20, 2)), np.ones((20, 20))),
    "f.pfm": made.pfm(with_third_channel(FLOW)),
    "f.exr": made.exr({"u": FLOW[..., 0], "v": FLOW[..., 1]}),
}


@pytest.mark.parametrize("name", COMPLETE)
@pytest.mark.parametrize("kept", [0.0, 0.05, 0.6, 0.97])
def test_truncated(tmp_path, name, kept):
    content = COMPLETE[name]
    path = written(tmp_path, name, content[: int(kept * len(content))])
    with pytest.raises(FileFormatError, match=f"{name}: .*; expected ") as caught:
        read_flow(path)
    assert "\n" not in str(caught.value)


def test_more_bytes_than_the_header_says(tmp_path):
    path = written(tmp_path, "f.flo", made.flo(FLOW) + b"more")
    with pytest.raises(FileFormatError, match=r"196 bytes follow the header; expected 192"):
        read_flow(path)


def test_a_flo_of_another_program(tmp_path):
    path = written(tmp_path, "f.flo", b"XXXX" + made.flo(FLOW)[4:])
    with pytest.raises(FileFormatError, match="does not start with PIEH"):
        read_flow(path)


@pytest.mark.parametrize("suffix", SUFFIXES["flow"].write)
def test_round_trip_with_unknown_flow(tmp_path, suffix):
    flow = FLOW.copy()
    flow[0, 1] = np.nan
    flow[2, 3, 1] = np.nan  # half of it is none of it
    write_flow(tmp_path / f"f{suffix}", flow)
    flow[2, 3] = np.nan
    tolerance = 1 / 128 if suffix == ".png" else 0
    np.testing.assert_allclose(read_flow(tmp_path / f"f{suffix}"), flow, rtol=0, atol=tolerance)


def test_flo_as_defined(tmp_path):
    flow = FLOW.copy()
    flow[0, 1] = np.nan
    write_flow(tmp_path / "f.flo", flow)
    assert (tmp_path / "f.flo").read_bytes() == made.flo(np.where(np.isnan(flow), 1e10, flow))


@pytest.mark.parametrize("largest", [-512.01, 512.0])
def test_kitti_refuses_flow_outside(tmp_path, largest):
    flow = FLOW.copy()
    flow[0, 0, 1] = largest
    with pytest.raises(ValueError, match=r"KITTI's PNG holds -512 to 511\.98; write \.flo"):
        write_flow(tmp_path / "f.png", flow)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("largest", [2e7, -np.inf])
def test_flow_that_would_count_as_unknown(tmp_path, largest):
    flow = FLOW.copy()
    flow[0, 0, 1] = largest
    with pytest.raises(ValueError, match="mark what is unknown by NaN"):
        write_flow(tmp_path / "f.flo", flow)


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3), (0, 6, 2)])
def test_wrong_arguments(tmp_path, shape):
    with pytest.raises(ValueError, match=r"flow is .*; it needs numbers \(H, W, 2\)"):
        write_flow(tmp_path / "f.flo", np.zeros(shape))


def test_every_listed_suffix_is_read(tmp_path):
    for suffix in SUFFIXES["flow"].read:
        with pytest.raises(FileNotFoundError):
            read_flow(tmp_path / f"none{suffix}")
