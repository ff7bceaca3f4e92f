"""The implementations against each other: drawn by hypothesis, shapes checked with chex."""

import chex
import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pac_jax
from tests.functional import cases
from tests.oracle import pac

pytestmark = pytest.mark.usefixtures("x64")

QUICK = settings(max_examples=12, deadline=None, derandomize=True, database=None)


@st.composite
def geometries(draw, transposed: bool):
    """Window, inputs' size and geometry of one to two dimensions, paddings of any sign."""
    n = draw(st.integers(1, 2))
    window = draw(st.tuples(*[st.sampled_from([1, 3, 5])] * n))
    pair = st.tuples(st.integers(-2, 7), st.integers(-2, 7))
    named = ["SAME", "VALID"] + ([] if transposed else ["SAME_LOWER"])
    geometry = {
        "strides": draw(st.tuples(*[st.integers(1, 5)] * n)),
        "padding": draw(st.one_of(st.sampled_from(named), st.tuples(*[pair] * n))),
        "dilation": draw(st.tuples(*[st.integers(1, 3)] * n)),
    }
    size = draw(st.tuples(*[st.integers(4, 7)] * n))  # lax crops no more than there is
    return window, size, geometry


@st.composite
def problems(draw, operator: str):
    """Any case of this operator, most of them ugly."""
    window, size, geometry = draw(geometries(operator == "conv_transpose"))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    n = len(window)
    size_of = pac.conv_transpose_output_size if operator == "conv_transpose" else None
    guide_size = size_of(size, window, **geometry) if size_of else size
    batch = draw(st.integers(1, 2))
    groups = draw(st.sampled_from([1, 2]))
    options = {"normalize": draw(st.booleans())}
    arrays = {
        "inputs": rng.standard_normal((batch, *size, 2)),
        "guide": rng.standard_normal((batch, *guide_size, 2)),
        **cases.draw_mask(rng, draw(st.sampled_from(cases.MASKS)), (batch, *size, 1)),
    }
    if operator == "pool":
        options["channel_wise"] = draw(st.booleans())
        arrays["weights"] = rng.standard_normal(window)
    else:
        options["feature_group_count"] = groups
        arrays["kernel"] = rng.standard_normal((*window, 2 // groups, 2))
        arrays["bias"] = rng.standard_normal(2)
    return cases.Case(operator, window, arrays, geometry, options, cases.draw_kernel(rng, n))


def expected_shape(case: cases.Case) -> tuple[int, ...]:
    batch, *size, channels = case.arrays["inputs"].shape
    if case.operator == "conv_transpose":
        return (*case.arrays["guide"].shape[:-1], case.arrays["kernel"].shape[-1])
    features = channels if case.operator == "pool" else case.arrays["kernel"].shape[-1]
    return (batch, *pac.conv_output_size(size, case.window, **case.geometry), features)


def assert_equal_everywhere(case: cases.Case):
    outputs = [case.evaluate(name) for name in cases.UNLIMITED]
    chex.assert_shape(outputs, expected_shape(case))
    chex.assert_type(outputs, np.float64)
    chex.assert_tree_all_finite(outputs)
    for other in outputs[1:]:
        chex.assert_trees_all_close(other, outputs[0], rtol=1e-10, atol=1e-10)


@QUICK
@given(problems("conv"))
def test_convolutions_are_equal(case):
    assert_equal_everywhere(case)


@QUICK
@given(problems("conv_transpose"))
def test_transposed_convolutions_are_equal(case):
    assert_equal_everywhere(case)


@QUICK
@given(problems("pool"))
def test_poolings_are_equal(case):
    assert_equal_everywhere(case)


@pytest.mark.parametrize("operator", ["conv", "conv_transpose", "pool"])
def test_the_default_is_one_of_them(operator):
    case = cases.draw(operator, 8)
    default = case.evaluate(None)
    assert any(np.array_equal(default, case.evaluate(name)) for name in cases.UNLIMITED)


@pytest.mark.parametrize(
    ("operator", "size", "guide_size", "strides"),
    [
        ("conv", (50, 7), (50, 7), (2, 1)),
        ("conv", (129, 5), (129, 5), (2, 1)),  # the last band has rows of the one before
        ("conv_transpose", (53, 4), (106, 12), (2, 3)),
    ],
)
def test_taps_in_bands(operator, size, guide_size, strides, monkeypatch):
    """Large images are cut into bands of rows; here, small ones into as many as there may be."""
    monkeypatch.setattr("pac_jax.functional.implementations.bands._BAND_NUMBERS", 600)
    rng = np.random.default_rng(0)
    arrays = {
        "inputs": rng.standard_normal((2, *size, 1)),
        "guide": rng.standard_normal((2, *guide_size, 1)),
        "kernel": rng.standard_normal((3, 3, 1, 1)),
    }
    geometry = {"strides": strides, "padding": "SAME", "dilation": (3, 1)}
    case = cases.Case(operator, (3, 3), arrays, geometry, {"normalize": True})

    def value_and_gradient(implementation):
        def loss(arrays):
            output = case.call(arrays, implementation=implementation)
            return jax.numpy.sum(output**2), output

        return jax.jit(jax.grad(loss, has_aux=True))(arrays)

    gradient, output = value_and_gradient("taps")
    np.testing.assert_allclose(output, case.expected(), rtol=1e-11, atol=1e-11)
    chex.assert_trees_all_close(gradient, value_and_gradient("patches")[0], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("channels", [1, 8, 9, 16, 17])
def test_guides_of_any_number_of_channels(channels):
    """'taps' takes few channels one by one, in the reverse pass fewer than in the forward pass."""
    rng = np.random.default_rng(channels)
    arrays = {
        "inputs": rng.standard_normal((1, 3, 4, 2)),
        "guide": rng.standard_normal((1, 6, 8, channels)) / channels,
        "kernel": rng.standard_normal((3, 3, 2, 3)),
    }
    geometry = {"strides": 2, "padding": "SAME", "dilation": 1}
    kernel = cases.Kernel("asymmetric", exponent=1.5)
    case = cases.Case("conv_transpose", (3, 3), arrays, geometry, {}, kernel)

    def value_and_gradient(implementation):
        def loss(arrays):
            output = case.call(arrays, implementation=implementation)
            return jax.numpy.sum(jax.numpy.sin(output)), output

        return jax.jit(jax.grad(loss, has_aux=True))(arrays)

    found, expected = value_and_gradient("taps"), value_and_gradient("patches")
    chex.assert_trees_all_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "options",
    [
        {"strides": (2, 1), "padding": ((-1, 4), (7, 0)), "kernel_dilation": (1, 4)},
        {"normalize": True, "channel_wise": True},
        {"mask": True, "kernel_dilation": 9},  # taps that never meet the image
    ],
)
def test_affinities_are_equal(options):
    rng = np.random.default_rng(0)
    guide = rng.standard_normal((2, 6, 7, 3))
    if "mask" in options:
        options = {**options, "mask": (rng.random((2, 6, 7, 1)) < 0.7).astype(float)}

    def value_and_gradient(implementation):
        def loss(guide):
            found = pac_jax.pac_affinity(guide, (3, 5), implementation=implementation, **options)
            return jax.numpy.sum(jax.numpy.sin(found)), found

        return jax.jit(jax.grad(loss, has_aux=True))(guide)

    chex.assert_trees_all_close(*map(value_and_gradient, ("taps", "shifts")), rtol=1e-12)


def test_an_affinity_has_two_implementations():
    with pytest.raises(ValueError, match="implementation is 'patches'; pass one of 'taps', 'shift"):
        pac_jax.pac_affinity(np.zeros((1, 4, 4, 1)), (3, 3), implementation="patches")
