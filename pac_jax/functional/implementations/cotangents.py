"""The reverse pass of the sums over taps: band after band, tap after tap, added to in place.

Affinities are computed anew, so that nothing is kept from the forward pass but what it was given.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pac_jax.functional.implementations.bands import Bands, Block
from pac_jax.functional.implementations.groups import (
    Group,
    kernel_from_groups,
    kernels_of_groups,
)
from pac_jax.functional.implementations.loops import scan_or_step
from pac_jax.functional.implementations.products import Sums
from pac_jax.functional.implementations.terms import (
    Arrays,
    add_band,
    bands_of,
    centres_from_groups,
    centres_of_groups,
    corner,
    met_samples,
    read_band,
    terms,
)
from pac_jax.functional.problem import Problem

_MOST_PLANES = 8  # fewer than in the forward pass: each has a cotangent to be added up


@dataclass(frozen=True)
class Asked:
    """For which leaves of the arrays a derivative is asked.

    Attributes:
        tree: structure of the arrays.
        flags: one per leaf.
    """

    tree: Any
    flags: tuple[bool, ...]

    def keep(self, arrays: Arrays) -> Arrays:
        """The arrays, None for what is not asked for."""
        return self._tree_of(self.of(self.tree.flatten_up_to(arrays)))

    def zeros(self, arrays: Arrays) -> Arrays:
        """Zeros for what is asked for."""
        return jax.tree.map(jnp.zeros_like, self.keep(arrays))

    def of(self, leaves: Sequence) -> list:
        """Those of the leaves that are asked for."""
        return [leaf for leaf, flag in zip(leaves, self.flags, strict=True) if flag]

    def function_of(self, function: Callable[[Arrays], Any], leaves: Sequence) -> Callable:
        """The function of the leaves that are asked for alone; the others stay as given."""

        def of_asked(values: Sequence) -> Any:
            chosen = iter(values)
            pairs = zip(leaves, self.flags, strict=True)
            return function(self.tree.unflatten([next(chosen) if f else leaf for leaf, f in pairs]))

        return of_asked

    def at_tap(self, problem: Problem, arrays: Arrays, sums: Sums, *, kernel_first: bool) -> Arrays:
        """Cotangents of what one tap of a group reads."""
        leaves = self.tree.flatten_up_to(arrays)
        function = self.function_of(partial(terms, problem, kernel_first=kernel_first), leaves)
        return self._tree_of(jax.vjp(function, self.of(leaves))[1](sums)[0])

    def _tree_of(self, values: Sequence) -> Arrays:
        chosen = iter(values)
        return self.tree.unflatten([next(chosen) if flag else None for flag in self.flags])


def cotangents(problem: Problem, asked: Asked, arrays: Arrays, sums: Sums) -> Arrays:
    """Cotangents of the arrays, None for what is not asked for, band after band."""
    bands = bands_of(problem, arrays)
    centres, cotangent = jax.tree.map(bands.whole, (arrays.centres, sums))
    kernels = kernels_of_groups(arrays.kernel, bands.groups)
    arrays = arrays._replace(centres=centres, kernel=kernels)

    def band(total: Arrays, block: Block) -> tuple[Arrays, None]:
        start, row, done = block
        read = read_band(problem, bands, arrays, start, row, most_planes=_MOST_PLANES)
        new = jax.tree.map(
            lambda sum: _new_rows(bands, bands.read_outputs(sum, row), done), cotangent
        )
        own = _of_band(problem, asked, bands, read, new, total)
        return own._replace(
            samples=add_band(bands, total.samples, own.samples, start),
            centres=jax.tree.map(partial(bands.add_outputs, row=row), total.centres, own.centres),
        ), None

    begin = asked.zeros(arrays)._replace(bias=None)
    total, _ = scan_or_step(band, begin, bands.blocks())
    return Arrays(
        total.samples,
        jax.tree.map(bands.crop, total.centres),
        None if total.kernel is None else kernel_from_groups(total.kernel, bands.groups),
        total.affinity,
        None if asked.keep(arrays).bias is None else jnp.sum(sums[0], range(sums[0].ndim - 1)),
    )


def _new_rows(bands: Bands, band: jax.Array, done: jax.Array) -> jax.Array:
    """Zeros for those of the first rows that the band before has, too."""
    if not bands.overlap:
        return band
    row = lax.broadcasted_iota(np.int32, band.shape, 1)
    return jnp.where(row < done, jnp.zeros((), band.dtype), band)


def _of_band(
    problem: Problem, asked: Asked, bands: Bands, arrays: Arrays, sums: Sums, total: Arrays
) -> Arrays:
    """Cotangents of the samples and centres that a band reads, and new totals of the rest."""
    samples = asked.zeros(arrays).samples
    groups = zip(bands.groups, centres_of_groups(bands, arrays), arrays.kernel, strict=True)
    affinity = total.affinity
    kernels: list = []
    centres: list = []
    for number, (group, own, kernel) in enumerate(groups):
        read = arrays._replace(centres=own, kernel=kernel)
        begin = Arrays(
            samples,
            None if arrays.affinity is None else asked.zeros(read).centres,
            None if total.kernel is None else total.kernel[number],
            affinity,
            None,
        )
        of_group = jax.tree.map(group.own, sums)
        end, weights = _of_group(problem, asked, bands, group, read, of_group, begin)
        samples, affinity = end.samples, end.affinity
        kernels.append(end.kernel)
        centres.append(weights if arrays.affinity is None else end.centres)
    return Arrays(
        samples,
        None if total.centres is None else centres_from_groups(bands, arrays, centres),
        None if total.kernel is None else kernels,
        affinity,
        None,
    )


def _of_group(
    problem: Problem,
    asked: Asked,
    bands: Bands,
    group: Group,
    arrays: Arrays,
    sums: Sums,
    total: Arrays,
) -> tuple[Arrays, jax.Array | None]:
    """New totals after all taps of a group, and the cotangents of its given affinity."""
    is_given = arrays.affinity is None
    # Of several phases one product of matrices, instead of one for each.
    kernel_first = group.count > 1 and problem.feature_group_count == 1

    def tap(total: Arrays, xs: tuple) -> tuple[Arrays, jax.Array | None]:
        number, offset, weight = xs
        met = arrays._replace(
            samples=jax.tree.map(partial(met_samples, bands, offset), arrays.samples),
            centres=weight if is_given else arrays.centres,
            kernel=group.kernel_of_tap(arrays.kernel, number),
        )
        own = asked.at_tap(problem, met, sums, kernel_first=kernel_first)
        kernel = total.kernel
        if kernel is not None:
            kernel = group.add_to_tap(kernel, number, own.kernel)
        total = Arrays(
            jax.tree.map(partial(_add_met, bands, offset), total.samples, own.samples),
            None if is_given else jax.tree.map(jnp.add, total.centres, own.centres),
            kernel,
            jax.tree.map(jnp.add, total.affinity, own.affinity),
            None,
        )
        return total, own.centres if is_given else None

    # Several phases are one wide step already.
    unroll = bands.taps_in_a_step(group) if group.count == 1 else 1
    xs = (group.number, group.offset, arrays.centres if is_given else None)
    return scan_or_step(tap, total, xs, unroll)


def _add_met(bands: Bands, offset: jax.Array, total: jax.Array, met: jax.Array) -> jax.Array:
    """Add to the region's samples that a tap meets."""
    start = corner(offset, total.ndim)
    zero = jnp.zeros((), met.dtype)
    rest = [(0, 0, 0)] * (met.ndim - 1 - len(bands.step))
    spread = lax.pad(met, zero, [(0, 0, 0), *((0, 0, s - 1) for s in bands.step), *rest])
    spread += lax.dynamic_slice(total, start, spread.shape)
    return lax.dynamic_update_slice(total, spread, start)
