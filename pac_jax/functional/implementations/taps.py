"""Walk over the window one tap at a time: no array holds window-many copies of anything.

The output is cut into bands of rows, which a scan computes one after another from the region of the
input that each reads; an inner scan over the taps adds up the band. The reverse pass walks over bands
and taps alike (see `cotangents`). So neither's memory grows with the window.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from pac_jax.functional.affinity import OF_DISTANCE, Affinity
from pac_jax.functional.implementations.bands import Bands, Block
from pac_jax.functional.implementations.cotangents import Asked, cotangents
from pac_jax.functional.implementations.groups import Group, kernels_of_groups
from pac_jax.functional.implementations.loops import scan_or_step
from pac_jax.functional.implementations.products import Sums, zeros
from pac_jax.functional.implementations.terms import (
    Arrays,
    Samples,
    bands_of,
    centres_of_groups,
    inputs_times_kernel,
    met_samples,
    read_band,
    terms,
    weighted,
)
from pac_jax.functional.linear_map import linear_map
from pac_jax.functional.problem import GuideFeatures, Operands, Problem

# Each channel of the guide is an array of its own up to so many: then the compiler needs too long.
_MOST_PLANES = 16


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
    if type(arrays.affinity) in OF_DISTANCE:  # the centres are smoothed already
        arrays = arrays._replace(affinity=replace(arrays.affinity, smoothing=None))
    elif arrays.affinity is not None:
        arrays = arrays._replace(affinity=_with_its_numbers(problem, arrays))
    return contract_by(Rules(sums_over_taps, sums_over_taps, cotangents), problem, arrays)


def arrays_of(problem: Problem, operands: Operands) -> Arrays:
    """The operands as the sums over taps read them."""
    n = problem.geometry.ndim
    mask = operands.sample_weights() if problem.normalize else None
    if isinstance(operands.guided_by, GuideFeatures):
        affinity, neighbours, centres = operands.guided_by
    else:
        affinity, neighbours, centres = None, None, operands.guided_by
        centres = centres.reshape(*centres.shape[: 1 + n], problem.geometry.num_taps, -1)
    samples = Samples(operands.inputs, neighbours, mask)
    return Arrays(samples, centres, operands.kernel, affinity, operands.bias)


def is_empty(problem: Problem, arrays: Arrays) -> bool:
    """Whether there is no output."""
    return 0 in (len(arrays.samples.inputs), *problem.geometry.output_size)


def nothing_at_all(problem: Problem, arrays: Arrays) -> Sums:
    """The sums where nothing is summed."""
    lead = (len(arrays.samples.inputs), *problem.geometry.output_size)
    return zeros(problem, arrays.samples.inputs, arrays.kernel, lead)


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
    bands = bands_of(problem, arrays)
    phase_axis = 1 + problem.geometry.ndim
    functions: dict = {}
    numbers: list = []
    for count in {group.count for group in bands.groups}:
        shape = (bands.batch, *bands.size, count, arrays.centres.shape[-1])
        features = jnp.zeros((*shape, 1) if problem.channel_wise else shape, arrays.centres.dtype)
        # An affinity that is a pytree need not be hashable; a function of it is.
        functions[count], numbers = jax.closure_convert(
            lambda neighbour, centre: arrays.affinity(neighbour, centre), features, features
        )
    return jax.tree_util.Partial(
        lambda numbers, neighbour, centre: functions[centre.shape[phase_axis]](
            neighbour, centre, *numbers
        ),
        numbers,
    )


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def contract_by(rules: Rules, problem: Problem, arrays: Arrays) -> Sums:
    """The sums, by these rules in all modes and orders of differentiation."""
    return rules.sums(problem, arrays)


@partial(contract_by.defjvp, symbolic_zeros=True)
def _contract_jvp(
    rules: Rules, problem: Problem, primals: tuple, tangents: tuple
) -> tuple[Sums, Sums]:
    leaves, of_leaves = jax.tree.flatten(primals[0])
    changes = jax.tree.leaves(tangents[0])
    asked = Asked(of_leaves, tuple(not isinstance(change, SymbolicZero) for change in changes))
    sums, tree = jax.tree.flatten(contract_by(rules, problem, primals[0]))
    change = linear_map(
        partial(_change, rules, problem, asked),
        partial(_transposed_change, rules, problem, asked),
        leaves,
        asked.of(changes),
        sums,
    )
    return jax.tree.unflatten(tree, sums), jax.tree.unflatten(tree, change)


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
    bands = bands_of(problem, arrays)
    kernels = kernels_of_groups(arrays.kernel, bands.groups)
    size = bands.whole_size
    zero = zeros(problem, arrays.samples.inputs, arrays.kernel, (bands.batch, *size))
    arrays = arrays._replace(centres=bands.whole(arrays.centres), kernel=kernels)

    def band(sums: Sums, block: Block) -> tuple[Sums, None]:
        read = read_band(problem, bands, arrays, block.start, block.row, most_planes=_MOST_PLANES)
        own = _sums_of_band(problem, bands, read)
        return jax.tree.map(partial(bands.write_outputs, row=block.row), sums, own), None

    sums, _ = scan_or_step(jax.checkpoint(band), zero, bands.blocks())
    return jax.tree.map(bands.crop, sums)


def _sums_of_band(problem: Problem, bands: Bands, arrays: Arrays) -> Sums:
    """One band's two sums, (N, *size, *spread, D) and (N, *size, *spread, 1 or C)."""
    lead = (bands.batch, *bands.size, *problem.geometry.spread)
    sums = zeros(problem, arrays.samples.inputs, arrays.kernel[0], lead)
    if arrays.bias is not None:
        sums = sums[0] + arrays.bias.reshape((1,) * (sums[0].ndim - 1) + (-1,)), sums[1]
    centres = centres_of_groups(bands, arrays)
    for group, own, kernel in zip(bands.groups, centres, arrays.kernel, strict=True):
        of_group = arrays._replace(centres=own, kernel=kernel)
        terms = _sums_of_group(problem, bands, group, of_group)
        sums = jax.tree.map(lambda sum, own, group=group: sum + group.among_all(own), sums, terms)
    return sums


def _sums_of_group(problem: Problem, bands: Bands, group: Group, arrays: Arrays) -> Sums:
    """The two sums over a group's taps, (N, *size, phases, D) and (N, *size, phases, 1 or C)."""
    kernel_first = _kernel_first(problem, bands, arrays)

    def tap(sums: Sums, xs: tuple) -> tuple[Sums, None]:
        number, offset, weight = xs
        kernel, samples = group.kernel_of_tap(arrays.kernel, number), arrays.samples
        if kernel_first:
            inputs = inputs_times_kernel(problem, samples.inputs, kernel)
            samples = samples._replace(inputs=inputs)
        met = Arrays(
            jax.tree.map(partial(met_samples, bands, offset), samples),
            arrays.centres if weight is None else weight,
            kernel,
            arrays.affinity,
            None,
        )
        own = weighted(problem, met, met.samples.inputs) if kernel_first else terms(problem, met)
        return jax.tree.map(jnp.add, sums, own), None

    lead = (bands.batch, *bands.size, group.count)
    begin = zeros(problem, arrays.samples.inputs, arrays.kernel, lead)
    xs = (group.number, group.offset, arrays.centres if arrays.affinity is None else None)
    return scan_or_step(jax.checkpoint(tap), begin, xs, bands.taps_in_a_step(group))[0]


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
