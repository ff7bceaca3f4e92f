"""Every operator against the float64 oracle over a wide random grid."""

import jax
import numpy as np
import pytest

import pac_jax
from tests.functional import cases
from tests.oracle import pac

pytestmark = pytest.mark.usefixtures("x64")

SEEDS = range(21)  # every padding in one to three dimensions


def assert_close(got, expected, tolerance=1e-11):
    assert got.dtype == np.float64
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("operator", ["conv", "conv_transpose"])
def test_convolutions(operator, seed, implementation):
    case = cases.draw(operator, seed)
    assert_close(case.evaluate(implementation), case.expected())


@pytest.mark.parametrize("seed", SEEDS)
def test_pooling(seed, implementation):
    case = cases.draw("pool", seed)
    assert_close(case.evaluate(implementation), case.expected())


def test_the_grid_is_as_wide_as_it_says():
    drawn = [
        cases.draw(operator, seed) for operator in ("conv", "conv_transpose") for seed in SEEDS
    ]
    assert {len(case.window) for case in drawn} == {1, 2, 3}
    assert {case.kernel.name for case in drawn} == set(cases.AFFINITIES)
    smoothed = [case for case in drawn if isinstance(case.kernel.smoothing, np.ndarray)]
    assert any(np.max(case.geometry["dilation"]) > 1 for case in smoothed)
    groups = {(case.options["feature_group_count"], len(case.window)) for case in drawn}
    assert groups == {(g, n) for g in (1, 2, 3) for n in (1, 2, 3)}
    masks = {("mask" in case.arrays, case.options["normalize"]) for case in drawn}
    assert len(masks) == 4
    empty_phases = mixed = shared = 0
    for case in drawn[len(SEEDS) :]:
        strides = np.broadcast_to(case.geometry["strides"], len(case.window))
        dilation = np.broadcast_to(case.geometry["dilation"], len(case.window))
        empty_phases += np.any(strides > case.window)
        mixed += len(set(strides)) > 1
        shared += np.any(np.gcd(strides, dilation) > 1)
    assert min(empty_phases, mixed, shared) >= 3
    assert all(case.expected().size for case in drawn[::7])


@pytest.mark.parametrize("seed", range(21))
def test_affinity(seed):
    case = cases.draw("pool", seed)
    options = {"normalize": case.options["normalize"], "channel_wise": case.options["channel_wise"]}
    mask = case.arrays.get("mask")
    got = jax.jit(
        lambda guide, mask, affinity: pac_jax.pac_affinity(
            guide, case.window, affinity=affinity, mask=mask, **options, **case.library_geometry
        )
    )(case.arrays["guide"], mask, case.kernel.library())
    expected = pac.affinity(
        case.arrays["guide"],
        case.window,
        kernel=case.kernel.oracle(),
        smoothing=case.kernel.smoothing,
        mask=mask,
        **options,
        **case.geometry,
    )
    assert_close(got, expected)


@pytest.mark.parametrize("seed", range(42))
@pytest.mark.parametrize("transposed", [False, True])
def test_mask_of_the_next_layer(transposed, seed):
    case = cases.draw("conv_transpose" if transposed else "conv", seed)
    rng = np.random.default_rng(seed)
    kind = ("hard", "soft")[seed % 2]
    mask = cases.draw_mask(rng, kind, (*case.arrays["inputs"].shape[:-1], 1))["mask"]
    got = pac_jax.propagate_mask(mask, case.window, transposed=transposed, **case.library_geometry)
    propagate = pac.propagate_mask_transpose if transposed else pac.propagate_mask
    np.testing.assert_array_equal(got, propagate(mask, case.window, **case.geometry))


@pytest.mark.parametrize("dtype", [bool, np.int32, np.float16, np.float32])
def test_mask_keeps_its_type_and_soft_values_do_not_vanish(dtype):
    mask = np.zeros((1, 9, 1), dtype)
    mask[0, 4] = 1 if dtype in (bool, np.int32) else np.finfo(dtype).tiny
    got = pac_jax.propagate_mask(mask, (3,))
    assert got.dtype == dtype
    np.testing.assert_array_equal(got[0, :, 0], [0, 0, 0, 1, 1, 1, 0, 0, 0])


def given_affinity(case: cases.Case) -> np.ndarray:
    """Any affinity at all, not only one that comes from a guide."""
    rng = np.random.default_rng(17)
    channels = case.arrays["inputs"].shape[-1:] if case.options.get("channel_wise") else ()
    return rng.standard_normal((*case.expected().shape[:-1], *case.window, *channels))


@pytest.mark.parametrize("seed", range(0, 21, 3))  # those without a mask
@pytest.mark.parametrize("operator", ["conv", "conv_transpose", "pool"])
def test_given_affinity(operator, seed, implementation):
    case = cases.draw(operator, seed)
    arrays = {k: v for k, v in case.arrays.items() if k != "guide"}
    inputs, rest = arrays.pop("inputs"), arrays
    weights = given_affinity(case)
    options = {k: v for k, v in case.options.items() if k != "normalize"}
    run = getattr(pac_jax, f"pac_{operator}_with_affinity")
    fixed = {**options, **case.library_geometry, "implementation": implementation}
    judge = getattr(pac, f"{operator}_with_affinity")
    if operator == "pool":
        got = jax.jit(lambda x, k, rest: run(x, k, case.window, **rest, **fixed))(
            inputs, weights, rest
        )
        expected = judge(inputs, weights, case.window, **rest, **case.geometry)
    else:
        got = jax.jit(lambda x, k, rest: run(x, k, **rest, **fixed))(inputs, weights, rest)
        groups = options["feature_group_count"]
        expected = judge(inputs, weights, **rest, groups=groups, **case.geometry)
    assert_close(got, expected)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("operator", ["conv", "conv_transpose", "pool"])
def test_given_affinity_is_the_affinity_that_the_operator_would_compute(
    operator, masked, normalize, implementation
):
    """Masked and normalised in the operator that is given it, as in the one that computes it."""
    case = cases.draw(operator, 8).with_(options={"normalize": normalize})
    rng = np.random.default_rng(5)
    inputs = case.arrays["inputs"]
    mask = cases.draw_mask(rng, "soft" if masked else "none", (*inputs.shape[:-1], 1))
    arrays = {"inputs": inputs, "guide": case.arrays["guide"], **mask}
    last = (case.window,)
    if operator != "pool":
        arrays["kernel"] = rng.standard_normal((*case.window, inputs.shape[-1], 2))
        last = (arrays["kernel"],)
    geometry = case.library_geometry
    own = dict(geometry)
    if operator == "conv_transpose":
        own |= {"strides": 1, "padding": "SAME"}
    kernel = case.kernel.library()
    given = pac_jax.pac_affinity(arrays["guide"], case.window, affinity=kernel, **own)
    got = getattr(pac_jax, f"pac_{operator}_with_affinity")(
        inputs, given, *last, **case.options, **mask, **geometry, implementation=implementation
    )
    assert_close(got, case.with_(arrays=arrays).expected())
