"""Reads checkpoints in the format of the method's original PyTorch implementation, and VGG-16.

Nothing in a file is executed: PyTorch's reader is used in its weights-only form, and a pickle may
hold NumPy's arrays alone. PyTorch is needed for `load_checkpoint` alone; the models are built from
plain NumPy arrays.
"""

from pac_jax.convert.checkpoints import load_checkpoint
from pac_jax.convert.crf import crf_from_torch
from pac_jax.convert.segmentation import fcn_from_torch
from pac_jax.convert.upsampling import djif_from_torch, pac_net_from_torch
from pac_jax.convert.vgg16 import load_vgg16

__all__ = [
    "crf_from_torch",
    "djif_from_torch",
    "fcn_from_torch",
    "load_checkpoint",
    "load_vgg16",
    "pac_net_from_torch",
]
