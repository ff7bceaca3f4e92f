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

from pac_jax.functional.implementations.bands import Bands
from pac_jax.functional.implementations.loops import scan_or_step, taps_in_a_step
from pac_jax.functional.implementations.products import Sums
from pac_jax.functional.implementations.terms import (
    Arrays,
    centre_of,
    corner,
    met_samples,
    term,
    to_phases,
)
from pac_jax.functional.problem import Problem


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

    def at_tap(self, problem: Problem, arrays: Arrays, sums: Sums) -> Arrays:
        """Cotangents of what one tap reads."""
        leaves = self.tree.flatten_up_to(arrays)
        function = self.function_of(partial(term, problem), leaves)
        return self._tree_of(jax.vjp(function, self.of(leaves))[1](sums)[0])

    def _tree_of(self, values: Sequence) -> Arrays:
        chosen = iter(values)
        return self.tree.unflatten([next(chosen) if flag else None for flag in self.flags])


def cotangents(problem: Problem, asked: Asked, arrays: Arrays, sums: Sums) -> Arrays:
    """Cotangents of the arrays, None for what is not asked for, band after band."""
    bands = Bands(problem.geometry, arrays.samples.inputs.shape[0])
    wanted = asked.keep(arrays)

    def band(total: Arrays, xs: tuple) -> tuple[Arrays, jax.Array | None]:
        start, centres, of_band = xs
        region = jax.tree.map(partial(bands.read, start=start), arrays.samples)
        read = arrays._replace(samples=region, centres=centres)
        of_phases = jax.tree.map(bands.to_phases, of_band)
        own = _of_band(problem, asked, bands, read, of_phases)
        total = Arrays(
            jax.tree.map(partial(bands.add, start=start), total.samples, own.samples),
            None,
            jax.tree.map(jnp.add, total.kernel, own.kernel),
            jax.tree.map(jnp.add, total.affinity, own.affinity),
            None,
        )
        return total, own.centres

    xs = (bands.starts(), bands.split(arrays.centres), jax.tree.map(bands.split, sums))
    zeros = jax.tree.map(jnp.zeros_like, wanted._replace(centres=None, bias=None))
    total, centres = scan_or_step(band, zeros, xs)
    if centres is not None:
        centres = bands.join(centres)
    bias = None if wanted.bias is None else jnp.sum(sums[0], range(sums[0].ndim - 1))
    return total._replace(centres=centres, bias=bias)


def _of_band(problem: Problem, asked: Asked, bands: Bands, arrays: Arrays, sums: Sums) -> Arrays:
    """Cotangents of what a band reads."""
    of_phases = partial(to_phases, bands, arrays.affinity is None)
    of_band = arrays.centres
    arrays = arrays._replace(centres=of_phases(of_band))

    def tap(total: Arrays, xs: tuple) -> tuple[Arrays, jax.Array | None]:
        (phase, place, offset), kernel = xs
        met = Arrays(
            jax.tree.map(partial(met_samples, bands, offset), arrays.samples),
            centre_of(arrays, phase, place),
            kernel,
            arrays.affinity,
            arrays.bias,
        )
        own = asked.at_tap(problem, met, jax.tree.map(lambda sum: sum[phase], sums))
        total = Arrays(
            jax.tree.map(partial(_add_met, bands, offset), total.samples, own.samples),
            jax.tree.map(partial(_add_centre, arrays, phase, place), total.centres, own.centres),
            None,
            jax.tree.map(jnp.add, total.affinity, own.affinity),
            None,
        )
        return total, own.kernel

    zeros = jax.tree.map(jnp.zeros_like, asked.keep(arrays)._replace(kernel=None, bias=None))
    xs = (bands.taps, arrays.kernel[bands.taps.place])
    # Phases are added to in place, one after another: nothing to add up in one pass.
    unroll = taps_in_a_step(len(xs[1])) if len(sums[0]) == 1 else 1
    total, kernel = lax.scan(tap, zeros, xs, unroll=unroll)
    if kernel is not None:
        kernel = kernel[np.argsort(bands.taps.place)]
    centres = total.centres
    if centres is not None:
        (centres,) = jax.linear_transpose(of_phases, of_band)(centres)
    return total._replace(centres=centres, kernel=kernel)


def _add_met(bands: Bands, offset: jax.Array, total: jax.Array, met: jax.Array) -> jax.Array:
    """Add to the region's samples that a tap meets."""
    start = corner(offset)
    zero = jnp.zeros((), met.dtype)
    spread = lax.pad(met, zero, [(0, 0, 0), *((0, 0, s - 1) for s in bands.step), (0, 0, 0)])
    spread += lax.dynamic_slice(total, start, spread.shape)
    return lax.dynamic_update_slice(total, spread, start)


def _add_centre(
    arrays: Arrays, phase: jax.Array, place: jax.Array, total: jax.Array, centre: jax.Array
) -> jax.Array:
    if arrays.affinity is None:
        return total.at[place, phase].set(centre)  # no other tap reads it
    if total.shape[0] == 1:  # one phase
        return total + centre[None]
    return total.at[phase].add(centre)
