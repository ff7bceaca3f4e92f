"""Sizes of outputs, and which sample each tap reads, in plain Python."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

Pairs = tuple[tuple[int, int], ...]
Padding = str | int | Sequence[tuple[int, int]]
Ints = int | Sequence[int]
Index = tuple[int, ...]

# Where a tap of an output position reads the inputs: an index, or None where it meets no sample
# (outside the image, or on one of the zeros a transposed convolution spreads its inputs with).
Source = Callable[[Index, Index], Index | None]


def per_dimension(value: Ints, n: int) -> tuple[int, ...]:
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
        (k - 1) * d + 1 for k, d in zip(window, per_dimension(dilation, len(window)), strict=False)
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
        in_size, _reach(window, dilation), per_dimension(strides, n), strict=False
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
    for reach, s in zip(_reach(window, dilation), per_dimension(strides, n), strict=False):
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


def check_window(window: Sequence[int]) -> tuple[int, ...]:
    window = tuple(int(k) for k in window)
    if any(k % 2 == 0 for k in window):
        raise ValueError(f"windows have odd sizes, got {window}")
    return window


def inside(position: Sequence[int], size: Sequence[int]) -> bool:
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
            per_dimension(strides, len(window)),
            strict=False,
        )
    )


def conv_geometry(
    in_size: Sequence[int], window: Sequence[int], strides: Ints, padding: Padding, dilation: Ints
) -> tuple[tuple[int, ...], Source]:
    """The output's size, and where each tap reads."""
    n = len(window)
    pairs = lax_padding(padding, in_size, window, strides, dilation)
    stride, step = per_dimension(strides, n), per_dimension(dilation, n)

    def source(output: Index, tap: Index) -> Index | None:
        position = tuple(
            o * s - low + t * d
            for o, s, (low, _), t, d in zip(output, stride, pairs, tap, step, strict=False)
        )
        return position if inside(position, in_size) else None

    return _output_size(in_size, window, strides, pairs, dilation), source


def transpose_geometry(
    in_size: Sequence[int], window: Sequence[int], strides: Ints, padding: Padding, dilation: Ints
) -> tuple[tuple[int, ...], Source]:
    """The output's size, and which real sample (if any) each tap meets on the spread input."""
    n = len(window)
    pairs = lax_transpose_padding(padding, window, strides, dilation)
    stride, step = per_dimension(strides, n), per_dimension(dilation, n)
    # s - 1 zeros between samples, none after the last.
    spread = tuple(max((size - 1) * s + 1, 0) for size, s in zip(in_size, stride, strict=False))

    def source(output: Index, tap: Index) -> Index | None:
        on_spread = tuple(
            o - low + t * d for o, (low, _), t, d in zip(output, pairs, tap, step, strict=False)
        )
        if not inside(on_spread, spread):
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
    return conv_geometry(in_size, window, strides, padding, dilation)[0]


def conv_transpose_output_size(
    in_size: Sequence[int],
    window: Sequence[int],
    *,
    strides: Ints = 1,
    padding: Padding = "SAME",
    dilation: Ints = 1,
) -> tuple[int, ...]:
    """Spatial size of the output of `conv_transpose`, which its guide must have."""
    return transpose_geometry(in_size, window, strides, padding, dilation)[0]


def positions(images: int, size: Sequence[int]) -> Iterator[tuple[int, Index]]:
    """Number of an image, and a position in it."""
    return ((image, output) for image in range(images) for output in np.ndindex(*size))
