"""Walk over the window one tap at a time: no array holds window-many copies of anything.

The output is cut into bands of rows, which a scan computes one after another from the region of the
input that each reads; an inner scan over the taps adds up the band. The reverse pass walks over bands
and taps alike (see `cotangents`). So neither's memory grows with the window.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_derivatives import SymbolicZero

from pac_jax.functional.affinity import Affinity
from pac_jax.functional.implementations.bands import Bands
from pac_jax.functional.implementations.cotangents import Asked, cotangents
from pac_jax.functional.implementations.loops import scan_or_step, taps_in_a_step
from pac_jax.functional.implementations.products import Sums, times_kernel
from pac_jax.functional.implementations.terms import (
    Arrays,
    Samples,
    centre_of,
    met_samples,
    nothing,
    term,
    to_phases,
    weigh,
)
from pac_jax.functional.linear_map import linear_map
from pac_jax.functional.problem import GuideFeatures, Operands, Problem


def limitation(problem: Problem, operands: Operands) -> str | None:
    """Runs everything."""
    del problem, operands
    return None


def contract(problem: Problem, operands: Operands) -> Sums:
    """See `problem.Implementation`."""
    operands = operands.widened(problem.dtype)
    arrays = arrays_of(problem, operands)
    if is_empty(problem, arrays):
        return nothing_at_all(problem, arrays)
    if arrays.affinity is not None:
        arrays = arrays._replace(affinity=_with_its_numbers(problem, arrays))
    return contract_by(Rules(sums_over_taps, sums_over_taps, cotangents), problem, arrays)


def arrays_of(problem: Problem, operands: Operands) -> Arrays:
    """The operands as the sums over taps read them."""
    n = problem.geometry.ndim
    kernel = operands.kernel.reshape(-1, *operands.kernel.shape[n:])
    mask = operands.sample_weights() if problem.normalize else None
    if isinstance(operands.guided_by, GuideFeatures):
        affinity, neighbours, centres = operands.guided_by
    else:
        affinity, neighbours, centres = None, None, operands.guided_by
        centres = centres.reshape(*centres.shape[: 1 + n], len(kernel), -1)
    samples = Samples(operands.inputs, neighbours, mask)
    return Arrays(samples, centres, kernel, affinity, operands.bias)


def is_empty(problem: Problem, arrays: Arrays) -> bool:
    """Whether there is no output."""
    return 0 in (len(arrays.samples.inputs), *problem.geometry.output_size)


def nothing_at_all(problem: Problem, arrays: Arrays) -> Sums:
    """The sums where nothing is summed."""
    return nothing(problem, arrays, (len(arrays.samples.inputs), *problem.geometry.output_size))


class Rules(NamedTuple):
    """How the sums are computed, and differentiated.

    Attributes:
        sums: of a problem and its arrays; need not be differentiable.
        differentiable_sums: the same, by operations that JAX differentiates.
        cotangents: see there; any that can be differentiated themselves.
    """

    sums: Callable[[Problem, Arrays], Sums]
    differentiable_sums: Callable[[Problem, Arrays], Sums]
    cotangents: Callable[[Problem, Asked, Arrays, Sums], Arrays]


def _with_its_numbers(problem: Problem, arrays: Arrays) -> Affinity:
    """The affinity as a pytree that holds all it may be differentiated for, a closure's numbers too."""
    size = Bands(problem.geometry, len(arrays.samples.inputs)).size
    shape = (len(arrays.centres), *size, arrays.centres.shape[-1])
    features = jnp.zeros((*shape, 1) if problem.channel_wise else shape, arrays.centres.dtype)
    # An affinity that is a pytree need not be hashable; a function of it is.
    function, numbers = jax.closure_convert(
        lambda neighbour, centre: arrays.affinity(neighbour, centre), features, features
    )
    return jax.tree_util.Partial(
        lambda numbers, neighbour, centre: function(neighbour, centre, *numbers), numbers
    )


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def contract_by(rules: Rules, problem: Problem, arrays: Arrays) -> Sums:
    """The sums, by these rules in all modes and orders of differentiation."""
    return rules.sums(problem, arrays)


