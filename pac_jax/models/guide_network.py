"""A residual network on blocks of 4 x 4 pixels: what it says of each pixel steers the upsampling."""

from functools import cache
from typing import Any

import jax
from flax import nnx
from jax import lax

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
    """Residual blocks at a quarter of the size.

    Args:
        inputs: channels of the input.
        features: channels of the residual blocks.
        blocks: number of residual blocks.
        options: of `nnx.Conv`: dtype, param_dtype, precision, rngs.
    """

    def __init__(self, inputs: int, features: int, blocks: int, **options: Any):
        self.entry = nnx.Conv(inputs, features, _WINDOW, kernel_init=_he(1), **options)
        self.blocks = nnx.List([ResidualBlock(features, **options) for _ in range(blocks)])

    @property
    def reach(self) -> int:
        """Pixels at full size that what a head says sees to each side, at most."""
        convolutions = 2 * len(self.blocks) + 2
        return BLOCK * (convolutions + 1) - 1

    def __call__(self, images: jax.Array) -> jax.Array:
        """(N, H / 4, W / 4, inputs) -> (N, H / 4, W / 4, features)."""
        features = nnx.relu(self.entry(images))
        for block in self.blocks:
            features = block(features)
        return nnx.relu(features)


class Head(nnx.Module):
    """What the network says of every pixel: a convolution with channels for each of a block's pixels.

    Args:
        features: channels of the network.
        channels: of every pixel.
        from_zero: whether they are zero before training; otherwise they begin at random, as features
            that an affinity compares have to: were they equal everywhere, it would have no gradient,
            and they would stay so.
        options: of `nnx.Conv`: dtype, param_dtype, precision, rngs.
    """

    def __init__(self, features: int, channels: int, *, from_zero: bool, **options: Any):
        initial = nnx.initializers.zeros_init() if from_zero else _he(_HEAD_GAIN)
        self.conv = nnx.Conv(
            features, BLOCK * BLOCK * channels, _WINDOW, kernel_init=initial, **options
        )

    def __call__(self, features: jax.Array) -> jax.Array:
        """(N, H / 4, W / 4, features) -> (N, H, W, channels)."""
        return depth_to_space(self.conv(features), BLOCK)


@cache
def _he(gain: float) -> nnx.Initializer:
    # As one program, so that kernels of one shape are traced once: most of the time of building.
    initial = nnx.initializers.variance_scaling(2 * gain, "fan_in", "truncated_normal")
    return jax.jit(initial, static_argnums=(1, 2))
