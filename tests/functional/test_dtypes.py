"""Types: narrow inputs with wide sums, float64 where asked for, and nothing cast by surprise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import pac_jax
from tests.functional import cases

NARROW = [jnp.bfloat16, jnp.float16]
NUMBERS = ("NHWC", "HWIO", "NHWC")


def rounded(dtype, *shape, seed=0, scale=1.0):
    """Random numbers that the type holds exactly, in that type and in float64."""
    rng = np.random.default_rng(seed)
    array = jnp.asarray(scale * rng.standard_normal(shape), dtype)
    return array, np.asarray(array).astype(np.float64)


def worst(got, expected):
    return np.max(np.abs(np.asarray(got).astype(np.float64) - expected))


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("transposed", [False, True])
def test_error_is_no_larger_than_that_of_a_plain_convolution(transposed, dtype, implementation):
    """Many channels, so that a sum in the narrow type would be seen at once."""
    inputs, exact_inputs = rounded(dtype, 1, 8, 9, 32)
    kernel, exact_kernel = rounded(dtype, 5, 5, 32, 4, seed=1, scale=0.1)
    options = {"strides": 2, "implementation": implementation}
    size = (16, 18) if transposed else (8, 9)
    operator = pac_jax.pac_conv_transpose if transposed else pac_jax.pac_conv
    got = operator(inputs, jnp.zeros((1, *size, 3), dtype), kernel, **options)
    plain = lax.conv_transpose if transposed else lax.conv_general_dilated
    theirs = plain(inputs, kernel, (2, 2), "SAME", dimension_numbers=NUMBERS)
    with jax.enable_x64(True):
        exact = np.asarray(
            plain(exact_inputs, exact_kernel, (2, 2), "SAME", dimension_numbers=NUMBERS)
        )
    assert exact.dtype == np.float64
    assert got.dtype == theirs.dtype == dtype
    assert worst(got, exact) <= worst(theirs, exact)


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("seed", [1, 13])
@pytest.mark.parametrize("operator", ["conv", "conv_transpose", "pool"])
def test_error_is_the_rounding_of_the_output(operator, seed, dtype, implementation):
    kernel = cases.Kernel("inverse", 0.5, 0.5, "gaussian")  # numbers that every type holds
    case = cases.draw(operator, seed).with_(kernel=kernel)
    arrays = {name: jnp.asarray(array, dtype) for name, array in case.arrays.items()}
    exact_arrays = {name: np.asarray(array).astype(np.float64) for name, array in arrays.items()}
    exact = case.with_(arrays=exact_arrays).expected()
    got = case.with_(arrays=arrays).evaluate(implementation)
    assert got.dtype == dtype
    error = np.abs(np.asarray(got).astype(np.float64) - exact)
    half_a_unit = float(jnp.finfo(dtype).eps) / 2
    # Beside it the rounding of float32 sums, whose terms may be larger than the output.
    assert np.all(error <= 1.01 * half_a_unit * np.abs(exact) + 1e-5 * np.abs(exact).max())


@pytest.mark.parametrize("dtype", NARROW)
def test_affinity_is_float32(dtype, implementation):
    """Features that the narrow type tells apart only before it squares and exponentiates them."""
    guide, exact_guide = rounded(dtype, 1, 7, 8, 5, scale=1.5)
    seen = []

    def affinity(neighbour, centre):
        seen.append((neighbour.dtype, centre.dtype))
        return jnp.exp(-0.5 * jnp.sum((neighbour - centre) ** 2, axis=-1))

    got = pac_jax.pac_affinity(guide, (3, 3), affinity=affinity)
    assert got.dtype == jnp.float32
    inputs = jnp.ones((1, 7, 8, 1), dtype)
    pac_jax.pac_pool(inputs, guide, (3, 3), affinity=affinity, implementation=implementation)
    assert set(sum(seen, ())) == {jnp.dtype(jnp.float32)}
    with jax.enable_x64(True):
        exact = pac_jax.pac_affinity(exact_guide, (3, 3))
    np.testing.assert_allclose(got, exact, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("guide_dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_guide_may_have_another_type_than_the_inputs(dtype, guide_dtype, implementation):
    inputs, guide = jnp.ones((1, 5, 2), dtype), jnp.ones((1, 5, 3), guide_dtype)
    kernel, bias = jnp.ones((3, 2, 2), dtype), jnp.ones(2, dtype)
    got = pac_jax.pac_conv(inputs, guide, kernel, bias, implementation=implementation)
    assert got.dtype == dtype
    np.testing.assert_array_equal(np.float32(got[0, :, 0]), [5, 7, 7, 7, 5])


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_preferred_element_type_is_that_of_the_output(dtype, implementation):
    inputs, exact_inputs = rounded(dtype, 1, 6, 7, 4)
    kernel, exact_kernel = rounded(dtype, 3, 3, 4, 2, seed=1)
    guide, exact_guide = rounded(dtype, 1, 6, 7, 2, seed=2)
    options = {"preferred_element_type": jnp.float32, "implementation": implementation}
    got = pac_jax.pac_conv(inputs, guide, kernel, **options)
    assert got.dtype == jnp.float32
    case = cases.Case("conv", (3, 3), {}, {"strides": 1, "padding": "SAME", "dilation": 1})
    arrays = {"inputs": exact_inputs, "guide": exact_guide, "kernel": exact_kernel}
    exact = case.with_(arrays=arrays).expected()
    np.testing.assert_allclose(got, exact, rtol=1e-5, atol=1e-5)
    narrow = pac_jax.pac_conv(
        jnp.float32(inputs), guide, jnp.float32(kernel), preferred_element_type=dtype
    )
    assert narrow.dtype == dtype


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float64])
@pytest.mark.parametrize("operator", ["conv", "conv_transpose", "pool"])
def test_gradients_have_the_types_of_their_arguments(operator, dtype, implementation, x64):
    case = cases.draw(operator, 5)
    arrays = {name: jnp.asarray(array, dtype) for name, array in case.arrays.items()}
    arrays["guide"] = arrays["guide"].astype(jnp.float32)
    if "mask" in arrays:
        arrays["mask"] = arrays["mask"].astype(jnp.float32)

    def loss(arrays):
        return case.call(arrays, pac_jax.Gaussian(), implementation).astype(jnp.float32).sum()

    gradients = jax.jit(jax.grad(loss))(arrays)
    assert {k: g.dtype for k, g in gradients.items()} == {k: a.dtype for k, a in arrays.items()}
    assert all(np.isfinite(np.float64(g)).all() for g in gradients.values())


def test_float64_is_kept_under_x64_and_float32_is_not_widened(implementation, x64):
    for dtype in (jnp.float32, jnp.float64):
        inputs, guide = jnp.ones((1, 5, 2), dtype), jnp.ones((1, 5, 3), dtype)
        run = {"implementation": implementation}
        assert pac_jax.pac_conv(inputs, guide, jnp.ones((3, 2, 2), dtype), **run).dtype == dtype
        assert pac_jax.pac_pool(inputs, guide, (3,), **run).dtype == dtype
        affinity = pac_jax.pac_affinity(guide, (3,), affinity=pac_jax.Inverse(0.5, 1.0))
        assert affinity.dtype == dtype
        given = pac_jax.pac_pool_with_affinity(inputs, affinity, (3,), padding="SAME", **run)
        assert given.dtype == dtype


def test_numbers_of_an_affinity_do_not_decide_the_type(implementation, x64):
    """A float64 alpha, as numpy makes it, in a float32 model."""
    inputs = jnp.ones((1, 5, 2), jnp.float32)
    affinity = pac_jax.Inverse(np.float64(0.5), np.float64(1.0), smoothing=np.ones(3) / 3)
    got = pac_jax.pac_pool(inputs, inputs, (3,), affinity=affinity, implementation=implementation)
    assert got.dtype == jnp.float32
    assert pac_jax.pac_affinity(inputs, (3,), affinity=affinity).dtype == jnp.float32


def test_a_wide_preferred_type_without_x64_is_what_lax_makes_of_it(implementation):
    inputs, kernel = jnp.ones((1, 5, 2)), jnp.ones((3, 2, 2))
    run = {"preferred_element_type": jnp.float64, "implementation": implementation}
    with pytest.warns(UserWarning, match="float64"):
        got = pac_jax.pac_conv(inputs, inputs, kernel, **run)
    assert got.dtype == jnp.float32


@pytest.mark.parametrize("mask_dtype", [bool, np.int32, np.uint8, np.float16, np.float32])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_masks_of_any_type_are_the_same_mask(dtype, mask_dtype, implementation):
    inputs = jnp.asarray(np.random.default_rng(0).standard_normal((1, 6, 2)), dtype)
    mask = np.array([1, 0, 0, 1, 1, 0]).reshape(1, 6, 1)
    run = {"implementation": implementation, "padding": 1}
    got = pac_jax.pac_pool(inputs, inputs, (3,), mask=mask.astype(mask_dtype), **run)
    assert got.dtype == dtype
    expected = pac_jax.pac_pool(inputs, inputs, (3,), mask=jnp.float32(mask), **run)
    np.testing.assert_array_equal(np.float32(got), np.float32(expected))


@pytest.mark.parametrize("precision", [None, "default", "high", "highest", lax.Precision.HIGHEST])
def test_every_precision_of_lax_is_taken(precision, implementation):
    inputs, kernel = jnp.ones((1, 5, 2)), jnp.ones((3, 2, 2))
    run = {"precision": precision, "implementation": implementation}
    got = pac_jax.pac_conv(inputs, inputs, kernel, **run)
    np.testing.assert_allclose(got[0, 2], [6, 6])
    if precision is not None:  # one for each side, as lax takes it
        run["precision"] = (precision, precision)
        np.testing.assert_array_equal(pac_jax.pac_conv(inputs, inputs, kernel, **run), got)


@pytest.mark.parametrize("dtype", [bool, jnp.int32, jnp.float16])
def test_affinities_that_give_another_type(dtype, implementation):
    """Neighbours that are exactly like the centre count, the others do not."""

    def equal(neighbour, centre):
        return jnp.all(neighbour == centre, axis=-1).astype(dtype)

    guide = np.float32([1, 1, 2, 1, 2, 2]).reshape(1, 6, 1)
    expected = [2, 2, 1, 1, 2, 2]
    run = {"affinity": equal, "padding": 1, "implementation": implementation}
    got = pac_jax.pac_pool(np.ones((1, 6, 1), np.float32), guide, (3,), **run)
    np.testing.assert_array_equal(got[0, :, 0], expected)
    affinity = pac_jax.pac_affinity(guide, (3,), affinity=equal)
    assert affinity.dtype == jnp.float32
    np.testing.assert_array_equal(affinity.sum(-1)[0], expected)
    shares = pac_jax.pac_affinity(guide, (3,), affinity=equal, normalize=True)
    np.testing.assert_array_equal(shares.sum(-1)[0], 1)
