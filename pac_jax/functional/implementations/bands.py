"""Cutting the output into bands of rows, each with its phases and the input region that it reads.

Where the input is spread, output o meets a real sample only at the taps with
o - padding_low + t * dilation divisible by the spread s. These are the same taps for all outputs of one
phase, o modulo s. A phase is an ordinary convolution of the unspread input with some of the taps, so no
zero between samples is ever multiplied. Without spread there is one phase, which has all taps.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pac_jax.functional.geometry import Geometry, Ints
from pac_jax.functional.implementations.phases import merge_phases, split_phases

# Bands of this many output positions keep what the taps add up in the processor's cache, and still
# amortise the start of each step's handful of kernels. experiments/benchmarks measures both.
_BAND_POSITIONS = 8192


class Tap(NamedTuple):
    """One term of the sum; a sequence of them, stacked, is what a scan walks over.

    Attributes:
        phase: which of the outputs it adds to.
        place: in the flattened window.
        offset: where the phase's first output reads, from the region's first sample.
    """

    phase: np.ndarray
    place: np.ndarray
    offset: np.ndarray


@dataclass(frozen=True)
class Bands:
    """Equally high bands of the output.

    Attributes:
        geometry: what is cut.
        batch: number of images.
    """

    geometry: Geometry
    batch: int

    @cached_property
    def phase_size(self) -> Ints:
        """Spatial size of a phase of the whole output."""
        sizes = zip(self.geometry.output_size, self.geometry.spread, strict=True)
        return tuple(-(-n // s) for n, s in sizes)

    @cached_property
    def count(self) -> int:
        """Number of bands; of those that are small enough the fewest, without a remainder if near."""
        rows = self.phase_size[0]
        positions = self.batch * math.prod(self.geometry.output_size)
        wanted = min(-(-positions // _BAND_POSITIONS), rows)
        exact = (n for n in range(wanted, min(2 * wanted, rows) + 1) if rows % n == 0)
        return next(exact, -(-rows // -(-rows // wanted)))

    @cached_property
    def size(self) -> Ints:
        """Spatial size of a phase of one band."""
        return (-(-self.phase_size[0] // self.count), *self.phase_size[1:])

    @cached_property
    def _reads(self) -> tuple[Tap, np.ndarray]:
        """All taps of all phases, and the input sample that each phase's first output reads."""
        geometry = self.geometry
        phases, places, reads = [], [], []
        for number, phase in enumerate(np.ndindex(geometry.spread)):
            for place, tap in enumerate(np.ndindex(geometry.window)):
                low = [low for low, _ in geometry.padding]
                at = np.array(phase) - low + np.array(tap) * geometry.kernel_dilation
                if (at % geometry.spread == 0).all():
                    phases.append(number)
                    places.append(place)
                    reads.append(at // geometry.spread)
        array = np.array(reads, np.int32).reshape(-1, geometry.ndim)
        first = array.min(axis=0, initial=0) if not reads else array.min(axis=0)
        taps = Tap(np.array(phases, np.int32), np.array(places, np.int32), array - first)
        return taps, first

    @property
    def taps(self) -> Tap:
        """All taps of all phases, stacked."""
        return self._reads[0]

    @property
    def first(self) -> np.ndarray:
        """The region's first sample in the first band, on the input: negative where outside."""
        return self._reads[1]

    @cached_property
    def groups(self) -> list[np.ndarray]:
        """Phases with equally many taps: for each group (phases, T) places in `taps`."""
        groups: dict[int, list[np.ndarray]] = {}
        for phase in range(math.prod(self.geometry.spread)):
            (own,) = np.nonzero(self.taps.phase == phase)
            groups.setdefault(len(own), []).append(own)
        return [np.stack(members) for count, members in groups.items() if count]

    @property
    def step(self) -> Ints:
        """From one output of a phase to the next, on the input."""
        return self.geometry.strides

    @property
    def region(self) -> Ints:
        """Spatial size of what one band reads."""
        last = self.taps.offset.max(axis=0)
        sizes = zip(self.size, self.step, last, strict=True)
        return tuple((n - 1) * s + 1 + int(end) for n, s, end in sizes)

    def starts(self) -> np.ndarray:
        """The first row of every band's region, on the input: negative where it begins outside."""
        return self.first[0] + np.arange(self.count, dtype=np.int32) * self.size[0] * self.step[0]

    def read(self, samples: jax.Array, start: jax.Array) -> jax.Array:
        """The region (N, *region, C) from this row of samples (N, *input_size, C), zeros outside."""
        at, height = self._inside(start, samples.shape[1])
        block = lax.dynamic_slice_in_dim(samples, at, height, axis=1)
        return _shifted_rows(_pad(block, self._margins()), start - at, self.region[0])

    def add(self, samples: jax.Array, region: jax.Array, start: jax.Array) -> jax.Array:
        """Add a region to the samples it was read from: the transpose of `read`."""
        at, height = self._inside(start, samples.shape[1])
        margins = [(-low, -high) for low, high in self._margins()]
        block = _shifted_rows(_pad(region, margins), at - start, height)
        block += lax.dynamic_slice_in_dim(samples, at, height, axis=1)
        return lax.dynamic_update_slice_in_dim(samples, block, at, axis=1)

    def _inside(self, start: jax.Array, rows: int) -> tuple[jax.Array, int]:
        """Rows of the samples that hold all that is there of a region: the first, and how many."""
        height = min(self.region[0], rows)
        return jnp.clip(start, 0, rows - height), height

    def _margins(self) -> list[tuple[int, int]]:
        """What the region has more than the samples, (low, high) along all axes but the rows."""
        axes = zip(self.first, self.region, self.geometry.input_size, strict=True)
        margins = [(-int(first), size + int(first) - n) for first, size, n in axes]
        return [(0, 0), (0, 0), *margins[1:], (0, 0)]

    def split(self, outputs: jax.Array) -> jax.Array:
        """(N, *output_size, ...) -> (bands, N, rows, *output_size[1:], ...), zeros after the last."""
        rows = self.size[0] * self.geometry.spread[0]
        outputs = _pad_after(outputs, 1, self.count * rows - outputs.shape[1])
        outputs = outputs.reshape(outputs.shape[0], self.count, rows, *outputs.shape[2:])
        return jnp.moveaxis(outputs, 1, 0)

    def join(self, bands: jax.Array) -> jax.Array:
        """The inverse of `split`."""
        bands = jnp.moveaxis(bands, 0, 1)
        outputs = bands.reshape(bands.shape[0], -1, *bands.shape[3:])
        return lax.slice_in_dim(outputs, 0, self.geometry.output_size[0], axis=1)

    def to_phases(self, band: jax.Array) -> jax.Array:
        """One band (N, rows, *output_size[1:], ...) -> (phases, N, *size, ...)."""
        return split_phases(band, self.geometry.spread, self.size)

    def from_phases(self, phases: jax.Array) -> jax.Array:
        """The inverse of `to_phases`."""
        spread, sizes = self.geometry.spread, self.geometry.output_size
        return merge_phases(phases, spread, (self.size[0] * spread[0], *sizes[1:]))


def _shifted_rows(array: jax.Array, start: jax.Array, height: int) -> jax.Array:
    """Rows from `start`, which may lie outside, where there are zeros."""
    padded = _pad(array, [(0, 0), (height, height), *[(0, 0)] * (array.ndim - 2)])
    start = jnp.clip(start + height, 0, array.shape[1] + height)
    return lax.dynamic_slice_in_dim(padded, start, height, axis=1)


def _pad_after(array: jax.Array, axis: int, width: int) -> jax.Array:
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, width)
    return _pad(array, widths)


def _pad(array: jax.Array, widths: Sequence[tuple[int, int]]) -> jax.Array:
    """Zeros around the array; negative widths crop."""
    config = [(low, high, 0) for low, high in widths]
    return lax.pad(array, jnp.zeros((), array.dtype), config)
