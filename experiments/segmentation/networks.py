"""Networks of a configuration: a backbone, perhaps with swapped convolutions, perhaps a PAC-CRF."""

from typing import Any

import jax
from flax import nnx

import pac_jax
from experiments.segmentation.config import Config
from experiments.segmentation.small_backbone import SmallFCN
from pac_jax import crf
from pac_jax.models import FCN8s, bgr_minus_mean, normalized_rgb, pac_fcn

# Of the guide of swapped layers: the paper's for its CRF, colours of 0 to 255 over 30.
_COLOR_SCALE = 255 / 30
# What is swapped in the small backbone: its last upsampling, guided by the image.
SMALL_SWAPS = ("upsampling",)
_VALUES = {
    "unit": lambda images: images,
    "bgr_minus_mean": lambda images: bgr_minus_mean(255 * images),
    "normalized_rgb": lambda images: normalized_rgb(255 * images),
}


class Segmenter(nnx.Module):
    """A backbone and, perhaps, a CRF on its scores.

    Args:
        backbone: images to logits (N, H, W, L).
        head: the CRF, or None.
        config: that says what the backbone wants of an image, and how the CRF sees colours.
    """

    def __init__(self, backbone: nnx.Module, head: crf.PacCRF | None, config: Config):
        self.backbone = backbone
        self.crf = nnx.data(head)
        self.values = config.values
        self.color_deviations = tuple(term.color_deviation for term in config.crf_terms)

    def __call__(self, images: jax.Array, **options: Any) -> jax.Array:
        """Class scores of images.

        Args:
            images: (N, H, W, 3), red, green, blue in [0, 1].
            options: of the backbone's call, such as `rngs`.

        Returns:
            (N, H, W, L) logits.
        """
        scores = self.backbone(_VALUES[self.values](images), **options)
        if self.crf is None:
            return scores
        return self.crf(scores, [images / deviation for deviation in self.color_deviations])


def build(config: Config) -> Segmenter:
    """The configuration's network with parameters at random."""
    plain = _plain(config)
    backbone = swapped(plain, config) if config.swap else plain
    return Segmenter(backbone, new_crf(config), config)


def split(model: Segmenter) -> tuple[nnx.GraphDef, nnx.State, nnx.State]:
    """The structure of a network, its parameters, and what is not learned."""
    graph, parameters, rest = nnx.split(model, nnx.Param, ...)  # type: ignore[misc]
    return graph, parameters, rest


def swapped(backbone: nnx.Module, config: Config) -> pac_jax.nn.HotSwapped:
    """The backbone with pixel-adaptive convolutions that keep its weights."""
    if isinstance(backbone, FCN8s):
        return pac_fcn(backbone, scale=config.guide_scale, learn_scale=config.learn_guide_scale)
    return pac_jax.hot_swap(
        backbone,
        SMALL_SWAPS,
        guide=_colors,
        scale=config.guide_scale,
        learn_scale=config.learn_guide_scale,
    )


def _colors(images: jax.Array) -> jax.Array:
    return _COLOR_SCALE * images


def new_crf(config: Config) -> crf.PacCRF | None:
    """The configuration's CRF as it starts, or None."""
    if not config.crf_terms:
        return None
    terms = [term.pairwise for term in config.crf_terms]
    classes = config.label_set.classes
    return crf.PacCRF(classes, terms, guide_features=3, steps=config.crf_steps, remat=True)


def _plain(config: Config) -> nnx.Module:
    rngs = nnx.Rngs(config.seed)
    classes = config.label_set.classes
    if config.backbone == "small":
        return SmallFCN(classes, rngs=rngs)
    padding = "original" if config.backbone == "fcn8s_original_padding" else "ordinary"
    last = "bilinear" if config.backbone == "fcn8s_bilinear" else "learned"
    return FCN8s(classes, padding=padding, last=last, rngs=rngs)
