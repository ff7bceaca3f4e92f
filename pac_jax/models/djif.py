"""DJIF, deep joint image filtering: the plain-convolution baseline of joint upsampling."""

from typing import Any

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


class DJIF(nnx.Module):
    """Upsample a target bilinearly and refine it with the guide, by ordinary convolutions.

    One branch on the upsampled target, one on the guide, each ending in one channel, and a third on
    both. A target of several channels is upsampled one channel at a time under the same guide.

    Args:
        factor: the size of the guide over that of the target, a positive int. The parameters do not
            depend on it.
        guide_features: number of channels of the guide.
        dtype: of the computation, as in flax; inferred from inputs and parameters if None.
        param_dtype: of the parameters.
        precision: of all convolutions, as in `jax.lax`.
        rngs: of which `params` is drawn.

    Attributes:
        target_branch: `Branch`.
        guide_branch: `Branch`.
        joint_branch: `Branch`.
        alignment: the coarsest grid of the network, in pixels of the guide.
        receptive_field: how far, in pixels of the guide, an output pixel sees to each side at most.

    Raises:
        ValueError: an argument does not fit; the message says which.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from flax import nnx
        >>> from pac_jax.models import DJIF
        >>> model = DJIF(4, rngs=nnx.Rngs(0))
        >>> model(jnp.ones((1, 6, 8, 1)), jnp.ones((1, 24, 32, 3))).shape
        (1, 24, 32, 1)
        >>> sum(p.size for p in jax.tree.leaves(nnx.state(model, nnx.Param)))
        56323

    Reference:
        Li et al., "Joint Image Filtering with Deep Convolutional Networks", PAMI 2019.
    """

    def __init__(
        self,
        factor: int,
        *,
        guide_features: int = 3,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        precision: lax.PrecisionLike = None,
        rngs: nnx.Rngs,
    ):
        if not isinstance(factor, int) or factor < 1:
            raise ValueError(f"factor is {factor!r}; it needs to be a positive int")
        self.factor = factor
        self.guide_features = guide_features
        options: dict[str, Any] = {
            "dtype": dtype,
            "param_dtype": param_dtype,
            "precision": precision,
            "rngs": rngs,
        }
        # The 1 x 1 layer of the first two grows what their 9 x 9 layer shrank.
        windows, growing, exact = (9, 1, 5), (2, 2, 2), (4, 0, 2)
        self.target_branch = Branch((1, 96, 48, 1), windows, growing, **options)
        self.guide_branch = Branch((guide_features, 96, 48, 1), windows, growing, **options)
        self.joint_branch = Branch((2, 64, 32, 1), windows, exact, **options)

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
        working_size = full_size(target_low.shape[1:3], size, self.factor)
        channels = target_low.shape[-1]
        # Once per image, however many channels the target has.
        guide = for_every_channel(self.guide_branch(resize(guide, working_size)), channels)
        target = self.target_branch(resize(channels_to_batch(target_low), working_size))
        outputs = self.joint_branch(jnp.concatenate([target, guide], axis=-1))
        return resize(batch_to_channels(outputs, channels), size)

    @property
    def alignment(self) -> int:
        """The coarsest grid: an image may be cut at multiples of this many pixels of the guide."""
        return self.factor

    @property
    def receptive_field(self) -> int:
        """How many pixels of the guide an output pixel depends on at most, to each side."""
        branch = max(self.target_branch.reach, self.guide_branch.reach)
        # Bilinear interpolation reads the low-resolution pixels before and behind, all of both.
        return self.joint_branch.reach + branch + 2 * self.factor
