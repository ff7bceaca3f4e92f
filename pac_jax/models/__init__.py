"""Networks as NNX modules.

Joint upsampling is called `model(target_low, guide)`, segmentation `model(images)`.
"""

from pac_jax.models.djif import DJIF
from pac_jax.models.fcn import FCN8s, pac_fcn
from pac_jax.models.image_values import bgr_minus_mean, normalized_rgb
from pac_jax.models.normalization import TargetRange, target_range
from pac_jax.models.pac_net import PacNet
from pac_jax.models.pac_upsampler import PacUpsampler
from pac_jax.models.scores_with_crf import ScoresWithCRF
from pac_jax.models.vgg16 import VGG16

__all__ = [
    "DJIF",
    "VGG16",
    "FCN8s",
    "PacNet",
    "PacUpsampler",
    "ScoresWithCRF",
    "TargetRange",
    "bgr_minus_mean",
    "normalized_rgb",
    "pac_fcn",
    "target_range",
]
