"""PAC-Net: joint upsampling with transposed pixel-adaptive convolutions."""

from collections.abc import Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import ArrayLike, DTypeLike

from pac_jax.models.branch import Branch
from pac_jax.models.sizes import (
    batch_to_channels,
    channels_to_batch,
    check_images,
    for_every_channel,
    full_size,
    resize,
)
from pac_jax.nn.conv import PacConvTranspose

# PyTorch's padding 2 and output padding 1: output 2 i is centred on sample i.
_STAGE_PADDING = ((2, 3), (2, 3))

# The lite forms, of about 56,000 parameters at every factor.
_LITE: dict[int, dict[str, Any]] = {
    4: {
        "target_branch": (12, 16, 22),
        "guide_branch": (12, 22),
        "group_features": 12,
        "stages": (12, 16),
        "final_branch": (22,),
    },
    8: {
        "target_branch": (12, 16, 16),
        "guide_branch": (12, 16),
        "group_features": 12,
        "stages": (12, 16, 16),
        "final_branch": (20,),
    },
    16: {
        "target_branch": (8, 16, 16),
        "guide_branch": (8, 16),
        "group_features": 10,
        "stages": (8, 16, 16, 16),
        "final_branch": (16,),
    },
}


class PacNet(nnx.Module):
    r"""Upsample a target by a power of two, guided by a high-resolution image.

    A branch of 5 x 5 convolutions on the low-resolution target, then log2(factor) stages that
    double its size with a `PacConvTranspose` (each guided by its own group of channels from a
    branch on the image), then a last branch. A target of several channels (flow) is upsampled one
    channel at a time under the same guide.

    The defaults are the published network; `PacNet.lite` is its small form. Values are taken as
    they are: `target_range` brings them into the range that the networks are trained in.

    Args:
        factor: 2, 4, 8, ...: the size of the guide over that of the target.
        guide_features: number of channels of the guide.
        target_branch: features of the convolutions on the target.
        guide_branch: features of the convolutions on the guide before the last, which has
            `group_features` for each stage.
        group_features: number of guide channels of each stage.
        stages: features of each stage, log2(factor) of them; 32 each if None.
        final_branch: features of the last convolutions before the one that gives the result.
        normalize: whether the stages normalise their affinities (the published networks do not);
            training is faster with it, and starts from joint filtering instead of from noise.
        dtype: of the computation, as in flax; inferred from inputs and parameters if None.
        param_dtype: of the parameters.
        precision: of all convolutions, as in `jax.lax`.
        implementation: of the `PacConvTranspose`s, see `pac_jax.pac_conv`.
        rngs: of which `params` is drawn.

    Attributes:
        target_branch: `Branch`.
        guide_branch: `Branch`.
        stages: `nnx.List` of `PacConvTranspose`.
        final_branch: `Branch`.
        alignment: the coarsest grid of the network, in pixels of the guide.
        receptive_field: how far, in pixels of the guide, an output pixel sees to each side at most.

    Raises:
        ValueError: an argument does not fit; the message says which.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from flax import nnx
        >>> from pac_jax.models import PacNet
        >>> model = PacNet(4, rngs=nnx.Rngs(0))
        >>> model(jnp.ones((1, 6, 8, 1)), jnp.ones((1, 24, 32, 3))).shape
        (1, 24, 32, 1)
        >>> sum(p.size for p in jax.tree.leaves(nnx.state(model, nnx.Param)))
        183489

    Reference:
        Su et al., "Pixel-Adaptive Convolutional Neural Networks", CVPR 2019, section 4.1.
    """

    def __init__(
        self,
        factor: int,
        *,
        guide_features: int = 3,
        target_branch: Sequence[int] = (32, 32, 32),
        guide_branch: Sequence[int] = (32, 32),
        group_features: int = 16,
        stages: Sequence[int] | None = None,
        final_branch: Sequence[int] = (32,),
        normalize: bool = False,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        precision: lax.PrecisionLike = None,
        implementation: str | None = None,
        rngs: nnx.Rngs,
    ):
        count = _log2(factor)
        stages = (32,) * count if stages is None else tuple(stages)
        if len(stages) != count:
            raise ValueError(
                f"stages is {stages}; factor {factor} needs {count}, one for each doubling"
            )
        if not target_branch:
            raise ValueError("target_branch is empty; it needs at least one convolution")
        self.factor = factor
        self.guide_features = guide_features
        options: dict[str, Any] = {
            "dtype": dtype,
            "param_dtype": param_dtype,
            "precision": precision,
            "rngs": rngs,
        }

        def branch(*features: int) -> Branch:
            layers = len(features) - 1
            return Branch(features, (5,) * layers, (2,) * layers, **options)

        self.target_branch = branch(1, *target_branch)
        self.guide_branch = branch(guide_features, *guide_branch, group_features * count)
        self.stages: nnx.List[PacConvTranspose] = nnx.List([])
        for inputs, outputs in zip((target_branch[-1], *stages[:-1]), stages, strict=True):
            stage = PacConvTranspose(
                inputs,
                outputs,
                (5, 5),
                strides=2,
                padding=_STAGE_PADDING,
                normalize=normalize,
                implementation=implementation,
                **options,
            )
            self.stages.append(stage)
        self.final_branch = branch(stages[-1], *final_branch, 1)

    @classmethod
    def lite(
        cls,
        factor: int,
        *,
        guide_features: int = 3,
        normalize: bool = False,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        precision: lax.PrecisionLike = None,
        implementation: str | None = None,
        rngs: nnx.Rngs,
    ) -> Self:
        """Build the small form, of about 56,000 parameters.

        Args:
            factor: 4, 8 or 16.
            guide_features: as in `PacNet`, like every argument below.
            normalize: see `PacNet`.
            dtype: see `PacNet`.
            param_dtype: see `PacNet`.
            precision: see `PacNet`.
            implementation: see `PacNet`.
            rngs: see `PacNet`.

        Returns:
            The network.

        Raises:
            ValueError: there is no lite form for this factor.

        Example:
            >>> import jax
            >>> from flax import nnx
            >>> from pac_jax.models import PacNet
            >>> model = PacNet.lite(4, rngs=nnx.Rngs(0))
            >>> sum(p.size for p in jax.tree.leaves(nnx.state(model, nnx.Param)))
            55509
        """
        if factor not in _LITE:
            raise ValueError(
                f"factor is {factor!r}; lite forms are published for {tuple(_LITE)}; for another "
                "factor pass the features to PacNet"
            )
        return cls(
            factor,
            guide_features=guide_features,
            normalize=normalize,
            dtype=dtype,
            param_dtype=param_dtype,
            precision=precision,
            implementation=implementation,
            rngs=rngs,
            **_LITE[factor],
        )

    def __call__(self, target_low: ArrayLike, guide: ArrayLike) -> jax.Array:
        """Upsample the target to the guide's size.

        Args:
            target_low: (N, h, w, C), any number of channels.
            guide: (N, H, W, guide_features) with H = factor h, W = factor w. Where h and w are
                H / factor and W / factor rounded up instead, the network works on the guide
                resized bilinearly to (factor h, factor w), and its result is resized back.

        Returns:
            (N, H, W, C).

        Raises:
            ValueError: the shapes do not go together; the message says what would.
            TypeError: a dtype does not fit.
        """
        target_low, guide = check_images(target_low, guide, self.guide_features)
        size = guide.shape[1:3]
        guide = resize(guide, full_size(target_low.shape[1:3], size, self.factor))
        # Once per image, however many channels the target has.
        groups = jnp.split(self.guide_branch(guide), len(self.stages), axis=-1)

        channels = target_low.shape[-1]
        features = self.target_branch(channels_to_batch(target_low))
        for stage, group in zip(self.stages, groups, strict=True):
            height, width = features.shape[1:3]
            group = for_every_channel(resize(group, (2 * height, 2 * width)), channels)
            features = nnx.relu(stage(features, group))
        return resize(batch_to_channels(self.final_branch(features), channels), size)

    @property
    def alignment(self) -> int:
        """The coarsest grid: an image may be cut at multiples of this many pixels of the guide."""
        return self.factor

    @property
    def receptive_field(self) -> int:
        """How many pixels of the guide an output pixel depends on at most, to each side."""
        on_guide = self.guide_branch.reach
        farthest, reach, spacing = 0, self.final_branch.reach, 1
        for stage in reversed(self.stages):
            reach += stage.kernel_size[0] // 2
            # The guide's group is read at every tap, between two of its pixels.
            farthest = max(farthest, (reach + 1) * spacing + on_guide)
            reach, spacing = -(-reach // 2), 2 * spacing
        # An output pixel lies up to one low-resolution pixel beside the sample it starts from.
        return max(farthest, (reach + self.target_branch.reach + 1) * spacing)


def _log2(factor: int) -> int:
    count = factor.bit_length() - 1 if isinstance(factor, int) else 0
    if count < 1 or 2**count != factor:
        raise ValueError(f"factor is {factor!r}; it needs to be 2, 4, 8, ...: a power of two")
    return count
