"""K(f_i, f_j) in plain NumPy loops: kernels, smoothing, masks, normalisation."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from tests.oracle.geometry import (
    Ints,
    Padding,
    Source,
    check_window,
    conv_geometry,
    inside,
    lax_padding,
    per_dimension,
    positions,
    transpose_geometry,
)

AffinityFunction = Callable[[np.ndarray, np.ndarray], float]
Smoothing = None | Literal["gaussian"] | np.ndarray


def gaussian(neighbour: np.ndarray, centre: np.ndarray) -> float:
    """exp(-D/2), D the squared distance."""
    difference = neighbour - centre
    return float(np.exp(-0.5 * (difference @ difference)))


def inverse(alpha: float, exponent: float, asymmetric: bool = False) -> AffinityFunction:
    """Build alpha + (D + 1e-4)^(exponent/2), the kernel of detail-preserving pooling.

    Args:
        alpha: the constant share.
        exponent: of the distance.
        asymmetric: whether neighbours below the centre count as equal to it (per channel).
    """

    def function(neighbour: np.ndarray, centre: np.ndarray) -> float:
        difference = neighbour - centre
        if asymmetric:
            difference = np.maximum(difference, 0.0)
        return float(alpha + (difference @ difference + 1e-4) ** (exponent / 2))

    return function


def _smoothing_weights(weights: Literal["gaussian"] | np.ndarray, n: int) -> np.ndarray:
    if isinstance(weights, str):
        if weights != "gaussian":
            raise ValueError(f"unknown smoothing {weights!r}")
        line = np.array([0.25, 0.5, 0.25])
        weights = np.ones(())
        for _ in range(n):
            weights = np.multiply.outer(weights, line)
    weights = np.asarray(weights, np.float64)
    check_window(weights.shape)
    if weights.ndim != n:
        raise ValueError(f"smoothing weights {weights.shape} for {n} spatial dimensions")
    return weights


def _smoothed_at(guide: np.ndarray, position: Sequence[int], weights: np.ndarray) -> np.ndarray:
    """The smoothed guide (*spatial, G) of one image at one position, which may lie outside it."""
    total = np.zeros(guide.shape[-1])
    for tap in np.ndindex(*weights.shape):
        read = tuple(p + t - k // 2 for p, t, k in zip(position, tap, weights.shape, strict=False))
        if inside(read, guide.shape[:-1]):
            total += weights[tap] * guide[read]
    return total


def smooth(guide: np.ndarray, weights: Literal["gaussian"] | np.ndarray) -> np.ndarray:
    """The guide filtered channel by channel at its own size, zero padded, weights not flipped.

    Args:
        guide: (N, *spatial, G).
        weights: (*window,) of odd sizes, or "gaussian": [1/4, 1/2, 1/4] along every axis.
    """
    guide = np.asarray(guide, np.float64)
    size = guide.shape[1:-1]
    weights = _smoothing_weights(weights, len(size))
    result = np.zeros_like(guide)
    for image, position in positions(guide.shape[0], size):
        result[image, *position] = _smoothed_at(guide[image], position, weights)
    return result


def _raw_affinity(
    guide: np.ndarray,
    window: Sequence[int],
    strides: Ints,
    padding: Padding,
    dilation: Ints,
    kernel: AffinityFunction,
    smoothing: Smoothing,
    channel_wise: bool,
) -> np.ndarray:
    """K before masks and normalisation, also where taps or the centre lie outside the image."""
    guide = np.asarray(guide, np.float64)
    images, *size, channels = guide.shape
    window = check_window(window)
    if len(window) != len(size):
        raise ValueError(f"window {window} and guide {guide.shape} differ in dimensions")
    if smoothing is not None:
        smoothing = _smoothing_weights(smoothing, len(size))
    output_size, source = conv_geometry(size, window, strides, padding, dilation)
    pairs = lax_padding(padding, size, window, strides, dilation)
    stride, step = per_dimension(strides, len(size)), per_dimension(dilation, len(size))
    outside = np.zeros(channels)
    result = np.zeros((images, *output_size, *window) + ((channels,) if channel_wise else ()))
    for image, output in positions(images, output_size):
        # The centre is outside the image where the padding is wider than half the window. The
        # guide is 0 there, but its smoothed copy still sees the image from near by: it is the
        # smoothed infinite zero extension, not the zero extension of the smoothed image.
        middle = tuple(
            o * s - low + d * (k // 2)
            for o, s, (low, _), d, k in zip(output, stride, pairs, step, window, strict=False)
        )
        if smoothing is not None:
            centre = _smoothed_at(guide[image], middle, smoothing)
        else:
            centre = guide[image, *middle] if inside(middle, size) else outside
        for tap in np.ndindex(*window):
            position = source(output, tap)
            neighbour = outside if position is None else guide[image, *position]
            if channel_wise:
                value = [kernel(neighbour[i : i + 1], centre[i : i + 1]) for i in range(channels)]
            else:
                value = kernel(neighbour, centre)
            result[image, *output, *tap] = value
    return result


def _masked_and_normalised(
    raw: np.ndarray,
    window: Sequence[int],
    source: Source,
    normalize: bool,
    mask: np.ndarray | None,
) -> np.ndarray:
    """Applies the mask and the normalisation to K, 0 wherever a denominator is 0."""
    if mask is None and not normalize:
        return raw
    result = np.zeros_like(raw)
    window = tuple(window)
    output_size = raw.shape[1 : 1 + len(window)]
    for image, output in positions(raw.shape[0], output_size):
        kept = {}  # per tap, K V or K M
        sum_of_valid = 0.0
        sum_of_mask = 0.0
        for tap in np.ndindex(*window):
            position = source(output, tap)
            if position is None:
                continue
            m = 1.0 if mask is None else float(mask[image, *position, 0])
            sum_of_valid += 1.0
            sum_of_mask += m
            if m != 0:  # not even read where masked out: K may be NaN there
                kept[tap] = raw[image, *output, *tap] * m
        if not kept:
            continue
        # One denominator per channel when the affinity is channel-wise.
        denominator = sum(kept.values()) if normalize else sum_of_mask / sum_of_valid
        for tap, value in kept.items():
            # The where guards the division; NaN (never equal to 0) goes through to be seen.
            safe = np.where(denominator == 0, 1.0, denominator)
            result[image, *output, *tap] = np.where(denominator == 0, 0.0, value / safe)
    return result


def _checked_mask(mask: np.ndarray | None, images: int, size: Sequence[int]) -> np.ndarray | None:
    if mask is None:
        return None
    mask = np.asarray(mask, np.float64)
    if mask.shape != (images, *size, 1):
        raise ValueError(f"mask {mask.shape}, expected {(images, *size, 1)}")
    return mask


def affinity(
    guide: np.ndarray,
    window: Sequence[int],
    *,
    strides: Ints = 1,
    padding: Padding = "SAME",
    dilation: Ints = 1,
    kernel: AffinityFunction = gaussian,
    smoothing: Smoothing = None,
    normalize: bool = False,
    mask: np.ndarray | None = None,
    channel_wise: bool = False,
) -> np.ndarray:
    """K of `conv` and `pool`, after mask and normalisation.

    Args:
        guide: (N, *spatial, G).
        window: odd sizes.
        strides: of the output, per dimension or one number.
        padding: as `lax_padding` takes it.
        dilation: of the window, per dimension or one number.
        kernel: the affinity of two guide vectors.
        smoothing: None, "gaussian" or weights (*window,), of the centre only.
        normalize: whether K sums to 1 over the taps that count.
        mask: (N, *spatial, 1).
        channel_wise: one K per guide channel.

    Returns:
        (N, *output, *window), with a last axis G when channel-wise.
    """
    guide = np.asarray(guide, np.float64)
    images, *size, _ = guide.shape
    raw = _raw_affinity(guide, window, strides, padding, dilation, kernel, smoothing, channel_wise)
    _, source = conv_geometry(size, window, strides, padding, dilation)
    return _masked_and_normalised(raw, window, source, normalize, _checked_mask(mask, images, size))


def affinity_transpose(
    guide: np.ndarray,
    in_size: Sequence[int],
    window: Sequence[int],
    *,
    strides: Ints = 1,
    padding: Padding = "SAME",
    dilation: Ints = 1,
    kernel: AffinityFunction = gaussian,
    smoothing: Smoothing = None,
    normalize: bool = False,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """K of `conv_transpose`, after mask and normalisation.

    The guide has the output's size and is read at stride 1, centred, whatever the padding of the
    inputs is; mask and normalisation count only the taps that meet real samples.

    Args:
        guide: (N, *output, G).
        in_size: spatial size of the inputs.
        window: odd sizes.
        strides: how far the inputs are spread.
        padding: as `lax_transpose_padding` takes it.
        dilation: of the window.
        kernel: the affinity of two guide vectors.
        smoothing: None, "gaussian" or weights (*window,), of the centre only.
        normalize: whether K sums to 1 over the taps that count.
        mask: (N, *in_size, 1).

    Returns:
        (N, *output, *window).
    """
    guide = np.asarray(guide, np.float64)
    images, *guide_size, _ = guide.shape
    output_size, source = transpose_geometry(in_size, window, strides, padding, dilation)
    if tuple(guide_size) != output_size:
        raise ValueError(f"guide of size {guide_size}, but the output's is {output_size}")
    raw = _raw_affinity(guide, window, 1, "SAME", dilation, kernel, smoothing, False)
    return _masked_and_normalised(
        raw, window, source, normalize, _checked_mask(mask, images, in_size)
    )
