"""Networks of a configuration: a backbone, perhaps with swapped convolutions, perhaps a PAC-CRF."""

from typing import Any

import jax
from flax import nnx

import pac_jax
from experiments.segmentation.config import Config
from experiments.segmentation.small_backbone import SmallFCN
from pac_jax import crf

# The paper's guide: colours of 0 to 255 over 30, with a learned scale per channel.
_COLOR_SCALE = 255 / 30
# What is swapped in each backbone, and the activation that guides it.
SWAPS = {
    "small": (["blocks8.1.second", "blocks16.2.second"], "stage4"),
}


class Segmenter(nnx.Module):
    """A backbone and, perhaps, a CRF on its scores.

    Args:
        backbone: images (N, H, W, 3) in [0, 1] to logits (N, H, W, L).
        head: the CRF, or None.
    """

    def __init__(self, backbone: nnx.Module, head: crf.PacCRF | None):
        self.backbone = backbone
        self.crf = nnx.data(head)

    def __call__(self, images: jax.Array) -> jax.Array:
        """Class scores of images.

        Args:
            images: (N, H, W, 3) in [0, 1].

        Returns:
            (N, H, W, L) logits.
        """
        scores = self.backbone(images)
        if self.crf is None:
            return scores
        return self.crf(scores, _COLOR_SCALE * images)


def build(config: Config) -> Segmenter:
    """The configuration's network with parameters at random."""
    rngs = nnx.Rngs(config.seed)
    classes = config.label_set.classes
    plain = SmallFCN(classes, rngs=rngs)
    backbone = swapped(plain, config) if config.swap else plain
    return Segmenter(backbone, new_crf(config))


def split(model: Segmenter) -> tuple[nnx.GraphDef, nnx.State, nnx.State]:
    """The structure of a network, its parameters, and what is not learned."""
    graph, parameters, rest = nnx.split(model, nnx.Param, ...)  # type: ignore[misc]
    return graph, parameters, rest


def swapped(backbone: nnx.Module, config: Config) -> pac_jax.nn.HotSwapped:
    """The backbone with pixel-adaptive convolutions that keep its weights."""
    layers, guide = SWAPS[config.backbone]
    return pac_jax.hot_swap(
        backbone, layers, guide=guide, scale=config.guide_scale, learn_scale=True
    )


def new_crf(config: Config) -> crf.PacCRF | None:
    """The configuration's CRF as it starts, or None."""
    if not config.crf_terms:
        return None
    options: dict[str, Any] = {"guide_features": 3, "steps": config.crf_steps}
    return crf.PacCRF(config.label_set.classes, config.crf_terms, remat=True, **options)
