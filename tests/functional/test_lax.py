"""With a constant guide every operator is its `jax.lax` counterpart, borders included."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import pac_jax
from tests.functional import cases

pytestmark = pytest.mark.usefixtures("x64")


def dimension_numbers(n: int):
    spatial = "DHW"[3 - n :]
    return f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"


def as_pairs(padding, n: int):
    return [(padding, padding)] * n if isinstance(padding, int) else padding


def tuple_of(value, n: int):
    return (value,) * n if isinstance(value, int) else value


def constant(case: cases.Case, seed: int) -> float:
    """0, or another constant where padding moves no centre or sample off the guide (0 there)."""
    return 1.7 if isinstance(case.geometry["padding"], str) and seed % 2 else 0.0


def plain(case: cases.Case, seed: int) -> cases.Case:
    """The case without mask, normalisation or a varying guide."""
    arrays = {k: v for k, v in case.arrays.items() if k != "mask"}
    arrays["guide"] = np.full_like(arrays["guide"], constant(case, seed))
    options = {**case.options, "normalize": False}
    return case.with_(arrays=arrays, options=options, kernel=cases.Kernel())


def assert_equal_to_lax(got, expected):
    assert expected.dtype == got.dtype == np.float64
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(21))
def test_convolution(seed, implementation):
    case = plain(cases.draw("conv", seed), seed)
    n = len(case.window)
    expected = lax.conv_general_dilated(
        case.arrays["inputs"],
        case.arrays["kernel"],
        tuple_of(case.geometry["strides"], n),
        as_pairs(case.geometry["padding"], n),
        rhs_dilation=tuple_of(case.geometry["dilation"], n),
        dimension_numbers=dimension_numbers(n),
        feature_group_count=case.options["feature_group_count"],
    )
    bias = case.arrays.get("bias", np.zeros(1)).reshape((1,) * (n + 1) + (-1,))
    assert_equal_to_lax(case.evaluate(implementation), expected + bias)


@pytest.mark.parametrize("seed", range(21))
def test_transposed_convolution(seed, implementation):
    case = plain(cases.draw("conv_transpose", seed), seed)
    groups = case.options["feature_group_count"]
    n = len(case.window)
    # lax.conv_transpose has no groups: one call for each of them.
    pieces = zip(
        jnp.split(case.arrays["inputs"], groups, axis=-1),
        jnp.split(case.arrays["kernel"], groups, axis=-1),
        strict=True,
    )
    expected = [
        lax.conv_transpose(
            inputs,
            kernel,
            tuple_of(case.geometry["strides"], n),
            as_pairs(case.geometry["padding"], n),
            rhs_dilation=tuple_of(case.geometry["dilation"], n),
            dimension_numbers=dimension_numbers(n),
            transpose_kernel=False,
        )
        for inputs, kernel in pieces
    ]
    bias = case.arrays.get("bias", np.zeros(1)).reshape((1,) * (n + 1) + (-1,))
    assert_equal_to_lax(case.evaluate(implementation), jnp.concatenate(expected, -1) + bias)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_size_of_every_small_transposed_convolution(padding):
    """By shapes alone: windows, strides and dilations that the random cases may have missed."""
    sizes = itertools.product((1, 2, 3), (1, 3, 5), (1, 2, 3, 4, 7), (1, 2, 3, 4))
    for size, window, stride, dilation in sizes:
        expected = jax.eval_shape(
            lambda x, k, s=stride, d=dilation: lax.conv_transpose(
                x, k, (s,), padding, (d,), dimension_numbers=dimension_numbers(1)
            ),
            np.zeros((1, size, 1)),
            np.zeros((window, 1, 1)),
        )
        got = jax.eval_shape(
            lambda mask, k=window, s=stride, d=dilation: pac_jax.propagate_mask(
                mask, (k,), strides=s, padding=padding, kernel_dilation=d, transposed=True
            ),
            np.zeros((1, size, 1)),
        )
        assert got.shape == expected.shape, (size, window, stride, dilation)


@pytest.mark.parametrize("seed", range(14))
def test_pooling_is_a_sum_or_an_average_that_counts_no_padding(seed, implementation):
    case = plain(cases.draw("pool", seed), seed)
    n = len(case.window)
    inputs = case.arrays["inputs"]
    arrays = {"inputs": inputs, "guide": np.full_like(inputs, constant(case, seed))}

    def window_sum(array):
        strides, dilation = (
            (1, *tuple_of(case.geometry[name], n), 1) for name in ("strides", "dilation")
        )
        padding = case.geometry["padding"]
        if not isinstance(padding, str):
            padding = [(0, 0), *as_pairs(padding, n), (0, 0)]
        window = (1, *case.window, 1)
        return lax.reduce_window(
            array, 0.0, lax.add, window, strides, padding, window_dilation=dilation
        )

    total = window_sum(inputs)
    count = window_sum(np.ones_like(inputs))
    case = case.with_(arrays=arrays)
    assert_equal_to_lax(case.evaluate(implementation), total)
    mean = case.with_(options={**case.options, "normalize": True}).evaluate(implementation)
    average = jnp.where(count > 0, total / jnp.maximum(count, 1), 0)
    assert_equal_to_lax(mean, average)


def test_defaults_are_those_of_the_counterparts(implementation):
    """'SAME' for the convolutions, 'VALID' for the pooling, strides and dilation 1."""
    rng = np.random.default_rng(0)
    inputs, kernel = rng.standard_normal((1, 5, 6, 2)), rng.standard_normal((3, 3, 2, 3))
    guide = np.zeros((1, 5, 6, 1))
    numbers = dimension_numbers(2)
    run = {"implementation": implementation}
    assert_equal_to_lax(
        pac_jax.pac_conv(inputs, guide, kernel, **run),
        lax.conv_general_dilated(inputs, kernel, (1, 1), "SAME", dimension_numbers=numbers),
    )
    assert_equal_to_lax(
        pac_jax.pac_conv_transpose(inputs, guide, kernel, **run),
        lax.conv_transpose(inputs, kernel, (1, 1), "SAME", dimension_numbers=numbers),
    )
    window = (1, 3, 3, 1)
    assert_equal_to_lax(
        pac_jax.pac_pool(inputs, guide, (3, 3), **run),
        lax.reduce_window(inputs, 0.0, lax.add, window, (1, 1, 1, 1), "VALID"),
    )
