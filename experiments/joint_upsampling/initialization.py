"""A start from which training only has to learn what a filter gets wrong.

With the usual random start the networks spend their first thousands of updates on learning to copy
the target. Here the first channel of every layer begins as a copy of the one before, the other
channels as usual, and the transposed layers depend on their affinities:

* normalised: the first channel is a plain mean under the affinity, and the first channels of every
  group of the guide are the image's colours, scaled: a joint filter, once per stage. The stages
  take sample n to lie at pixel n * factor while it lies about (factor - 1) // 2 further on: the
  guide branch begins by moving the image there, the final branch by moving the result back;
* not normalised (as published): the first channel is linear interpolation of the samples of the
  protocol `center`, and the guide branch begins at random, its affinities near 1.
"""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from pac_jax.models import DJIF, PacNet
from pac_jax.nn import PacConvTranspose

# The last convolution reads the other channels, too; this keeps their random share small.
_SHARE_OF_RANDOM_CHANNELS = 0.1
# Colours in [0, 1] that differ by a tenth have an affinity of exp(-1/2).
_COLOR_SCALE = 10.0
# What two convolutions of 5 x 5, the final branch, can move an image by.
_LARGEST_SHIFT = 4


def start_as_interpolation(model: PacNet | DJIF) -> None:
    """Let the network begin as a filter of its target, in place."""
    if isinstance(model, DJIF):  # it is given the interpolated target
        last_branch = model.joint_branch
    else:
        last_branch = model.final_branch
        for number, stage in enumerate(model.stages):
            if stage.normalize:
                _set_channels(stage, {0: np.ones(stage.kernel_size)})
            else:
                # Sample n belongs to pixel n * factor + (factor - 1) // 2: with one pixel of shift
                # in each stage but the first, 2 (... 2 (2 n) + 1 ...) + 1.
                _set_channels(stage, {0: _tent(stage, shift=int(number > 0))})
        if model.stages[0].normalize:
            _pass_colours(model)
    for conv in model.target_branch.convs:
        _set_channels(conv, {0: _moving(conv)})
    *hidden, last = last_branch.convs
    first_part, *_, last_part = _parts(-_shift(model), len(last_branch.convs))
    for conv, part in zip(hidden, [first_part, *[0] * len(hidden)], strict=False):
        _set_channels(conv, {0: _moving(conv, part)})
    share = jnp.full(last.kernel.shape[-2], _SHARE_OF_RANDOM_CHANNELS).at[0].set(1)
    random = nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
    noise = random(nnx.Rngs(0).params(), last.kernel.shape, last.kernel.dtype)
    kernel = noise.at[..., 0, 0].set(_moving(last, last_part))
    last.kernel[...] = kernel * share[:, None]


def _pass_colours(model: PacNet) -> None:
    colours = range(model.guide_features)
    *hidden, last = model.guide_branch.convs
    *parts, last_part = _parts(_shift(model), len(model.guide_branch.convs))
    for conv, part in zip(hidden, parts, strict=True):
        _set_channels(conv, {c: _moving(conv, part) for c in colours}, same_channel=True)
    group = last.kernel.shape[-1] // len(model.stages)
    for first in range(0, last.kernel.shape[-1], group):
        copies = {first + c: _COLOR_SCALE * _moving(last, last_part) for c in colours}
        _set_channels(last, copies, same_channel=True, first=first)


def _set_channels(
    layer: nnx.Conv | PacConvTranspose,
    filters: dict[int, np.ndarray],
    *,
    same_channel: bool = False,
    first: int = 0,
) -> None:
    """Let these output channels be a filtered input channel: the first, or that of their number."""
    if layer.bias is None:
        raise ValueError(f"{layer} has no bias; the networks' layers have one")
    kernel, bias = np.array(layer.kernel[...]), np.array(layer.bias[...])
    for channel, spatial in filters.items():
        kernel[..., channel] = 0
        kernel[..., channel - first if same_channel else 0, channel] = spatial
        bias[channel] = 0
    layer.kernel[...], layer.bias[...] = jnp.asarray(kernel), jnp.asarray(bias)


def _shift(model: PacNet | DJIF) -> int:
    """How many pixels further on than the normalised stages believe the samples lie."""
    if isinstance(model, DJIF) or not model.stages[0].normalize:
        return 0
    return min((model.factor - 1) // 2, _LARGEST_SHIFT)


def _parts(shift: int, count: int) -> list[int]:
    """A shift as a sum of shifts of at most two pixels, the largest first."""
    parts = []
    for _ in range(count):
        parts.append(max(-2, min(2, shift)))
        shift -= parts[-1]
    return parts


def _moving(layer: nnx.Conv, shift: int = 0) -> np.ndarray:
    """The filter that reads `shift` pixels further down and right."""
    filter_ = np.zeros(layer.kernel.shape[:-2], np.float32)
    filter_[tuple((k - 1) // 2 + shift for k in filter_.shape)] = 1
    return filter_


def _tent(stage: PacConvTranspose, shift: int) -> np.ndarray:
    lines = []
    for window, stride in zip(stage.kernel_size, stage.strides, strict=True):
        taps = np.arange(window) - (window - 1) // 2 + shift
        lines.append(np.maximum(0, 1 - np.abs(taps) / stride))
    return np.multiply.outer(*lines)
