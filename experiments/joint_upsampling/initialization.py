"""A start from which training only has to learn what interpolation gets wrong.

With flax's usual random start the networks spend their first thousands of updates on learning to
copy the target. Here the first channel of every layer begins as a copy of the one before, the
transposed layers' as linear interpolation, and the other channels as usual, so that the network
begins as (nearly) linear interpolation of the samples of the protocol `center`.
"""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from pac_jax.models import DJIF, PacNet
from pac_jax.models.branch import Branch
from pac_jax.nn import PacConvTranspose

# The last convolution reads the other channels, too; this keeps their random share small.
_SHARE_OF_RANDOM_CHANNELS = 0.1


def start_as_interpolation(model: PacNet | DJIF) -> None:
    """Let the network begin as interpolation of its target, in place."""
    if isinstance(model, DJIF):  # it is given the interpolated target
        branches = (model.target_branch, model.joint_branch)
    else:
        branches = (model.target_branch, model.final_branch)
        for number, stage in enumerate(model.stages):
            # Sample n belongs to pixel n * factor + (factor - 1) // 2: with one pixel of shift in
            # each stage but the first, 2 (... 2 (2 n) + 1 ...) + 1.
            _interpolate_first_channel(stage, shift=int(number > 0))
    for branch in branches:
        for conv in branch.convs:
            _copy_first_channel(conv)
    _shrink_random_share(branches[-1])


def _copy_first_channel(conv: nnx.Conv) -> None:
    kernel = np.array(conv.kernel[...])
    kernel[..., 0] = 0
    centre = tuple((k - 1) // 2 for k in kernel.shape[:-2])
    kernel[(*centre, 0, 0)] = 1
    _set_first_channel(conv, kernel)


def _interpolate_first_channel(stage: PacConvTranspose, shift: int) -> None:
    kernel = np.array(stage.kernel[...])
    kernel[..., 0] = 0
    tents = []
    for window, stride in zip(kernel.shape[:-2], stage.strides, strict=True):
        taps = np.arange(window) - (window - 1) // 2 + shift
        tents.append(np.maximum(0, 1 - np.abs(taps) / stride))
    kernel[..., 0, 0] = np.multiply.outer(*tents)
    _set_first_channel(stage, kernel)


def _set_first_channel(layer: nnx.Conv | PacConvTranspose, kernel: np.ndarray) -> None:
    layer.kernel[...] = jnp.asarray(kernel)
    layer.bias[...] = layer.bias[...].at[0].set(0)


def _shrink_random_share(branch: Branch) -> None:
    last = branch.convs[-1]
    kernel = np.array(last.kernel[...])
    features = kernel.shape[-2]
    if features > 1:
        bound = _SHARE_OF_RANDOM_CHANNELS / np.sqrt(features * np.prod(kernel.shape[:-2]))
        noise = np.random.default_rng(0).uniform(-bound, bound, kernel[..., 1:, 0].shape)
        kernel[..., 1:, 0] = noise
    last.kernel[...] = jnp.asarray(kernel)
