"""Which positions the taps join: from the outputs to the inputs that they read, and back.

Output o and input u meet at a tap if there is a q with

    o = q * spread + phase,        u = q * stride + offset,

for the tap's own phase and offset (see `groups`). Seen from the outputs, those of one class, o modulo
the spread, share their taps. Seen from the inputs the same holds for the classes u modulo the stride:
no tap is tried that meets nothing, from either side. Both views are one table.
"""

import math
from dataclasses import dataclass

import numpy as np

from pac_jax.functional.geometry import Geometry, Ints
from pac_jax.functional.implementations.groups import single_taps


@dataclass(frozen=True)
class Walk:
    """From the positions of one side, the own, to those of the other.

    The own position is v * own_step + class for v = 0, 1, ...; the other one that a tap joins it
    with is v * other_step + start of that tap, where that lies inside.

    Attributes:
        own_size: spatial size of the own side.
        other_size: spatial size of the other.
        own_step: between two positions of a class.
        other_step: between those that they are joined with.
        firsts: (classes + 1,), where each class's taps begin in `taps`.
        taps: (T, 1 + ndim), for every tap its place in the flattened window, and its start.
    """

    own_size: Ints
    other_size: Ints
    own_step: Ints
    other_step: Ints
    firsts: np.ndarray
    taps: np.ndarray

    @property
    def classes(self) -> int:
        """Number of classes."""
        return math.prod(self.own_step)

    @property
    def class_size(self) -> Ints:
        """Spatial size of a class, of the largest one."""
        return tuple(-(-n // s) for n, s in zip(self.own_size, self.own_step, strict=True))


def from_outputs(geometry: Geometry) -> Walk:
    """The inputs that every output reads."""
    phase, place, at = single_taps(geometry)
    return _walk(
        geometry.output_size,
        geometry.input_size,
        geometry.spread,
        geometry.strides,
        phase,
        place,
        at,
    )


def from_inputs(geometry: Geometry) -> Walk:
    """The outputs that read every input."""
    phase, place, at = single_taps(geometry)
    whole, part = np.divmod(at, np.array(geometry.strides))
    phases = np.array(np.unravel_index(phase, geometry.spread)).T
    return _walk(
        geometry.input_size,
        geometry.output_size,
        geometry.strides,
        geometry.spread,
        np.asarray(np.ravel_multi_index(part.T, geometry.strides)),
        place,
        phases - whole * geometry.spread,
    )


def _walk(
    own_size: Ints,
    other_size: Ints,
    own_step: Ints,
    other_step: Ints,
    of_class: np.ndarray,
    place: np.ndarray,
    start: np.ndarray,
) -> Walk:
    order = np.argsort(of_class, kind="stable")
    firsts = np.searchsorted(of_class[order], np.arange(math.prod(own_step) + 1))
    taps = np.concatenate([place[:, None], start], axis=1)[order]
    return Walk(
        own_size, other_size, own_step, other_step, firsts.astype(np.int32), taps.astype(np.int32)
    )
