"""Pixel-adaptive convolution, transposed convolution and pooling in plain NumPy loops.

Everything is float64 and visits one output position and one tap at a time; only channels are
vectorised. Nothing here is meant to be fast: it is meant to be seen to be right. It shares no code
with the library it judges.

Shapes (n = 1, 2 or 3 spatial dimensions, channels last):

    inputs    (N, *spatial, C)
    guide     (N, *guide_spatial, G)     the inputs' size; the output's size when transposed
    kernel    (*window, C / groups, D)
    bias      (D,)
    mask      (N, *spatial, 1)           on the inputs' grid, also when transposed
    affinity  (N, *output, *window) or (N, *output, *window, C) when channel-wise
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

Pairs = tuple[tuple[int, int], ...]
Padding = str | int | Sequence[tuple[int, int]]
Ints = int | Sequence[int]
Index = tuple[int, ...]
AffinityFunction = Callable[[np.ndarray, np.ndarray], float]
Smoothing = None | Literal["gaussian"] | np.ndarray

# Where a tap of an output position reads the inputs: an index, or None where it meets no sample
# (outside the image, or on one of the zeros a transposed convolution spreads its inputs with).
Source = Callable[[Index, Index], Index | None]


# ---------------------------------------------------------------------------------------- geometry


def _per_dimension(value: Ints, n: int) -> tuple[int, ...]:
    values = (value,) * n if np.ndim(value) == 0 else tuple(value)
    if len(values) != n:
        raise ValueError(f"expected one number or {n}, got {value}")
    return tuple(int(v) for v in values)


def _explicit_pairs(padding: int | Sequence[tuple[int, int]], n: int) -> Pairs:
    if np.ndim(padding) == 0:
        return ((int(padding), int(padding)),) * n
    pairs = tuple((int(low), int(high)) for low, high in padding)
    if len(pairs) != n:
        raise ValueError(f"expected {n} pairs of padding, got {padding}")
    return pairs


def _reach(window: Sequence[int], dilation: Ints) -> tuple[int, ...]:
    """The extent of a dilated window."""
    return tuple(
        (k - 1) * d + 1 for k, d in zip(window, _per_dimension(dilation, len(window)), strict=False)
    )


def lax_padding(
    padding: Padding,
    in_size: Sequence[int],
    window: Sequence[int],
    strides: Ints = 1,
    dilation: Ints = 1,
) -> Pairs:
    """The (low, high) pairs that jax.lax.conv_general_dilated takes `padding` to mean.

    Args:
        padding: "SAME", "SAME_LOWER", "VALID", one number for every side, or explicit pairs, which
            may be negative (they crop).
        in_size: spatial size of the inputs.
        window: size of the undilated window.
        strides: per dimension, or one number.
        dilation: of the window, per dimension, or one number.
    """
    n = len(window)
    if not isinstance(padding, str):
        return _explicit_pairs(padding, n)
    if padding == "VALID":
        return ((0, 0),) * n
    if padding not in ("SAME", "SAME_LOWER"):
        raise ValueError(f"unknown padding {padding!r}")
    pairs = []
    for size, reach, s in zip(
        in_size, _reach(window, dilation), _per_dimension(strides, n), strict=False
    ):
        output = -(-size // s)
        total = max((output - 1) * s + reach - size, 0)
        smaller, larger = total // 2, total - total // 2
        pairs.append((smaller, larger) if padding == "SAME" else (larger, smaller))
    return tuple(pairs)


def lax_transpose_padding(
    padding: Padding, window: Sequence[int], strides: Ints = 1, dilation: Ints = 1
) -> Pairs:
    """The padding of the spread input that jax.lax.conv_transpose takes `padding` to mean.

    Args:
        padding: "SAME" or "VALID" (of the matching forward convolution), or one number or explicit
            pairs (of the spread input itself; they may be negative).
        window: size of the undilated window.
        strides: per dimension, or one number.
        dilation: of the window, per dimension, or one number.
    """
    n = len(window)
    if not isinstance(padding, str):
        return _explicit_pairs(padding, n)
    pairs = []
    for reach, s in zip(_reach(window, dilation), _per_dimension(strides, n), strict=False):
        if padding == "SAME":  # the output is s times the input
            total = reach + s - 2
            low = reach - 1 if s >= reach else -(-total // 2)
        elif padding == "VALID":  # every sample meets every tap
            total = reach + s - 2 + max(reach - s, 0)
            low = reach - 1
        else:
            raise ValueError(f"unknown padding of a transposed convolution {padding!r}")
        pairs.append((low, total - low))
    return tuple(pairs)


def _check_window(window: Sequence[int]) -> tuple[int, ...]:
    window = tuple(int(k) for k in window)
    if any(k % 2 == 0 for k in window):
        raise ValueError(f"windows have odd sizes, got {window}")
    return window


def _inside(position: Sequence[int], size: Sequence[int]) -> bool:
    return all(0 <= p < extent for p, extent in zip(position, size, strict=False))


def _output_size(
    in_size: Sequence[int], window: Sequence[int], strides: Ints, pairs: Pairs, dilation: Ints
) -> tuple[int, ...]:
    return tuple(
        max((size + low + high - reach) // s + 1, 0)
        for size, (low, high), reach, s in zip(
            in_size,
            pairs,
            _reach(window, dilation),
            _per_dimension(strides, len(window)),
            strict=False,
        )
    )


def _conv_geometry(
    in_size: Sequence[int], window: Sequence[int], strides: Ints, padding: Padding, dilation: Ints
) -> tuple[tuple[int, ...], Source]:
    """The output's size, and where each tap reads."""
    n = len(window)
    pairs = lax_padding(padding, in_size, window, strides, dilation)
    stride, step = _per_dimension(strides, n), _per_dimension(dilation, n)

    def source(output: Index, tap: Index) -> Index | None:
        position = tuple(
            o * s - low + t * d
            for o, s, (low, _), t, d in zip(output, stride, pairs, tap, step, strict=False)
        )
        return position if _inside(position, in_size) else None

    return _output_size(in_size, window, strides, pairs, dilation), source


