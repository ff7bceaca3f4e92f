"""PacPool as a layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import pac_jax
from pac_jax import Inverse
from pac_jax.nn import PacPool
from tests.nn import draw


@pytest.mark.parametrize(
    "options",
    [
        {"strides": 2},
        {"padding": "SAME"},
        {"kernel_dilation": 2},
        {"affinity": Inverse(0.1, 0.5)},
        {"channel_wise": True},
        {"normalize": True},
    ],
    ids=lambda options: next(iter(options)),
)
def test_every_option_is_that_of_the_operator(options):
    inputs, guide = draw.normal(0, 2, 7, 8, 3), draw.normal(1, 2, 7, 8, 3)
    outputs = PacPool((3, 3), **options)(inputs, guide)
    np.testing.assert_array_equal(outputs, pac_jax.pac_pool(inputs, guide, (3, 3), **options))
    other = PacPool((3, 3))(inputs, guide)
    assert other.shape != outputs.shape or bool(jnp.any(other != outputs))


def test_average_pooling_when_the_guide_is_constant():
    inputs = draw.normal(0, 2, 9, 8, 3)
    layer = PacPool((3, 3), strides=2, padding="SAME", normalize=True)
    expected = nnx.avg_pool(inputs, (3, 3), (2, 2), "SAME", count_include_pad=False)
    np.testing.assert_allclose(layer(inputs, 0 * inputs), expected, atol=1e-6)


def test_an_int_window_means_one_dimension():
    assert PacPool(3)(jnp.ones((2, 8, 3)), jnp.ones((2, 8, 1))).shape == (2, 6, 3)


@pytest.mark.parametrize("batch", [(), (2, 2), (0, 2)])
@pytest.mark.parametrize("channel_wise", [False, True])
def test_any_number_of_batch_dimensions(batch, channel_wise):
    layer = PacPool((3, 3), normalize=True, channel_wise=channel_wise)
    inputs, guide = draw.normal(0, *batch, 6, 7, 2), draw.normal(1, *batch, 6, 7, 2)
    mask = draw.mask(2, *batch, 6, 7, 1)
    outputs = layer(inputs, guide, mask=mask)
    assert outputs.shape == (*batch, 4, 5, 2)
    assert layer.propagate_mask(mask).shape == (*batch, 4, 5, 1)
    for index in np.ndindex(*batch):
        single = layer(inputs[index], guide[index], mask=mask[index])
        np.testing.assert_allclose(outputs[index], single, atol=1e-6)


@pytest.mark.parametrize("channel_wise", [False, True])
def test_a_given_affinity_replaces_the_guide(channel_wise):
    layer = PacPool((3, 3), channel_wise=channel_wise, normalize=True)
    inputs, guide = draw.normal(0, 2, 6, 7, 2), draw.normal(1, 2, 6, 7, 2)
    affinity = pac_jax.pac_affinity(guide, (3, 3), padding="VALID", channel_wise=channel_wise)
    expected = layer(inputs, guide)
    np.testing.assert_allclose(layer(inputs, affinity=affinity), expected, atol=1e-6)


def test_the_spatial_filter_is_a_parameter_where_wanted():
    assert not jax.tree.leaves(nnx.state(PacPool((3, 3)), nnx.Param))
    layer = PacPool(
        (3, 3),
        use_weights=True,
        weights_init=nnx.initializers.normal(),
        param_dtype=jnp.bfloat16,
        dtype=jnp.float32,
        rngs=nnx.Rngs(0),
    )
    assert layer.weights.shape == (3, 3)
    assert layer.weights.dtype == jnp.bfloat16
    inputs, guide = draw.normal(0, 1, 6, 7, 2), draw.normal(1, 1, 6, 7, 2)
    weights = layer.weights[...].astype(jnp.float32)
    expected = pac_jax.pac_pool(inputs, guide, (3, 3), weights=weights)
    np.testing.assert_array_equal(layer(inputs, guide), expected)
    gradients = nnx.grad(lambda m: jnp.sum(m(inputs, guide) ** 2))(layer)
    assert bool(jnp.all(gradients["weights"][...] != 0))


def test_half_precision():
    inputs, guide = draw.normal(0, 1, 6, 7, 2), draw.normal(1, 1, 6, 7, 2)
    assert PacPool((3, 3), dtype=jnp.float16)(inputs, guide).dtype == jnp.float16


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"use_weights": True}, ValueError, "rngs is None"),
        ({"window_shape": (2, 3)}, ValueError, r"window_shape is \(2, 3\)"),
        ({"padding": "FULL"}, ValueError, "padding is 'FULL'"),
        ({"channel_wise": "yes"}, TypeError, "channel_wise is 'yes'"),
        ({"affinity": 3}, TypeError, "affinity is 3"),
    ],
)
def test_a_bad_layer_says_what_is_needed(options, error, message):
    with pytest.raises(error, match=message):
        PacPool(**{"window_shape": (3, 3), **options})


def test_a_bad_call_says_what_is_needed():
    image = jnp.ones((1, 6, 7, 3))
    with pytest.raises(ValueError, match="neither guide nor affinity"):
        PacPool((3, 3))(image)
    with pytest.raises(ValueError, match=r"guide has 2 channels.*3"):
        PacPool((3, 3), channel_wise=True)(image, image[..., :2])
