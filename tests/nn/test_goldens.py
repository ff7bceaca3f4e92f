"""The layers against the golden arrays: values, gradients of every parameter, masks that go on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pac_jax import Gaussian, Inverse
from pac_jax.nn import GaussianAffinity, InverseAffinity, PacConv, PacConvTranspose, PacPool
from tests.oracle import goldens

# The functional tests run all of them; these have what only a layer has, in every combination:
# learned, fixed and smoothed affinities, shared filters, masks, each operator.
NAMES = ["conv_02", "conv_12", "conv_14", "conv_transpose_01", "conv_transpose_05"]
NAMES += ["conv_06", "pool_02", "pool_07"]
PATHS = [goldens.goldens_folder() / "operators" / f"{name}.npz" for name in NAMES]


def affinity_of(case):
    """Everything that can be learned is learned."""
    kind, weights = case.affinity, case.smoothing
    if kind.name == "gaussian":
        return Gaussian() if weights is None else GaussianAffinity(weights, param_dtype=jnp.float64)
    if kind.fixed:
        return Inverse(kind.alpha, kind.exponent, kind.asymmetric, weights)
    learned = ("alpha", "exponent") if weights is None else ("alpha", "exponent", "smoothing")
    return InverseAffinity(
        kind.alpha,
        kind.exponent,
        asymmetric=kind.asymmetric,
        smoothing=weights,
        learned=learned,
        param_dtype=jnp.float64,
    )


def layer_of(case):
    options = {
        "strides": case.geometry["strides"],
        "padding": case.geometry["padding"],
        "kernel_dilation": case.geometry["dilation"],
        "affinity": affinity_of(case),
        "normalize": case.normalize,
        "param_dtype": jnp.float64,
    }
    if case.meta["op"] == "pac_pool":
        return PacPool(case.window, channel_wise=case.channel_wise, **options)
    kind = PacConvTranspose if case.transposed else PacConv
    layer = kind(
        case.arrays["inputs"].shape[-1],
        case.arrays["output"].shape[-1],
        case.window,
        shared_filter=case.shared_filters,
        rngs=nnx.Rngs(0),
        **options,
    )
    nnx.update(layer, {"kernel": case.arrays["kernel"], "bias": case.arrays["bias"]})
    return layer


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_values_and_gradients(path, x64):
    if not path.exists():
        pytest.skip(goldens.REASON_WHEN_ABSENT)
    case = goldens.load(path)
    layer = layer_of(case)
    graph, parameters, rest = nnx.split(layer, nnx.Param, ...)

    @jax.jit
    def outputs_and_gradients(parameters):
        def apply(parameters):
            called = nnx.merge(graph, parameters, rest)
            return called(case.arrays["inputs"], case.arrays["guide"], mask=case.mask)

        outputs, pull = jax.vjp(apply, parameters)
        return outputs, pull(jnp.asarray(case.arrays["cotangent"]))[0]

    outputs, gradients = outputs_and_gradients(parameters)
    tolerance = case.meta["tolerance"]
    np.testing.assert_allclose(outputs, case.arrays["output"], atol=tolerance, rtol=tolerance)
    gradients = nnx.to_pure_dict(gradients)
    found = {**gradients, **gradients.get("affinity", {})}
    for name in ("kernel", "bias", "alpha", "exponent"):
        if f"d_{name}" in case.arrays:
            expected = case.arrays[f"d_{name}"]
            np.testing.assert_allclose(found[name], expected, atol=tolerance, rtol=tolerance)
    if case.mask is not None:
        np.testing.assert_array_equal(layer.propagate_mask(case.mask), case.arrays["output_mask"])
