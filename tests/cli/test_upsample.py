"""`pac-jax upsample`: what it writes."""

import numpy as np
import pytest
from PIL import Image

import pac_jax
from pac_jax import files
from tests.cli.conftest import write_pair


def expected(network, **options):
    target, guide = files.read_depth("depth.png"), files.read_image("photo.png")
    return pac_jax.upsample(target, guide, model=network, **options)


@pytest.mark.parametrize("suffix", [".png", ".npy", ".exr", ".pfm"])
def test_it_writes_what_the_function_gives(folder, command, network, suffix):
    code, _, errors = command(
        "upsample", "depth.png", "photo.png", "-o", f"sharp{suffix}", "--model", network
    )
    assert (code, errors) == (0, [])
    result = expected(network)
    result = result.round() if suffix == ".png" else result
    np.testing.assert_array_equal(files.read_depth(f"sharp{suffix}"), result)
    assert {path.name for path in folder.iterdir()} == {
        "depth.png",
        "photo.png",
        f"sharp{suffix}",
    }


def test_options_reach_the_function(folder, command, network):
    target = files.read_depth("depth.png")
    target[:2, :3] = 0
    files.write_depth("depth.png", target)
    mask = np.ones((6, 8), np.uint8) * 255
    mask[4:, 4:] = 0
    Image.fromarray(mask).save("mask.png")
    options = ("--mask", "mask.png", "--keep-holes", "--tile", "64", "--factor", "2")
    code, _, errors = command(
        "upsample", "depth.png", "photo.png", "-o", "a.npy", "--model", network, *options
    )
    assert (code, errors) == (0, [])
    result = files.read_depth("a.npy")
    wanted = expected(network, mask=(mask > 0) & (target != 0), keep_holes=True)
    np.testing.assert_array_equal(result, wanted)
    assert np.isnan(result[:4, :6]).all()
    assert np.isnan(result[8:, 8:]).all()
    command("upsample", "depth.png", "photo.png", "-o", "b.npy", "--model", network,
            "--zeros-are-measured", "--scale", "0.5")  # fmt: skip
    wanted = expected(network, mask=np.ones((6, 8)))
    np.testing.assert_allclose(files.read_depth("b.npy"), wanted / 2, rtol=1e-6)


