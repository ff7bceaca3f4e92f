"""Pixel-adaptive convolution, transposed convolution and pooling, one output and one tap at a time."""

from collections.abc import Sequence

import numpy as np

from tests.oracle.affinity import AffinityFunction, Smoothing, affinity_transpose, gaussian

# The operators have a parameter named `affinity`, which would hide the function.
from tests.oracle.affinity import affinity as _affinity
from tests.oracle.geometry import (
    Ints,
    Padding,
    Source,
    conv_geometry,
    positions,
    transpose_geometry,
)


def _read(inputs: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """The inputs in float64, masked-out samples (which nobody may look at) replaced by 0."""
    inputs = np.asarray(inputs, np.float64)
    return inputs if mask is None else np.where(np.asarray(mask) == 0, 0.0, inputs)


def _weighted_sum(
    inputs: np.ndarray,
    k: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    groups: int,
    output_size: tuple[int, ...],
    source: Source,
) -> np.ndarray:
    """y[o] = b + sum_t K[o,t] W[t]^T x[u(o,t)], group by group."""
    inputs, k, kernel = (np.asarray(array, np.float64) for array in (inputs, k, kernel))
    images, *_, channels = inputs.shape
    *window, in_group, outputs = kernel.shape
    if k.shape != (images, *output_size, *window):
        raise ValueError(f"affinity {k.shape}, expected {(images, *output_size, *window)}")
    if channels != in_group * groups or outputs % groups:
        raise ValueError(f"{channels} channels and kernel {kernel.shape} in {groups} groups")
    out_group = outputs // groups
    result = np.zeros((images, *output_size, outputs))
    for image, output in positions(images, output_size):
        total = np.zeros(outputs) if bias is None else np.array(bias, np.float64)
        for tap in np.ndindex(*window):
            position = source(output, tap)
            if position is None:
                continue
            sample = inputs[image, *position]
            for g in range(groups):
                of_group = slice(g * out_group, (g + 1) * out_group)
                part = sample[g * in_group : (g + 1) * in_group]
                total[of_group] += k[image, *output, *tap] * (part @ kernel[tap][:, of_group])
        result[image, *output] = total
    return result


def conv_with_affinity(
    inputs: np.ndarray,
    affinity: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    strides: Ints = 1,
    padding: Padding = "SAME",
    dilation: Ints = 1,
    groups: int = 1,
) -> np.ndarray:
    """`conv` with K given, masks and normalisation already in it."""
    output_size, source = conv_geometry(
        np.shape(inputs)[1:-1], np.shape(kernel)[:-2], strides, padding, dilation
    )
    return _weighted_sum(inputs, affinity, kernel, bias, groups, output_size, source)


def conv(
    inputs: np.ndarray,
    guide: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    strides: Ints = 1,
    padding: Padding = "SAME",
    dilation: Ints = 1,
    groups: int = 1,
    affinity: AffinityFunction = gaussian,
    smoothing: Smoothing = None,
    normalize: bool = False,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """Pixel-adaptive convolution.

    Args:
        inputs: (N, *spatial, C).
        guide: (N, *spatial, G).
        kernel: (*window, C / groups, D).
        bias: (D,), added after everything, also where the mask leaves nothing.
        strides: per dimension or one number.
        padding: as `lax_padding` takes it.
        dilation: per dimension or one number.
        groups: of channels, as `feature_group_count` of jax.lax.
        affinity: of two guide vectors.
        smoothing: of the guide at the window's centre.
        normalize: whether K sums to 1 over the taps that count.
        mask: (N, *spatial, 1), samples where it is 0 are not read.

    Returns:
        (N, *output, D).
    """
    geometry = {"strides": strides, "padding": padding, "dilation": dilation}
    if np.shape(inputs)[:-1] != np.shape(guide)[:-1]:
        raise ValueError(f"guide {np.shape(guide)} does not fit inputs {np.shape(inputs)}")
    window = np.shape(kernel)[:-2]
    k = _affinity(
        guide,
        window,
        kernel=affinity,
        smoothing=smoothing,
        normalize=normalize,
        mask=mask,
        **geometry,
    )
    return conv_with_affinity(_read(inputs, mask), k, kernel, bias, groups=groups, **geometry)


def conv_transpose_with_affinity(
    inputs: np.ndarray,
    affinity: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    strides: Ints = 1,
    padding: Padding = "SAME",
    dilation: Ints = 1,
    groups: int = 1,
) -> np.ndarray:
    """`conv_transpose` with K given, masks and normalisation already in it."""
    output_size, source = transpose_geometry(
        np.shape(inputs)[1:-1], np.shape(kernel)[:-2], strides, padding, dilation
    )
    return _weighted_sum(inputs, affinity, kernel, bias, groups, output_size, source)


def conv_transpose(
    inputs: np.ndarray,
    guide: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    strides: Ints = 1,
    padding: Padding = "SAME",
    dilation: Ints = 1,
    groups: int = 1,
    affinity: AffinityFunction = gaussian,
    smoothing: Smoothing = None,
    normalize: bool = False,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """Pixel-adaptive transposed convolution, the kernel not flipped.

    Args are those of `conv`, except:
        guide: (N, *output, G), at the output's size.
        strides: how far the inputs are spread.
        padding: as `lax_transpose_padding` takes it.
        mask: (N, *spatial, 1), at the inputs' size.
    """
    geometry = {"strides": strides, "padding": padding, "dilation": dilation}
    k = affinity_transpose(
        guide,
        np.shape(inputs)[1:-1],
        np.shape(kernel)[:-2],
        kernel=affinity,
        smoothing=smoothing,
        normalize=normalize,
        mask=mask,
        **geometry,
    )
    return conv_transpose_with_affinity(
        _read(inputs, mask), k, kernel, bias, groups=groups, **geometry
    )


def pool_with_affinity(
    inputs: np.ndarray,
    affinity: np.ndarray,
    window: Sequence[int],
    *,
    weights: np.ndarray | None = None,
    strides: Ints = 1,
    padding: Padding = "SAME",
    dilation: Ints = 1,
) -> np.ndarray:
    """`pool` with K given, one for all channels or (a further axis) one per channel."""
    inputs, k = np.asarray(inputs, np.float64), np.asarray(affinity, np.float64)
    images, *size, channels = inputs.shape
    window = tuple(window)
    weights = np.ones(window) if weights is None else np.asarray(weights, np.float64)
    output_size, source = conv_geometry(size, window, strides, padding, dilation)
    shared = (images, *output_size, *window)
    if weights.shape != window or k.shape not in (shared, (*shared, channels)):
        raise ValueError(f"weights {weights.shape}, affinity {k.shape}, inputs {inputs.shape}")
    result = np.zeros((images, *output_size, channels))
    for image, output in positions(images, output_size):
        for tap in np.ndindex(*window):
            position = source(output, tap)
            if position is not None:
                share = k[image, *output, *tap] * weights[tap]
                result[image, *output] += share * inputs[image, *position]
    return result


def pool(
    inputs: np.ndarray,
    guide: np.ndarray,
    window: Sequence[int],
    *,
    weights: np.ndarray | None = None,
    strides: Ints = 1,
    padding: Padding = "SAME",
    dilation: Ints = 1,
    affinity: AffinityFunction = gaussian,
    smoothing: Smoothing = None,
    normalize: bool = False,
    mask: np.ndarray | None = None,
    channel_wise: bool = False,
) -> np.ndarray:
    """Pixel-adaptive pooling: y[o] = sum_t K[o,t] w[t] x[u], channel by channel.

    Args are those of `conv`, except:
        window: odd sizes.
        weights: (*window,), one spatial filter for all channels; 1 where None. It takes no part in
            the normalisation.
        channel_wise: one affinity per channel, for a guide of as many channels as the inputs.

    Returns:
        (N, *output, C).
    """
    geometry = {"strides": strides, "padding": padding, "dilation": dilation}
    if np.shape(inputs)[:-1] != np.shape(guide)[:-1]:
        raise ValueError(f"guide {np.shape(guide)} does not fit inputs {np.shape(inputs)}")
    if channel_wise and np.shape(inputs) != np.shape(guide):
        raise ValueError(f"guide {np.shape(guide)} needs the channels of {np.shape(inputs)}")
    k = _affinity(
        guide,
        window,
        kernel=affinity,
        smoothing=smoothing,
        normalize=normalize,
        mask=mask,
        channel_wise=channel_wise,
        **geometry,
    )
    return pool_with_affinity(_read(inputs, mask), k, window, weights=weights, **geometry)
