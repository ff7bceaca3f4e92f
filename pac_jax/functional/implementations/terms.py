"""What a tap of the window reads of a band, and what it adds to the sums."""

import functools
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pac_jax.functional.affinity import evaluate_affinity
from pac_jax.functional.implementations.bands import Bands
from pac_jax.functional.implementations.groups import taps_from_groups, taps_of_groups
from pac_jax.functional.implementations.products import (
    Sums,
    num_features,
    over_channels,
    times_kernel,
)
from pac_jax.functional.problem import Problem


class Samples(NamedTuple):
    """What is read at every tap.

    Attributes:
        inputs: (N, *size, C).
        neighbours: (N, *size, G), None where the affinity is given.
        mask: (N or 1, *size, 1), None unless the denominator is wanted.
    """

    inputs: jax.Array
    neighbours: jax.Array | None
    mask: jax.Array | None


class Arrays(NamedTuple):
    """What the sums depend on: the whole, the part that a band reads, or that one tap reads.

    As cotangents, None for what is not asked for.

    Attributes:
        samples: of the whole, of the band's region, or those that the tap meets.
        centres: the guide at the outputs, or the given affinity. Of the whole (N, *output_size, G)
            and (N, *output_size, T, 1 or C), of a band (N, *size, *spread, ...), for a tap of a group
            (N, *size, phases, G) and (phases, N, *size, 1 or C).
        kernel: (*window, C / groups, D), or (*window,) for pooling; of a band what
            `kernels_of_groups` gives; for a tap of a group (phases, ...).
        affinity: a function and a pytree, None where the affinity is given.
        bias: (D,), or None; no tap reads it.
    """

    samples: Samples
    centres: Any
    kernel: Any
    affinity: Any
    bias: Any


def bands_of(problem: Problem, arrays: Arrays) -> Bands:
    """The bands to cut the output into."""
    inputs, n = arrays.samples.inputs, problem.geometry.ndim
    features = num_features(problem, inputs, arrays.kernel)
    guide = math.prod(arrays.centres.shape[1 + n :])
    return Bands(problem.geometry, len(inputs), inputs.shape[-1], features, guide)


def terms(problem: Problem, arrays: Arrays, *, kernel_first: bool = False) -> Sums:
    """What one tap of every phase of a group adds: (N, *size, phases, D), and the weights."""
    return _of_phases(problem, partial(_term, problem, kernel_first), arrays, None)


def weighted(problem: Problem, arrays: Arrays) -> Sums:
    """The same of inputs (N, *size, phases, D) that the kernel was applied to."""
    return _of_phases(problem, partial(_weigh, problem), arrays, 1 + problem.geometry.ndim)


def inputs_times_kernel(problem: Problem, inputs: jax.Array, kernel: jax.Array) -> jax.Array:
    """The product with a tap's kernel of every phase, (N, *size, C) -> (N, *size, phases, D)."""
    axis = 1 + problem.geometry.ndim
    if len(kernel) == 1:
        return jnp.expand_dims(times_kernel(inputs, kernel[0], problem), axis)
    product = partial(times_kernel, problem=problem)
    return jax.vmap(product, in_axes=(None, 0), out_axes=axis)(inputs, kernel)


def _of_phases(
    problem: Problem, function: Callable[[Arrays], Sums], arrays: Arrays, inputs_axis: Any
) -> Sums:
    axis = 1 + problem.geometry.ndim
    axes = Arrays(
        Samples(inputs_axis, None, None), 0 if arrays.affinity is None else axis, 0, None, None
    )
    if len(arrays.kernel) > 1:
        return jax.vmap(function, in_axes=(axes,), out_axes=axis)(arrays)
    # Without the axis of a single phase, XLA sees products of matrices as such.
    one = jax.tree.map(
        lambda of, tree: (
            tree if of is None else jax.tree.map(lambda leaf: jnp.squeeze(leaf, of), tree)
        ),
        axes,
        arrays,
        is_leaf=lambda of: of is None,
    )
    return jax.tree.map(lambda leaf: jnp.expand_dims(leaf, axis), function(one))


