"""The convolution to one channel beside that of flax: values, and derivatives of both kinds."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.test_util import check_grads

from pac_jax.models.one_channel_conv import OneChannelConv


def pair(window, padding, **options):
    options = {"padding": padding, "bias_init": nnx.initializers.normal(), **options}
    return [kind(3, 1, window, rngs=nnx.Rngs(0), **options) for kind in (OneChannelConv, nnx.Conv)]


def images(dtype=np.float32):
    return jnp.asarray(np.random.default_rng(0).normal(size=(2, 6, 9, 3)), dtype)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize(
    ("window", "padding"),
    [((5, 5), ((2, 2), (2, 2))), ((4, 3), ((0, 1), (5, 0))), ((1, 1), ((0, 0), (0, 0)))],
)
def test_values_and_gradients_are_those_of_nnx(window, padding, dtype):
    ours, reference = pair(window, padding, dtype=dtype)
    chex.assert_trees_all_equal(nnx.state(ours), nnx.state(reference))
    outputs, expected = ours(images(dtype)), reference(images(dtype))
    assert outputs.dtype == expected.dtype == dtype
    tolerance = 2e-6 if dtype == jnp.float32 else 2e-2
    chex.assert_trees_all_close(outputs, expected, atol=tolerance)

    def value(layer, inputs):
        return jnp.sum(jnp.sin(layer(inputs).astype(jnp.float32)))

    gradients = [
        nnx.grad(value, argnums=(0, 1))(layer, images(dtype)) for layer in (ours, reference)
    ]
    chex.assert_trees_all_close(*gradients, atol=20 * tolerance, rtol=tolerance)


def test_a_sharding_of_the_outputs_is_refused():
    with pytest.raises(NotImplementedError, match="out_sharding is batch; it needs None"):
        pair((1, 1), "SAME")[0](images(), out_sharding="batch")


def test_it_has_derivatives_of_every_kind():
    graph, state = nnx.split(pair((3, 2), ((1, 1), (0, 1)))[0])

    def value(state, inputs):
        return jnp.sin(nnx.merge(graph, state)(inputs))

    check_grads(value, (state, images()), order=2, modes=("fwd", "rev"), rtol=2e-2, atol=2e-2)
