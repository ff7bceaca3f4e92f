"""Affinities with parameters: what is learned is visible, and learns."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import pac_jax
from pac_jax import Affinity, Gaussian, Inverse
from pac_jax.nn import GaussianAffinity, InverseAffinity, PacConv, PacConvTranspose, PacPool
from tests.nn import draw

MEAN = np.full((3, 3), 1 / 9, np.float32)


def parameters(module):
    return {"/".join(map(str, path)) for path, _ in nnx.to_flat_state(nnx.state(module, nnx.Param))}


AFFINITIES = [
    (GaussianAffinity(MEAN), Gaussian(jnp.asarray(MEAN)), {"smoothing"}),
    (InverseAffinity(0.1, 0.5), Inverse(0.1, 0.5), {"alpha", "exponent"}),
    (InverseAffinity(0.1, 0.5, learned=()), Inverse(0.1, 0.5), set()),
    (InverseAffinity(0.1, 0.5, learned=("exponent",)), Inverse(0.1, 0.5), {"exponent"}),
    (
        InverseAffinity(0.1, 0.5, asymmetric=True, smoothing="gaussian", learned=("alpha",)),
        Inverse(0.1, 0.5, True, "gaussian"),
        {"alpha"},
    ),
    (
        InverseAffinity(jnp.array(0.1), 0.5, smoothing=MEAN, learned=("smoothing",)),
        Inverse(0.1, 0.5, smoothing=jnp.asarray(MEAN)),
        {"smoothing"},
    ),
    (
        InverseAffinity(0.1, 0.5, smoothing=MEAN),
        Inverse(0.1, 0.5, smoothing=jnp.asarray(MEAN)),
        {"alpha", "exponent"},
    ),
]


@pytest.mark.parametrize(("affinity", "fixed", "learned"), AFFINITIES)
def test_the_module_is_the_function_with_visible_parameters(affinity, fixed, learned):
    assert isinstance(affinity, Affinity)
    assert parameters(affinity) == learned
    inputs, guide, kernel = (
        draw.normal(0, 2, 6, 7, 3),
        draw.normal(1, 2, 6, 7, 2),
        draw.normal(2, 3, 3, 3, 4),
    )
    expected = pac_jax.pac_conv(inputs, guide, kernel, affinity=fixed)
    outputs = pac_jax.pac_conv(inputs, guide, kernel, affinity=affinity)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    layer = PacConv(3, 4, (3, 3), affinity=affinity, use_bias=False, rngs=nnx.Rngs(0))
    nnx.update(layer, {"kernel": kernel})
    np.testing.assert_allclose(layer(inputs, guide), expected, atol=1e-5)
    assert parameters(layer) == {"kernel"} | {f"affinity/{name}" for name in learned}


def pool(layer, inputs, guide, affinity):
    return pac_jax.pac_pool(inputs, guide, (3, 3), affinity=affinity, normalize=True)


def conv(layer, inputs, guide, affinity):
    operator = pac_jax.pac_conv if type(layer) is PacConv else pac_jax.pac_conv_transpose
    kernel, bias = layer.kernel[...], layer.bias[...]
    return operator(inputs, guide, kernel, bias, affinity=affinity, normalize=True)


@pytest.mark.parametrize(
    ("kind", "arguments", "function"),
    [(PacConv, (3, 3), conv), (PacConvTranspose, (3, 3), conv), (PacPool, (), pool)],
)
def test_gradients_agree_with_the_functional_form(kind, arguments, function):
    inputs, guide = draw.normal(0, 1, 5, 6, 3), draw.normal(1, 1, 5, 6, 2)
    learned = ("alpha", "exponent", "smoothing")
    affinity = InverseAffinity(0.3, 0.7, smoothing=MEAN, learned=learned)
    layer = kind(*arguments, (3, 3), affinity=affinity, normalize=True, rngs=nnx.Rngs(0))
    found = nnx.grad(lambda m: jnp.sum(m(inputs, guide) ** 2))(layer)["affinity"]

    def loss(alpha, exponent, smoothing):
        affinity = Inverse(alpha, exponent, smoothing=smoothing)
        return jnp.sum(function(layer, inputs, guide, affinity) ** 2)

    expected = jax.grad(loss, argnums=(0, 1, 2))(0.3, 0.7, jnp.asarray(MEAN))
    for name, gradient in zip(learned, expected, strict=True):
        assert bool(jnp.all(gradient != 0))
        np.testing.assert_allclose(found[name][...], gradient, rtol=1e-3, atol=1e-4)


def test_an_optimizer_finds_the_affinity_of_the_data():
    inputs, guide = draw.normal(0, 1, 12, 12, 2), draw.normal(1, 1, 12, 12, 1)
    targets = pac_jax.pac_pool(inputs, guide, (3, 3), affinity=Inverse(0.8, 0.9))
    layer = PacPool((3, 3), affinity=InverseAffinity(0.2, 0.4))
    optimizer = nnx.Optimizer(layer, optax.adam(0.03), wrt=nnx.Param)

    @nnx.jit
    def step(layer, optimizer):
        gradients = nnx.grad(lambda m: jnp.mean((m(inputs, guide) - targets) ** 2))(layer)
        with jax.numpy_dtype_promotion("standard"):  # optax's Adam needs it
            optimizer.update(layer, gradients)

    for _ in range(200):
        step(layer, optimizer)
    np.testing.assert_allclose(layer.affinity.alpha[...], 0.8, atol=0.02)
    np.testing.assert_allclose(layer.affinity.exponent[...], 0.9, atol=0.02)


def test_a_fixed_one_stays_while_the_kernel_learns():
    layer = PacConv(
        3, 3, (3, 3), affinity=InverseAffinity(0.2, 0.4, learned=("alpha",)), rngs=nnx.Rngs(0)
    )
    optimizer = nnx.Optimizer(layer, optax.sgd(0.1), wrt=nnx.Param)
    inputs, guide = draw.normal(0, 1, 6, 6, 3), draw.normal(1, 1, 6, 6, 2)
    gradients = nnx.grad(lambda m: jnp.mean(m(inputs, guide) ** 2))(layer)
    optimizer.update(layer, gradients)
    assert layer.affinity.exponent == 0.4
    assert float(layer.affinity.alpha[...]) != pytest.approx(0.2, abs=1e-6)


@pytest.mark.parametrize("smoothing", [None, MEAN])
def test_fixed_numbers_survive_split_update_and_jit(smoothing):
    affinity = Inverse(jnp.array(0.1), 0.5, smoothing=smoothing)
    layer = PacConv(3, 4, (3, 3), affinity=affinity, rngs=nnx.Rngs(0))
    assert parameters(layer) == {"kernel", "bias"}
    inputs, guide = draw.normal(0, 1, 6, 6, 3), draw.normal(1, 1, 6, 6, 2)
    expected = pac_jax.pac_conv(
        inputs, guide, layer.kernel[...], layer.bias[...], affinity=affinity
    )
    np.testing.assert_allclose(nnx.jit(lambda m: m(inputs, guide))(layer), expected, atol=1e-5)
    graph, state = nnx.split(layer)
    again = nnx.merge(graph, state)
    nnx.update(again, state)
    np.testing.assert_allclose(again(inputs, guide), expected, atol=1e-5)


def test_an_affinity_of_ones_own():
    class DotProduct(nnx.Module):
        def __init__(self, features, rngs):
            self.embed = nnx.Linear(features, 4, use_bias=False, rngs=rngs)

        def __call__(self, neighbour, centre, /):
            return nnx.sigmoid(jnp.sum(self.embed(neighbour) * self.embed(centre), axis=-1))

    layer = PacConv(3, 4, (3, 3), affinity=DotProduct(2, nnx.Rngs(1)), rngs=nnx.Rngs(0))
    assert "affinity/embed/kernel" in parameters(layer)
    inputs, guide = draw.normal(0, 1, 6, 6, 3), draw.normal(1, 1, 6, 6, 2)
    gradients = nnx.jit(nnx.grad(lambda m: jnp.sum(m(inputs, guide) ** 2)))(layer)
    assert bool(jnp.all(gradients["affinity"]["embed"]["kernel"][...] != 0))


def test_a_function_will_do():
    def box(neighbour, centre, /):
        return jnp.where(jnp.sum(abs(neighbour - centre), axis=-1) < 1, 1.0, 0.0)

    layer = PacConv(3, 4, (3, 3), affinity=box, rngs=nnx.Rngs(0))
    inputs, guide = draw.normal(0, 1, 6, 6, 3), draw.normal(1, 1, 6, 6, 2)
    assert nnx.jit(lambda m: m(inputs, guide))(layer).shape == (1, 6, 6, 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianAffinity("gaussian"), "smoothing is 'gaussian'; to be learned"),
        (lambda: GaussianAffinity(np.ones((2, 3))), r"smoothing has shape \(2, 3\)"),
        (lambda: InverseAffinity(0.1, 0.5, learned=("beta",)), r"learned is \('beta',\)"),
        (lambda: InverseAffinity(0.1, 0.5, learned="alpha"), "learned is 'alpha'"),
        (lambda: InverseAffinity(0.1, 0.5, learned=("smoothing",)), "smoothing is None"),
        (lambda: InverseAffinity(0.1, 0.5, smoothing="mean"), "smoothing is 'mean'"),
    ],
)
def test_a_bad_argument_says_what_is_needed(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_type_of_the_parameters():
    affinity = InverseAffinity(
        0.1, 0.5, smoothing=MEAN, learned=("alpha", "smoothing"), param_dtype=jnp.bfloat16
    )
    assert affinity.alpha.dtype == affinity.smoothing.dtype == jnp.bfloat16
    assert GaussianAffinity(MEAN, param_dtype=jnp.float16).smoothing.dtype == jnp.float16
