"""What a tap of the window reads of a band, and what it adds to the sums."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from pac_jax.functional.affinity import evaluate_affinity
from pac_jax.functional.geometry import Ints
from pac_jax.functional.implementations.bands import Bands
from pac_jax.functional.implementations.products import Sums, over_channels, times_kernel, zeros
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
        centres: the guide at the outputs, (..., G), or the given affinity, (..., T, 1 or C), of
            which a tap reads its own (..., 1 or C).
        kernel: (T, C / groups, D), or (T,) for pooling; without T for a tap.
        affinity: a function and a pytree, None where the affinity is given.
        bias: (D,), or None; no tap reads it.
    """

    samples: Samples
    centres: Any
    kernel: Any
    affinity: Any
    bias: Any


def term(problem: Problem, arrays: Arrays) -> Sums:
    """What one tap adds: its inputs times weight times kernel, and the weight."""
    weighted, denominator = weigh(problem, arrays)
    return times_kernel(weighted, arrays.kernel, problem), denominator


def weigh(problem: Problem, arrays: Arrays) -> Sums:
    """What one tap meets times the affinity, (N, *size, C), and what the mask leaves of that."""
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


def met_samples(bands: Bands, offset: jax.Array, region: jax.Array) -> jax.Array:
    """The samples of a region that a tap meets, one for each output of a phase."""
    size = (region.shape[0], *_span(bands), region.shape[-1])
    block = lax.dynamic_slice(region, corner(offset), size)
    return lax.slice(block, (0,) * block.ndim, block.shape, (1, *bands.step, 1))


def _span(bands: Bands) -> Ints:
    return tuple((n - 1) * s + 1 for n, s in zip(bands.size, bands.step, strict=True))


def corner(offset: jax.Array) -> tuple[jax.Array, ...]:
    """Where a slice begins along all axes."""
    zero = jnp.zeros((), offset.dtype)
    return (zero, *offset, zero)


def to_phases(bands: Bands, is_given: bool, centres: jax.Array) -> jax.Array:
    """(phases, N, *size, G), or a given affinity with its taps first: (T, phases, N, *size, ...)."""
    phases = bands.to_phases(centres)
    return jnp.moveaxis(phases, -2, 0) if is_given else phases


def centre_of(arrays: Arrays, phase: jax.Array, place: jax.Array) -> jax.Array:
    """The guide at the outputs of a phase, or the given affinity of one tap there."""
    return arrays.centres[place, phase] if arrays.affinity is None else arrays.centres[phase]


def nothing(problem: Problem, arrays: Arrays, lead: Ints) -> Sums:
    """The sums over no taps, with these leading dimensions: the bias, and zeros."""
    numerator, denominator = zeros(problem, arrays.samples.inputs, arrays.kernel, lead)
    if arrays.bias is not None:
        numerator = lax.broadcast_in_dim(arrays.bias, numerator.shape, (len(lead),))
    return numerator, denominator
