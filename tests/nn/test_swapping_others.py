"""Hot swapping of models that were written by others."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import pac_jax
from pac_jax.nn import PacConv

DOCUMENT = Path(__file__).parents[2] / "docs" / "hot_swapping.md"


class FlaxTutorialCNN(nnx.Module):
    """The network that Flax's NNX tutorial trains on MNIST.

    The wheel of Flax ships layers and no model, so this follows the tutorial's description: two 3 x 3
    convolutions with batch normalisation, dropout and average pooling, then two linear layers.
    """

    def __init__(self, rngs: nnx.Rngs):
        self.conv1 = nnx.Conv(1, 32, kernel_size=(3, 3), rngs=rngs)
        self.batch_norm1 = nnx.BatchNorm(32, rngs=rngs)
        self.dropout1 = nnx.Dropout(0.025, rngs=rngs)
        self.conv2 = nnx.Conv(32, 64, kernel_size=(3, 3), rngs=rngs)
        self.batch_norm2 = nnx.BatchNorm(64, rngs=rngs)
        self.linear1 = nnx.Linear(7 * 7 * 64, 256, rngs=rngs)
        self.dropout2 = nnx.Dropout(0.025, rngs=rngs)
        self.linear2 = nnx.Linear(256, 10, rngs=rngs)

    def __call__(self, images):
        def halved(x):
            return nnx.avg_pool(x, window_shape=(2, 2), strides=(2, 2))

        x = halved(nnx.relu(self.batch_norm1(self.dropout1(self.conv1(images)))))
        x = halved(nnx.relu(self.batch_norm2(self.conv2(x))))
        x = nnx.relu(self.dropout2(self.linear1(x.reshape(x.shape[0], -1))))
        return self.linear2(x)


class Case(NamedTuple):
    model: nnx.Module
    arguments: tuple[jax.Array, ...]
    select: list[str]
    activation: str  # a guide
    swapped: tuple[str, ...]


@pytest.fixture(autouse=True)
def _ordinary_promotion():
    """Others' code was not written for the strictness of this suite."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def images(*shape):
    return jnp.asarray(np.random.default_rng(0).uniform(-1, 1, shape), jnp.float32)


def of_flax(monkeypatch) -> Case:
    model = FlaxTutorialCNN(nnx.Rngs(0))
    return Case(model, (images(2, 28, 28, 1),), ["conv2"], "conv1", ("conv2",))


def of_lpips_nnx(monkeypatch) -> Case:
    """VGG-16 twice, on two images; its own linear layers, and random convolutions (no download)."""
    if not find_spec("lpips_nnx"):
        pytest.skip("lpips-nnx is absent: extra `peers`")
    import lpips_nnx
    from lpips_nnx import vgg

    def random_weights():
        channels = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
        numbers = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
        keys = jax.random.split(jax.random.key(0), len(numbers))
        draw = nnx.initializers.he_normal()
        return {
            f"conv_{number}": {
                "kernel": draw(key, (3, 3, inputs, outputs)),
                "bias": jnp.zeros(outputs),
            }
            for number, key, inputs, outputs in zip(
                numbers, keys, channels, channels[1:], strict=False
            )
        }

    monkeypatch.setattr(vgg, "load_vgg16_weights", random_weights)
    model = lpips_nnx.LPIPS(rngs=nnx.Rngs(0))
    both = images(2, 1, 37, 32, 3)
    swapped = ("vgg.conv_14", "vgg.conv_21", "vgg.conv_28")  # as PAC-FCN swaps them
    return Case(model, (both[0], both[1]), list(swapped), "vgg.conv_7", swapped)


@pytest.fixture(params=[of_flax, of_lpips_nnx])
def case(request, monkeypatch) -> Case:
    case = request.param(monkeypatch)
    case.model.eval()
    return case


def parameters(model) -> dict[str, np.ndarray]:
    flat = nnx.to_flat_state(nnx.state(model, nnx.Param))
    return {".".join(map(str, path)): np.array(value[...]) for path, value in flat}


def assert_near(actual, expected, tolerance):
    np.testing.assert_allclose(
        actual, expected, rtol=tolerance, atol=tolerance * float(jnp.abs(expected).max())
    )


def test_report_and_weights(case):
    swapped = pac_jax.hot_swap(case.model, case.select, guide=case.activation)
    assert tuple(swap.path for swap in swapped.report) == case.swapped
    before = dict(nnx.iter_modules(case.model))
    after = dict(nnx.iter_modules(swapped.model))
    for swap in swapped.report:
        path = tuple(swap.path.split("."))
        layer, pac = before[path], after[(*path, "pac")]
        assert isinstance(pac, PacConv)
        np.testing.assert_array_equal(pac.kernel[...], layer.kernel[...])
        assert swap == (swap.path, "Conv", layer.kernel.shape, case.activation)


def test_a_constant_guide_changes_nothing_but_rounding(case):
    before = case.model(*case.arguments)
    for constant in (0.0, 1.0):  # outside the image a guide is 0: at the border 1 is seen, as 1e-4

        def guide(image, *_, constant=constant):
            return jnp.full_like(image, constant)

        swapped = pac_jax.hot_swap(case.model, case.select, guide=guide)
        assert_near(swapped(*case.arguments), before, 2e-5)


def test_an_activation_changes_little_at_the_papers_scale_and_much_at_a_large_one(case):
    before = case.model(*case.arguments)
    small, large = (
        pac_jax.hot_swap(case.model, case.select, guide=case.activation, scale=scale)
        for scale in (1e-4, 1.0)
    )
    little, much = (
        float(jnp.abs(model(*case.arguments) - before).max() / jnp.abs(before).max())
        for model in (small, large)
    )
    assert little < 1e-4
    assert much > max(1e-3, 100 * little)


def test_one_step_trains_it(case):
    swapped = pac_jax.hot_swap(case.model, case.select, guide=case.activation, learn_scale=True)
    optimizer = nnx.Optimizer(swapped, optax.adam(1e-4), wrt=nnx.Param)
    before = parameters(swapped)

    @nnx.jit
    def step(model, optimizer):
        loss, gradients = nnx.value_and_grad(lambda m: jnp.mean(m(*case.arguments) ** 2))(model)
        optimizer.update(model, gradients)
        return loss

    first, second = step(swapped, optimizer), step(swapped, optimizer)
    assert second < first
    after = parameters(swapped)
    for path in case.swapped:
        for name in (f"model.{path}.pac.kernel", f"model.{path}.scale"):
            assert np.any(after[name] != before[name]), name


def test_the_documents_example_runs_as_printed():
    text = DOCUMENT.read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) >= 2
    names: dict = {}
    for block in blocks:
        exec(block, names)
    assert names["swapped"].report[0].path == "blocks.1"
    assert str(names["swapped"].report[0]) in text
    assert names["after"] < names["before"]
