"""Convolutions of finished models become pixel-adaptive."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import pac_jax
from pac_jax.nn import PacConv


def random(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


class Net(nnx.Module):
    """Strides, dilation, groups, paddings, an upward step, and a list of blocks."""

    def __init__(self, rngs):
        self.stem = nnx.Conv(3, 6, (3, 3), rngs=rngs)
        self.blocks = nnx.List(
            [
                nnx.Conv(6, 6, (3, 3), kernel_dilation=2, feature_group_count=3, rngs=rngs),
                nnx.Conv(6, 8, (5, 3), strides=2, padding=((2, 1), (1, 1)), rngs=rngs),
                nnx.Conv(8, 8, (3, 3), padding="CIRCULAR", use_bias=False, rngs=rngs),
                nnx.Conv(8, 8, (3, 3), padding="REFLECT", rngs=rngs),
            ]
        )
        self.up = nnx.ConvTranspose(8, 4, (3, 3), strides=(2, 2), rngs=rngs)
        self.even = nnx.Conv(4, 2, (2, 2), rngs=rngs)

    def __call__(self, image):
        x = nnx.relu(self.stem(image))
        for block in self.blocks:
            x = nnx.relu(block(x))
        return self.even(self.up(x))


SWAPPED = ("blocks.0", "blocks.1", "blocks.2", "blocks.3", "up")


@pytest.fixture
def net():
    return Net(nnx.Rngs(0))


@pytest.mark.parametrize("guide", ["stem", lambda image: image])
def test_a_constant_guide_changes_nothing(net, guide):
    image = random(1, 2, 13, 11, 3)
    if guide == "stem":  # an activation is constant where its weights are 0
        net.stem.kernel[...] = jnp.zeros_like(net.stem.kernel[...])
    else:
        image = jnp.full_like(image, 0.3)
    swapped = pac_jax.hot_swap(net, ["blocks.*", "up"], guide=guide, scale=1.0)
    assert tuple(swap.path for swap in swapped.report) == SWAPPED
    inner = (slice(None), slice(6, -6), slice(6, -6))  # outside the image a guide is 0, no constant
    np.testing.assert_allclose(swapped(image)[inner], net(image)[inner], rtol=1e-5, atol=1e-5)


def test_at_the_papers_scale_little_changes_and_at_a_large_one_much(net):
    image = random(1, 2, 13, 11, 3)
    before = net(image)
    small = pac_jax.hot_swap(net, ["blocks.*", "up"], guide="stem")
    np.testing.assert_allclose(small(image), before, rtol=1e-4, atol=1e-5)
    large = pac_jax.hot_swap(net, ["blocks.*", "up"], guide="stem", scale=1.0)
    assert np.abs(large(image) - before).max() > 1e-2
    np.testing.assert_array_equal(net(image), before)  # the model itself is as it was


def test_a_swapped_layer_is_pac_conv_with_the_resized_guide(net):
    image = random(1, 1, 12, 10, 3)
    swapped = pac_jax.hot_swap(net, ["blocks.2"], guide=lambda image: image, scale=0.7)
    x = nnx.relu(net.stem(image))
    x = nnx.relu(net.blocks[1](nnx.relu(net.blocks[0](x))))
    guide = 0.7 * jax.image.resize(image, (1, *x.shape[1:3], 3), "linear", antialias=False)
    wrap = [(0, 0), (1, 1), (1, 1), (0, 0)]
    expected = pac_jax.pac_conv(
        jnp.pad(x, wrap, mode="wrap"),
        jnp.pad(guide, wrap, mode="wrap"),
        net.blocks[2].kernel[...],
        padding="VALID",
    )
    expected = net.even(net.up(nnx.relu(net.blocks[3](nnx.relu(expected)))))
    np.testing.assert_allclose(swapped(image), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("learn_scale", [False, True])
def test_it_trains_with_the_same_weights_and_a_branch(net, learn_scale):
    branch = nnx.Conv(3, 2, (3, 3), rngs=nnx.Rngs(1))
    swapped = pac_jax.hot_swap(net, ["up"], guide=branch, scale=1.0, learn_scale=learn_scale)
    image = random(1, 1, 12, 10, 3)
    gradients = nnx.jit(nnx.grad(lambda m: jnp.sum(m(image) ** 2)))(swapped)
    chex.assert_tree_all_finite(gradients)
    flat = {".".join(map(str, path)): g for path, g in nnx.to_flat_state(gradients)}
    assert jnp.any(flat["guide.kernel"][...] != 0)
    assert jnp.any(flat["model.up.pac.kernel"][...] != 0)
    assert ("model.up.scale" in flat) == learn_scale
    chex.assert_trees_all_equal(swapped.model.up.pac.kernel[...], net.up.kernel[...])


def test_layers_are_chosen_by_a_function(net):
    swapped = pac_jax.hot_swap(
        net, lambda path, layer: layer.kernel_size == (5, 3) and path != "up", guide=lambda x: x
    )
    assert [swap.path for swap in swapped.report] == ["blocks.1"]
    assert swapped.report[0].kernel_shape == (5, 3, 6, 8)
    assert isinstance(swapped.model.blocks[1].pac, PacConv)
    assert isinstance(swapped.model.blocks[0], nnx.Conv)


def test_a_sequential_model_and_one_dimension():
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(
        nnx.Conv(2, 4, 3, rngs=rngs), nnx.relu, nnx.Conv(4, 3, 3, padding="CAUSAL", rngs=rngs)
    )
    inputs = random(0, 2, 9, 2)
    swapped = pac_jax.hot_swap(model, ["layers.2"], guide="layers.0")
    np.testing.assert_allclose(swapped(inputs), model(inputs), rtol=1e-4, atol=1e-5)


def test_what_cannot_be_swapped_is_said(net):
    image = random(1, 1, 12, 10, 3)

    def swap(select, guide=lambda image: image):
        return pac_jax.hot_swap(net, select, guide=guide)

    cases = [
        (
            NotImplementedError,
            lambda: swap(["even"]),
            r"even cannot be swapped: its window \(2, 2\)",
        ),
        (
            ValueError,
            lambda: swap(["stern"]),
            "select has .stern., which is no module; there are blocks.0, blocks.1",
        ),
        (ValueError, lambda: swap(["blocks"]), "select has 'blocks', a List; it needs nnx.Conv"),
        (ValueError, lambda: swap([]), "select is empty; there are "),
        (ValueError, lambda: swap(lambda *_: False), "select chooses none of "),
        (ValueError, lambda: swap(["up"], "steam"), "guide is 'steam', which is no module"),
        (ValueError, lambda: swap(["up"], "up"), "guide is 'up', a layer to be swapped"),
        (TypeError, lambda: swap("up"), "select is 'up'; it needs a sequence"),
        (TypeError, lambda: swap(["up"], 3), "guide is a int; it needs a path or a function"),
        (ValueError, lambda: swap(["stem"], "up")(image), "guide 'up' is not there yet when stem"),
        (ValueError, lambda: swap(["up"]).model(image), "up was swapped and needs a guide"),
        (ValueError, lambda: swap(["up"], lambda x: x[0])(image), r"guide has shape \(12, 10, 3\)"),
    ]
    for kind, call, message in cases:
        with pytest.raises(kind, match=message):
            call()
    net.again = net.stem
    with pytest.raises(NotImplementedError, match="used in several places"):
        swap(["again"])  # found by the first of its names
