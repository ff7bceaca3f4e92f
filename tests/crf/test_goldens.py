"""Outputs and gradients of the original's CRF, with its weights converted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pac_jax import convert, crf
from tests.crf.goldens import PATHS, needs_goldens, read

FINAL = {
    "log_Q": lambda logits: logits,
    "softmax": jax.nn.softmax,
    "log_softmax": jax.nn.log_softmax,
}

pytestmark = [needs_goldens, pytest.mark.usefixtures("x64")]


@pytest.mark.parametrize("remat", [False, True])
@pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])
def test_output_and_every_gradient(path, remat, implementation):
    if remat and implementation == "patches":
        pytest.skip("one of the implementations is enough")
    arrays, meta = read(path)
    terms, weights, per_step = convert.crf_from_torch(
        {n.removeprefix("state/"): a for n, a in arrays.items() if n.startswith("state/")},
        meta["pairwise"],
        dtype=jnp.float64,
    )
    assert per_step == meta["loose"]
    guides = [jnp.asarray(arrays[f"feature_{i}"]) for i in range(len(terms))]

    @jax.jit
    def both(unary, guides):
        def run(unary, guides):
            inference = crf.mean_field(
                unary,
                guides,
                weights,
                terms,
                steps=meta["num_steps"],
                per_step=per_step,
                remat=remat,
                implementation=implementation,
            )
            return FINAL[meta["final_output"]](inference.logits)

        output, pull_back = jax.vjp(run, unary, guides)
        return output, pull_back(jnp.asarray(arrays["cotangent"]))

    output, (d_unary, d_guides) = both(jnp.asarray(arrays["unary"]), guides)
    tolerance = {"rtol": 0, "atol": meta["tolerance"]}
    np.testing.assert_allclose(output, arrays["output"], **tolerance)
    np.testing.assert_allclose(d_unary, arrays["d_unary"], **tolerance)
    for number, (term, gradient) in enumerate(zip(terms, d_guides, strict=True)):
        if term.has_affinity:
            np.testing.assert_allclose(gradient, arrays[f"d_feature_{number}"], **tolerance)
