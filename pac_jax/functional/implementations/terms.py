"""What a tap of the window reads of a band, and what it adds to the sums."""

import functools
import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pac_jax.functional.affinity import OF_DISTANCE, evaluate_affinity
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
        neighbours: (N, *size, G), None where the affinity is given. Of a band and at a tap it may be
            a list of the channels, (N, *size) each: see `read_band`.
        mask: (N or 1, *size, 1), None unless the denominator is wanted.
    """

    inputs: jax.Array
    neighbours: Any
    mask: jax.Array | None


class Arrays(NamedTuple):
    """What the sums depend on: the whole, the part that a band reads, or that one tap reads.

    As cotangents, None for what is not asked for.

    Attributes:
        samples: of the whole, of the band's region, or those that the tap meets.
        centres: the guide at the outputs, or the given affinity. Of the whole (N, *output_size, G)
            and (N, *output_size, T, 1 or C), of a band (N, *size, *spread, ...), for a tap of a group
            (N, *size, phases, G), or a list of its channels, and (phases, N, *size, 1 or C).
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


def read_band(
    problem: Problem,
    bands: Bands,
    arrays: Arrays,
    start: jax.Array,
    row: jax.Array,
    *,
    most_planes: int,
) -> Arrays:
    """What a band reads, a guide of at most so many channels as a list of them.

    Squared distances are then sums of arrays of one shape, which XLA computes together with all that
    comes before and after, in vector registers; over a last axis of channels it takes several times
    as long. Only affinities of a squared distance can do without that axis.
    """
    samples = jax.tree.map(partial(bands.read, start=start), arrays.samples)
    centres = bands.read_outputs(arrays.centres, row)
    of_distance = type(arrays.affinity) in OF_DISTANCE and not problem.channel_wise
    if of_distance and centres.shape[-1] <= most_planes:
        samples = samples._replace(neighbours=_planes(samples.neighbours))
    return arrays._replace(samples=samples, centres=centres)


def add_band(bands: Bands, total: Samples, own: Samples, start: jax.Array) -> Samples:
    """Add what is the samples' of a band: the transpose of `read_band`."""
    if isinstance(own.neighbours, list):
        own = own._replace(neighbours=jnp.stack(own.neighbours, axis=-1))
    return jax.tree.map(partial(bands.add, start=start), total, own)


def _planes(guide: jax.Array) -> list[jax.Array]:
    return [guide[..., channel] for channel in range(guide.shape[-1])]


def terms(problem: Problem, arrays: Arrays, *, kernel_first: bool = False) -> Sums:
    """What one tap of every phase of a group adds: (N, *size, phases, D), and the weights."""
    axis = 1 + problem.geometry.ndim
    inputs, kernel = arrays.samples.inputs, arrays.kernel
    if kernel_first:
        return weighted(problem, arrays, inputs_times_kernel(problem, inputs, kernel))
    sums, denominator = weighted(problem, arrays, jnp.expand_dims(inputs, axis))
    if len(kernel) == 1:
        return times_kernel(sums, kernel[0], problem), denominator
    product = jax.vmap(partial(times_kernel, problem=problem), in_axes=(axis, 0), out_axes=axis)
    return product(sums, kernel), denominator


def inputs_times_kernel(problem: Problem, inputs: jax.Array, kernel: jax.Array) -> jax.Array:
    """The product with a tap's kernel of every phase, (N, *size, C) -> (N, *size, phases, D)."""
    phases, channels, features = kernel.shape
    joined = jnp.moveaxis(kernel, 0, 1).reshape(channels, phases * features)
    product = times_kernel(inputs, joined, problem)
    return product.reshape(*product.shape[:-1], phases, features)


def weighted(problem: Problem, arrays: Arrays, inputs: jax.Array) -> Sums:
    """Inputs (N, *size, phases or 1, C) times the affinity, and what the mask leaves of that."""
    axis = 1 + problem.geometry.ndim
    _, neighbours, mask = arrays.samples
    if neighbours is None:
        weight = jnp.moveaxis(arrays.centres, 0, axis)
    elif isinstance(neighbours, list):
        apart = [
            arrays.affinity.of_difference(jnp.expand_dims(neighbour, axis) - centre)
            for neighbour, centre in zip(neighbours, arrays.centres, strict=True)
        ]
        squared = functools.reduce(jnp.add, [plane * plane for plane in apart])
        weight = arrays.affinity.of_squared(squared).astype(inputs.dtype)[..., None]
    else:
        neighbours = jnp.expand_dims(neighbours, axis)
        weight = evaluate_affinity(
            arrays.affinity,
            jnp.broadcast_to(neighbours, arrays.centres.shape),
            arrays.centres,
            channel_wise=problem.channel_wise,
            dtype=inputs.dtype,
        )
    sums = over_channels(weight, inputs.shape[-1]) * inputs
    return sums, None if mask is None else weight * jnp.expand_dims(mask, axis)


def centres_of_groups(bands: Bands, arrays: Arrays) -> list:
    """Of a band for every group: see `Arrays`; if given (T, phases, N, *size, 1 or C)."""
    if arrays.affinity is None:
        return _given_taps(bands, arrays.centres)
    own = [group.own(arrays.centres) for group in bands.groups]
    return [_planes(each) for each in own] if isinstance(arrays.samples.neighbours, list) else own


def centres_from_groups(bands: Bands, arrays: Arrays, parts: Sequence) -> jax.Array:
    """The transpose of `centres_of_groups`."""
    if arrays.affinity is None:
        return _from_given_taps(bands, parts)
    if isinstance(arrays.samples.neighbours, list):
        parts = [jnp.stack(planes, axis=-1) for planes in parts]
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
