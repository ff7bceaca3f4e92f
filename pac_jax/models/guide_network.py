"""A residual network on blocks of 4 x 4 pixels: what it says of each pixel steers the upsampling."""

from typing import Any

import jax
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

BLOCK = 4

# Share of the variance that keeps activations level (He et al. 2015) with which a residual block
# begins: near the identity.
_RESIDUAL_GAIN = 0.05
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

    The head begins at zero: before training the features are zero everywhere.

    Args:
        inputs: channels of the input, at a quarter of the size.
        outputs: channels of the features, at full size.
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
        outputs: int,
        *,
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
            BLOCK * BLOCK * outputs,
            _WINDOW,
            kernel_init=nnx.initializers.zeros,
            **options,
        )

    @property
    def reach(self) -> int:
        """Pixels at full size that a feature sees to each side, at most."""
        convolutions = 2 * len(self.blocks) + 2
        return BLOCK * (convolutions + 1) - 1

    def __call__(self, images: jax.Array) -> jax.Array:
        """(N, H / 4, W / 4, inputs) -> (N, H, W, outputs)."""
        features = nnx.relu(self.entry(images))
        for block in self.blocks:
            features = block(features)
        return depth_to_space(self.head(nnx.relu(features)), BLOCK)


def _he(gain: float) -> nnx.Initializer:
    return nnx.initializers.variance_scaling(2 * gain, "fan_in", "truncated_normal")
