"""FCN-8s and PAC-FCN: class scores of every pixel, on VGG-16."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import ArrayLike, DTypeLike

from pac_jax.functional import arguments
from pac_jax.models.sizes import resize
from pac_jax.models.upsampling_conv import UpsamplingConv
from pac_jax.models.vgg16 import VGG16
from pac_jax.nn.swapping import HotSwapped, hot_swap


class _Paddings(NamedTuple):
    """How the layers pad, and where the fused maps begin.

    Attributes:
        first: of VGG-16's first convolution.
        fc6: of the 7 x 7 convolution.
        upsampling: of the three transposed convolutions, as outputs trimmed on every side.
        starts: where block 4's scores, block 3's, and the image begin in the larger of two maps.
    """

    first: int
    fc6: int
    upsampling: tuple[int, int, int]
    starts: tuple[int, int, int]


_PADDINGS = {
    "ordinary": _Paddings(1, 3, (1, 1, 4), (0, 0, 0)),
    # So many zeros that even an image of one pixel survives fc6.
    "original": _Paddings(100, 0, (0, 0, 0), (5, 9, 31)),
}
_LAST = ("learned", "bilinear")


class FCN8s(nnx.Module):
    """Class scores from VGG-16's blocks 3, 4 and 5, fused from coarse to fine.

    Scores at 1/32 of the image's size are upsampled to 1/16 and added to those of block 4, then to
    1/8 and added to those of block 3, then to the image's size; by transposed convolutions that
    start as bilinear interpolation. Images may have any size.

    The score layers start at zero, as in the paper, so that all classes are equally likely. For
    VGG-16's trained convolutions see `pac_jax.convert.load_vgg16`.

    Args:
        classes: number of classes.
        image_features: number of channels of the images.
        features: of each of VGG-16's five blocks.
        hidden_features: of fc6 and fc7.
        padding: 'ordinary', or 'original': the first convolution pads by 100, fc6 not at all, and the
            maps are cropped to fit; slower, and somewhat different scores near the borders.
        last: the upsampling to the image's size: 'learned', or 'bilinear' interpolation.
        dropout_rate: after fc6 and fc7, in calls with `rngs`.
        dtype: of the computation, as in flax; inferred from inputs and parameters if None.
        param_dtype: of the parameters.
        precision: of all convolutions, as in `jax.lax`.
        rngs: of which `params` is drawn.

    Attributes:
        vgg16: `VGG16`.
        fc6: `nnx.Conv`.
        fc7: `nnx.Linear`, like the score layers `score_fc7`, `score_block4`, `score_block3`.
        upsampling: `nnx.List` of two `UpsamplingConv`, and a third where the last is learned.

    Raises:
        ValueError: an argument does not fit; the message says which.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from flax import nnx
        >>> from pac_jax.models import FCN8s
        >>> model = FCN8s(5, features=(4, 8, 8, 8, 8), hidden_features=16, rngs=nnx.Rngs(0))
        >>> model(jnp.ones((1, 50, 71, 3))).shape
        (1, 50, 71, 5)
        >>> full = nnx.eval_shape(lambda: FCN8s(21, rngs=nnx.Rngs(0)))
        >>> sum(p.size for p in jax.tree.leaves(nnx.state(full, nnx.Param)))
        134489759

    Reference:
        Shelhamer, Long and Darrell, "Fully Convolutional Networks for Semantic Segmentation",
        PAMI 2017.
    """

    def __init__(
        self,
        classes: int,
        *,
        image_features: int = 3,
        features: Sequence[int] = (64, 128, 256, 512, 512),
        hidden_features: int = 4096,
        padding: str = "ordinary",
        last: str = "learned",
        dropout_rate: float = 0.5,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        precision: lax.PrecisionLike = None,
        rngs: nnx.Rngs,
    ):
        for name, value, choices in (("padding", padding, _PADDINGS), ("last", last, _LAST)):
            if value not in choices:
                raise ValueError(f"{name} is {value!r}; it needs one of {', '.join(choices)}")
        self.image_features = image_features
        self.padding = padding
        options: dict[str, Any] = {
            "dtype": dtype,
            "param_dtype": param_dtype,
            "precision": precision,
            "rngs": rngs,
        }
        paddings = _PADDINGS[padding]
        self.vgg16 = VGG16(
            image_features=image_features,
            features=features,
            first_padding=paddings.first,
            **options,
        )
        hidden: dict[str, Any] = {"kernel_init": nnx.initializers.he_normal(), **options}
        border = (paddings.fc6, paddings.fc6)
        self.fc6 = nnx.Conv(features[4], hidden_features, (7, 7), padding=(border,) * 2, **hidden)
        # 1 x 1 convolutions are matrix products: as nnx.Conv, fc7 took XLA 20 s on the CPU.
        self.fc7 = nnx.Linear(hidden_features, hidden_features, **hidden)
        self.dropout = nnx.Dropout(dropout_rate)
        scores: dict[str, Any] = {"kernel_init": nnx.initializers.zeros, **options}
        self.score_fc7 = nnx.Linear(hidden_features, classes, **scores)
        self.score_block4 = nnx.Linear(features[3], classes, **scores)
        self.score_block3 = nnx.Linear(features[2], classes, **scores)
        strides = (2, 2, 8) if last == "learned" else (2, 2)
        self.upsampling = nnx.List(
            [
                UpsamplingConv(classes, stride, trimmed, **options)
                for stride, trimmed in zip(strides, paddings.upsampling, strict=False)
            ]
        )

    def __call__(self, images: ArrayLike, *, rngs: nnx.Rngs | None = None) -> jax.Array:
        """Compute the scores.

        Args:
            images: (N, H, W, image_features), mean-free: see `bgr_minus_mean`, `normalized_rgb`.
            rngs: of which `dropout` is drawn; None for no dropout.

        Returns:
            (N, H, W, classes) logits.

        Raises:
            ValueError: the shape does not fit.
            TypeError: the dtype does not fit.
        """
        images = arguments.as_array(images, "images")
        if images.ndim != 4 or images.shape[-1] != self.image_features:
            raise ValueError(
                f"images has shape {images.shape}; it needs (batch, height, width, "
                f"{self.image_features})"
            )
        _, _, block3, block4, block5 = self.vgg16(images)
        hidden = block5
        for layer in (self.fc6, self.fc7):
            hidden = self.dropout(nnx.relu(layer(hidden)), deterministic=rngs is None, rngs=rngs)
        scores = self.score_fc7(hidden)
        start4, start3, start = _PADDINGS[self.padding].starts
        scores = _sum_of_both(self.upsampling[0](scores), self.score_block4(block4), start4)
        scores = _sum_of_both(self.upsampling[1](scores), self.score_block3(block3), start3)
        if len(self.upsampling) == 3:
            scores = self.upsampling[2](scores)
        else:
            scores = resize(scores, (8 * scores.shape[1], 8 * scores.shape[2]))
            # Its samples' centres lie as those of a transposed convolution that trims 4.
            start += _PADDINGS[self.padding].upsampling[2] - 4
        height, width = images.shape[1:3]
        return scores[:, start : start + height, start : start + width]


def pac_fcn(
    model: FCN8s,
    *,
    scale: float = 1e-4,
    learn_scale: bool = False,
    implementation: str | None = None,
) -> HotSwapped:
    """PAC-FCN: the last convolution of blocks 3, 4 and 5 becomes pixel-adaptive, by `hot_swap`.

    They keep their weights and are guided by block 2's output before pooling, resized bilinearly,
    so that training goes on from where the FCN-8s was. The published one starts from
    `FCN8s(classes, last="bilinear")`.

    Args:
        model: trained or not; it stays as it is.
        scale: of the guide.
        learn_scale: whether each of the layers learns its own scale.
        implementation: of the layers, see `pac_jax.pac_conv`.

    Returns:
        The network, called as the FCN-8s is.

    Raises:
        TypeError: the model is no FCN-8s.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from pac_jax.models import FCN8s, pac_fcn
        >>> model = FCN8s(5, features=(4, 8, 8, 8, 8), hidden_features=16, rngs=nnx.Rngs(0))
        >>> adaptive = pac_fcn(model)
        >>> [swap.path for swap in adaptive.report]
        ['vgg16.blocks.2.convs.2', 'vgg16.blocks.3.convs.2', 'vgg16.blocks.4.convs.2']
        >>> adaptive(jnp.ones((1, 50, 71, 3))).shape
        (1, 50, 71, 5)

    Reference:
        Su et al., "Pixel-Adaptive Convolutional Neural Networks", CVPR 2019, section 6.
    """
    if not isinstance(model, FCN8s):
        raise TypeError(f"model is a {type(model).__name__}; it needs an FCN8s")
    return hot_swap(
        model,
        [f"vgg16.blocks.{block}.convs.2" for block in (2, 3, 4)],
        guide="vgg16.blocks.1",
        scale=scale,
        learn_scale=learn_scale,
        implementation=implementation,
    )


def _sum_of_both(coarse: jax.Array, fine: jax.Array, start: int) -> jax.Array:
    """The sum where both maps are: the upsampled one begins at the other's pixel `start`."""
    fine = fine[:, start:, start:]
    height, width = (min(coarse.shape[axis], fine.shape[axis]) for axis in (1, 2))
    return coarse[:, :height, :width] + fine[:, :height, :width]
