"""Empty windows, tiny and empty images, and values that are not finite."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pac_jax
from tests.functional import cases
from tests.oracle import pac

OPERATORS = ["conv", "conv_transpose", "pool"]


def call(operator: str, arrays: dict, implementation, **options):
    """An operator at padding 1 and 3 x 3, so that guides of all operators have the inputs' size."""
    options = {"padding": 1, "implementation": implementation, **options}
    arrays = dict(arrays)
    inputs, guide = arrays.pop("inputs"), arrays.pop("guide")
    if operator == "pool":
        arrays.pop("kernel", None), arrays.pop("bias", None)
        return pac_jax.pac_pool(inputs, guide, (3, 3), **arrays, **options)
    return getattr(pac_jax, f"pac_{operator}")(inputs, guide, **arrays, **options)


def operands(size=(8, 9), channels: int = 2) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    arrays = {
        "inputs": rng.standard_normal((1, *size, channels)),
        "guide": 0.5 * rng.standard_normal((1, *size, 3)),
        "kernel": rng.standard_normal((3, 3, channels, 2)),
        "bias": np.array([3.0, -4.0]),
    }
    return {name: np.float32(array) for name, array in arrays.items()}


@functools.cache
def compiled(operator: str, implementation: str, options: tuple):
    """Output and gradients as a function of the arrays and of the output's cotangent."""

    @jax.jit
    def both(arrays, cotangent):
        output, pull_back = jax.vjp(
            lambda a: call(operator, a, implementation, **dict(options)), arrays
        )
        weights = jnp.ones_like(output) if cotangent is None else cotangent
        return output, pull_back(weights)[0]

    return both


def value_and_gradients(operator, arrays, implementation, cotangent=None, **options):
    run = compiled(operator, implementation, tuple(sorted(options.items())))
    return run(jax.tree.map(jnp.asarray, arrays), cotangent)


def assert_all_finite(tree):
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        assert np.isfinite(leaf).all(), path


# ----------------------------------------------------------------------------------- empty windows


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("operator", OPERATORS)
def test_fully_masked_windows_give_the_bias_and_no_gradient(operator, normalize, implementation):
    arrays = operands()
    mask = np.ones((1, 8, 9, 1), np.float32)
    mask[0, 1:6, 2:7] = 0  # nine windows see nothing: those centred on 2..4, 3..5
    nothing = np.zeros((1, 8, 9, 1), np.float32)
    nothing[0, 2:5, 3:6] = 1
    arrays["mask"] = mask
    onward = pac_jax.propagate_mask(mask, (3, 3), padding=1)
    np.testing.assert_array_equal(onward, 1 - nothing)
    output, gradients = value_and_gradients(
        operator, arrays, implementation, normalize=normalize, cotangent=nothing * np.ones(2, "f")
    )
    assert_all_finite((output, gradients))
    bias = 0 if operator == "pool" else arrays["bias"].reshape(1, 1, 2)
    np.testing.assert_array_equal(output[0, 2:5, 3:6], np.broadcast_to(bias, (3, 3, 2)))
    for name in set(gradients) - {"bias"}:
        np.testing.assert_array_equal(gradients[name], 0, err_msg=name)
    _, gradients = value_and_gradients(operator, arrays, implementation, normalize=normalize)
    assert_all_finite(gradients)
    np.testing.assert_array_equal(gradients["inputs"][0, 2:5, 3:6], 0)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("operator", OPERATORS)
def test_a_mask_of_zeros_everywhere(operator, normalize, implementation):
    arrays = {**operands(), "mask": np.zeros((1, 8, 9, 1), np.float32)}
    output, gradients = value_and_gradients(operator, arrays, implementation, normalize=normalize)
    assert_all_finite(gradients)
    bias = 0 if operator == "pool" else arrays["bias"].reshape(1, 1, 1, 2)
    np.testing.assert_array_equal(output, np.broadcast_to(bias, output.shape))


