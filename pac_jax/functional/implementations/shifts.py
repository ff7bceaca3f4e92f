"""Write every tap out as whole arrays, shifted by constants: for images cut over several devices.

A shift by a constant along one axis is a `lax.pad` that adds at one end what it takes off the other.
XLA's partitioner turns it into an exchange of as many rows with the neighbouring device, a halo; a
slice whose start is computed, as a loop over the taps needs it, would gather the whole image instead.

* Axes are shifted one after the other, so that all taps of a row share one exchange along the rows.
* Every shift is rematerialised in the reverse pass, so that residuals need not grow with the window.
* A tap of a transposed convolution meets real samples at one phase of the output only: it reads the
  unspread input, and adds to that phase. The phases are interleaved in the end.

The price: compile time grows with the number of taps; and so does memory on CPUs, whose compiler
drops the barriers of rematerialisation and adds up all taps in one pass.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pac_jax.functional.affinity import evaluate_affinity
from pac_jax.functional.geometry import Geometry, Ints
from pac_jax.functional.implementations.phases import merge_phases, split_phases
from pac_jax.functional.implementations.products import Sums, over_channels, times_kernel, zeros
from pac_jax.functional.problem import GuideFeatures, Operands, Problem


class Place(NamedTuple):
    """A tap, and the phase of the output that it adds to; of one axis, or of all of them."""

    tap: int
    phase: int


Key = TypeVar("Key")
Shifted = TypeVar("Shifted")
# From sources, as all of these places read them, pytrees of arrays that add up by their keys.
AtPlaces = Callable[[Shifted, Iterable[Place]], dict[Key, Any]]


def limitation(problem: Problem, operands: Operands) -> str | None:
    """Runs everything."""
    del problem, operands
    return None


def contract(problem: Problem, operands: Operands) -> Sums:
    """See `problem.Implementation`."""
    operands = operands.widened(problem.dtype)
    geometry = problem.geometry
    batch = operands.inputs.shape[0]
    if 0 in (batch, *geometry.output_size):
        return zeros(problem, operands.inputs, operands.kernel, (batch, *geometry.output_size))
    size = _phase_size(geometry)
    kernel = operands.kernel.reshape(-1, *operands.kernel.shape[geometry.ndim :])
    kernels = _unstacked(kernel, 0)
    guided_by = operands.guided_by
    affinity, neighbours = None, None
    if isinstance(guided_by, GuideFeatures):
        affinity, neighbours, centres = guided_by
        of_phases: list[Any] = _phases(centres, geometry)
    else:
        of_phases = []
        for own in _phases(guided_by, geometry):
            lead = own.shape[: 1 + geometry.ndim]
            taps = own.reshape(*lead, geometry.num_taps, *own.shape[1 + 2 * geometry.ndim :])
            of_phases.append(_unstacked(taps, 1 + geometry.ndim))

    def at_places(sources: tuple, places: Iterable[Place]) -> dict[int, Sums]:
        inputs, neighbour, mask = sources
        sums: dict[int, Sums] = {}
        for tap, phase in places:
            if affinity is not None:
                weight = evaluate_affinity(
                    affinity,
                    neighbour,
                    of_phases[phase],
                    channel_wise=problem.channel_wise,
                    dtype=inputs.dtype,
                )
            else:
                weight = of_phases[phase][tap]
                weight = weight if problem.channel_wise else weight[..., None]
            weighted = over_channels(weight, inputs.shape[-1]) * inputs
            product = times_kernel(weighted, kernels[tap], problem)
            own = product, None if mask is None else weight * mask
            sums = _added(sums, {phase: own})
        return sums

    mask = operands.sample_weights() if problem.normalize else None
    sums = over_window(geometry, (operands.inputs, neighbours, mask), at_places)
    nothing = zeros(problem, operands.inputs, operands.kernel, (batch, *size))
    parts = [sums.get(phase, nothing) for phase in range(np.prod(geometry.spread))]
    numerator, denominator = jax.tree.map(lambda *parts: _joined(parts, geometry), *parts)
    if operands.bias is not None:
        numerator = numerator + operands.bias.reshape((1,) * (numerator.ndim - 1) + (-1,))
    return numerator, denominator


def over_window(
    geometry: Geometry, sources: Shifted, at_places: AtPlaces[Shifted, Key]
) -> dict[Key, Any]:
    """What all taps add up to, shift by shift.

    Args:
        geometry: of the operation.
        sources: a pytree of arrays (N, *input_size, C).
        at_places: gives what is added, by a key, from the sources as these places (the same for all
            of a call) read them, (N, *phase's size, C).

    Returns:
        The sums by key, without those keys that no tap adds to.
    """

    def along(axis: int, sources: Shifted, outer: list[Place]) -> dict[Key, Any]:
        if axis == geometry.ndim:
            return at_places(sources, outer)
        sums: dict[Key, Any] = {}
        for start, places in _reads(geometry, axis).items():
            inner = [_combined(geometry, axis, *pair) for pair in itertools.product(outer, places)]

            def read(sources: Shifted, start=start, inner=inner) -> dict[Key, Any]:
                shifted = jax.tree.map(
                    lambda array: _shifted(array, geometry, axis, start), sources
                )
                return along(axis + 1, shifted, inner)

            sums = _added(sums, jax.checkpoint(read)(sources))
        return sums

    return along(0, sources, [Place(0, 0)])


def _reads(geometry: Geometry, axis: int) -> dict[int, list[Place]]:
    """The places along one axis by the input that they read for their phase's output 0.

    Places that never meet a sample are left out.
    """
    low, _ = geometry.padding[axis]
    spread, size = geometry.spread[axis], geometry.input_size[axis]
    span = (_phase_size(geometry)[axis] - 1) * geometry.strides[axis] + 1
    reads: dict[int, list[Place]] = {}
    for tap in range(geometry.window[axis]):
        position = tap * geometry.kernel_dilation[axis] - low
        phase = -position % spread
        start = (position + phase) // spread
        if -span < start < size:
            reads.setdefault(start, []).append(Place(tap, phase))
    return reads


def _combined(geometry: Geometry, axis: int, outer: Place, own: Place) -> Place:
    """A place in the axes before and in this one, both flattened."""
    return Place(
        outer.tap * geometry.window[axis] + own.tap,
        outer.phase * geometry.spread[axis] + own.phase,
    )


def _shifted(array: jax.Array, geometry: Geometry, axis: int, start: int) -> jax.Array:
    """Every `stride`-th sample along one axis, from `start` on, zeros where there is none.

    Whole strides are read, also behind the last sample: on devices that share the axis evenly, it is
    again shared evenly.
    """
    stride = geometry.strides[axis]
    length = _phase_size(geometry)[axis] * stride
    if (start, length) != (0, array.shape[1 + axis]):
        config = [(0, 0, 0)] * array.ndim
        config[1 + axis] = (-start, start + length - array.shape[1 + axis], 0)
        array = lax.pad(array, jnp.zeros((), array.dtype), config)
    return lax.slice_in_dim(array, 0, length, stride, 1 + axis) if stride > 1 else array


def _phase_size(geometry: Geometry) -> Ints:
    """Spatial size of one phase of the output."""
    return tuple(-(-o // s) for o, s in zip(geometry.output_size, geometry.spread, strict=True))


def _added(sums: dict, more: dict) -> dict:
    """Sums by key, where both have the key."""
    both = {
        key: jax.tree.map(jnp.add, sums[key], own) if key in sums else own
        for key, own in more.items()
    }
    return {**sums, **both}


def _phases(outputs: jax.Array, geometry: Geometry) -> list[jax.Array]:
    """(N, *output_size, ...) -> one array (N, *size, ...) per phase."""
    size, n = _phase_size(geometry), geometry.ndim
    split = split_phases(outputs, geometry.spread, size)
    return _unstacked(split.reshape(len(outputs), *size, -1, *outputs.shape[1 + n :]), 1 + n)


def _joined(parts: Sequence[jax.Array], geometry: Geometry) -> jax.Array:
    """The inverse of `_phases`."""
    n = geometry.ndim
    stacked = jnp.stack(parts, axis=1 + n)
    lead = stacked.shape[: 1 + n]
    split = stacked.reshape(*lead, *geometry.spread, stacked.shape[-1])
    return merge_phases(split, geometry.output_size)


def _unstacked(array: jax.Array, axis: int) -> list[jax.Array]:
    """The array's parts along an axis; the transpose joins them in one pass, as indexing's does not."""
    parts = lax.split(array, (1,) * array.shape[axis], axis)
    return [lax.squeeze(part, (axis,)) for part in parts]
