"""FCN-8s, PAC-FCN and the CRF on top: sizes, options, gradients, the swap that changes nothing."""

from functools import cache

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import pac_jax
from pac_jax import crf
from pac_jax.convert import fcn_from_torch
from pac_jax.models import FCN8s, ScoresWithCRF, pac_fcn
from pac_jax.models.upsampling_conv import UpsamplingConv
from tests.models.fcn_oracle import checkpoint_arrays

CLASSES = 3


def random(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


@nnx.jit
def scores(model, image):
    return model(image)


def small(**options):
    sizes = {"features": (4, 5, 6, 7, 8), "hidden_features": 9}
    return FCN8s(CLASSES, **sizes, rngs=nnx.Rngs(0), **options)


@cache
def converted(name):
    return fcn_from_torch(checkpoint_arrays(CLASSES), name)


def trained(name="fcn8saltpad"):
    """A small network none of whose weights is zero."""
    return nnx.clone(converted(name))


def with_crf(backbone):
    terms = [crf.PairwiseTerm(3, 2), crf.PairwiseTerm(3, 4, mixing="matrix")]
    return ScoresWithCRF(backbone, crf.PacCRF(CLASSES, terms, guide_features=3, steps=2))


def test_parameter_count_is_the_published_one():
    model = nnx.eval_shape(lambda: FCN8s(21, rngs=nnx.Rngs(0)))
    parameters = nnx.to_flat_state(nnx.state(model, nnx.Param))
    assert sum(np.prod(p.shape) for _, p in parameters) == 134_489_759
    assert nnx.state(model) == nnx.state(model, nnx.Param)


@pytest.mark.parametrize("size", [(1, 1), (33, 65), (50, 71), (96, 47)])
@pytest.mark.parametrize("padding", ["ordinary", "original"])
@pytest.mark.parametrize("last", ["learned", "bilinear"])
def test_any_size(size, padding, last):
    image = jnp.ones((2, *size, 3))
    outputs = nnx.eval_shape(lambda: small(padding=padding, last=last)(image))
    chex.assert_shape(outputs, (2, *size, CLASSES))


@pytest.mark.parametrize("padding", ["ordinary", "original"])
def test_a_learned_last_starts_as_the_bilinear_one(padding):
    """Away from the borders, where a transposed convolution meets zeros."""
    name = {"ordinary": "fcn8saltpad", "original": "fcn8s"}[padding]
    learned, bilinear = trained(name), trained(name)
    trimmed = learned.upsampling[2].trimmed
    learned.upsampling[2] = UpsamplingConv(CLASSES, 8, trimmed, rngs=nnx.Rngs(0))
    bilinear.upsampling = nnx.List(list(bilinear.upsampling)[:2])
    image = random(0, 1, 64, 96, 3)
    inner = (slice(None), slice(8, -8), slice(8, -8))
    expected = scores(bilinear, image)[inner]
    np.testing.assert_allclose(
        scores(learned, image)[inner], expected, atol=1e-5 * abs(expected).max()
    )


@pytest.mark.parametrize("size", [(17, 9), (50, 71)])
def test_pac_fcn_and_the_crf_take_any_size(size):
    model = with_crf(pac_fcn(trained("fcn8saltpad")))
    chex.assert_shape(jax.eval_shape(model, random(0, 1, *size, 3)), (1, *size, CLASSES))


def test_a_constant_guide_gives_the_fcns_scores():
    model = trained()
    image = 100 * random(0, 1, 64, 96, 3)
    before = scores(model, image)
    for adaptive, tolerance in ((pac_fcn(model, scale=0.0), 1e-6), (pac_fcn(model), 1e-4)):
        atol = tolerance * float(abs(before).max())
        np.testing.assert_allclose(scores(adaptive, image), before, rtol=0, atol=atol)
    adapted = scores(pac_fcn(model, scale=0.1), image)
    assert abs(adapted - before).max() > 0.1 * abs(before).max()


def test_the_guide_is_block_2_before_pooling_resized_to_each_block():
    model, image = trained(), random(0, 1, 50, 71, 3)
    blocks = model.vgg16.blocks

    def adaptive_blocks(images):
        pooled, guide = [], None
        for number, block in enumerate(blocks):
            for conv in list(block.convs)[:-1]:
                images = nnx.relu(conv(images))
            last = block.convs[-1]
            if number < 2:
                images = guide = nnx.relu(last(images))
            else:
                size = (*images.shape[:3], guide.shape[-1])
                resized = 0.3 * jax.image.resize(guide, size, "linear", antialias=False)
                images = pac_jax.pac_conv(images, resized, last.kernel[...], last.bias[...])
                images = nnx.relu(images)
            images = nnx.max_pool(images, (2, 2), (2, 2), padding="SAME")
            pooled.append(images)
        return pooled

    outputs = scores(pac_fcn(model, scale=0.3), image)
    assert jnp.any(abs(outputs - scores(model, image)) > 1e-3)
    model.vgg16 = nnx.static(adaptive_blocks)
    np.testing.assert_allclose(outputs, scores(model, image), rtol=1e-5, atol=1e-4)


def test_dropout_needs_rngs_and_is_drawn_from_them():
    model = with_crf(pac_fcn(trained()))
    image = random(0, 1, 40, 33, 3)
    drawn = nnx.jit(lambda model, rngs: model(image, rngs=rngs))
    outputs = [drawn(model, nnx.Rngs(dropout=key)) for key in (0, 0, 1)]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert jnp.any(outputs[0] != outputs[2])
    without = scores(model, image)
    assert jnp.any(abs(outputs[0] - without) > 1e-3)


@pytest.mark.parametrize("make", [trained, lambda: pac_fcn(trained()), lambda: with_crf(trained())])
def test_gradients_reach_every_parameter(make):
    model = make()
    image = random(0, 1, 35, 44, 3)
    labels = jnp.asarray(np.random.default_rng(1).integers(CLASSES, size=(1, 35, 44)))

    def loss(model):
        scores = model(image)
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(scores, labels))

    gradients = nnx.jit(nnx.grad(loss))(model)
    chex.assert_tree_all_finite(gradients)
    still = [path for path, g in nnx.to_flat_state(gradients) if not jnp.any(g[...] != 0)]
    assert still == []


