"""Which taps of which outputs meet the same samples.

Where the input is spread, output o meets a real sample only at the taps t with
o - padding_low + t * dilation divisible by the spread s. These are the same taps for all outputs of one
phase, o modulo s: a phase is an ordinary convolution of the unspread input with some of the taps, so no
zero between samples is ever multiplied. Phases that read a sample by some tap each form a group.
Without spread there is one phase, and one group of all taps.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pac_jax.functional.geometry import Geometry, Ints


@dataclass(frozen=True)
class Group:
    """Phases of the output that meet the same samples, and their taps.

    Attributes:
        geometry: of the operation.
        phases: which ones, per axis in equal steps: the product of these.
        places: per axis, for every offset the place in the window of each phase's tap.
        offsets: per axis, where the phases' outputs 0 read, from the first sample that any reads.
    """

    geometry: Geometry
    phases: tuple[Ints, ...]
    places: tuple[tuple[Ints, ...], ...]
    offsets: tuple[Ints, ...]

    @property
    def count(self) -> int:
        """Number of phases."""
        return math.prod(map(len, self.phases))

    @cached_property
    def numbers(self) -> np.ndarray:
        """(count,), the phases' places among all of them."""
        phases = np.array(list(itertools.product(*self.phases)), np.int32)
        return np.ravel_multi_index(tuple(phases.T), self.geometry.spread)

    @cached_property
    def offset(self) -> np.ndarray:
        """(T, n), a sample that all the phases meet per row."""
        return np.array(list(itertools.product(*self.offsets)), np.int32)

    @property
    def number(self) -> np.ndarray:
        """(T,), which of the group's taps."""
        return np.arange(len(self.offset), dtype=np.int32)

    @cached_property
    def place(self) -> np.ndarray:
        """(T, count), by which tap of the flattened window each meets it."""
        of_offsets = itertools.product(*self.places)
        taps = np.array([list(itertools.product(*of_axes)) for of_axes in of_offsets], np.int32)
        return np.ravel_multi_index(tuple(np.moveaxis(taps, -1, 0)), self.geometry.window)

    def own(self, phases: jax.Array) -> jax.Array:
        """Of all phases (N, *size, *spread, ...) the group's: (N, *size, count, ...)."""
        n = self.geometry.ndim
        for axis, own in enumerate(self.phases, 1 + n):
            phases = lax.slice_in_dim(phases, own[0], own[-1] + 1, _step(own), axis)
        return phases.reshape(*phases.shape[: 1 + n], self.count, *phases.shape[1 + 2 * n :])

    def among_all(self, own: jax.Array) -> jax.Array:
        """The transpose of `own`: zeros at the other phases."""
        n = self.geometry.ndim
        own = own.reshape(*own.shape[: 1 + n], *map(len, self.phases), *own.shape[2 + n :])
        widths = [(0, 0, 0)] * own.ndim
        for axis, phases in enumerate(self.phases):
            after = self.geometry.spread[axis] - 1 - phases[-1]
            widths[1 + n + axis] = (phases[0], after, _step(phases) - 1)
        return lax.pad(own, jnp.zeros((), own.dtype), widths)

    def kernel_of_tap(self, kernel: jax.Array, number: jax.Array) -> jax.Array:
        """(count, ...) of what `kernels_of_groups` gives for this group."""
        start, size = self._tap(kernel, number)
        return lax.dynamic_slice(kernel, start, size).reshape(self.count, *self._of_phase(kernel))

    def add_to_tap(self, total: jax.Array, number: jax.Array, own: jax.Array) -> jax.Array:
        """Add (count, ...) where `kernel_of_tap` reads."""
        start, size = self._tap(total, number)
        own = own.reshape(size) + lax.dynamic_slice(total, start, size)
        return lax.dynamic_update_slice(total, own, start)

    def _tap(self, kernel: jax.Array, number: jax.Array) -> tuple[tuple[jax.Array, ...], Ints]:
        """Where the tap lies in a group's kernel: first element along all axes, and size."""
        rest = self._of_phase(kernel)
        if self.geometry.num_phases == 1:
            lead = jnp.unravel_index(number, self.geometry.window)
            size: Ints = (*(1 for _ in lead), *rest)
        else:
            lead, size = (number,), (1, self.count, *rest)
        zero = jnp.zeros((), number.dtype)
        return (*lead, *(zero for _ in size[len(lead) :])), size

    def _of_phase(self, kernel: jax.Array) -> Ints:
        """Shape of one phase's tap."""
        return kernel.shape[self.geometry.ndim if self.geometry.num_phases == 1 else 2 :]


