"""Networks that compile at once and whose every dependence is known."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pac_jax.models import PacNet


class Fake(nnx.Module):
    """Repeats the target, and adds what the guide's neighbourhood and coarse grid hold.

    An output depends on the guide up to `reach` pixels away, weighted by distance, and on the mean
    of the block of a coarse grid that it lies in: so a cut at another place, or too near, shows.
    """

    def __init__(self, factor, *, reach=5, block=None, strength=1.0, margin=4):
        self.factor = factor
        self.reach = reach
        self.block = block or factor
        self.strength = strength
        # What it says of itself.
        self.margin = margin
        self.alignment = self.block
        self.receptive_field = max(self.reach, self.block)

    def __call__(self, target_low, guide):
        grey = guide.mean(-1, keepdims=True)
        ramp = jnp.arange(1.0, 2 * self.reach + 2)
        kernel = (ramp[:, None] + 2 * ramp[None, :])[..., None, None] / ramp.size**3
        near = jax.lax.conv_general_dilated(
            grey, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        n, height, width, _ = grey.shape
        a = self.block
        blocks = grey.reshape(n, height // a, a, width // a, a, 1).mean((2, 4), keepdims=True)
        coarse = jnp.broadcast_to(blocks, (n, height // a, a, width // a, a, 1))
        near = near + coarse.reshape(n, height, width, 1)
        repeated = jnp.repeat(jnp.repeat(target_low, self.factor, 1), self.factor, 2)
        return repeated + self.strength * near


class Whole(nnx.Module):
    """Repeats the target; does not tell how it may be cut."""

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, target_low, guide):
        del guide
        return jnp.repeat(jnp.repeat(target_low, self.factor, 1), self.factor, 2)


def pac_net(factor, **options):
    """A small PacNet with random parameters."""
    stages = (3,) * (factor.bit_length() - 1)
    features = {"target_branch": (4, 3), "guide_branch": (4,), "final_branch": (2,)}
    model = nnx.eval_shape(
        lambda: PacNet(
            factor, group_features=2, stages=stages, rngs=nnx.Rngs(0), **features, **options
        )
    )
    return filled(model)


def filled(model):
    """The model with parameters drawn by NumPy, which compiles nothing."""
    generator = np.random.default_rng(0)
    for _, parameter in nnx.to_flat_state(nnx.state(model, nnx.Param)):
        inputs = max(np.prod(parameter.shape[:-1]), 1)
        # More positive than negative, so that no ReLU is closed everywhere.
        values = generator.uniform(-1, 2, parameter.shape) / np.sqrt(inputs)
        parameter.set_value(jnp.asarray(values, jnp.float32))
    return model


def random(seed, *shape):
    return np.random.default_rng(seed).random(shape, np.float32)
