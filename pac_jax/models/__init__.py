"""Joint upsampling networks as NNX modules, called `model(target_low, guide)`."""

from pac_jax.models.djif import DJIF
from pac_jax.models.normalization import TargetRange, target_range
from pac_jax.models.pac_net import PacNet
from pac_jax.models.pac_upsampler import PacUpsampler

__all__ = ["DJIF", "PacNet", "PacUpsampler", "TargetRange", "target_range"]