@pytest.mark.parametrize("operator", OPERATORS)
def test_windows_wholly_in_the_padding(operator, implementation):
    """Padding 4 puts three rows of windows on every side wholly outside."""
    arrays = operands((3, 4))
    if operator == "conv_transpose":
        arrays["guide"] = np.zeros((1, 9, 10, 3), np.float32)
    for normalize, mask in ((True, {}), (False, {"mask": np.ones((1, 3, 4, 1), np.float32)})):
        output, gradients = value_and_gradients(
            operator, arrays | mask, implementation, padding=4, normalize=normalize
        )
        assert output.shape == (1, 9, 10, 2)
        assert_all_finite((output, gradients))
        bias = np.zeros(2) if operator == "pool" else arrays["bias"]
        np.testing.assert_array_equal(np.asarray(output)[0, :2, 0], np.stack([bias, bias]))
        assert np.all(np.asarray(output)[0, 4, 4] != bias)


def test_an_affinity_of_zero_everywhere_is_an_empty_window(implementation):
    """Features so far apart that the Gaussian is exactly 0, at a centre that is itself masked."""
    inputs, guide = np.ones((1, 3, 1), "f"), np.float32([0, 1e3, 0]).reshape(1, 3, 1)
    mask = np.float32([1, 0, 1]).reshape(1, 3, 1)
    output, (by_inputs, by_guide) = jax.value_and_grad(
        lambda x, f: pac_jax.pac_pool(
            x, f, (3,), padding=1, mask=mask, normalize=True, implementation=implementation
        )[0, 1, 0],
        argnums=(0, 1),
    )(inputs, guide)
    assert output == 0
    np.testing.assert_array_equal(by_inputs, 0)
    np.testing.assert_array_equal(by_guide, 0)


@pytest.mark.parametrize("distance", [5.0, 9.5, 11.0, 13.0])
def test_gradients_are_right_where_every_affinity_is_tiny(distance, implementation):
    """A normalised sum of K = exp(-60) or exp(-84): K is a float32, and its square is 0 there."""
    inputs = np.float32([1, 7, 3]).reshape(1, 3, 1)
    guide = np.float32([0, distance, 0.1]).reshape(1, 3, 1)
    mask = np.float32([1, 0, 1]).reshape(1, 3, 1)

    def middle(inputs, guide, mask=mask):
        run = {"padding": 1, "mask": mask, "normalize": True, "implementation": implementation}
        return pac_jax.pac_pool(inputs, guide, (3,), **run)[0, 1, 0]

    got = jax.jit(jax.value_and_grad(middle, argnums=(0, 1)))(inputs, guide)
    with jax.enable_x64(True):
        exact = jax.value_and_grad(middle, argnums=(0, 1))(
            *map(jnp.float64, (inputs, guide)), jnp.float64(mask)
        )
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(exact), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


def test_normalised_upsampling_under_a_sharp_guide_trains(implementation):
    """Most outputs of a transposed convolution are no sample themselves, so no K is 1 there."""
    rng = np.random.default_rng(0)
    inputs, kernel = np.float32(rng.standard_normal((1, 4, 1))), np.ones((5, 1, 1), "f")
    guide = np.float32(rng.uniform(0, 40, (1, 8, 1)))

    def loss(inputs, guide):
        run = {"strides": 2, "normalize": True, "implementation": implementation}
        return jnp.sum(pac_jax.pac_conv_transpose(inputs, guide, kernel, **run))

    assert_all_finite(jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(inputs, guide))


