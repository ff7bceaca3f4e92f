"""Initial values: a transposed layer that starts as linear interpolation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pac_jax.nn import PacConvTranspose, linear_interpolation
from tests.nn import draw


def layer_of(factors, window, normalize, features=2, **options):
    return PacConvTranspose(
        features,
        features,
        window,
        strides=factors,
        use_bias=False,
        normalize=normalize,
        kernel_init=linear_interpolation(factors, normalize),
        rngs=nnx.Rngs(0),
        **options,
    )


def inside(factors):
    return (0, *(slice(factor, -factor) for factor in factors))


@pytest.mark.parametrize(
    ("factors", "window", "normalize"),
    [
        ((2,), (3,), False),
        ((2,), (5,), True),
        ((4,), (7,), True),
        ((4,), (9,), False),
        ((2, 3), (5, 7), True),
    ],
)
def test_interpolates_linearly_between_samples(factors, window, normalize):
    # Output factor * i is sample i, and so shifts the comparison.
    padding = [((k - 1) // 2, (k - 1) // 2) for k in window]
    layer = layer_of(factors, window, normalize, padding=padding)
    inputs = draw.normal(0, 1, *(7, 6)[: len(factors)], 2)
    size = [(n - 1) * s + 1 for n, s in zip(inputs.shape[1:-1], factors, strict=True)]
    outputs = layer(inputs, jnp.zeros((1, *size, 3)))
    expected = jax.image.scale_and_translate(
        inputs,
        (1, *size, 2),
        range(1, 1 + len(factors)),
        jnp.asarray(factors, jnp.float32),
        (1 - jnp.asarray(factors, jnp.float32)) / 2,
        "linear",
        antialias=False,
    )
    inner = inside(factors)
    np.testing.assert_allclose(outputs[inner], expected[inner], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("window", "normalize"), [((5, 7), False), ((7, 9), True)])
def test_is_resize_at_an_odd_factor(window, normalize):
    layer = layer_of(3, window, normalize)
    inputs = draw.normal(0, 1, 6, 5, 2)
    outputs = layer(inputs, jnp.zeros((1, 18, 15, 3)))
    expected = jax.image.resize(inputs, (1, 18, 15, 2), "linear", antialias=False)
    inner = inside((3, 3))
    np.testing.assert_allclose(outputs[inner], expected[inner], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(("factor", "dilation"), [(2, 3), (3, 2)])
def test_reproduces_a_ramp_when_dilated(factor, dilation, normalize):
    window = 2 * factor + 1
    layer = PacConvTranspose(
        1,
        1,
        window,
        factor,
        kernel_dilation=dilation,
        padding=dilation * factor,
        use_bias=False,
        normalize=normalize,
        kernel_init=linear_interpolation(factor, normalize, dilation),
        rngs=nnx.Rngs(0),
    )
    samples = jnp.arange(12.0)
    outputs = layer(samples[:, None], jnp.zeros((11 * factor + 1, 1)))[:, 0]
    inner = slice(dilation * factor, -dilation * factor)
    np.testing.assert_allclose(
        outputs[inner], (jnp.arange(outputs.size) / factor)[inner], rtol=1e-5
    )


def test_stays_on_the_channel_diagonal():
    init = linear_interpolation((2, 1))
    kernel = init(jax.random.key(0), (3, 1, 2, 4), jnp.bfloat16)
    assert kernel.dtype == jnp.bfloat16
    diagonal = np.array([[1, 0, 1, 0], [0, 1, 0, 1]])
    expected = np.array([0.5, 1, 0.5])[:, None, None, None] * diagonal
    np.testing.assert_array_equal(kernel.astype(jnp.float32), expected)


@pytest.mark.parametrize("options", [{"feature_group_count": 2}, {"shared_filter": True}])
def test_works_in_groups_and_with_a_shared_filter(options):
    layer = layer_of(2, 3, True, features=4, **options)
    reference = layer_of(2, 3, True, features=4)
    inputs, guide = draw.normal(0, 1, 6, 4), jnp.zeros((1, 12, 1))
    np.testing.assert_allclose(layer(inputs, guide), reference(inputs, guide), atol=1e-6)


def test_bad_arguments_say_what_is_needed():
    key = jax.random.key(0)
    with pytest.raises(ValueError, match=r"window is 5; .* stride 4 needs at least 7"):
        linear_interpolation(4)(key, (5, 5, 1, 1))
    with pytest.raises(ValueError, match="strides 2 and kernel_dilation 4 have a common factor"):
        linear_interpolation(2, False, 4)(key, (5, 5, 1, 1))
    with pytest.raises(TypeError, match="normalize is 1"):
        linear_interpolation(2, 1)
