"""The oracle reproduces the goldens, jax.lax where K = 1, and simple facts worked out by hand."""

import jax
import numpy as np
import pytest

from tests.oracle import goldens, pac

OPERATORS = goldens.goldens_folder() / "operators"
CASES = [
    case
    for prefix in ("conv", "conv_transpose", "pool")
    for case in goldens.operator_goldens(OPERATORS, prefix)
]
BILATERAL = goldens.operator_goldens(goldens.goldens_folder() / "networks", "jbu")


def golden_parameters(cases: list[goldens.Case]):
    """The cases as test parameters, or one that skips with the reason where there are none."""
    if not cases:
        return [pytest.param(None, marks=pytest.mark.skip(goldens.REASON_WHEN_ABSENT))]
    return [pytest.param(case, id=case.name) for case in cases]


def affinity_function(affinity: goldens.Affinity, alpha=None, exponent=None):
    if affinity.name == "gaussian":
        return pac.gaussian
    alpha = affinity.alpha if alpha is None else alpha
    exponent = affinity.exponent if exponent is None else exponent
    return pac.inverse(alpha, exponent, affinity.asymmetric)


def golden_affinity(case: goldens.Case, arrays=None, function=None) -> np.ndarray:
    """K of a case, after mask and normalisation."""
    arrays = case.arrays if arrays is None else arrays
    options = {
        "kernel": function or affinity_function(case.affinity),
        "smoothing": case.smoothing,
        "normalize": case.normalize,
        "mask": case.mask,
        **case.geometry,
    }
    guide = arrays["guide"]
    if case.transposed:
        size = arrays["inputs"].shape[1:-1]
        return pac.affinity_transpose(guide, size, case.window, **options)
    return pac.affinity(guide, case.window, channel_wise=case.channel_wise, **options)


def golden_output(case: goldens.Case, arrays=None, function=None) -> np.ndarray:
    """The operator's output with some arrays (or the affinity function) replaced."""
    arrays = case.arrays if arrays is None else {**case.arrays, **arrays}
    inputs, guide = arrays["inputs"], arrays["guide"]
    options = {
        "affinity": function or affinity_function(case.affinity),
        "smoothing": case.smoothing,
        "normalize": case.normalize,
        "mask": case.mask,
        **case.geometry,
    }
    if case.meta["op"] == "pac_pool":
        return pac.pool(inputs, guide, case.window, channel_wise=case.channel_wise, **options)
    if case.shared_filters:
        weights = arrays["kernel"][..., 0, 0]
        return pac.pool(inputs, guide, case.window, weights=weights, **options) + arrays["bias"]
    operator = pac.conv_transpose if case.transposed else pac.conv
    return operator(inputs, guide, arrays["kernel"], arrays["bias"], **options)


# ----------------------------------------------------------------------------------------- goldens


@pytest.mark.parametrize("case", golden_parameters(CASES))
def test_golden_output(case):
    np.testing.assert_allclose(golden_output(case), case.arrays["output"], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "case", golden_parameters([case for case in CASES if "affinity" in case.arrays])
)
def test_golden_affinity(case):
    expected = case.arrays["affinity"]
    np.testing.assert_allclose(golden_affinity(case), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "case", golden_parameters([case for case in CASES if "output_mask" in case.arrays])
)
def test_golden_output_mask(case):
    propagate = pac.propagate_mask_transpose if case.transposed else pac.propagate_mask
    result = propagate(case.mask, case.window, **case.geometry)
    np.testing.assert_array_equal(result, case.arrays["output_mask"])


@pytest.mark.parametrize("case", golden_parameters(CASES))
def test_golden_gradients(case):
    """<golden gradient, random direction> is the derivative of the oracle in that direction."""
    affinity = case.affinity
    values = {
        name: case.arrays[name]
        for name in ("inputs", "guide", "kernel", "bias")
        if f"d_{name}" in case.arrays
    }
    for name in ("alpha", "exponent"):
        if f"d_{name}" in case.arrays:
            values[name] = np.float64(getattr(affinity, name))
    assert {"inputs", "guide"} <= set(values)

    def loss(*args):
        arrays = dict(zip(values, args, strict=False))
        function = affinity_function(
            affinity, arrays.pop("alpha", None), arrays.pop("exponent", None)
        )
        return np.sum(golden_output(case, arrays, function) * case.arrays["cotangent"])

    rng = np.random.default_rng(0)
    names = list(values)
    for name in names:
        direction = rng.standard_normal(np.shape(values[name]))
        directions = [direction if other == name else None for other in names]
        got = pac.directional_derivative(loss, list(values.values()), directions)
        expected = np.sum(case.arrays[f"d_{name}"] * direction)
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("case", golden_parameters(BILATERAL))
def test_golden_joint_bilateral_upsampling(case):
    factor, size = case.meta["factor"], case.meta["kernel_size"]
    image = case.arrays["guide"].astype(np.float64)
    y, x = np.meshgrid(*(np.arange(extent) for extent in image.shape[1:3]), indexing="ij")
    position = np.broadcast_to(np.stack([y, x], -1), (*image.shape[:3], 2))
    guide = np.concatenate(
        [image * case.meta["scale_color"], position * case.meta["scale_space"]], axis=-1
    )
    p, q = 1 + (size - factor - 1) // 2, (size - factor) % 2
    result = pac.conv_transpose(
        case.arrays["target_low"],
        guide,
        np.ones((size, size, 1, 1)),
        strides=factor,
        padding=((size - 1 - p, size - 1 - p + q),) * 2,
        normalize=True,
    )
    # The golden is float32.
    np.testing.assert_allclose(result, case.arrays["output"], rtol=0, atol=2e-6)