def test_before_training_every_class_is_equally_likely():
    # Channels all alike, for few shapes to be compiled.
    model = FCN8s(CLASSES, features=(3,) * 5, hidden_features=3, rngs=nnx.Rngs(0))
    assert jnp.any(model.fc6.kernel[...] != 0)
    np.testing.assert_array_equal(scores(model, random(0, 1, 20, 30, 3)), 0.0)


@pytest.mark.parametrize("guide_scale", [0.5, (0.5, 0.2, 0.1)])
def test_the_crf_sees_the_scaled_image(guide_scale):
    backbone = trained()
    layer = with_crf(backbone).crf
    image = random(0, 1, 20, 30, 3)
    guide = image * jnp.broadcast_to(jnp.asarray(guide_scale), (1, 1, 1, 3))
    outputs = scores(ScoresWithCRF(backbone, layer, guide_scale=guide_scale), image)
    expected = nnx.jit(lambda layer, unary: layer(unary, guide))(layer, scores(backbone, image))
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5)


def test_half_precision():
    model = fcn_from_torch(checkpoint_arrays(CLASSES), "fcn8spac", dtype=jnp.bfloat16)
    image = random(0, 1, 17, 12, 3)
    outputs = scores(model, image)
    assert outputs.dtype == jnp.bfloat16
    expected = scores(trained("fcn8spac"), image)
    np.testing.assert_allclose(
        outputs.astype(jnp.float32), expected, atol=0.05 * float(abs(expected).max())
    )
    stored = nnx.eval_shape(lambda: small(param_dtype=jnp.bfloat16))
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(stored))} == {jnp.dtype(jnp.bfloat16)}


@pytest.mark.parametrize(("stride", "trimmed"), [(2, 0), (2, 1), (8, 4), (3, 2)])
def test_upsampling_is_that_of_nnx(stride, trimmed):
    added = 2 * stride - 1 - trimmed
    reference = nnx.ConvTranspose(
        4,
        4,
        (2 * stride,) * 2,
        strides=(stride,) * 2,
        padding=((added, added),) * 2,
        use_bias=False,
        rngs=nnx.Rngs(0),
    )
    layer = UpsamplingConv(4, stride, trimmed, rngs=nnx.Rngs(0))
    chex.assert_trees_all_equal_shapes(layer.kernel, reference.kernel)
    image = random(0, 2, 5, 7, 4)
    interpolated = jax.image.resize(image, (2, 5 * stride, 7 * stride, 4), "linear")
    inner = (slice(None), slice(stride, -stride), slice(stride, -stride))
    full = UpsamplingConv(4, stride, 0, rngs=nnx.Rngs(0))(image)
    start = stride / 2
    if start == int(start):
        start = int(start)
        full = full[:, start : start + 5 * stride, start : start + 7 * stride]
        np.testing.assert_allclose(full[inner], interpolated[inner], atol=1e-5)
    layer.kernel = reference.kernel

    def value(layer, image):
        return jnp.sum(jnp.sin(layer(image)))

    np.testing.assert_allclose(layer(image), reference(image), atol=1e-5)
    gradients = nnx.grad(value)(layer, image), nnx.grad(value)(reference, image)
    np.testing.assert_allclose(gradients[0].kernel[...], gradients[1].kernel[...], atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": "same"}, "padding is 'same'; it needs one of ordinary, original"),
        ({"last": "none"}, "last is 'none'; it needs one of learned, bilinear"),
        ({"features": (4, 8)}, r"features is \(4, 8\); VGG-16 needs five"),
    ],
)
def test_arguments_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        FCN8s(2, hidden_features=4, rngs=nnx.Rngs(0), **({"features": (2,) * 5} | options))


def test_images_are_checked():
    model = small()
    with pytest.raises(ValueError, match=r"images has shape \(1, 8, 8, 4\); it needs"):
        model(jnp.ones((1, 8, 8, 4)))
    with pytest.raises(TypeError, match="images has dtype int32"):
        model(jnp.ones((1, 8, 8, 3), jnp.int32))
    with pytest.raises(TypeError, match="model is a Linear; it needs an FCN8s"):
        pac_fcn(nnx.Linear(2, 2, rngs=nnx.Rngs(0)))