def _term(problem: Problem, kernel_first: bool, arrays: Arrays) -> Sums:
    """A tap's inputs times weight times kernel, and the weight, both of one phase."""
    if kernel_first:
        product = times_kernel(arrays.samples.inputs, arrays.kernel, problem)
        return _weigh(problem, arrays._replace(samples=arrays.samples._replace(inputs=product)))
    weighted, denominator = _weigh(problem, arrays)
    return times_kernel(weighted, arrays.kernel, problem), denominator


def _weigh(problem: Problem, arrays: Arrays) -> Sums:
    """What a tap meets times the affinity, (N, *size, C), and what the mask leaves of that."""
    inputs, neighbours, mask = arrays.samples
    weight = arrays.centres
    if neighbours is not None:
        weight = evaluate_affinity(
            arrays.affinity,
            neighbours,
            arrays.centres,
            channel_wise=problem.channel_wise,
            dtype=inputs.dtype,
        )
    weighted = over_channels(weight, inputs.shape[-1]) * inputs
    return weighted, None if mask is None else weight * mask


def centres_of_groups(bands: Bands, arrays: Arrays) -> list[jax.Array]:
    """Of a band for every group: (N, *size, phases, G); if given (T, phases, N, *size, 1 or C)."""
    if arrays.affinity is None:
        return _given_taps(bands, arrays.centres)
    return [group.own(arrays.centres) for group in bands.groups]


def centres_from_groups(bands: Bands, arrays: Arrays, parts: Sequence[jax.Array]) -> jax.Array:
    """The transpose of `centres_of_groups`."""
    if arrays.affinity is None:
        return _from_given_taps(bands, parts)
    of_all = [group.among_all(own) for group, own in zip(bands.groups, parts, strict=True)]
    return functools.reduce(jnp.add, of_all)


def _given_taps(bands: Bands, weights: jax.Array) -> list[jax.Array]:
    n = bands.geometry.ndim
    pairs = jnp.moveaxis(weights, (-2, *range(1 + n, 1 + 2 * n)), range(1 + n))
    flat = pairs.reshape(-1, *pairs.shape[1 + n :])
    if bands.geometry.num_phases == 1:
        return [flat[:, None]]
    return taps_of_groups(flat, _pairs(bands))


def _from_given_taps(bands: Bands, parts: Sequence[jax.Array]) -> jax.Array:
    """The transpose of `_given_taps`."""
    geometry = bands.geometry
    n, taps = geometry.ndim, geometry.num_taps
    if geometry.num_phases == 1:
        flat = parts[0][:, 0]
    else:
        flat = taps_from_groups(parts, _pairs(bands), taps * geometry.num_phases)
    pairs = flat.reshape(taps, *geometry.spread, *flat.shape[1:])
    return jnp.moveaxis(pairs, range(1 + n), (-2, *range(1 + n, 1 + 2 * n)))


def _pairs(bands: Bands) -> list[np.ndarray]:
    """The places of every group's taps among all pairs of a tap and a phase."""
    return [group.place * bands.geometry.num_phases + group.numbers for group in bands.groups]


def met_samples(bands: Bands, offset: jax.Array, region: jax.Array) -> jax.Array:
    """The samples of a region (N, *region, ...) that a tap meets, one for each output of a phase."""
    step = bands.step
    span = tuple((n - 1) * s + 1 for n, s in zip(bands.size, step, strict=True))
    rest = region.shape[1 + len(span) :]
    block = lax.dynamic_slice(region, corner(offset, region.ndim), (len(region), *span, *rest))
    return lax.slice(block, (0,) * block.ndim, block.shape, (1, *step, *(1 for _ in rest)))


def corner(offset: jax.Array, ndim: int) -> tuple[jax.Array, ...]:
    """Where a slice begins along all axes."""
    zero = jnp.zeros((), offset.dtype)
    return (zero, *offset, *(zero for _ in range(ndim - 1 - len(offset))))