@partial(contract_by.defjvp, symbolic_zeros=True)
def _contract_jvp(
    rules: Rules, problem: Problem, primals: tuple, tangents: tuple
) -> tuple[Sums, Sums]:
    leaves, tree = jax.tree.flatten(primals[0])
    changes = jax.tree.leaves(tangents[0])
    asked = Asked(tree, tuple(not isinstance(change, SymbolicZero) for change in changes))
    change = linear_map(
        partial(_change, rules, problem, asked),
        partial(_transposed_change, rules, problem, asked),
        leaves,
        asked.of(changes),
    )
    sums = contract_by(rules, problem, primals[0])
    return sums, jax.tree.unflatten(jax.tree.structure(sums), change)


def _change(
    rules: Rules,
    problem: Problem,
    asked: Asked,
    leaves: Sequence[jax.Array],
    changes: Sequence[jax.Array],
) -> list:
    """Changes of the sums, as the leaves that are asked for change."""
    function = asked.function_of(partial(rules.differentiable_sums, problem), leaves)
    return jax.tree.leaves(jax.jvp(function, (asked.of(leaves),), (list(changes),))[1])


def _transposed_change(
    rules: Rules,
    problem: Problem,
    asked: Asked,
    leaves: Sequence[jax.Array],
    changes: Sequence[jax.Array],
) -> list:
    """Cotangents of the leaves that are asked for."""
    sums = changes[0], (changes[1] if problem.normalize else None)
    return jax.tree.leaves(rules.cotangents(problem, asked, asked.tree.unflatten(leaves), sums))


def sums_over_taps(problem: Problem, arrays: Arrays) -> Sums:
    """The two sums, band after band."""
    bands = Bands(problem.geometry, arrays.samples.inputs.shape[0])

    def band(_: None, xs: tuple) -> tuple[None, Sums]:
        start, centres = xs
        region = jax.tree.map(partial(bands.read, start=start), arrays.samples)
        sums = _sums_of_band(problem, bands, arrays._replace(samples=region, centres=centres))
        return None, jax.tree.map(bands.from_phases, sums)

    xs = (bands.starts(), bands.split(arrays.centres))
    return jax.tree.map(bands.join, scan_or_step(jax.checkpoint(band), None, xs)[1])


def _sums_of_band(problem: Problem, bands: Bands, arrays: Arrays) -> Sums:
    """One band's two sums, of every phase: (phases, N, *size, D) and (phases, N, *size, 1 or C)."""
    arrays = arrays._replace(centres=to_phases(bands, arrays.affinity is None, arrays.centres))
    kernel_first = _kernel_first(problem, bands, arrays)

    def tap(sums: Sums, xs: tuple) -> tuple[Sums, None]:
        (phase, place, offset), kernel = xs
        region = arrays.samples
        if kernel_first:
            region = region._replace(inputs=times_kernel(region.inputs, kernel, problem))
        met = Arrays(
            jax.tree.map(partial(met_samples, bands, offset), region),
            centre_of(arrays, phase, place),
            kernel,
            arrays.affinity,
            None,
        )
        own = weigh(problem, met) if kernel_first else term(problem, met)
        return jax.tree.map(jnp.add, sums, own), None

    def phase(_: None, taps: tuple) -> tuple[None, Sums]:
        unroll = taps_in_a_step(len(taps[1]))
        begin = nothing(problem, arrays, (bands.batch, *bands.size))
        return None, lax.scan(jax.checkpoint(tap), begin, taps, unroll=unroll)[0]

    parts, order = [], []
    for group in bands.groups:
        taps = jax.tree.map(lambda of_all, group=group: of_all[group], bands.taps)
        parts.append(scan_or_step(phase, None, (taps, arrays.kernel[taps.place]))[1])
        order += taps.phase[:, 0].tolist()
    count = math.prod(problem.geometry.spread)
    if absent := sorted(set(range(count)) - set(order)):  # phases that no tap reaches
        parts.append(nothing(problem, arrays, (len(absent), bands.batch, *bands.size)))
        order += absent
    sums = jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *parts)
    if order == sorted(order):
        return sums
    return jax.tree.map(lambda array: array[np.argsort(order)], sums)


def _kernel_first(problem: Problem, bands: Bands, arrays: Arrays) -> bool:
    """Whether to apply the kernel before the affinity, to all that a band reads.

    The product is linear in each, and the kernel's is then sliced, weighted and added up in one pass
    over memory. That pays unless there are more features than channels to pass over, or a stride or
    wide margins leave out most of what was computed.
    """
    return (
        problem.feature_group_count == 1
        and arrays.kernel.shape[-1] <= arrays.samples.inputs.shape[-1]
        and all(s == 1 for s in problem.geometry.strides)
        and math.prod(bands.region) <= 2 * math.prod(bands.size)
    )
