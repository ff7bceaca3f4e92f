"""`pac_jax.upsample`: what goes in, what comes out, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pac_jax
from experiments.joint_upsampling.protocols import downsample
from pac_jax import files, pretrained
from tests.pretrained.conftest import package as package  # a fixture
from tests.pretrained.conftest import ship, small
from tests.upsampling.fakes import Fake, Whole, random

REPEAT = Whole(4)


def repeated(target, factor=4):
    return np.repeat(np.repeat(target, factor, -3), factor, -2)


def photo(*shape):
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize(
    ("target", "guide"),
    [
        ((5, 6), (20, 24, 3)),
        ((5, 6), (20, 24)),
        ((5, 6, 1), (20, 24, 1)),
        ((5, 6, 3), (20, 24, 3)),
        ((2, 5, 6, 1), (2, 20, 24, 3)),
        ((2, 5, 6, 2), (2, 20, 24, 1)),
    ],
)
def test_the_result_has_the_dimensions_of_the_target(target, guide):
    values = 1 + random(0, *target)
    result = pac_jax.upsample(values, photo(*guide), model=REPEAT)
    expected = repeated(values if len(target) > 2 else values[..., None])
    expected = expected[..., 0] if len(target) == 2 else expected
    assert isinstance(result, np.ndarray)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.float64, jnp.bfloat16])
def test_any_number_is_taken_and_float32_returned(dtype):
    target = np.arange(1, 31).reshape(5, 6).astype(dtype)
    result = pac_jax.upsample(target, photo(20, 24, 3), model=REPEAT)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result[::4, ::4], target.astype(np.float32), rtol=1e-6)


def test_jax_in_jax_out():
    target, guide = 1 + random(0, 5, 6), photo(20, 24, 3)
    result = pac_jax.upsample(jnp.asarray(target), guide, model=REPEAT)
    assert isinstance(result, jax.Array)
    np.testing.assert_array_equal(
        result, pac_jax.upsample(target, jnp.asarray(guide), model=REPEAT)
    )


def test_bytes_and_floats_are_the_same_guide():
    model, target, guide = Fake(4), 1 + random(0, 5, 6), photo(20, 24, 3)
    result = pac_jax.upsample(target, guide, model=model)
    floats = guide.astype(np.float64) / 255
    np.testing.assert_allclose(pac_jax.upsample(target, floats, model=model), result, atol=1e-5)
    grey = guide[..., :1]
    np.testing.assert_array_equal(
        pac_jax.upsample(target, grey, model=model),
        pac_jax.upsample(target, grey.repeat(3, -1), model=model),
    )


def test_a_batch_is_its_images():
    model, targets, guides = Fake(4), 1 + random(0, 3, 5, 6, 1), photo(3, 20, 24, 3)
    targets[1] *= 100
    targets[2, 2:4, 2:4] = 0
    results = pac_jax.upsample(targets, guides, model=model)
    for result, target, guide in zip(results, targets, guides, strict=True):
        np.testing.assert_array_equal(result, pac_jax.upsample(target, guide, model=model))


def test_flow_is_not_scaled():
    flow = random(0, 5, 6, 2) - 0.5
    result = pac_jax.upsample(flow, photo(20, 24, 3), kind="flow", model=REPEAT)
    np.testing.assert_allclose(result, repeated(flow), atol=1e-6)


def test_depth_stays_between_its_measurements():
    target = 1 + random(0, 5, 6)
    target[2, 3] = 0  # a hole, no measurement
    model = Fake(4, strength=5.0)
    measured = target[target > 0]
    result = pac_jax.upsample(target, photo(20, 24, 3), model=model)
    assert result.max() == measured.max()
    beyond = pac_jax.upsample(
        np.stack([target, target], -1), photo(20, 24, 3), kind="flow", model=model
    )
    assert beyond.max() > measured.max() + 1e-3


@pytest.mark.parametrize("protocol", ["bicubic", "center"])
def test_a_map_tells_how_it_came_about(protocol):
    random = np.random.default_rng(0)
    depth = np.ones((1, 192, 256, 1), np.float32)
    for nearer in range(2, 14):
        y, x = random.integers(0, 160), random.integers(0, 200)
        depth[:, y : y + random.integers(16, 80), x : x + random.integers(16, 80)] = nearer
    low, guide = downsample(depth, 8, protocol)[0], photo(192, 256, 3)
    told, *given = (
        pac_jax.upsample(low, guide, model="depth_x8", protocol=name)
        for name in (None, protocol, "last")
    )
    np.testing.assert_array_equal(told, given[0])
    assert np.abs(told - given[1]).max() > 1e-2


def test_every_map_of_a_batch_tells_for_itself():
    depth = np.ones((192, 256, 1), np.float32)
    for nearer in range(2, 14):
        depth[9 * nearer : 9 * nearer + 50, 11 * nearer : 11 * nearer + 70] = nearer
    lows = np.stack([downsample(depth[None], 8, name)[0] for name in ("center", "bicubic")])
    guides = photo(2, 192, 256, 3)
    together = pac_jax.upsample(lows, guides, model="depth_x8")
    for low, guide, result in zip(lows, guides, together, strict=True):
        alone = pac_jax.upsample(low, guide, model="depth_x8")
        np.testing.assert_array_equal(result, alone)


def test_labels_are_taken_for_single_pixels():
    labels = np.zeros((24, 32), np.int32)
    labels[4:15, 8:21] = 7
    guide = photo(192, 256, 3)
    told, center, bicubic = (
        pac_jax.upsample(labels, guide, kind="labels", model="depth_x8", protocol=name)
        for name in (None, "center", "bicubic")
    )
    np.testing.assert_array_equal(told, center)
    assert (told != bicubic).any()


def test_masks_and_tiles_of_any_type_are_taken():
    target, guide = 1 + random(0, 5, 6), photo(20, 24, 3)
    mask = np.arange(30).reshape(5, 6) > 3
    expected = pac_jax.upsample(target, guide, model=REPEAT, mask=mask)
    for dtype in (np.uint8, np.float32, jnp.bfloat16):
        result = pac_jax.upsample(target, guide, model=REPEAT, mask=jnp.asarray(mask, dtype))
        np.testing.assert_array_equal(result, expected)
    pac_jax.upsample(target, guide, model=Fake(4), tile=np.int64(64))


def test_labels_stay_labels():
    labels = np.array([[7, 7, 255], [7, 40, 255]], np.int32)
    result = pac_jax.upsample(labels, photo(8, 12, 3), kind="labels", model=REPEAT)
    assert result.dtype == np.int32
    np.testing.assert_array_equal(result, repeated(labels[..., None])[..., 0])
    mask = labels != 255
    result = pac_jax.upsample(labels, photo(8, 12, 3), kind="labels", mask=mask, model=REPEAT)
    assert set(np.unique(result)) == {7, 40}


def test_holes_are_filled_or_kept():
    target = np.full((6, 8), 5.0, np.float32)
    target[0, 0], target[3:5, 2:6] = np.nan, 0
    guide = photo(24, 32, 3)
    np.testing.assert_allclose(pac_jax.upsample(target, guide, model=REPEAT), 5, rtol=1e-6)
    kept = pac_jax.upsample(target, guide, model=REPEAT, keep_holes=True)
    expected = repeated(np.where(target == 5, target, np.nan)[..., None])[..., 0]
    np.testing.assert_allclose(kept, expected, rtol=1e-6)


def test_with_a_mask_zeros_are_measurements():
    target = np.array([[0.0, 1.0], [2.0, 3.0]], np.float32)
    mask = np.array([[1, 1], [1, 0]])
    result = pac_jax.upsample(target, photo(8, 8, 3), mask=mask, model=REPEAT)
    np.testing.assert_allclose(result[:4, :4], 0, atol=1e-6)
    assert result[4:, 4:].max() < 2
    batch = pac_jax.upsample(
        target[None, ..., None], photo(1, 8, 8, 3), mask=mask[None], model=REPEAT
    )
    np.testing.assert_array_equal(batch[0, ..., 0], result)


@pytest.mark.parametrize("size", [(20, 24), (19, 23), (10, 12), (14, 17), (80, 96), (100, 120)])
def test_any_size_larger_than_the_targets(size):
    """A ramp stays a ramp at its place, whichever chain of networks leads there."""
    rows, columns = np.arange(5)[:, None] + 0.5, np.arange(6)[None] + 0.5
    target = (10 + rows / 5 + columns / 6).astype(np.float32)
    result = pac_jax.upsample(target, photo(*size, 3), model=Linear(4))
    assert result.shape == size
    rows = (np.arange(size[0])[:, None] + 0.5) / size[0]
    columns = (np.arange(size[1])[None] + 0.5) / size[1]
    inner = (slice(size[0] // 5, -size[0] // 5), slice(size[1] // 5, -size[1] // 5))
    np.testing.assert_allclose(result[inner], (10 + rows + columns)[inner], atol=0.02)


class Linear(Whole):
    def __call__(self, target_low, guide):
        shape = (*guide.shape[:3], target_low.shape[-1])
        return jax.image.resize(target_low, shape, "linear")


def test_files_in_place_of_arrays(tmp_path):
    from PIL import Image

    target, guide = np.arange(1, 31, dtype=np.float32).reshape(5, 6), photo(20, 24, 3)
    files.write_depth(tmp_path / "depth.png", target)
    Image.fromarray(guide).save(tmp_path / "photo.png")
    result = pac_jax.upsample(tmp_path / "depth.png", str(tmp_path / "photo.png"), model=Fake(4))
    np.testing.assert_allclose(result, pac_jax.upsample(target, guide, model=Fake(4)), atol=1e-4)
    with pytest.raises(FileNotFoundError, match=r"nothing\.png: there is no such file"):
        pac_jax.upsample(tmp_path / "nothing.png", guide)


def test_the_default_network_is_that_of_kind_and_factor(package):
    ship("depth_x4", default=True)
    ship("depth_x4_lite", seed=1)
    ship("flow_x4", seed=2, kind="flow", default=True)
    target, guide = 1 + random(0, 5, 6), photo(20, 24, 3)
    result = pac_jax.upsample(target, guide)
    model = pretrained.load("depth_x4")
    np.testing.assert_array_equal(result, pac_jax.upsample(target, guide, model=model))
    lite = pac_jax.upsample(target, guide, model="depth_x4_lite")
    assert np.abs(lite - result).max() > 1e-3
    file = pac_jax.upsample(target, guide, model=package / "depth_x4_lite.safetensors")
    np.testing.assert_array_equal(file, lite)
    with pytest.raises(ValueError, match="'flow_x4' was trained for flow and kind is 'depth'"):
        pac_jax.upsample(target, guide, model="flow_x4")
    with pytest.raises(
        ValueError, match="no network 'depth_x5' in the package; there are depth_x4"
    ):
        pac_jax.upsample(target, guide, model="depth_x5")


def test_a_network_that_knows_no_protocols_takes_none(package):
    ship("depth_x4", default=True)
    with pytest.raises(ValueError, match="protocol is 'center', but depth_x4 knows no protocols"):
        pac_jax.upsample(TARGET, GUIDE, protocol="center")


def test_without_networks_it_says_so(package):
    with pytest.raises(ValueError, match="no network for flow ships with this package"):
        pac_jax.upsample(random(0, 5, 6, 2), photo(20, 24, 3), kind="flow")


def test_a_file_that_changed_is_read_again(tmp_path):
    path, target, guide = tmp_path / "mine.safetensors", 1 + random(0, 5, 6), photo(20, 24, 3)
    results = []
    for seed in (0, 1):
        model, arguments = small(seed=seed)
        pac_jax.pretrained.write(
            path, model, architecture="PacNet", arguments=arguments, kind="depth"
        )
        results.append(pac_jax.upsample(target, guide, model=path))
    assert np.abs(results[0] - results[1]).max() > 1e-3


class Plain:
    """Has a factor and can be called, and is no module."""

    factor = 4

    def __call__(self, target_low, guide):
        return guide[..., :1]


TARGET, GUIDE = 1 + random(0, 5, 6), photo(20, 24, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"kind": "normals"}, ValueError, "kind is 'normals'; it needs one of depth, flow, labels"),
        ({"guide": 255 * random(0, 20, 24, 3)}, ValueError, r"it needs \[0, 1\]: divide values"),
        ({"guide": np.full((20, 24, 3), np.nan)}, ValueError, r"floats from nan .* needs \[0, 1\]"),
        ({"guide": photo(20, 24, 4)}, ValueError, r"guide has shape \(20, 24, 4\)"),
        ({"guide": photo(1, 20, 24, 3)}, ValueError, r"needs \(H, W, 3\), \(H, W, 1\) or \(H, W\)"),
        ({"guide": GUIDE.astype(np.uint16)}, TypeError, "guide has dtype uint16; it needs uint8"),
        (
            {"guide": [[1, 2]]},
            TypeError,
            "guide is a list; it needs a NumPy or JAX array or the path",
        ),
        (
            {"target_low": random(0, 6)},
            ValueError,
            r"target_low has shape \(6,\); it needs \(h, w\)",
        ),
        ({"target_low": TARGET[:0]}, ValueError, r"shape \(0, 6\); it needs at least one pixel"),
        ({"target_low": TARGET.astype(complex)}, TypeError, "dtype complex128; it needs integers"),
        ({"target_low": TARGET, "kind": "flow"}, ValueError, r"flow needs \(h, w, 2\)"),
        ({"target_low": TARGET, "kind": "labels"}, ValueError, "labels need integers"),
        ({"target_low": 0 * TARGET}, ValueError, "target_low has no measured pixel"),
        ({"target_low": TARGET.T}, ValueError, "need to show the same view"),
        (
            {"mask": np.ones((20, 24))},
            ValueError,
            r"mask has shape \(20, 24\); it needs target_low's",
        ),
        ({"mask": np.array(["a"])}, TypeError, "mask has dtype"),
        ({"factor": 8}, ValueError, "factor is 8, but target_low has size"),
        ({"tile": 0}, ValueError, "tile is 0; it needs a positive number of pixels"),
        ({"tile": 1.5}, ValueError, "tile is 1.5; it needs a positive number of pixels"),
        ({"protocol": "center"}, ValueError, "protocol is 'center' and model a network"),
        ({"model": 4}, TypeError, "model is a int; it needs the name"),
        ({"model": Plain()}, TypeError, "model is a Plain; it needs the name of a network"),
        ({"factor": "4"}, ValueError, "factor is '4'; it needs a number above 1"),
        ({"model": "no/such.safetensors"}, FileNotFoundError, "there is no such file"),
        (
            {"target_low": TARGET.astype(int), "kind": "labels", "keep_holes": True},
            ValueError,
            "labels have no NaN",
        ),
    ],
)
def test_refusals(arguments, error, message):
    settings = {"target_low": TARGET, "guide": GUIDE, "model": REPEAT, **arguments}
    with pytest.raises(error, match=message) as caught:
        pac_jax.upsample(settings.pop("target_low"), settings.pop("guide"), **settings)
    assert "\n" not in str(caught.value)


def test_unequal_batches_are_refused():
    with pytest.raises(ValueError, match="target_low has 2 images and guide 3"):
        pac_jax.upsample(random(0, 2, 5, 6, 1), photo(3, 20, 24, 3), model=REPEAT)


def test_inside_jit_it_says_what_to_do():
    with pytest.raises(TypeError, match=r"target_low is traced; .* call it outside of jit"):
        jax.jit(lambda target: pac_jax.upsample(target, GUIDE, model=REPEAT))(TARGET)
