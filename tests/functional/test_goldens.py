"""Every golden of the operators: outputs, affinities, masks and all gradients, in float64."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pac_jax
from tests.oracle import goldens

pytestmark = pytest.mark.usefixtures("x64")

# Every case is run once: what LLVM makes faster does not pay.
FAST_COMPILATION = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}

OPERATORS = goldens.goldens_folder() / "operators"
PATHS = [
    path
    for prefix in ("conv", "conv_transpose", "pool")
    for path in goldens.golden_paths(OPERATORS, prefix)
]


def parameters(needed: str = "output"):
    """The goldens that hold an array of this name, or one that skips where there are none."""
    found = [case for case in map(goldens.load, PATHS) if needed in case.arrays]
    if not found:
        return [pytest.param(None, marks=pytest.mark.skip(goldens.REASON_WHEN_ABSENT))]
    return [pytest.param(case, id=case.name) for case in found]


def library_affinity(case: goldens.Case, alpha, exponent):
    if case.affinity.name == "gaussian":
        return pac_jax.Gaussian(case.smoothing)
    asymmetric = case.affinity.asymmetric
    return pac_jax.Inverse(alpha, exponent, asymmetric=asymmetric, smoothing=case.smoothing)


def geometry(case: goldens.Case) -> dict:
    own = dict(case.geometry)
    return {"kernel_dilation": own.pop("dilation"), **own}


def run(case: goldens.Case, values: dict, implementation: str):
    options = {
        "affinity": library_affinity(case, values.get("alpha"), values.get("exponent")),
        "normalize": case.normalize,
        "mask": case.mask,
        "implementation": implementation,
        **geometry(case),
    }
    inputs, guide = values["inputs"], values["guide"]
    if case.meta["op"] == "pac_pool":
        options["channel_wise"] = case.channel_wise
        return pac_jax.pac_pool(inputs, guide, case.window, **options)
    if case.shared_filters:
        weights = values["kernel"][..., 0, 0]
        pooled = pac_jax.pac_pool(inputs, guide, case.window, weights=weights, **options)
        return pooled + values["bias"].reshape(1, 1, 1, -1)
    operator = pac_jax.pac_conv_transpose if case.transposed else pac_jax.pac_conv
    return operator(inputs, guide, values["kernel"], values["bias"], **options)


@pytest.mark.parametrize("case", parameters())
def test_output_and_every_gradient(case, implementation):
    values = {
        name: case.arrays[name]
        for name in ("inputs", "guide", "kernel", "bias")
        if name in case.arrays
    }
    if case.affinity.name == "inverse":
        values |= {
            "alpha": np.float64(case.affinity.alpha),
            "exponent": np.float64(case.affinity.exponent),
        }

    @partial(jax.jit, compiler_options=FAST_COMPILATION)
    def both(values):
        output, pull_back = jax.vjp(lambda v: run(case, v, implementation), values)
        return output, pull_back(case.arrays["cotangent"])[0]

    output, gradients = both(jax.tree.map(jnp.asarray, values))
    tolerance = {"rtol": 0, "atol": case.meta["tolerance"]}
    assert output.dtype == np.float64
    np.testing.assert_allclose(output, case.arrays["output"], **tolerance)
    compared = [name for name in case.arrays if name.startswith("d_")]
    assert {"d_inputs", "d_guide"} <= set(compared)
    for name in compared:
        got = gradients[name.removeprefix("d_")]
        np.testing.assert_allclose(got, case.arrays[name], **tolerance, err_msg=name)


@pytest.mark.parametrize("case", parameters("affinity"))
def test_affinity(case):
    affinity = library_affinity(case, case.affinity.alpha, case.affinity.exponent)
    got = pac_jax.pac_affinity(
        case.arrays["guide"],
        case.window,
        affinity=affinity,
        normalize=case.normalize,
        mask=case.mask,
        **geometry(case),
    )
    np.testing.assert_allclose(got, case.arrays["affinity"], rtol=0, atol=case.meta["tolerance"])


@pytest.mark.parametrize("case", parameters("output_mask"))
def test_output_mask(case):
    got = pac_jax.propagate_mask(
        case.mask, case.window, transposed=case.transposed, **geometry(case)
    )
    np.testing.assert_array_equal(got, case.arrays["output_mask"])
