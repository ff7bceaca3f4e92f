"""Cutting the output into bands of rows, each with its phases and the input region that it reads."""

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
from pac_jax.functional.implementations.groups import Group, group_taps
from pac_jax.functional.implementations.phases import merge_phases, split_phases

# Bands whose steps hold so many numbers keep what the taps add up in the processor's cache, and still
# amortise the start of each step's handful of kernels; experiments/benchmarks measures both.
_BAND_NUMBERS = 1 << 21
# But no more than this share of all numbers of inputs, guide and outputs: small calls need little.
_BAND_SHARE = 0.25
# So many taps are one step of a loop, if they divide the number of taps: their terms are added up in
# one pass over memory. The more, the longer it compiles. Several phases of a tap are as good.
_STEP_TAPS = 7
_STEP_PHASES = 16
# With more channels than these, the product with the kernel takes most of the time.
_MANY_CHANNELS = 128


class Block(NamedTuple):
    """Where a band lies; stacked for all, it is what a scan walks over.

    Attributes:
        start: first row of what it reads, on the input: negative where that begins outside.
        row: its first row of a phase.
        done: how many of its rows the band before has, too: the last band is not cut shorter.
    """

    start: jax.Array
    row: jax.Array
    done: jax.Array


@dataclass(frozen=True)
class Bands:
    """Equally high bands of the output.

    Attributes:
        geometry: what is cut.
        batch: number of images.
        channels: of the inputs.
        features: of the outputs.
        guide: numbers per output that the affinity is computed from, or given by.
    """

    geometry: Geometry
    batch: int
    channels: int
    features: int
    guide: int

    @cached_property
    def phase_size(self) -> Ints:
        """Spatial size of a phase of the whole output."""
        sizes = zip(self.geometry.output_size, self.geometry.spread, strict=True)
        return tuple(-(-n // s) for n, s in sizes)

    @cached_property
    def count(self) -> int:
        """Number of bands: as few as are small enough."""
        rows = self.phase_size[0]
        outputs = self.batch * math.prod(self.geometry.output_size)
        inputs = self.batch * math.prod(self.geometry.input_size)
        numbers = inputs * self.channels + outputs * (self.guide + self.features)
        products = 1 + max(map(self.taps_in_a_step, self.groups))
        per_output = products * max(self.channels, self.features) + 2 * self.guide
        most = max(int(min(_BAND_NUMBERS, _BAND_SHARE * numbers)) // per_output, 1)
        return -(-rows // -(-rows // min(-(-outputs // most), rows)))

    def taps_in_a_step(self, group: Group) -> int:
        """How many of a group's taps a step of the loop over them takes."""
        taps = len(group.offset)
        if max(self.channels, self.features) > _MANY_CHANNELS:
            return 1
        most = min(_STEP_TAPS, max(_STEP_PHASES // group.count, 1))
        return max(n for n in range(1, most + 1) if taps % n == 0)

    @cached_property
    def size(self) -> Ints:
        """Spatial size of a phase of one band."""
        return (-(-self.phase_size[0] // self.count), *self.phase_size[1:])

    @cached_property
    def _taps(self) -> tuple[Ints, list[Group]]:
        return group_taps(self.geometry)

    @property
    def groups(self) -> list[Group]:
        """All taps of all phases."""
        return self._taps[1]

    @property
    def first(self) -> Ints:
        """The input sample where the region of a band at row 0 begins."""
        return self._taps[0]

    @property
    def step(self) -> Ints:
        """From one output of a phase to the next, on the input."""
        return self.geometry.strides

    @property
    def region(self) -> Ints:
        """Spatial size of what one band reads."""
        last = np.max([group.offset.max(axis=0) for group in self.groups], axis=0)
        sizes = zip(self.size, self.step, last, strict=True)
        return tuple((n - 1) * s + 1 + int(end) for n, s, end in sizes)

    def blocks(self) -> Block:
        """All bands."""
        wanted = np.arange(self.count, dtype=np.int32) * self.size[0]
        row = np.minimum(wanted, self.phase_size[0] - self.size[0]).astype(np.int32)
        start = self.first[0] + row * self.step[0]
        return Block(jnp.asarray(start), jnp.asarray(row), jnp.asarray(wanted - row))

    @property
    def overlap(self) -> bool:
        """Whether the last band has rows of the one before."""
        return self.phase_size[0] % self.size[0] != 0

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
        margins = [(-first, size + first - n) for first, size, n in axes]
        return [(0, 0), (0, 0), *margins[1:], (0, 0)]

    @property
    def whole_size(self) -> Ints:
        """Spatial size of the output with all rows of all phases."""
        return (self.phase_size[0] * self.geometry.spread[0], *self.geometry.output_size[1:])

    def whole(self, outputs: jax.Array) -> jax.Array:
        """Outputs (N, *output_size, ...) with zeros up to that size."""
        after = self.whole_size[0] - outputs.shape[1]
        return _pad(outputs, [(0, 0), (0, after), *[(0, 0)] * (outputs.ndim - 2)])

    def crop(self, outputs: jax.Array) -> jax.Array:
        """The inverse of `whole`."""
        return lax.slice_in_dim(outputs, 0, self.geometry.output_size[0], axis=1)

    def read_outputs(self, outputs: jax.Array, row: jax.Array) -> jax.Array:
        """The band (N, *size, *spread, ...) from this row of whole outputs."""
        spread = self.geometry.spread
        band = lax.dynamic_slice_in_dim(outputs, row * spread[0], self.size[0] * spread[0], axis=1)
        return split_phases(band, spread, self.size)

    def write_outputs(self, outputs: jax.Array, band: jax.Array, row: jax.Array) -> jax.Array:
        """Whole outputs with the band (N, *size, *spread, ...) from this row on."""
        rows = self._rows(band)
        return lax.dynamic_update_slice_in_dim(outputs, rows, row * self.geometry.spread[0], axis=1)

    def add_outputs(self, outputs: jax.Array, band: jax.Array, row: jax.Array) -> jax.Array:
        """Whole outputs and the band (N, *size, *spread, ...) from this row on."""
        rows, start = self._rows(band), row * self.geometry.spread[0]
        rows += lax.dynamic_slice_in_dim(outputs, start, rows.shape[1], axis=1)
        return lax.dynamic_update_slice_in_dim(outputs, rows, start, axis=1)

    def _rows(self, band: jax.Array) -> jax.Array:
        """The inverse of `split_phases`."""
        rows = self.size[0] * self.geometry.spread[0]
        return merge_phases(band, (rows, *self.geometry.output_size[1:]))


def _shifted_rows(array: jax.Array, start: jax.Array, height: int) -> jax.Array:
    """Rows from `start`, which may lie outside, where there are zeros."""
    padded = _pad(array, [(0, 0), (height, height), *[(0, 0)] * (array.ndim - 2)])
    start = jnp.clip(start + height, 0, array.shape[1] + height)
    return lax.dynamic_slice_in_dim(padded, start, height, axis=1)


def _pad(array: jax.Array, widths: Sequence[tuple[int, int]]) -> jax.Array:
    """Zeros around the array; negative widths crop."""
    config = [(low, high, 0) for low, high in widths]
    return lax.pad(array, jnp.zeros((), array.dtype), config)
