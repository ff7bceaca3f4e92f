"""What a layer keeps: its options in a hashable form, and its affinity."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike

from pac_jax.functional import arguments
from pac_jax.functional.affinity import Affinity
from pac_jax.functional.geometry import Padding


def hashable_padding(padding: Padding) -> Padding:
    """The padding without lists, which NNX cannot keep as static."""
    if isinstance(padding, str) or not isinstance(padding, Sequence):
        return padding
    return tuple(tuple(p) if isinstance(p, Sequence) else p for p in padding)  # type: ignore


def held_affinity(affinity: Affinity) -> Any:
    """The affinity as an attribute of a module: as it is, or, with arrays in it, as a module."""
    arguments.check_affinity(affinity)
    if isinstance(affinity, nnx.Module) or jax.tree_util.all_leaves([affinity]):
        return affinity
    numbers = jax.tree_util.tree_leaves(affinity)
    if all(isinstance(number, int | float) for number in numbers):
        return affinity
    return ConstantAffinity(affinity)


class Constant(nnx.Variable):
    """An array that is part of a layer and is not trained."""


class ConstantAffinity(nnx.Module):
    """An affinity with fixed arrays in it, kept where NNX and Linen can save and restore them.

    Args:
        affinity: a pytree.
    """

    def __init__(self, affinity: Affinity):
        numbers, self.structure = jax.tree_util.tree_flatten(affinity)
        self.numbers = nnx.List([Constant(jnp.asarray(number)) for number in numbers])

    def __call__(self, neighbour: jax.Array, centre: jax.Array, /) -> jax.Array:
        """Weigh a neighbour's guide features (..., G) against a centre's: (...)."""
        return self.resolved()(neighbour, centre)

    @property
    def smoothing(self) -> Any:
        """The smoothing that the affinity asks for."""
        return getattr(self.resolved(), "smoothing", None)

    def resolved(self) -> Affinity:
        """The affinity as it was given."""
        numbers = [number[...] for number in self.numbers]
        return jax.tree_util.tree_unflatten(self.structure, numbers)


def check_one_source(guide: ArrayLike | None, affinity: ArrayLike | None) -> None:
    """Raise unless exactly one of guide and affinity is given."""
    if (guide is None) == (affinity is None):
        given = "neither guide nor affinity is" if guide is None else "guide and affinity are both"
        raise ValueError(
            f"{given} given; the layer needs one of them: a guide to compute the affinity from, or "
            "the affinity itself, as pac_jax.pac_affinity gives it"
        )
