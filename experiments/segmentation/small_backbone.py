"""A fully convolutional network that trains in minutes on two cores."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pac_jax.crf import Fixed
from pac_jax.models.guide_network import ResidualBlock

STRIDE = 16
_LAST = 8  # what the scores are upsampled by

_WINDOW = (3, 3)
_HE = nnx.initializers.variance_scaling(2.0, "fan_in", "truncated_normal")
_MEAN = 0.4  # about that of photographs in [0, 1]
_SPREAD = 4.0


class SmallFCN(nnx.Module):
    """Scores at strides 8 and 16, added and interpolated to the image's size, as FCN-8s does.

    The last upsampling is a transposed convolution that stays bilinear, and may be swapped. Stages of
    strides 2, 4, 8 and 16, the last two with residual blocks; the last also sees its mean
    over the image. 1.3 million parameters with the usual widths.

    Args:
        classes: L.
        features: channels of the four stages.
        blocks: residual blocks of the stages of strides 8 and 16.
        rngs: of which `params` is drawn.
    """

    def __init__(
        self,
        classes: int,
        *,
        features: tuple[int, int, int, int] = (24, 48, 80, 128),
        blocks: tuple[int, int] = (2, 3),
        rngs: nnx.Rngs,
    ):
        options: dict[str, Any] = {"kernel_init": _HE, "rngs": rngs}

        def halving(inputs: int, outputs: int) -> nnx.Conv:
            return nnx.Conv(inputs, outputs, _WINDOW, strides=2, **options)

        first, second, third, fourth = features
        self.stage2 = halving(3, first)
        self.stage4 = halving(first, second)
        self.stage8 = halving(second, third)
        self.blocks8 = nnx.List([ResidualBlock(third, rngs=rngs) for _ in range(blocks[0])])
        self.stage16 = halving(third, fourth)
        self.blocks16 = nnx.List([ResidualBlock(fourth, rngs=rngs) for _ in range(blocks[1])])
        self.context = nnx.Linear(fourth, fourth, kernel_init=nnx.initializers.zeros, rngs=rngs)
        self.scores8 = nnx.Conv(third, classes, (1, 1), rngs=rngs)
        self.scores16 = nnx.Conv(fourth, classes, (1, 1), rngs=rngs)
        # Sample n has its pixel at 8 n + 3; one sample is added at each end.
        self.upsampling = nnx.ConvTranspose(
            classes,
            classes,
            (2 * _LAST + 1,) * 2,
            strides=(_LAST, _LAST),
            padding=((_LAST // 2 - 1, _LAST // 2),) * 2,
            use_bias=False,
            rngs=rngs,
        )
        self.upsampling.kernel = Fixed(_bilinear(classes))  # type: ignore[assignment]

    def __call__(self, images: jax.Array) -> jax.Array:
        """Class scores of images.

        Args:
            images: (N, H, W, 3) in [0, 1].

        Returns:
            (N, H, W, L) logits.
        """
        size = images.shape[1:3]
        missing = [(0, 0), *((0, -n % STRIDE) for n in size), (0, 0)]
        images = jnp.pad(_SPREAD * (images - _MEAN), missing, mode="edge")
        features = nnx.relu(self.stage4(nnx.relu(self.stage2(images))))
        eighth = self.stage8(nnx.relu(features))
        for block in self.blocks8:
            eighth = block(eighth)
        eighth = nnx.relu(eighth)
        sixteenth = self.stage16(eighth)
        for block in self.blocks16:
            sixteenth = block(sixteenth)
        sixteenth = sixteenth + self.context(jnp.mean(sixteenth, axis=(1, 2), keepdims=True))
        coarse = self.scores16(nnx.relu(sixteenth))
        scores = self.scores8(eighth)
        scores = scores + jax.image.resize(coarse, scores.shape, "linear", antialias=False)
        scores = jnp.pad(scores, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="edge")
        return self.upsampling(scores)[:, : size[0], : size[1]]


def _bilinear(classes: int) -> jax.Array:
    """The kernel of bilinear interpolation, whose samples lie half a pixel after their pixels."""
    distance = np.abs(np.arange(-_LAST, _LAST + 1) + 0.5)
    tent = np.maximum(0, 1 - distance / _LAST).astype(np.float32)
    kernel = np.multiply.outer(tent, tent)[..., None, None] * np.eye(classes, dtype=np.float32)
    return jnp.asarray(kernel)
