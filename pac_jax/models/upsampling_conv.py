"""A transposed convolution whose window is twice its stride."""

import jax
import jax.numpy as jnp
from flax import nnx
from flax.nnx.nn.dtypes import promote_dtype
from jax import lax
from jax.typing import DTypeLike

from pac_jax.models.guide_network import depth_to_space
from pac_jax.nn.initializers import linear_interpolation


class UpsamplingConv(nnx.Module):
    """A `nnx.ConvTranspose` of window 2 s at stride s without bias, that starts as bilinear.

    Every output meets two samples per axis, so this is one matrix product of four neighbours that
    gives the s x s outputs between them as channels. XLA's own form is slow on the CPU.

    Args:
        features: number of channels, in and out.
        stride: s.
        trimmed: outputs left out on every side of the s (size + 1) that samples reach.
        dtype: of the computation, as in `nnx.ConvTranspose`.
        param_dtype: of the parameters.
        precision: of the convolution, as in `jax.lax`.
        rngs: of which `params` is drawn.

    Attributes:
        kernel: `nnx.Param`, (2 s, 2 s, features, features), as that of `nnx.ConvTranspose`.
    """

    def __init__(
        self,
        features: int,
        stride: int,
        trimmed: int,
        *,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        precision: lax.PrecisionLike = None,
        rngs: nnx.Rngs,
    ):
        self.stride = stride
        self.trimmed = trimmed
        self.dtype = dtype
        self.precision = precision
        shape = (2 * stride, 2 * stride, features, features)
        self.kernel = nnx.Param(linear_interpolation(stride)(rngs.params(), shape, param_dtype))

    def __call__(self, images: jax.Array) -> jax.Array:
        """Upsample, (N, h, w, C) -> (N, s (h + 1) - 2 trimmed, s (w + 1) - 2 trimmed, C)."""
        images, kernel = promote_dtype((images, self.kernel[...]), dtype=self.dtype)
        s, channels = self.stride, kernel.shape[-1]
        # Output r of s behind a sample meets it at distance r, and the sample before at r + s.
        taps = kernel.reshape(2, s, 2, s, channels, channels)[:, ::-1, :, ::-1]
        taps = taps.transpose(0, 2, 4, 1, 3, 5).reshape(4 * channels, s * s * channels)
        height, width = images.shape[1:3]
        padded = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
        neighbours = [
            padded[:, row : row + height + 1, column : column + width + 1]
            for row in (0, 1)
            for column in (0, 1)
        ]
        phases = jnp.matmul(jnp.concatenate(neighbours, -1), taps, precision=self.precision)
        outputs = depth_to_space(phases, s)
        kept = [slice(self.trimmed, size - self.trimmed) for size in outputs.shape[1:3]]
        return outputs[:, kept[0], kept[1]]
