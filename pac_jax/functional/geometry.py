"""Which input sample every tap of every output position reads.

One frozen description serves the convolution, the transposed convolution and the pooling:
the input is spread (`spread - 1` zeros between samples), padded, and read by a dilated window that
moves in steps of `strides`. On the spread input, output o reads with tap t the position

    u = o * strides - padding_low + t * kernel_dilation.
"""

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import SupportsIndex

import jax
import jax.numpy as jnp
from jax import lax

Padding = str | int | Sequence[int | tuple[int, int]]
Pairs = tuple[tuple[int, int], ...]
Ints = tuple[int, ...]

_LAX_PADDINGS = ("SAME", "SAME_LOWER", "VALID")


@dataclass(frozen=True)
class Geometry:
    """The sizes of one windowed operation, every field per spatial dimension.

    Attributes:
        input_size: spatial size of the inputs before they are spread.
        window: number of taps, odd.
        strides: step of the window on the spread input.
        padding: (low, high) on the spread input; negative numbers crop.
        kernel_dilation: distance between taps.
        spread: distance between samples on the spread input; 1 but for the transposed form.
    """

    input_size: Ints
    window: Ints
    strides: Ints
    padding: Pairs
    kernel_dilation: Ints
    spread: Ints

    @property
    def ndim(self) -> int:
        """Number of spatial dimensions."""
        return len(self.window)

    @property
    def num_taps(self) -> int:
        """Number of taps in the window."""
        return math.prod(self.window)

    @property
    def num_phases(self) -> int:
        """Number of phases of the output, o modulo the spread."""
        return math.prod(self.spread)

    @property
    def spread_size(self) -> Ints:
        """Spatial size of the spread input."""
        return tuple(
            max((n - 1) * s + 1, 0) for n, s in zip(self.input_size, self.spread, strict=True)
        )

    @property
    def reach(self) -> Ints:
        """Extent of the dilated window."""
        return tuple(
            (k - 1) * d + 1 for k, d in zip(self.window, self.kernel_dilation, strict=True)
        )

    @property
    def output_size(self) -> Ints:
        """Spatial size of the output."""
        return tuple(
            max((n + low + high - r) // s + 1, 0)
            for n, (low, high), r, s in zip(
                self.spread_size, self.padding, self.reach, self.strides, strict=True
            )
        )

    @property
    def first_centre(self) -> Ints:
        """Position on the spread input of the window's centre at output 0 (negative: outside)."""
        return tuple(
            (r - 1) // 2 - low for r, (low, _) in zip(self.reach, self.padding, strict=True)
        )


def conv_geometry(
    input_size: Ints, window: Ints, strides: Ints, padding: Padding, kernel_dilation: Ints
) -> Geometry:
    """The geometry of `lax.conv_general_dilated` with these arguments."""
    pairs = _explicit_pairs(padding, len(window))
    if pairs is None:
        reach = tuple((k - 1) * d + 1 for k, d in zip(window, kernel_dilation, strict=True))
        pairs = tuple(lax.padtype_to_pads(input_size, reach, strides, str(padding)))
    return _checked(
        Geometry(input_size, window, strides, pairs, kernel_dilation, (1,) * len(window))
    )


def transpose_geometry(
    input_size: Ints, window: Ints, strides: Ints, padding: Padding, kernel_dilation: Ints
) -> Geometry:
    """The geometry of `lax.conv_transpose` with these arguments."""
    pairs = _explicit_pairs(padding, len(window))
    if pairs is None:
        if padding == "SAME_LOWER":
            raise ValueError(
                "padding is 'SAME_LOWER', which lax.conv_transpose does not define; pass 'SAME', "
                "'VALID', an int, or (low, high) pairs for the spread input"
            )
        pairs = tuple(
            _transpose_pair(str(padding), (k - 1) * d + 1, s)
            for k, d, s in zip(window, kernel_dilation, strides, strict=True)
        )
    return _checked(
        Geometry(input_size, window, (1,) * len(window), pairs, kernel_dilation, strides)
    )


def _checked(geometry: Geometry) -> Geometry:
    for size, pair in zip(geometry.spread_size, geometry.padding, strict=True):
        if size + sum(pair) < 0:
            raise ValueError(
                f"padding is {geometry.padding}; {pair} crops more than the {size} positions there are"
            )
    return geometry


def _transpose_pair(padding: str, reach: int, stride: int) -> tuple[int, int]:
    """The padding of the spread input that undoes 'SAME' or 'VALID' of the forward convolution."""
    if padding == "SAME":
        total = reach + stride - 2
        low = reach - 1 if stride > reach - 1 else -(-total // 2)
    else:
        total = reach + stride - 2 + max(reach - stride, 0)
        low = reach - 1
    return low, total - low


def _explicit_pairs(padding: Padding, ndim: int) -> Pairs | None:
    """Padding as (low, high) pairs, or None where it is one of lax's names."""
    if isinstance(padding, str):
        if padding not in _LAX_PADDINGS:
            raise ValueError(
                f"padding is {padding!r}; pass one of {', '.join(map(repr, _LAX_PADDINGS))}, an "
                "int, or one (low, high) per spatial dimension"
            )
        return None
    try:
        if isinstance(padding, SupportsIndex):
            return ((_as_int(padding), _as_int(padding)),) * ndim
        pairs = tuple(_as_pair(entry) for entry in padding)
    except (TypeError, ValueError) as error:
        raise type(error)(f"padding is {padding!r}; {_PADDING_HELP}") from error
    if len(pairs) != ndim:
        raise ValueError(
            f"padding is {padding!r}, {len(pairs)} pairs; with {ndim} spatial dimensions, "
            f"{_PADDING_HELP}"
        )
    return pairs


_PADDING_HELP = "pass 'SAME', 'VALID', an int, or one (low, high) per spatial dimension"


def _as_pair(entry: SupportsIndex | tuple[int, int]) -> tuple[int, int]:
    low, high = (entry, entry) if isinstance(entry, SupportsIndex) else entry
    return _as_int(low), _as_int(high)


def _as_int(value: SupportsIndex) -> int:
    if isinstance(value, bool):
        raise TypeError(f"{value!r} is no integer")
    return operator.index(value)


def channels_last(ndim: int) -> tuple[str, str, str]:
    """Dimension numbers of a channels-last convolution with kernel (*window, in, out)."""
    spatial = "DHW"[-ndim:]
    return f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"


def pad_spatially(array: jax.Array, low: Sequence[int], high: Sequence[int]) -> jax.Array:
    """Pad (N, *spatial, C) with zeros; negative numbers crop."""
    config = [(0, 0, 0), *((lo, hi, 0) for lo, hi in zip(low, high, strict=True)), (0, 0, 0)]
    return lax.pad(array, jnp.zeros((), array.dtype), config)
