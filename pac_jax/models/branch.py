"""A stack of convolutions, the piece that all the networks are made of."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

from pac_jax.models.one_channel_conv import OneChannelConv
from pac_jax.nn.initializers import uniform_bias, uniform_kernel


class Branch(nnx.Module):
    """Square convolutions with ReLU between them and none after the last.

    Args:
        features: number of channels, the input's first and the output's last.
        windows: window size of each convolution.
        paddings: zero padding on every side, of each convolution.
        dtype: of the computation, as in `nnx.Conv`.
        param_dtype: of the parameters.
        precision: of the convolutions, as in `jax.lax`.
        rngs: of which `params` is drawn.

    Attributes:
        convs: `nnx.List` of `nnx.Conv`.
    """

    def __init__(
        self,
        features: Sequence[int],
        windows: Sequence[int],
        paddings: Sequence[int],
        *,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        precision: lax.PrecisionLike = None,
        rngs: nnx.Rngs,
    ):
        self.convs: nnx.List[nnx.Conv] = nnx.List([])
        options: dict[str, Any] = {
            "dtype": dtype,
            "param_dtype": param_dtype,
            "precision": precision,
            "rngs": rngs,
        }
        for (inputs, outputs), k, p in zip(pairwise(features), windows, paddings, strict=True):
            kind = OneChannelConv if outputs == 1 else nnx.Conv
            conv = kind(
                inputs,
                outputs,
                (k, k),
                padding=((p, p), (p, p)),
                kernel_init=uniform_kernel,
                bias_init=uniform_bias((k, k, inputs, outputs)),
                **options,
            )
            self.convs.append(conv)

    @property
    def reach(self) -> int:
        """How many pixels an output depends on, to each side."""
        return sum(conv.kernel_size[0] // 2 for conv in self.convs)

    def __call__(self, images: jax.Array) -> jax.Array:
        """Apply the stack, (N, H, W, C) -> (N, H', W', D)."""
        *hidden, last = self.convs
        for conv in hidden:
            images = nnx.relu(conv(images))
        return last(images)
