"""Random numbers in the forms that the scene description needs."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from experiments.scenes.config import Range

_BLOCK = 64


class Dice:
    """Hands out random numbers, a new one at each call, while a scene is traced.

    Numbers come from large blocks: a scene needs about a hundred different draws, and as many
    separate calls of the random generator would take most of the compile time.

    Attributes:
        shape: Shape of each draw, for instance one number per layer.
    """

    def __init__(self, key: jax.Array, shape: tuple[int, ...] = ()) -> None:
        """Start a sequence of draws.

        Args:
            key: Random key; the same key and the same calls give the same numbers.
            shape: Shape of each draw.
        """
        self.shape = shape
        self._key = key
        self._blocks = 0
        self._rows: list[jax.Array] = []

    def uniform(self, between: Range, parts: tuple[int, ...] = ()) -> jax.Array:
        """Draw evenly from a range.

        Args:
            between: Lowest and highest value.
            parts: Trailing axes of the result.

        Returns:
            Float32 array of shape `(*shape, *parts)`.
        """
        rows = [self._next_row() for _ in range(math.prod(parts))]
        unit = jnp.stack(rows, axis=-1).reshape(*self.shape, *parts)
        return between[0] + (between[1] - between[0]) * unit

    def log_uniform(self, between: Range, parts: tuple[int, ...] = ()) -> jax.Array:
        """Draw evenly in the logarithm, so that each octave of a range is equally likely.

        Args:
            between: Lowest and highest value, above zero.
            parts: Trailing axes of the result.

        Returns:
            Float32 array of shape `(*shape, *parts)`.
        """
        return jnp.exp(self.uniform((math.log(between[0]), math.log(between[1])), parts))

    def chance(self, probability: jax.Array | float, parts: tuple[int, ...] = ()) -> jax.Array:
        """Draw true with some probability.

        Args:
            probability: Probability of true.
            parts: Trailing axes of the result.

        Returns:
            Bool array of shape `(*shape, *parts)`.
        """
        return self.uniform((0.0, 1.0), parts) < probability

    def sometimes(
        self, probability: float, between: Range, parts: tuple[int, ...] = ()
    ) -> jax.Array:
        """Draw evenly from a range with some probability, and zero otherwise.

        Args:
            probability: Probability of a draw from the range.
            between: Lowest and highest value.
            parts: Trailing axes of the result.

        Returns:
            Float32 array of shape `(*shape, *parts)`.
        """
        return jnp.where(self.chance(probability, parts), self.uniform(between, parts), 0.0)

    def _next_row(self) -> jax.Array:
        """Take the next number in [0, 1) per element of `shape`."""
        if not self._rows:
            key = jax.random.fold_in(self._key, self._blocks)
            self._rows = list(jax.random.uniform(key, (_BLOCK, *self.shape)))
            self._blocks += 1
        return self._rows.pop(0)