# ------------------------------------------------------------------------- tiny and empty operands


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_image_of_one_pixel(operator, implementation):
    """Its only neighbour is itself, under the kernel's middle."""
    arrays = operands((1, 1))
    plain = call(operator, arrays, implementation)
    normalised = call(operator, arrays, implementation, normalize=True)
    x, kernel = arrays["inputs"][0, 0, 0], arrays["kernel"][1, 1]
    expected = x if operator == "pool" else x @ kernel + arrays["bias"]
    for output in (plain, normalised):
        assert output.shape == (1, 1, 1, 2)
        np.testing.assert_allclose(output[0, 0, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("operator", OPERATORS)
def test_no_images_and_no_pixels(operator, normalize, implementation):
    for batch, size, padding, expected in [
        (0, (4, 5), 1, (0, 4, 5, 2)),  # zero batch
        (1, (4, 5), -1, (1, 0, 1, 2)),  # cropped to nothing
        (1, (0, 5), 1, (1, 0, 5, 2)),  # no rows
    ]:
        arrays = {
            "inputs": np.zeros((batch, *size, 2), np.float32),
            "guide": np.zeros((batch, *size, 3), np.float32),
            "kernel": np.zeros((3, 3, 2, 2), np.float32),
        }
        if operator == "conv_transpose":
            arrays["guide"] = np.zeros((*expected[:-1], 3), np.float32)
        output, gradients = value_and_gradients(
            operator, arrays, implementation, padding=padding, normalize=normalize
        )
        assert output.shape == expected
        used = {k: v.shape for k, v in arrays.items()}
        assert {k: g.shape for k, g in gradients.items()} == used
        assert_all_finite(gradients)


def test_affinity_of_no_images_and_no_pixels():
    for guide, padding, expected in [
        ((0, 4, 5, 2), "SAME", (0, 4, 5, 3, 3)),
        ((1, 4, 5, 2), -1, (1, 0, 1, 3, 3)),
        ((1, 0, 5, 2), "SAME", (1, 0, 5, 3, 3)),
    ]:
        for options in ({}, {"normalize": True}, {"affinity": pac_jax.Gaussian("gaussian")}):
            got = pac_jax.pac_affinity(np.zeros(guide, "f"), (3, 3), padding=padding, **options)
            assert got.shape == expected


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_guide_of_one_channel(operator, implementation):
    arrays = operands()
    arrays["guide"] = arrays["guide"][..., :1]
    geometry = {"strides": 1, "padding": 1, "dilation": 1}
    if operator == "pool":
        arrays = {k: v for k, v in arrays.items() if k in ("inputs", "guide")}
    case = cases.Case(operator, (3, 3), arrays, geometry)
    np.testing.assert_allclose(case.evaluate(implementation), case.expected(), rtol=1e-4, atol=1e-4)


# ---------------------------------------------------------------------- values that are not finite

PLACE = (4, 3)
NEAR = np.zeros((1, 8, 9, 1), bool)
NEAR[0, 3:6, 2:5] = True  # the 3 x 3 windows that see PLACE
NEARER = np.zeros((1, 8, 9, 1), bool)
NEARER[0, 2:7, 1:6] = True  # the neighbours of those


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
@pytest.mark.parametrize("name", ["inputs", "guide"])
@pytest.mark.parametrize("operator", OPERATORS)
def test_what_is_not_finite_stays_within_its_window(operator, name, bad, implementation):
    arrays = operands()
    clean, expected = value_and_gradients(operator, arrays, implementation, normalize=True)
    arrays[name][0, *PLACE] = bad
    output, gradients = value_and_gradients(operator, arrays, implementation, normalize=True)
    far = ~NEAR[0, ..., 0]
    np.testing.assert_array_equal(output[0][far], clean[0][far])
    if bad is np.nan:
        assert np.isnan(output[0][~far]).all()
    for by in ("inputs", "guide"):
        reach = NEARER
        if by == "inputs" and name == "inputs":
            reach = np.zeros_like(NEAR)  # linear in the inputs: their values do not matter
        beyond = ~reach[0, ..., 0]
        got = gradients[by][0][beyond]
        np.testing.assert_allclose(got, expected[by][0][beyond], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["inputs", "guide"])
def test_what_is_not_finite_stays_within_its_channel_or_group(name, implementation):
    """Depthwise and channel-wise: one channel's NaN is not another's."""
    arrays = operands()
    inputs, guide = arrays["inputs"], arrays["guide"][..., :2].copy()
    {"inputs": inputs, "guide": guide}[name][0, *PLACE, 0] = np.nan
    run = {"padding": 1, "implementation": implementation}
    outputs = [pac_jax.pac_pool(inputs, guide, (3, 3), channel_wise=True, **run)]
    if name == "inputs":
        kernel = arrays["kernel"][..., :1, :]
        outputs += [
            pac_jax.pac_conv(inputs, guide, kernel, feature_group_count=2, **run),
            pac_jax.pac_pool(inputs, guide, (3, 3), **run),
        ]
    for output in outputs:
        assert np.isfinite(output[..., 1]).all()
        np.testing.assert_array_equal(np.isfinite(output[..., 0]), ~NEAR[..., 0])


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("operator", OPERATORS)
def test_an_input_under_a_mask_of_zero_does_not_matter_at_all(
    operator, bad, normalize, implementation
):
    arrays = operands()
    rng = np.random.default_rng(1)
    arrays["mask"] = cases.draw_mask(rng, "soft", (1, 8, 9, 1))["mask"].astype(np.float32)
    clean = value_and_gradients(operator, arrays, implementation, normalize=normalize)
    dirty = {**arrays, "inputs": np.where(arrays["mask"] == 0, np.float32(bad), arrays["inputs"])}
    spoilt = value_and_gradients(operator, dirty, implementation, normalize=normalize)
    # What the mask's own gradient is at a sample that is not read depends on the sample.
    clean[1].pop("mask"), spoilt[1].pop("mask")
    for a, b in zip(jax.tree.leaves(spoilt), jax.tree.leaves(clean), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("operator", OPERATORS)
def test_a_guide_under_a_mask_of_zero_is_not_read_as_a_neighbour(
    operator, normalize, implementation
):
    """Only the windows centred on it are spoilt, and not even they where all they see is masked."""
    arrays = operands()
    mask = np.ones((1, 8, 9, 1), np.float32)
    mask[0, 1:6, 1:6] = 0
    mask[0, 6, 7] = 0
    hidden = np.zeros((8, 9), bool)
    hidden[3, 3] = hidden[6, 7] = True  # in the middle of a hole, and alone
    arrays["mask"] = mask
    clean, _ = value_and_gradients(operator, arrays, implementation, normalize=normalize)
    arrays["guide"][0, hidden] = np.nan
    output, _ = value_and_gradients(operator, arrays, implementation, normalize=normalize)
    expected = np.isfinite(clean[0])
    expected[6, 7] = False
    np.testing.assert_array_equal(np.isfinite(output[0]), expected)
    np.testing.assert_array_equal(output[0][expected], clean[0][expected])


@pytest.mark.parametrize("normalize", [False, True])
def test_a_hole_in_the_guide_and_in_the_mask_has_no_gradient(normalize, implementation):
    """A hole that is wider than the window: nothing in its middle is read."""
    arrays = operands()
    arrays["mask"] = np.ones((1, 8, 9, 1), np.float32)
    arrays["mask"][0, 1:6, 1:6] = 0
    clean, expected = value_and_gradients("conv", arrays, implementation, normalize=normalize)
    arrays["guide"][0, 2:5, 2:5] = np.nan
    output, gradients = value_and_gradients("conv", arrays, implementation, normalize=normalize)
    np.testing.assert_array_equal(output, clean)
    gradients["guide"] = gradients["guide"].at[0, 2:5, 2:5].set(0)
    expected["guide"] = expected["guide"].at[0, 2:5, 2:5].set(0)
    for name in ("inputs", "guide", "kernel", "bias"):
        np.testing.assert_array_equal(gradients[name], expected[name], err_msg=name)


@pytest.mark.parametrize("normalize", [False, True])
def test_affinity_of_a_masked_guide_that_is_not_finite(normalize):
    guide = np.float32([0.5, np.nan, 0.0, 0.25, np.nan, np.nan, np.nan, 1]).reshape(1, 8, 1)
    mask = np.float32([1, 0, 1, 1, 0, 0, 0, 1]).reshape(1, 8, 1)
    got = pac_jax.pac_affinity(guide, (3,), mask=mask, normalize=normalize)
    expected = pac.affinity(guide, (3,), padding=1, mask=mask, normalize=normalize)
    seen = np.isfinite(expected).all(axis=-1)
    assert seen.sum() == 5
    np.testing.assert_allclose(got[seen], expected[seen], rtol=1e-5)
    assert not np.isfinite(got[~seen]).all(axis=-1).any()