# ----------------------------------------------------------------------------------------- jax.lax


def dimension_numbers(n: int) -> tuple[str, str, str]:
    letters = "XYZ"[:n]
    return f"N{letters}C", f"{letters}IO", f"N{letters}C"


def random_geometry(rng: np.random.Generator, n: int):
    window = tuple(int(k) for k in rng.choice([1, 3, 5] if n < 3 else [1, 3], n))
    strides = tuple(int(s) for s in rng.integers(1, 4, n))
    dilation = tuple(int(d) for d in rng.integers(1, 4, n))
    return window, strides, dilation


def constant(_neighbour, _centre):
    return 1.0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("padding", ["SAME", "SAME_LOWER", "VALID", 2, "explicit"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_conv_with_constant_affinity_is_lax(n, padding, seed):
    rng = np.random.default_rng([n, seed])
    window, strides, dilation = random_geometry(rng, n)
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=False)]
    if padding == "explicit":  # crops on one side, pads wider than the window on the other
        padding = [(int(rng.integers(-1, 2)), int(rng.integers(0, r + 2))) for r in reach]
    size = [int(extent) + r for extent, r in zip(rng.integers(1, 5, n), reach, strict=False)]
    groups = int(rng.choice([1, 2]))
    inputs = rng.standard_normal((2, *size, 4))
    kernel = rng.standard_normal((*window, 4 // groups, 6))
    guide = rng.standard_normal((2, *size, 1))
    got = pac.conv(
        inputs,
        guide,
        kernel,
        strides=strides,
        padding=padding,
        dilation=dilation,
        groups=groups,
        affinity=constant,
    )
    with jax.enable_x64(True):
        expected = jax.lax.conv_general_dilated(
            inputs,
            kernel,
            strides,
            [(padding, padding)] * n if isinstance(padding, int) else padding,
            rhs_dilation=dilation,
            dimension_numbers=dimension_numbers(n),
            feature_group_count=groups,
        )
    assert expected.dtype == np.float64
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("padding", ["SAME", "VALID", 2, "explicit"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_conv_transpose_with_constant_affinity_is_lax(n, padding, seed):
    rng = np.random.default_rng([n, seed])
    window, strides, dilation = random_geometry(rng, n)
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=False)]
    if padding == "explicit":
        padding = [(int(rng.integers(-1, 2)), int(rng.integers(r, r + 3))) for r in reach]
    size = [int(extent) for extent in rng.integers(2, 5, n)]
    if padding == 2:  # enough of them for an output
        size = [max(extent, r) for extent, r in zip(size, reach, strict=False)]
    inputs = rng.standard_normal((2, *size, 3))
    kernel = rng.standard_normal((*window, 3, 2))
    pairs = [(padding, padding)] * n if isinstance(padding, int) else padding
    with jax.enable_x64(True):
        expected = jax.lax.conv_transpose(
            inputs,
            kernel,
            strides,
            pairs,
            rhs_dilation=dilation,
            dimension_numbers=dimension_numbers(n),
        )
    assert expected.dtype == np.float64
    assert pac.conv_transpose_output_size(
        size, window, strides=strides, padding=padding, dilation=dilation
    ) == tuple(expected.shape[1:-1])
    got = pac.conv_transpose_with_affinity(
        inputs,
        np.ones((2, *expected.shape[1:-1], *window)),
        kernel,
        strides=strides,
        padding=padding,
        dilation=dilation,
    )
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("padding", ["SAME", "SAME_LOWER", "VALID"])
def test_padding_agrees_with_lax_everywhere(padding):
    """All small geometries by their sizes alone, also windows larger than the image."""
    for size in range(1, 9):
        for k in (1, 3, 5):
            for s in (1, 2, 3, 6):
                for d in (1, 2, 3):
                    reach = (k - 1) * d + 1
                    expected = jax.lax.padtype_to_pads((size,), (reach,), (s,), padding)
                    got = pac.lax_padding(padding, (size,), (k,), s, d)
                    assert got == tuple(expected)


# ----------------------------------------------------------------------------------- facts by hand


def test_affinities_of_two_vectors():
    a, b = np.array([1.0, 2.0]), np.array([0.0, 4.0])
    assert pac.gaussian(a, b) == pytest.approx(np.exp(-2.5), rel=1e-15)
    assert pac.inverse(0.3, 2.0)(a, b) == pytest.approx(0.3 + 5.0001, rel=1e-15)
    assert pac.inverse(0.3, 2.0, asymmetric=True)(a, b) == pytest.approx(0.3 + 1.0001, rel=1e-15)
    assert pac.inverse(0.3, 2.0, asymmetric=True)(b, a) == pytest.approx(0.3 + 4.0001, rel=1e-15)


def test_smoothing_reads_zeros_outside_and_does_not_flip():
    guide = np.array([1.0, 2.0, 3.0]).reshape(1, 3, 1)
    got = pac.smooth(guide, np.array([1.0, 10.0, 100.0]))[0, :, 0]
    np.testing.assert_array_equal(got, [210, 321, 32])
    np.testing.assert_array_equal(pac.smooth(guide, "gaussian")[0, :, 0], [1, 2, 2])
    impulse = np.zeros((1, 5, 5, 1))
    impulse[0, 2, 2] = 16
    expected = np.zeros((5, 5))
    expected[1:4, 1:4] = [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
    np.testing.assert_array_equal(pac.smooth(impulse, "gaussian")[0, :, :, 0], expected)


def test_a_smoothed_centre_outside_sees_the_image_from_near_by():
    guide = np.array([4.0, 0.0]).reshape(1, 2, 1)
    k = pac.affinity(guide, (1,), padding=2, smoothing="gaussian")[0, :, 0]
    # Centres at -2 .. 3, where the guide is [0, 0, 4, 0, 0, 0] and its smoothed copy as below.
    difference = np.array([0, 0, 4, 0, 0, 0]) - np.array([0, 1, 2, 1, 0, 0])
    np.testing.assert_allclose(k, np.exp(-0.5 * difference**2.0), rtol=1e-15)


def test_smoothing_is_not_dilated_with_the_window():
    guide = np.zeros((1, 7, 1))
    guide[0, 2] = 4
    k = pac.affinity(guide, (3,), dilation=3, smoothing="gaussian")[0, 3]
    # Around position 3: taps at 0, 3, 6, all 0, and the smoothed centre 1.
    np.testing.assert_allclose(k, np.exp(-0.5) * np.ones(3), rtol=1e-15)


def test_constant_guide_and_normalised_pooling_is_the_mean_of_the_image():
    inputs = np.arange(6.0).reshape(1, 6, 1)
    got = pac.pool(inputs, np.zeros((1, 6, 2)), (3,), strides=2, padding=1, normalize=True)
    np.testing.assert_allclose(got[0, :, 0], [0.5, 2, 4], rtol=1e-15)


def test_a_mask_alone_keeps_the_share_of_known_samples():
    """The factor, sum M / sum V, counts neither padding nor K."""
    inputs = np.array([1.0, 2.0, 4.0]).reshape(1, 3, 1)
    mask = np.array([1.0, 1.0, 0.0]).reshape(1, 3, 1)
    kernel = np.ones((3, 1, 1))
    got = pac.conv(inputs, np.zeros((1, 3, 1)), kernel, mask=mask)[0, :, 0]
    # 2 of 2 known at the border, 2 of 3 in the middle, 1 of 2 at the other border.
    np.testing.assert_allclose(got, [3, 3 * 3 / 2, 2 * 2], rtol=1e-15)


def test_a_mask_alone_on_a_transposed_convolution_counts_real_samples_only():
    inputs = np.array([1.0, 2.0]).reshape(1, 2, 1)
    mask = np.array([1.0, 0.0]).reshape(1, 2, 1)
    kernel = np.ones((3, 1, 1))
    got = pac.conv_transpose(inputs, np.zeros((1, 3, 1)), kernel, strides=2, padding=1, mask=mask)
    # Spread: [1, 0, 2]; the middle output meets both samples, the outer ones one each.
    np.testing.assert_allclose(got[0, :, 0], [1, 1 * 2, 0], rtol=1e-15)
    onward = pac.propagate_mask_transpose(mask, (3,), strides=2, padding=1)
    np.testing.assert_array_equal(onward[0, :, 0], [1, 1, 0])


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("operator", ["conv", "conv_transpose", "pool"])
def test_masked_samples_are_not_read_and_empty_windows_give_the_bias(operator, normalize):
    rng = np.random.default_rng(3)
    inputs = rng.standard_normal((1, 7, 6, 2))
    guide = rng.standard_normal((1, 7, 6, 2))
    mask = (rng.random((1, 7, 6, 1)) < 0.5).astype(float)
    mask[0, :3, :3] = 0
    kernel, bias = rng.standard_normal((3, 3, 2, 2)), np.array([5.0, 7.0])

    def run(values):
        options = {"padding": 1, "mask": mask, "normalize": normalize}
        if operator == "pool":
            return pac.pool(values, guide, (3, 3), **options) + bias
        return getattr(pac, operator)(values, guide, kernel, bias, **options)

    clean = run(inputs)
    dirty = run(np.where(mask == 0, np.nan, inputs))
    np.testing.assert_array_equal(dirty, clean)
    np.testing.assert_array_equal(clean[0, 1, 1], bias)
    propagate = pac.propagate_mask_transpose if operator == "conv_transpose" else pac.propagate_mask
    onward = propagate(mask, (3, 3), padding=1)
    assert onward[0, 1, 1, 0] == 0
    assert set(np.unique(onward)) == {0, 1}


def test_a_masked_sample_of_the_guide_is_not_read_as_a_neighbour():
    guide = np.array([0.5, np.nan, 0.0, 0.25]).reshape(1, 4, 1)
    mask = np.array([1.0, 0.0, 1.0, 1.0]).reshape(1, 4, 1)
    for normalize in (False, True):
        k = pac.affinity(guide, (3,), padding=1, mask=mask, normalize=normalize)
        assert np.isfinite(k[0, [0, 2, 3]]).all()  # only the window centred on it is spoilt


def test_padding_wider_than_the_window_normalises_to_zero_not_nan():
    ones = np.ones((1, 3, 1))
    got = pac.pool(ones, ones, (3,), padding=4, normalize=True)
    np.testing.assert_array_equal(got[0, :, 0], [0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0][1:-1])
    masked = pac.pool(ones, ones, (3,), padding=4, mask=ones)
    assert np.isfinite(masked).all()


def test_an_affinity_that_underflows_everywhere_is_an_empty_window():
    guide = np.array([0.0, 100.0, 0.0]).reshape(1, 3, 1)
    mask = np.array([1.0, 0.0, 1.0]).reshape(1, 3, 1)
    k = pac.affinity(guide, (3,), padding=1, mask=mask, normalize=True)
    np.testing.assert_array_equal(k[0, 1], 0)
    raw = pac.affinity(guide, (3,), padding=1)
    onward = pac.propagate_mask(mask, (3,), padding=1, raw_affinity=raw)
    np.testing.assert_array_equal(onward[0, :, 0], [1, 0, 1])


def test_channel_wise_pooling_is_one_pooling_per_channel():
    rng = np.random.default_rng(4)
    inputs, guide = rng.standard_normal((2, 1, 5, 6, 3))
    options = {"strides": 2, "padding": 1, "normalize": True, "smoothing": "gaussian"}
    got = pac.pool(inputs, guide, (3, 3), channel_wise=True, **options)
    for i in range(3):
        alone = pac.pool(inputs[..., i : i + 1], guide[..., i : i + 1], (3, 3), **options)
        np.testing.assert_allclose(got[..., i : i + 1], alone, rtol=1e-14)


def test_groups_of_a_transposed_convolution_are_convolutions_side_by_side():
    rng = np.random.default_rng(5)
    inputs, guide = rng.standard_normal((1, 3, 4)), rng.standard_normal((1, 6, 2))
    kernel = rng.standard_normal((3, 2, 6))
    got = pac.conv_transpose(inputs, guide, kernel, strides=2, groups=2)
    halves = [
        pac.conv_transpose(inputs[..., i : i + 2], guide, kernel[..., j : j + 3], strides=2)
        for i, j in ((0, 0), (2, 3))
    ]
    np.testing.assert_allclose(got, np.concatenate(halves, -1), rtol=1e-14)


def test_wrong_sizes_are_refused():
    ones = np.ones((1, 4, 1))
    with pytest.raises(ValueError, match="odd"):
        pac.affinity(ones, (2,))
    with pytest.raises(ValueError, match="guide"):
        pac.conv_transpose(ones, ones, np.ones((3, 1, 1)), strides=2)
    with pytest.raises(ValueError, match="guide"):
        pac.conv(ones, np.ones((1, 5, 1)), np.ones((3, 1, 1)))


def test_directional_derivative_of_a_polynomial():
    a, b = np.array([1.0, 2.0]), np.float64(3.0)
    got = pac.directional_derivative(
        lambda u, v: np.sum(u**2) * v, (a, b), (np.array([1.0, -1.0]), 2.0)
    )
    assert got == pytest.approx(-2 * 3 + 5 * 2, rel=1e-8)
