"""VGG-16's convolutions, the backbone of the segmentation networks."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

# How many convolutions each block has.
_DEPTHS = (2, 2, 3, 3, 3)


class VGG16(nnx.Module):
    """The five blocks of VGG-16: 3 x 3 convolutions with ReLU, then 2 x 2 max pooling.

    Pooling rounds sizes up, so that an image may have any size.

    Args:
        image_features: number of channels of the images.
        features: of the convolutions of each of the five blocks.
        first_padding: zeros on every side at the first convolution; the others have 1.
        dtype: of the computation, as in `nnx.Conv`.
        param_dtype: of the parameters.
        precision: of the convolutions, as in `jax.lax`.
        rngs: of which `params` is drawn.

    Attributes:
        blocks: `nnx.List` of `ReLUConvs`, whose outputs are not pooled yet.

    Raises:
        ValueError: there are not five blocks.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from pac_jax.models import VGG16
        >>> model = VGG16(features=(4, 8, 16, 16, 16), rngs=nnx.Rngs(0))
        >>> [pooled.shape[1:] for pooled in model(jnp.ones((1, 50, 71, 3)))][2:]
        [(7, 9, 16), (4, 5, 16), (2, 3, 16)]

    Reference:
        Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
        Recognition", ICLR 2015, configuration D.
    """

    def __init__(
        self,
        *,
        image_features: int = 3,
        features: Sequence[int] = (64, 128, 256, 512, 512),
        first_padding: int = 1,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        precision: lax.PrecisionLike = None,
        rngs: nnx.Rngs,
    ):
        if len(features) != len(_DEPTHS):
            raise ValueError(
                f"features is {tuple(features)}; VGG-16 needs five, one for each block"
            )
        paddings = [[1] * depth for depth in _DEPTHS]
        paddings[0][0] = first_padding
        self.blocks = nnx.List(
            [
                ReLUConvs(
                    channels,
                    padding,
                    dtype=dtype,
                    param_dtype=param_dtype,
                    precision=precision,
                    rngs=rngs,
                )
                for channels, padding in zip(
                    pairwise((image_features, *features)), paddings, strict=True
                )
            ]
        )

    def __call__(self, images: jax.Array) -> list[jax.Array]:
        """Compute the pooled output of every block.

        Args:
            images: (N, H, W, image_features).

        Returns:
            Of each block (N, ceil(h / 2), ceil(w / 2), features), for its input's h and w.
        """
        pooled = []
        for block in self.blocks:
            # 'SAME' has what is missing to whole windows at the end, as has pooling that rounds up.
            images = nnx.max_pool(block(images), (2, 2), (2, 2), padding="SAME")
            pooled.append(images)
        return pooled


class ReLUConvs(nnx.Module):
    """3 x 3 convolutions with a ReLU after each: one block.

    Args:
        channels: of the input and of all outputs.
        paddings: of each convolution, zeros on every side.
        options: of `nnx.Conv`.

    Attributes:
        convs: `nnx.List` of `nnx.Conv`.
    """

    def __init__(self, channels: tuple[int, int], paddings: Sequence[int], **options: Any):
        inputs, outputs = channels
        self.convs: nnx.List[nnx.Conv] = nnx.List([])
        for padding in paddings:
            conv = nnx.Conv(
                inputs,
                outputs,
                (3, 3),
                padding=((padding, padding),) * 2,
                kernel_init=nnx.initializers.he_normal(),
                **options,
            )
            self.convs.append(conv)
            inputs = outputs

    def __call__(self, images: jax.Array) -> jax.Array:
        """Apply the block, (N, H, W, C) -> (N, H', W', D)."""
        for conv in self.convs:
            images = nnx.relu(conv(images))
        return images