def test_flow_and_labels(folder, command):
    flow = np.random.default_rng(0).normal(size=(6, 8, 2)).astype(np.float32)
    files.write_flow("flow.flo", flow)
    files.write_labels("labels.png", np.arange(6)[:, None] // 2 + np.zeros((6, 8), int))
    Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save("photo.png")
    code, _, errors = command(
        "upsample", "flow.flo", "photo.png", "-o", "sharp.flo", "--kind", "flow", "--preview"
    )
    assert (code, errors) == (0, [])
    assert files.read_flow("sharp.flo").shape == (24, 32, 2)
    code, _, errors = command(
        "upsample", "labels.png", "photo.png", "-o", "sharp.png", "--kind", "labels", "--preview"
    )
    assert (code, errors) == (0, [])
    labels = files.read_labels("sharp.png")
    assert labels.shape == (24, 32)
    assert set(np.unique(labels)) == {0, 1, 2}


def test_the_preview_shows_photograph_target_and_result(folder, command, network):
    command("upsample", "depth.png", "photo.png", "-o", "s.png", "--model", network, "--preview")
    picture = np.asarray(Image.open("s_preview.png"))
    assert picture.shape[2] == 3
    assert picture.shape[1] > 3 * picture.shape[0] / 2
    thirds = np.array_split(picture, 3, axis=1)
    assert all(part.std() > 10 for part in thirds)


def test_verbose_tells_seconds_and_memory(folder, command, network):
    _, output, _ = command(
        "upsample", "depth.png", "photo.png", "-o", "s.png", "--model", network, "--verbose"
    )
    assert "start-up: " in output
    assert "s.png: 6 x 8 to 12 x 16, " in output
    assert "s for compiled programs; at most " in output


def test_folders_are_paired_by_name(folder, command, network):
    for name in ("depths", "photos"):
        (folder / name).mkdir()
    for seed, name in enumerate(("a", "b", "c")):
        write_pair(f"depths/{name}.png", f"photos/{name}.png", seed)
    write_pair("depths/d.png", "photos/d.PNG", 3)
    (folder / "depths" / "notes.txt").write_text("no map")
    (folder / "photos" / "e.jpg").write_bytes((folder / "photos" / "a.png").read_bytes())
    code, output, errors = command(
        "upsample", "depths", "photos", "-o", "new/sharp", "--model", network, "--suffix", "exr"
    )
    assert (code, errors) == (0, [])
    assert "4 of 4 maps" in output
    names = sorted(path.name for path in (folder / "new" / "sharp").iterdir())
    assert names == ["a.exr", "b.exr", "c.exr", "d.exr"]
    single = pac_jax.upsample("depths/b.png", "photos/b.png", model=network)
    np.testing.assert_array_equal(files.read_depth("new/sharp/b.exr"), single)


def test_a_folder_of_one_file_makes_the_results_folder(folder, command, network):
    for name in ("depths", "photos"):
        (folder / name).mkdir()
    write_pair("depths/a.png", "photos/a.png", 0)
    code, _, errors = command("upsample", "depths", "photos", "-o", "new/sharp", "--model", network)
    assert (code, errors) == (0, [])
    assert [path.name for path in (folder / "new" / "sharp").iterdir()] == ["a.png"]


def test_one_bad_file_does_not_stop_the_others(folder, command, network):
    for name in ("depths", "photos"):
        (folder / name).mkdir()
    for seed, name in enumerate(("a", "b", "c")):
        write_pair(f"depths/{name}.png", f"photos/{name}.png", seed)
    data = (folder / "depths" / "b.png").read_bytes()
    (folder / "depths" / "b.png").write_bytes(data[: len(data) // 2])
    code, output, errors = command(
        "upsample", "depths", "photos", "-o", "sharp", "--model", network
    )
    assert code == 2
    assert len(errors) == 1
    assert errors[0].startswith("pac-jax: depths/b.png: damaged")
    assert "2 of 3 maps" in output
    assert sorted(path.name for path in (folder / "sharp").iterdir()) == ["a.png", "c.png"]


def test_a_file_goes_into_a_folder_under_its_own_name(folder, command, network):
    (folder / "sharp").mkdir()
    code, _, _ = command("upsample", "depth.png", "photo.png", "-o", "sharp", "--model", network)
    assert code == 0
    assert [path.name for path in (folder / "sharp").iterdir()] == ["depth.png"]


@pytest.mark.parametrize(
    ("options", "written"),
    [
        ((), [[1, 1, 300, 6000]]),
        (("--zeros-are-measured",), [[0, 0, 300, 6000]]),
        (("--scale", "10"), [[1, 2, 3000, 60000]]),
    ],
)
def test_small_depths_are_no_holes_of_a_png(
    folder, command, network, monkeypatch, options, written
):
    result = np.array([[0.02, 0.2, 300, 6000]], np.float32)
    monkeypatch.setattr("pac_jax.upsample", lambda *_, **__: result)
    run = ("upsample", "depth.png", "photo.png", "--model", network, *options, "-o")
    assert command(*run, "s.png")[::2] == (0, [])
    np.testing.assert_array_equal(files.read_depth("s.png"), written)
    assert command(*run, "s.npy")[0] == 0  # floats hold what was computed
    scale = float(options[1]) if "--scale" in options else 1
    np.testing.assert_allclose(files.read_depth("s.npy"), scale * result)


def test_what_the_mask_takes_away_needs_no_place_in_a_png(folder, command, network):
    target = np.full((6, 8), 300, np.float32)
    target[:3], target[2, 4] = -1, 200
    files.write_depth("depth.npy", target)
    Image.fromarray(np.where(target > 0, 255, 0).astype(np.uint8)).save("mask.png")
    code, _, errors = command("upsample", "depth.npy", "photo.png", "-o", "s.png",
                              "--model", network, "--mask", "mask.png")  # fmt: skip
    assert (code, errors) == (0, [])
    written = files.read_depth("s.png")
    assert (written.min() >= 200) & (written.max() <= 300)


@pytest.mark.parametrize(("values", "scale"), [((-3.0, 900.0), 1), ((5.0, 900.0), 100)])
def test_a_map_that_a_png_cannot_hold_is_refused(
    folder, command, network, monkeypatch, values, scale
):
    monkeypatch.setattr("pac_jax.upsample", lambda target, *_, **__: target)
    target = np.full((6, 8), values[1], np.float32)
    target[:3] = values[0]
    files.write_depth("depth.npy", target)
    code, _, errors = command("upsample", "depth.npy", "photo.png", "-o", "s.png",
                              "--model", network, "--scale", scale)  # fmt: skip
    assert code == 2
    assert "a PNG of 16 bits holds 0 to 65535" in errors[0]


def test_a_map_below_one_is_refused_and_not_raised_to_one(folder, command, network):
    files.write_depth("depth.npy", np.linspace(0.2, 0.6, 48).reshape(6, 8))
    code, _, errors = command(
        "upsample", "depth.npy", "photo.png", "-o", "s.png", "--model", network
    )
    assert code == 2
    assert "would round it to whole numbers" in errors[0]
