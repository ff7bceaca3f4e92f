"""PacConv and PacConvTranspose as layers: flax's conventions, and each argument's effect."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import pac_jax
from pac_jax import Inverse
from pac_jax.nn import PacConv, PacConvTranspose
from tests.nn import draw

LAYERS = [PacConv, PacConvTranspose]


@pytest.mark.parametrize(
    ("window", "padding", "strides"), [(5, "SAME", 1), ((3, 5), "VALID", 2), ((3, 1, 3), "SAME", 2)]
)
@pytest.mark.parametrize(
    ("pac", "plain"), [(PacConv, nnx.Conv), (PacConvTranspose, nnx.ConvTranspose)]
)
def test_takes_the_weights_of_flax(pac, plain, window, padding, strides):
    options = {"strides": strides, "padding": padding, "kernel_dilation": 1}
    conv = plain(4, 6, window, rngs=nnx.Rngs(0), **options)
    conv.bias[...] = jnp.asarray(draw.normal(3, 6))
    layer = pac(4, 6, window, rngs=nnx.Rngs(1), **options)
    assert layer.kernel.shape == conv.kernel.shape
    assert layer.bias.shape == conv.bias.shape
    nnx.update(layer, nnx.state(conv, nnx.Param))
    ndim = 1 if isinstance(window, int) else len(window)
    inputs = draw.normal(0, 2, *(6, 7, 5)[:ndim], 4)
    expected = conv(inputs)
    size = expected.shape[1:-1] if pac is PacConvTranspose else inputs.shape[1:-1]
    outputs = layer(inputs, jnp.zeros((2, *size, 3)))
    np.testing.assert_allclose(outputs, expected, atol=2e-5)


def test_groups_are_those_of_flax():
    conv = nnx.Conv(4, 6, (3, 3), feature_group_count=2, rngs=nnx.Rngs(0))
    layer = PacConv(4, 6, (3, 3), feature_group_count=2, rngs=nnx.Rngs(1))
    nnx.update(layer, nnx.state(conv, nnx.Param))
    inputs = draw.normal(0, 1, 6, 7, 4)
    np.testing.assert_allclose(layer(inputs, 0 * inputs), conv(inputs), atol=1e-5)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("batch", [(), (2, 2), (0, 2)])
def test_any_number_of_batch_dimensions(kind, batch):
    layer = kind(3, 4, (3, 3), strides=2, normalize=True, rngs=nnx.Rngs(0))
    low, high = draw.normal(0, *batch, 4, 5, 3), draw.normal(1, *batch, 8, 10, 2)
    inputs, guide = (draw.normal(2, *batch, 8, 10, 3), high) if kind is PacConv else (low, high)
    mask = draw.mask(3, *inputs.shape[:-1], 1)
    outputs = layer(inputs, guide, mask=mask)
    assert outputs.shape == (*batch, *((4, 5) if kind is PacConv else (8, 10)), 4)
    after = layer.propagate_mask(mask)
    assert after.shape == (*outputs.shape[:-1], 1)
    assert after.dtype == mask.dtype
    for index in np.ndindex(*batch):
        single = layer(inputs[index], guide[index], mask=mask[index])
        np.testing.assert_allclose(outputs[index], single, atol=1e-5)
        np.testing.assert_array_equal(after[index], layer.propagate_mask(mask[index]))


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("normalize", [False, True])
def test_a_given_affinity_replaces_the_guide(kind, normalize):
    layer = kind(3, 4, (3, 3), normalize=normalize, rngs=nnx.Rngs(0))
    inputs, guide = draw.normal(0, 2, 2, 6, 7, 3), draw.normal(1, 2, 2, 6, 7, 2)
    affinity = pac_jax.pac_affinity(guide.reshape(4, 6, 7, 2), (3, 3)).reshape(2, 2, 6, 7, 3, 3)
    mask = draw.mask(3, 2, 2, 6, 7, 1)
    for options in ({}, {"mask": mask}):
        outputs = layer(inputs, affinity=affinity, **options)
        np.testing.assert_allclose(outputs, layer(inputs, guide, **options), atol=1e-5)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_shared_filter_treats_every_channel_alone(kind):
    layer = kind(5, 5, (3, 3), strides=2, shared_filter=True, rngs=nnx.Rngs(0))
    assert layer.kernel.shape == (3, 3, 1, 1)
    assert layer.bias.shape == (5,)
    size = (6, 8) if kind is PacConv else (12, 16)
    inputs, guide = draw.normal(0, 1, 6, 8, 5), draw.normal(1, 1, *size, 2)
    outputs = layer(inputs, guide)
    operator = pac_jax.pac_conv if kind is PacConv else pac_jax.pac_conv_transpose
    for channel in range(5):
        alone = operator(
            inputs[..., channel : channel + 1],
            guide,
            layer.kernel[...],
            layer.bias[channel : channel + 1],
            strides=2,
        )
        np.testing.assert_allclose(outputs[..., channel], alone[..., 0], atol=1e-5)


def test_the_initial_values_are_uniform_within_the_fan_in():
    layer = PacConv(8, 64, (5, 5), feature_group_count=2, rngs=nnx.Rngs(0))
    bound = 1 / np.sqrt(4 * 25)
    for parameter in (layer.kernel[...], layer.bias[...]):
        assert 0.85 * bound < abs(parameter).max() <= bound
        assert abs(parameter.mean()) < 0.3 * bound
        assert parameter.min() < 0 < parameter.max()


def test_the_initializers_given_are_used():
    ones = nnx.initializers.ones
    layer = PacConv(2, 3, (3, 3), kernel_init=ones, bias_init=ones, rngs=nnx.Rngs(0))
    assert bool(jnp.all(layer.kernel[...] == 1))
    assert bool(jnp.all(layer.bias[...] == 1))


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(
    ("name", "value", "upsampled"),
    [
        ("strides", 2, (14, 16)),
        ("padding", ((0, 1), (1, 2)), (6, 9)),
        ("kernel_dilation", 2, (7, 8)),
        ("feature_group_count", 2, (7, 8)),
        ("use_bias", False, (7, 8)),
        ("affinity", Inverse(0.1, 0.5), (7, 8)),
        ("normalize", True, (7, 8)),
        ("dtype", jnp.bfloat16, (7, 8)),
        ("preferred_element_type", jnp.bfloat16, (7, 8)),
    ],
)
def test_every_option_is_that_of_the_operator(kind, name, value, upsampled):
    layer = kind(4, 6, (3, 3), rngs=nnx.Rngs(0), **{name: value})
    operator = pac_jax.pac_conv if kind is PacConv else pac_jax.pac_conv_transpose
    dtype = value if name == "dtype" else jnp.float32
    options = {} if name in ("dtype", "use_bias") else {name: value}
    inputs = jnp.asarray(draw.normal(0, 1, 7, 8, 4))
    guide = draw.normal(1, 1, *((7, 8) if kind is PacConv else upsampled), 2)
    kernel = layer.kernel[...].astype(dtype)
    bias = None if name == "use_bias" else layer.bias[...].astype(dtype)
    outputs = layer(inputs, guide)
    expected = operator(inputs.astype(dtype), guide, kernel, bias, **options)
    assert outputs.dtype == expected.dtype
    np.testing.assert_array_equal(outputs.astype(jnp.float32), expected.astype(jnp.float32))


def test_precision_and_implementation_are_passed_on(implementation, monkeypatch):
    seen = {}

    def record(*args, **options):
        seen.update(options)
        return jnp.zeros((1, 5, 5, 2))

    monkeypatch.setattr("pac_jax.nn.conv.conv.pac_conv", record)
    layer = PacConv(
        2, 2, (3, 3), precision="highest", implementation=implementation, rngs=nnx.Rngs(0)
    )
    layer(jnp.ones((1, 5, 5, 2)), jnp.ones((1, 5, 5, 2)))
    assert (seen["precision"], seen["implementation"]) == ("highest", implementation)


def test_types_follow_flax_and_the_guide_keeps_its_own():
    inputs, guide = draw.bfloat16(0, 1, 6, 6, 2), 100 + draw.normal(1, 1, 6, 6, 2)
    layer = PacConv(2, 3, (3, 3), param_dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    assert layer.kernel.dtype == jnp.bfloat16
    assert layer(inputs, guide).dtype == jnp.bfloat16
    # In bfloat16 this guide would be constant almost everywhere.
    rounded = layer(inputs, guide.astype(jnp.bfloat16))
    assert float(jnp.max(jnp.abs(layer(inputs, guide) - rounded))) > 0.1
    computing = PacConv(2, 3, (3, 3), dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    assert computing.kernel.dtype == jnp.float32
    assert computing(inputs, guide).dtype == jnp.bfloat16
    assert computing(inputs.astype(jnp.float32), guide).dtype == jnp.bfloat16


def test_a_stack_made_by_vmap_and_run_by_scan():
    @nnx.vmap(in_axes=0, out_axes=0)
    def make(key):
        return PacConv(3, 3, (3, 3), affinity=Inverse(0.1, 0.5), rngs=nnx.Rngs(key))

    stack = make(jax.random.split(jax.random.key(0), 4))
    assert stack.kernel.shape == (4, 3, 3, 3, 3)
    inputs, guide = draw.normal(0, 1, 6, 7, 3), draw.normal(1, 1, 6, 7, 2)

    @nnx.jit
    @nnx.scan(in_axes=(nnx.Carry, 0, None), out_axes=nnx.Carry)
    def run(features, layer, guide):
        return layer(features, guide)

    outputs = run(inputs, stack, guide)
    expected = inputs
    for i in range(4):
        one = PacConv(3, 3, (3, 3), affinity=Inverse(0.1, 0.5), rngs=nnx.Rngs(0))
        nnx.update(one, jax.tree.map(lambda leaf, i=i: leaf[i], nnx.state(stack)))
        expected = one(expected, guide)
    np.testing.assert_allclose(outputs, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", LAYERS)
def test_split_merge_jit_and_an_optimizer_step(kind):
    layer = kind(3, 3, (3, 3), rngs=nnx.Rngs(0))
    inputs, guide = draw.normal(0, 2, 6, 7, 3), draw.normal(1, 2, 6, 7, 2)
    graph, state = nnx.split(layer)
    jitted = jax.jit(lambda state: nnx.merge(graph, state)(inputs, guide))
    np.testing.assert_allclose(jitted(state), layer(inputs, guide), atol=1e-6)
    assert hash(graph) == hash(nnx.split(layer)[0])

    optimizer = nnx.Optimizer(layer, optax.sgd(0.1), wrt=nnx.Param)

    @nnx.jit
    def step(layer, optimizer):
        loss, gradients = nnx.value_and_grad(lambda m: jnp.mean(m(inputs, guide) ** 2))(layer)
        optimizer.update(layer, gradients)
        return loss

    losses = [float(step(layer, optimizer)) for _ in range(5)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


IMAGE, GUIDE = jnp.ones((1, 6, 7, 3)), jnp.ones((1, 6, 7, 2))


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((IMAGE,), {}, "neither guide nor affinity is given"),
        ((IMAGE, GUIDE), {"affinity": jnp.ones((1, 6, 7, 3, 3))}, "guide and affinity are both"),
        ((IMAGE[..., :2], GUIDE), {}, r"\(1, 6, 7, 2\), 2 channels.*in_features, 3"),
        ((IMAGE[0, 0], GUIDE), {}, "inputs have shape .* at least 3"),
        ((IMAGE, GUIDE[0]), {}, r"guide has shape \(6, 7, 2\).*batch dimensions \(1,\)"),
        ((IMAGE, GUIDE[:, :5]), {}, r"guide has spatial size \(5, 7\)"),
        ((IMAGE, GUIDE), {"mask": jnp.ones((1, 6, 7, 2))}, "mask has shape"),
        ((IMAGE,), {"affinity": jnp.ones((1, 6, 7, 5, 5))}, "affinity has shape"),
    ],
)
def test_a_bad_call_says_what_is_needed(kind, arguments, options, message):
    layer = kind(3, 4, (3, 3), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=message):
        layer(*arguments, **options)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (
            (3, 4, (3, 3)),
            {"shared_filter": True},
            ValueError,
            "in_features is 3 and out_features 4",
        ),
        (
            (4, 4, (3, 3)),
            {"shared_filter": True, "feature_group_count": 2},
            ValueError,
            "feature_group_count is 2; with shared_filter",
        ),
        (
            (3, 4, (3, 3)),
            {"feature_group_count": 2},
            ValueError,
            "feature_group_count is 2.*divide",
        ),
        ((3, 4, (3, 4)), {}, ValueError, r"kernel_size is \(3, 4\).*odd"),
        ((3, 0, (3, 3)), {}, ValueError, "out_features is 0"),
        ((3.0, 4, (3, 3)), {}, TypeError, "in_features is 3.0"),
        ((3, 4, (3, 3)), {"strides": (1, 2, 3)}, ValueError, "strides"),
        ((3, 4, (3, 3)), {"padding": "CIRCULAR"}, ValueError, "padding is 'CIRCULAR'"),
        ((3, 4, (3, 3)), {"kernel_dilation": 0}, ValueError, "kernel_dilation is 0"),
        ((3, 4, (3, 3)), {"affinity": pac_jax.Gaussian}, TypeError, "did you mean Gaussian"),
        ((3, 4, (3, 3)), {"normalize": 1}, TypeError, "normalize is 1"),
    ],
)
def test_a_bad_layer_says_what_is_needed(kind, arguments, options, error, message):
    with pytest.raises(error, match=message):
        kind(*arguments, rngs=nnx.Rngs(0), **options)


def test_a_mask_without_spatial_dimensions_is_refused():
    layer = PacConv(3, 4, (3, 3), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="mask has shape"):
        layer.propagate_mask(jnp.ones((6, 1)))


def test_padding_may_be_lists():
    layer = PacConv(3, 4, (3, 3), padding=[[1, 1], [0, 2]], rngs=nnx.Rngs(0))
    hash(nnx.split(layer)[0])
    assert layer(IMAGE, GUIDE).shape == (1, 6, 7, 4)
