"""Joint upsampling networks as NNX modules, called `model(target_low, guide)`."""

from pac_jax.models.djif import DJIF
from pac_jax.models.normalization import TargetRange, target_range
from pac_jax.models.pac_net import PacNet

__all__ = ["DJIF", "PacNet", "TargetRange", "target_range"]