def _step(phases: Ints) -> int:
    return phases[1] - phases[0] if len(phases) > 1 else 1


def group_taps(geometry: Geometry) -> tuple[Ints, list[Group]]:
    """All taps of all phases, and the first sample that any output 0 of a phase reads."""
    axes = [_reads(geometry, axis) for axis in range(geometry.ndim)]
    first = tuple(min(min(reads) for reads in by_phases.values()) for by_phases in axes)
    groups = []
    for phases in itertools.product(*axes):
        reads = [by_phases[own] for by_phases, own in zip(axes, phases, strict=True)]
        offsets = tuple(
            tuple(at - begin for at in own) for own, begin in zip(reads, first, strict=True)
        )
        groups.append(Group(geometry, phases, tuple(tuple(own.values()) for own in reads), offsets))
    return first, groups


def single_taps(geometry: Geometry) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All taps one by one: their phases (T,), places (T,), and what outputs 0 of phases read (T, n)."""
    first, groups = group_taps(geometry)
    phases = [np.broadcast_to(group.numbers, group.place.shape).ravel() for group in groups]
    places = [group.place.ravel() for group in groups]
    reads = [np.repeat(group.offset + np.array(first), group.count, axis=0) for group in groups]
    return np.concatenate(phases), np.concatenate(places), np.concatenate(reads)


def _reads(geometry: Geometry, axis: int) -> dict[Ints, dict[int, Ints]]:
    """Along one axis: by phases, where their outputs 0 read, and by which taps they do."""
    spread, (low, _) = geometry.spread[axis], geometry.padding[axis]
    met: dict[int, list[tuple[int, int]]] = {}
    for phase, place in np.ndindex(spread, geometry.window[axis]):
        at, rest = divmod(phase - low + place * geometry.kernel_dilation[axis], spread)
        if rest == 0:
            met.setdefault(at, []).append((phase, place))
    by_phases: dict[Ints, dict[int, Ints]] = {}
    for at in sorted(met):
        phases, places = zip(*met[at], strict=True)
        by_phases.setdefault(phases, {})[at] = places
    return by_phases


def kernels_of_groups(kernel: jax.Array, groups: Sequence[Group]) -> list[jax.Array]:
    """What `Group.kernel_of_tap` reads: of every group (T, count, ...).

    A single group reads the kernel (*window, ...) as it is: XLA would copy a reshaped one at the
    start of every loop.
    """
    geometry = groups[0].geometry
    if geometry.num_phases == 1:
        return [kernel]
    flat = kernel.reshape(geometry.num_taps, *kernel.shape[geometry.ndim :])
    return taps_of_groups(flat, [group.place for group in groups])


def kernel_from_groups(kernels: Sequence[jax.Array], groups: Sequence[Group]) -> jax.Array:
    """The transpose of `kernels_of_groups`."""
    geometry = groups[0].geometry
    if geometry.num_phases == 1:
        return kernels[0]
    flat = taps_from_groups(kernels, [group.place for group in groups], geometry.num_taps)
    return flat.reshape(*geometry.window, *flat.shape[1:])


def taps_of_groups(array: jax.Array, indices: Sequence[np.ndarray]) -> list[jax.Array]:
    """What every group's (T, count) indices name of an array (M, ...): (T, count, ...)."""
    return [array[index] for index in indices]


def taps_from_groups(
    parts: Sequence[jax.Array], indices: Sequence[np.ndarray], count: int
) -> jax.Array:
    """The transpose of `taps_of_groups` for M = count and indices that are all different."""
    flat = jnp.concatenate([part.reshape(-1, *part.shape[2:]) for part in parts])
    order = np.concatenate([index.ravel() for index in indices])
    places = np.full(count, len(order))
    places[order] = np.arange(len(order))
    return jnp.concatenate([flat, jnp.zeros_like(flat[:1])])[places]
