"""A residual network on blocks of 4 x 4 pixels: what it says of each pixel steers the upsampling."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

BLOCK = 4

# Share of the variance that keeps activations level (He et al. 2015) with which a residual block
# begins: near the identity.
_RESIDUAL_GAIN = 0.05
# The same for the features that begin at random: small beside colours, whose affinities they join.
_HEAD_GAIN = 0.005
_WINDOW = (3, 3)


def space_to_depth(images: jax.Array, block: int) -> jax.Array:
    """(N, H, W, C) -> (N, H / block, W / block, block * block * C)."""
    batch, height, width, channels = images.shape
    blocks = images.reshape(batch, height // block, block, width // block, block, channels)
    return lax.transpose(blocks, (0, 1, 3, 2, 4, 5)).reshape(
        batch, height // block, width // block, block * block * channels
    )


def depth_to_space(images: jax.Array, block: int) -> jax.Array:
    """(N, h, w, block * block * C) -> (N, block * h, block * w, C)."""
    batch, height, width, features = images.shape
    channels = features // (block * block)
    blocks = images.reshape(batch, height, width, block, block, channels)
    return lax.transpose(blocks, (0, 1, 3, 2, 4, 5)).reshape(
        batch, height * block, width * block, channels
    )


class ResidualBlock(nnx.Module):
    """x + conv(relu(conv(x))), 3 x 3.

    Args:
        features: number of channels.
        options: of `nnx.Conv`: dtype, param_dtype, precision, rngs.
    """

    def __init__(self, features: int, **options: Any):
        self.first = nnx.Conv(features, features, _WINDOW, kernel_init=_he(1), **options)
        self.second = nnx.Conv(
            features, features, _WINDOW, kernel_init=_he(_RESIDUAL_GAIN), **options
        )

    def __call__(self, images: jax.Array) -> jax.Array:
        """(N, H, W, C) -> (N, H, W, C)."""
        return images + self.second(nnx.relu(self.first(images)))


class GuideNetwork(nnx.Module):
    """Residual blocks at a quarter of the size; every pixel of a block has channels of its own.

    Args:
        inputs: channels of the input, at a quarter of the size.
        from_zero: channels of the features, at full size, that are zero before training.
        from_random: channels that follow them and begin at random: features that an affinity
            compares. Were they equal everywhere, it would have no gradient, and they would stay so.
        features: channels of the residual blocks.
        blocks: number of residual blocks.
        dtype: of the computation, as in `nnx.Conv`.
        param_dtype: of the parameters.
        precision: of the convolutions, as in `jax.lax`.
        rngs: of which `params` is drawn.
    """

    def __init__(
        self,
        inputs: int,
        *,
        from_zero: int,
        from_random: int,
        features: int,
        blocks: int,
        dtype: DTypeLike | None,
        param_dtype: DTypeLike,
        precision: lax.PrecisionLike,
        rngs: nnx.Rngs,
    ):
        options: dict[str, Any] = {
            "dtype": dtype,
            "param_dtype": param_dtype,
            "precision": precision,
            "rngs": rngs,
        }
        self.entry = nnx.Conv(inputs, features, _WINDOW, kernel_init=_he(1), **options)
        self.blocks = nnx.List([ResidualBlock(features, **options) for _ in range(blocks)])
        self.head = nnx.Conv(
            features,
            BLOCK * BLOCK * (from_zero + from_random),
            _WINDOW,
            kernel_init=_head_init(from_zero, from_random),
            **options,
        )

    @property
    def reach(self) -> int:
        """Pixels at full size that a feature sees to each side, at most."""
        convolutions = 2 * len(self.blocks) + 2
        return BLOCK * (convolutions + 1) - 1

    def __call__(self, images: jax.Array) -> jax.Array:
        """(N, H / 4, W / 4, inputs) -> (N, H, W, from_zero + from_random)."""
        features = nnx.relu(self.entry(images))
        for block in self.blocks:
            features = block(features)
        return depth_to_space(self.head(nnx.relu(features)), BLOCK)


@cache
def _he(gain: float) -> nnx.Initializer:
    # As one program, so that kernels of one shape are traced once: most of the time of building.
    initial = nnx.initializers.variance_scaling(2 * gain, "fan_in", "truncated_normal")
    return jax.jit(initial, static_argnums=(1, 2))


def _head_init(from_zero: int, from_random: int) -> nnx.Initializer:
    """Kernels of the head: a block's pixels one after another, in each its channels."""

    def initial(key: jax.Array, shape: tuple[int, ...], *options: Any) -> jax.Array:
        is_random = jnp.arange(shape[-1]) % (from_zero + from_random) >= from_zero
        return jnp.where(is_random, _he(_HEAD_GAIN)(key, shape, *options), 0)

    return initial