def _transpose_geometry(
    in_size: Sequence[int], window: Sequence[int], strides: Ints, padding: Padding, dilation: Ints
) -> tuple[tuple[int, ...], Source]:
    """The output's size, and which real sample (if any) each tap meets on the spread input."""
    n = len(window)
    pairs = lax_transpose_padding(padding, window, strides, dilation)
    stride, step = _per_dimension(strides, n), _per_dimension(dilation, n)
    # s - 1 zeros between samples, none after the last.
    spread = tuple(max((size - 1) * s + 1, 0) for size, s in zip(in_size, stride, strict=False))

    def source(output: Index, tap: Index) -> Index | None:
        on_spread = tuple(
            o - low + t * d for o, (low, _), t, d in zip(output, pairs, tap, step, strict=False)
        )
        if not _inside(on_spread, spread):
            return None
        if any(v % s for v, s in zip(on_spread, stride, strict=False)):
            return None  # one of the zeros in between
        return tuple(v // s for v, s in zip(on_spread, stride, strict=False))

    return _output_size(spread, window, 1, pairs, dilation), source


def conv_output_size(
    in_size: Sequence[int],
    window: Sequence[int],
    *,
    strides: Ints = 1,
    padding: Padding = "SAME",
    dilation: Ints = 1,
) -> tuple[int, ...]:
    """Spatial size of the output of `conv` and `pool`."""
    return _conv_geometry(in_size, window, strides, padding, dilation)[0]


def conv_transpose_output_size(
    in_size: Sequence[int],
    window: Sequence[int],
    *,
    strides: Ints = 1,
    padding: Padding = "SAME",
    dilation: Ints = 1,
) -> tuple[int, ...]:
    """Spatial size of the output of `conv_transpose`, which its guide must have."""
    return _transpose_geometry(in_size, window, strides, padding, dilation)[0]


# ---------------------------------------------------------------------------------------- affinity


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
    _check_window(weights.shape)
    if weights.ndim != n:
        raise ValueError(f"smoothing weights {weights.shape} for {n} spatial dimensions")
    return weights


def _smoothed_at(guide: np.ndarray, position: Sequence[int], weights: np.ndarray) -> np.ndarray:
    """The smoothed guide (*spatial, G) of one image at one position, which may lie outside it."""
    total = np.zeros(guide.shape[-1])
    for tap in np.ndindex(*weights.shape):
        read = tuple(p + t - k // 2 for p, t, k in zip(position, tap, weights.shape, strict=False))
        if _inside(read, guide.shape[:-1]):
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
    for image, position in _positions(guide.shape[0], size):
        result[image, *position] = _smoothed_at(guide[image], position, weights)
    return result


def _positions(images: int, size: Sequence[int]):
    return ((image, output) for image in range(images) for output in np.ndindex(*size))


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
    window = _check_window(window)
    if len(window) != len(size):
        raise ValueError(f"window {window} and guide {guide.shape} differ in dimensions")
    if smoothing is not None:
        smoothing = _smoothing_weights(smoothing, len(size))
    output_size, source = _conv_geometry(size, window, strides, padding, dilation)
    pairs = lax_padding(padding, size, window, strides, dilation)
    stride, step = _per_dimension(strides, len(size)), _per_dimension(dilation, len(size))
    outside = np.zeros(channels)
    result = np.zeros((images, *output_size, *window) + ((channels,) if channel_wise else ()))
    for image, output in _positions(images, output_size):
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
            centre = guide[image, *middle] if _inside(middle, size) else outside
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
    for image, output in _positions(raw.shape[0], output_size):
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
    _, source = _conv_geometry(size, window, strides, padding, dilation)
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
    output_size, source = _transpose_geometry(in_size, window, strides, padding, dilation)
    if tuple(guide_size) != output_size:
        raise ValueError(f"guide of size {guide_size}, but the output's is {output_size}")
    raw = _raw_affinity(guide, window, 1, "SAME", dilation, kernel, smoothing, False)
    return _masked_and_normalised(
        raw, window, source, normalize, _checked_mask(mask, images, in_size)
    )


# --------------------------------------------------------------------------------------- operators


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
    for image, output in _positions(images, output_size):
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
    output_size, source = _conv_geometry(
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
    output_size, source = _transpose_geometry(
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
    output_size, source = _conv_geometry(size, window, strides, padding, dilation)
    shared = (images, *output_size, *window)
    if weights.shape != window or k.shape not in (shared, (*shared, channels)):
        raise ValueError(f"weights {weights.shape}, affinity {k.shape}, inputs {inputs.shape}")
    result = np.zeros((images, *output_size, channels))
    for image, output in _positions(images, output_size):
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


# The operators have a parameter named `affinity`, which hides the function.
_affinity = affinity


# ------------------------------------------------------------------------------------------- masks


def _propagated(
    mask: np.ndarray,
    window: Sequence[int],
    output_size: tuple[int, ...],
    source: Source,
    raw: np.ndarray | None,
) -> np.ndarray:
    result = np.zeros((mask.shape[0], *output_size, 1))
    for image, output in _positions(mask.shape[0], output_size):
        denominator = 0.0
        for tap in np.ndindex(*window):
            position = source(output, tap)
            if position is None or mask[image, *position, 0] == 0:
                continue
            share = 1.0 if raw is None else raw[image, *output, *tap]
            denominator += share * mask[image, *position, 0]
        result[image, *output] = denominator != 0
    return result


def propagate_mask(
    mask: np.ndarray,
    window: Sequence[int],
    *,
    strides: Ints = 1,
    padding: Padding = "SAME",
    dilation: Ints = 1,
    raw_affinity: np.ndarray | None = None,
) -> np.ndarray:
    """The mask that goes on: 1 where the denominator is not 0.

    Args:
        mask: (N, *spatial, 1).
        window: odd sizes.
        strides: per dimension or one number.
        padding: as `lax_padding` takes it.
        dilation: per dimension or one number.
        raw_affinity: K before mask and normalisation (not channel-wise). Given, the denominator is
            sum_t K M, that of a normalised operator; it differs from sum_t M only where K
            underflows to 0 at every tap that counts.

    Returns:
        (N, *output, 1).
    """
    mask = np.asarray(mask, np.float64)
    geometry = _conv_geometry(mask.shape[1:-1], window, strides, padding, dilation)
    return _propagated(mask, window, *geometry, raw_affinity)


def propagate_mask_transpose(
    mask: np.ndarray,
    window: Sequence[int],
    *,
    strides: Ints = 1,
    padding: Padding = "SAME",
    dilation: Ints = 1,
    raw_affinity: np.ndarray | None = None,
) -> np.ndarray:
    """`propagate_mask` of a transposed convolution: 1 where a tap meets a sample that counts."""
    mask = np.asarray(mask, np.float64)
    geometry = _transpose_geometry(mask.shape[1:-1], window, strides, padding, dilation)
    return _propagated(mask, window, *geometry, raw_affinity)


# --------------------------------------------------------------------------------------- gradients


def directional_derivative(
    f: Callable[..., float],
    args: Sequence[np.ndarray],
    directions: Sequence[np.ndarray | None],
    eps: float = 1e-6,
) -> float:
    """d/de f(args + e directions) at e = 0 by central differences in float64.

    It equals the sum over the arguments of <gradient, direction>, which is what a test compares.

    Args:
        f: of the arguments, returning one number.
        args: arrays or numbers.
        directions: of the arguments' shapes; None leaves an argument where it is.
        eps: half the distance of the two evaluations.
    """

    def shifted(step: float) -> float:
        return float(
            f(
                *(
                    np.asarray(a, np.float64) if v is None else np.asarray(a, np.float64) + step * v
                    for a, v in zip(args, directions, strict=True)
                )
            )
        )

    return (shifted(eps) - shifted(-eps)) / (2 * eps)
