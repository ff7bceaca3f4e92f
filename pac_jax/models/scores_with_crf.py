"""A network of class scores with a CRF on top, trained as one."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike

from pac_jax.crf.layers import PacCRF


class ScoresWithCRF(nnx.Module):
    """Scores of a network, then mean-field inference guided by the colours of the image.

    Args:
        backbone: a network (N, H, W, C) -> (N, H, W, classes), such as `FCN8s` or what `pac_fcn`
            returns.
        crf: the CRF; with `guide_features` it learns scales on top of `guide_scale`.
        guide_scale: what the images are multiplied with to be the CRF's guide: a number, or one per
            channel. The published 1/30 fits colours that span 255 (`bgr_minus_mean`);
            images of `normalized_rgb` need about 57 times as much, 1.9.

    Attributes:
        backbone: the network.
        crf: the CRF.
        guide_scale: as given.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from pac_jax import crf
        >>> from pac_jax.models import FCN8s, ScoresWithCRF
        >>> fcn = FCN8s(5, features=(4, 8, 8, 8, 8), hidden_features=16, rngs=nnx.Rngs(0))
        >>> terms = [crf.PairwiseTerm(5, 16), crf.PairwiseTerm(5, 64)]
        >>> model = ScoresWithCRF(fcn, crf.PacCRF(5, terms, guide_features=3))
        >>> model(jnp.ones((1, 50, 71, 3))).shape
        (1, 50, 71, 5)

    Reference:
        Su et al., "Pixel-Adaptive Convolutional Neural Networks", CVPR 2019, section 5.
    """

    def __init__(
        self, backbone: nnx.Module, crf: PacCRF, *, guide_scale: float | Sequence[float] = 1 / 30
    ):
        self.backbone = backbone
        self.crf = crf
        self.guide_scale = tuple(guide_scale) if isinstance(guide_scale, Sequence) else guide_scale

    def __call__(self, images: ArrayLike, **options: Any) -> jax.Array:
        """Compute the scores and infer.

        Args:
            images: (N, H, W, C), mean-free.
            options: of the backbone's call, such as `rngs`.

        Returns:
            (N, H, W, classes) logits of the CRF's last step.

        Raises:
            ValueError: a shape does not fit; the message says which.
            TypeError: a dtype does not fit.
        """
        images = jnp.asarray(images)
        scores = self.backbone(images, **options)
        scale = jnp.asarray(self.guide_scale, images.dtype)
        scale = scale.reshape((1,) * (images.ndim - scale.ndim) + scale.shape)
        return self.crf(scores, images * scale)
