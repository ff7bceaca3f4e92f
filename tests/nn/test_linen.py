"""The layers in Linen models, through nnx.bridge."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from pac_jax import Inverse
from pac_jax.nn import InverseAffinity, PacConv, PacConvTranspose, PacPool
from tests.nn import draw

IMAGE = draw.normal(0, 1, 6, 7, 3)
MEAN = jnp.full((3, 3), 1 / 9)


def learned_affinity(rngs):
    affinity = InverseAffinity(0.1, 0.5, smoothing=MEAN, learned=("alpha", "smoothing"))
    return PacConv(3, 4, (3, 3), affinity=affinity, rngs=rngs)


LAYERS = {
    "conv": nnx.bridge.ToLinen(PacConv, args=(3, 4, (3, 3))),
    "transpose": nnx.bridge.ToLinen(PacConvTranspose, args=(3, 4, (3, 3))),
    "pool": nnx.bridge.ToLinen(PacPool, args=((3, 3),), kwargs={"use_weights": True}),
    "fixed affinity": nnx.bridge.ToLinen(
        PacConv, args=(3, 4, (3, 3)), kwargs={"affinity": Inverse(0.1, 0.5, smoothing=MEAN)}
    ),
    "learned affinity": nnx.bridge.ToLinen(learned_affinity),
}


@pytest.mark.parametrize("name", LAYERS)
def test_init_apply_and_gradient(name):
    layer = LAYERS[name]
    outputs, variables = layer.init_with_output(jax.random.key(1), IMAGE, IMAGE)
    np.testing.assert_allclose(layer.apply(variables, IMAGE, IMAGE), outputs, atol=1e-6)

    @jax.jit
    def gradient(params):
        return jax.grad(
            lambda p: jnp.sum(layer.apply({**variables, "params": p}, IMAGE, IMAGE) ** 2)
        )(params)

    params = variables["params"]
    gradients = gradient(params)
    assert jax.tree.structure(gradients) == jax.tree.structure(params)
    assert all(bool(jnp.all(leaf != 0)) for leaf in jax.tree.leaves(gradients))
    if name == "learned affinity":
        assert set(params["affinity"]) == {"alpha", "smoothing"}


def test_the_parameters_applied_are_those_given():
    layer = LAYERS["conv"]
    variables = layer.init(jax.random.key(1), IMAGE, IMAGE)
    zeros = jax.tree.map(jnp.zeros_like, variables)
    assert bool(jnp.all(layer.apply(zeros, IMAGE, IMAGE) == 0))


def test_inside_a_linen_module():
    class Model(linen.Module):
        @linen.compact
        def __call__(self, image):
            features = linen.relu(linen.Conv(3, (3, 3))(image))
            return nnx.bridge.ToLinen(PacConv, args=(3, 4, (3, 3)))(features, image)

    outputs, variables = Model().init_with_output(jax.random.key(0), IMAGE)
    assert outputs.shape == (1, 6, 7, 4)
    assert set(variables["params"]) == {"Conv_0", "ToLinen_0"}
