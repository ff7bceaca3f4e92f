"""Derivatives of first and second order, in both modes, with respect to everything there is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import pac_jax
from tests.functional import cases

pytestmark = pytest.mark.usefixtures("x64")


def everything(operator: str, n: int, normalize: bool, affinity: str, mask: bool = True):
    """Values of every differentiable argument, and the operator as a function of them."""
    rng = np.random.default_rng([n, normalize, mask])
    transposed = operator == "conv_transpose"
    size, window = (4, 3, 2)[:n], (3, 3, 3)[:n]
    strides = (2, 1, 1)[:n]
    guide_size = (2 * size[0], *size[1:]) if transposed else size
    values = {
        "inputs": rng.standard_normal((1, *size, 2)),
        "guide": 0.6 * rng.standard_normal((1, *guide_size, 2)),
        "smoothing": rng.standard_normal(window) / 3**n,
    }
    if mask:
        values["mask"] = rng.uniform(0.2, 1, (1, *size, 1))
    if operator == "pool":
        values["weights"] = rng.uniform(0.5, 1.5, window)
    else:
        # Fewer or more features than channels: the order of the products may depend on it.
        out = 1 if transposed else 3
        values |= {
            "kernel": rng.standard_normal((*window, 2, out)),
            "bias": rng.standard_normal(out),
        }
    if affinity == "inverse":
        values |= {"alpha": np.float64(0.4), "exponent": np.float64(0.7)}

    def run(values, implementation):
        values = dict(values)
        smoothing = values.pop("smoothing")
        if affinity == "inverse":
            numbers = values.pop("alpha"), values.pop("exponent")
            kernel = pac_jax.Inverse(*numbers, smoothing=smoothing)
        else:
            kernel = pac_jax.Gaussian(smoothing)
        options = {
            "strides": strides,
            "padding": "SAME",
            "normalize": normalize,
            "affinity": kernel,
        }
        options["implementation"] = implementation
        inputs, guide = values.pop("inputs"), values.pop("guide")
        if operator == "pool":
            return pac_jax.pac_pool(inputs, guide, window, channel_wise=True, **options, **values)
        return getattr(pac_jax, f"pac_{operator}")(inputs, guide, **options, **values)

    return values, run


CONFIGURATIONS = [
    ("conv", 2, True, "gaussian"),
    ("conv", 3, False, "inverse"),
    ("conv_transpose", 1, True, "inverse"),
    ("conv_transpose", 2, False, "gaussian"),
    ("pool", 2, True, "inverse"),
    ("pool", 1, False, "gaussian"),
]


def test_check_grads_to_second_order(implementation):
    """JAX's own check; the tests below cover more in a fraction of its time."""
    values, run = everything("conv", 1, True, "inverse")
    compiled = jax.jit(lambda values: run(values, implementation))
    check_grads(compiled, (values,), order=2, modes=["fwd", "rev"], atol=1e-5, rtol=1e-5)


def inner(a, b):
    return sum(jax.tree.leaves(jax.tree.map(lambda x, y: np.sum(np.asarray(x) * y), a, b)))


def assert_trees_close(got, expected, tolerance):
    assert got.keys() == expected.keys()
    for name in got:
        np.testing.assert_allclose(
            got[name], expected[name], rtol=tolerance, atol=tolerance, err_msg=name
        )


def assert_derivatives(run, values):
    """Compare both modes and both orders with differences of values and of gradients.

    Args:
        run: of `values`, to any array.
        values: a dictionary of arrays, moved all at once along a random direction.
    """
    rng = np.random.default_rng(2)
    direction = jax.tree.map(lambda v: np.asarray(rng.standard_normal(np.shape(v))), values)
    cotangent = rng.standard_normal(jax.eval_shape(run, values).shape)

    def loss(v):
        return jnp.sum(cotangent * run(v) ** 2)

    @jax.jit
    def at(v):
        gradient, forward_over_reverse = jax.jvp(jax.grad(loss), (v,), (direction,))
        value, slope = jax.jvp(loss, (v,), (direction,))
        reverse_over_forward = jax.grad(lambda v: jax.jvp(loss, (v,), (direction,))[1])(v)
        return value, slope, gradient, forward_over_reverse, reverse_over_forward

    def moved(by):
        return jax.tree.map(lambda v, d: v + by * d, values, direction)

    step = 1e-5
    ahead, behind = at(moved(step)), at(moved(-step))
    _, slope, gradient, forward_over_reverse, reverse_over_forward = at(values)
    difference = (ahead[0] - behind[0]) / (2 * step)
    np.testing.assert_allclose(slope, difference, rtol=1e-6)
    np.testing.assert_allclose(inner(gradient, direction), difference, rtol=1e-6)
    second = jax.tree.map(lambda a, b: (a - b) / (2 * step), ahead[2], behind[2])
    assert_trees_close(forward_over_reverse, second, 2e-5)
    assert_trees_close(reverse_over_forward, forward_over_reverse, 1e-9)


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_every_argument(configuration, implementation):
    values, run = everything(*configuration)
    assert_derivatives(lambda values: run(values, implementation), values)


