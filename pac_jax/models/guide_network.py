"""A U-Net at a quarter of the image's size: it tells the filters of every level what to look at."""

from typing import Any

import jax
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

# Shares of the variance that keeps activations level (He et al. 2015): a residual block begins
# near the identity, and what comes up from a coarser level begins as small as what is there.
_RESIDUAL_GAIN = 0.05
_UPWARD_GAIN = 0.5


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
        self.first = nnx.Conv(features, features, (3, 3), kernel_init=_he(1), **options)
        self.second = nnx.Conv(
            features, features, (3, 3), kernel_init=_he(_RESIDUAL_GAIN), **options
        )

    def __call__(self, images: jax.Array) -> jax.Array:
        """(N, H, W, C) -> (N, H, W, C)."""
        return images + self.second(nnx.relu(self.first(images)))


class GuideNetwork(nnx.Module):
    """Image and target at 1/4 of the size -> features for levels at 1/8, 1/4, 1/2 and full size.

    Three scales (1/4, 1/8, 1/16), two of them visited again on the way up. The heads begin at zero:
    before training the features are zero everywhere.

    Args:
        inputs: channels of the input, at a quarter of the size.
        outputs: channels of the features, at every level.
        features: channels at 1/4, 1/8 and 1/16 of the size.
        dtype: of the computation, as in `nnx.Conv`.
        param_dtype: of the parameters.
        precision: of the convolutions, as in `jax.lax`.
        rngs: of which `params` is drawn.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        features: tuple[int, int, int],
        *,
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
        fine, middle, coarse = features
        self.entry = nnx.Conv(inputs, fine, (3, 3), kernel_init=_he(1), **options)
        self.fine_down = ResidualBlock(fine, **options)
        self.to_middle = nnx.Conv(fine, middle, (2, 2), strides=2, kernel_init=_he(1), **options)
        self.middle_down = ResidualBlock(middle, **options)
        self.to_coarse = nnx.Conv(middle, coarse, (2, 2), strides=2, kernel_init=_he(1), **options)
        self.coarse = nnx.List([ResidualBlock(coarse, **options) for _ in range(2)])
        upward = {"kernel_init": _he(_UPWARD_GAIN), **options}
        self.from_coarse = nnx.Conv(coarse, 4 * middle, (1, 1), **upward)
        self.middle_up = ResidualBlock(middle, **options)
        self.from_middle = nnx.Conv(middle, 4 * fine, (1, 1), **upward)
        self.fine_up = nnx.List([ResidualBlock(fine, **options) for _ in range(2)])
        heads = {"kernel_init": nnx.initializers.zeros, **options}
        self.head_8 = nnx.Conv(middle, outputs, (1, 1), **heads)
        self.head_4 = nnx.Conv(fine, outputs, (1, 1), **heads)
        self.head_2 = nnx.Conv(fine, 4 * outputs, (1, 1), **heads)
        self.head_1 = nnx.Conv(fine, 16 * outputs, (1, 1), **heads)

    def __call__(self, images: jax.Array) -> dict[int, jax.Array]:
        """Compute the features of all levels.

        Args:
            images: (N, H / 4, W / 4, inputs), H and W multiples of 16.

        Returns:
            By stride q = 8, 4, 2, 1: (N, H / q, W / q, outputs).
        """
        fine = self.fine_down(nnx.relu(self.entry(images)))
        middle = self.middle_down(nnx.relu(self.to_middle(fine)))
        coarse = nnx.relu(self.to_coarse(middle))
        for block in self.coarse:
            coarse = block(coarse)
        middle = self.middle_up(middle + depth_to_space(self.from_coarse(coarse), 2))
        fine = fine + depth_to_space(self.from_middle(middle), 2)
        for block in self.fine_up:
            fine = block(fine)
        fine, middle = nnx.relu(fine), nnx.relu(middle)
        return {
            8: self.head_8(middle),
            4: self.head_4(fine),
            2: depth_to_space(self.head_2(fine), 2),
            1: depth_to_space(self.head_1(fine), 4),
        }


def _he(gain: float) -> nnx.Initializer:
    return nnx.initializers.variance_scaling(2 * gain, "fan_in", "truncated_normal")