def gradient_by(operator: str, seed: int, implementation: str):
    """Gradients of one case of the grid, for every array and the affinity's numbers."""
    case = cases.draw(operator, seed)
    rng = np.random.default_rng(1)
    smoothing = rng.standard_normal((3,) * len(case.window)) / 9
    case = case.with_(kernel=cases.Kernel("inverse", 0.4, 0.7, smoothing))
    cotangent = rng.standard_normal(case.expected().shape)

    @jax.jit
    def gradients(arrays, affinity):
        return jax.grad(
            lambda a, k: jnp.sum(case.call(a, k, implementation) * cotangent), argnums=(0, 1)
        )(arrays, affinity)

    return gradients(jax.tree.map(jnp.asarray, case.arrays), case.kernel.library())


@pytest.mark.parametrize("seed", [1, 10])
@pytest.mark.parametrize("operator", ["conv", "conv_transpose", "pool"])
def test_gradients_agree_between_implementations(operator, seed):
    reference, *others = (gradient_by(operator, seed, name) for name in cases.UNLIMITED)
    for other in others:
        for got, expected in zip(*map(jax.tree.leaves, (other, reference)), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("operator", ["conv", "conv_transpose", "pool"])
def test_given_affinity(operator, implementation):
    rng = np.random.default_rng(3)
    size = 8 if operator == "conv_transpose" else 2
    values = {
        "inputs": rng.standard_normal((1, 4, 2)),
        "affinity": rng.standard_normal((1, size, 3)),
        "mask": rng.uniform(0.2, 1, (1, 4, 1)),
    }
    function = getattr(pac_jax, f"pac_{operator}_with_affinity")
    options = {"strides": 2, "padding": "SAME", "implementation": implementation}
    if operator == "pool":
        values["weights"] = rng.standard_normal(3)
        options["window_shape"] = (3,)
    else:
        values["kernel"] = rng.standard_normal((3, 2, 2))
    assert_derivatives(lambda values: function(**values, **options), values)


@pytest.mark.parametrize("normalize", [False, True])
def test_affinity_map(normalize):
    rng = np.random.default_rng(4)
    values = {
        "guide": rng.standard_normal((1, 5, 2)),
        "mask": rng.uniform(0.2, 1, (1, 5, 1)),
        "alpha": np.float64(0.4),
        "exponent": np.float64(0.7),
        "smoothing": rng.standard_normal(3),
    }

    def run(values):
        affinity = pac_jax.Inverse(
            values["alpha"], values["exponent"], smoothing=values["smoothing"]
        )
        options = {"strides": 2, "affinity": affinity, "normalize": normalize}
        return pac_jax.pac_affinity(values["guide"], (3,), mask=values["mask"], **options)

    assert_derivatives(run, values)


def test_equal_features_have_finite_derivatives_to_second_order(implementation):
    """A constant guide: every distance is 0, where a square root would have none."""
    guide, inputs = jnp.ones((1, 4, 5, 2)), jnp.ones((1, 4, 5, 1))

    def loss(guide, exponent):
        affinity = pac_jax.Inverse(0.1, exponent)
        options = {"affinity": affinity, "normalize": True, "implementation": implementation}
        return jnp.sum(pac_jax.pac_pool(inputs, guide, (3, 3), padding=1, **options) ** 2)

    direction = (jnp.arange(40.0).reshape(guide.shape), jnp.ones(()))
    slopes = jax.jit(lambda *v: jax.jvp(jax.grad(loss, argnums=(0, 1)), v, direction))(
        guide, jnp.float64(0.5)
    )
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


def layers(implementation, remat: bool):
    """Three layers, one after another, as a scan over their kernels."""

    def layer(x, kernel):
        guide = jnp.tanh(x)
        y = pac_jax.pac_conv(x, guide, kernel, normalize=True, implementation=implementation)
        return jnp.tanh(y), None

    body = jax.checkpoint(layer) if remat else layer

    def scanned(x, kernels):
        return jnp.sum(jax.lax.scan(body, x, kernels)[0] ** 2)

    def unrolled(x, kernels):
        for kernel in kernels:
            x, _ = layer(x, kernel)
        return jnp.sum(x**2)

    return scanned, unrolled


@pytest.mark.parametrize("remat", [False, True])
def test_scan_over_layers_and_rematerialisation(remat, implementation):
    rng = np.random.default_rng(5)
    x, kernels = rng.standard_normal((1, 5, 2)), rng.standard_normal((3, 3, 2, 2))
    scanned, unrolled = layers(implementation, remat)
    got = jax.jit(jax.value_and_grad(scanned, argnums=(0, 1)))(x, kernels)
    expected = jax.jit(jax.value_and_grad(unrolled, argnums=(0, 1)))(x, kernels)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
