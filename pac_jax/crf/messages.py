"""What a term's pixels tell each other, and which of two ways computes it.

* `ChannelsLast` asks the operators: any backend, any window, any type, forward and backward.
* `Rows` keeps the classes of a row of pixels together, (N, *spatial[:-1], L, spatial[-1]), from the
  first step to the last. With 21 classes, or any number that fills no vector registers, a CPU's are
  filled by neighbouring pixels instead, and what a row reads stays in its cache.

`select` is where one of them is chosen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import jax
import jax.numpy as jnp
from jax import lax

from pac_jax.crf import rows
from pac_jax.crf.blocks import block_means, interpolate_blocks
from pac_jax.crf.terms import PairwiseTerm, TermWeights
from pac_jax.functional import arguments
from pac_jax.functional.affinity import Affinity, Gaussian
from pac_jax.functional.affinity_map import pac_affinity
from pac_jax.functional.conv import pac_conv_with_affinity
from pac_jax.functional.geometry import channels_last
from pac_jax.functional.pool import pac_pool_with_affinity

# Rows write every tap of a window into one loop: compile time grows with them.
_MAX_TAPS = 64


class Messages(Protocol):
    """A way to compute messages, on arrays in an order of its own.

    Attributes:
        class_axis: where the classes are in that order.
    """

    class_axis: int

    def arrange(self, array: jax.Array) -> jax.Array:
        """(N, *spatial, C) in that order."""

    def restore(self, array: jax.Array) -> jax.Array:
        """The inverse of `arrange`."""

    def affinity(self, term: PairwiseTerm, guide: jax.Array, affinity: Affinity) -> jax.Array:
        """The affinity of every tap of a term, from the guide as it was given."""

    def send(
        self,
        term: PairwiseTerm,
        affinity: jax.Array | None,
        weights: TermWeights,
        q: jax.Array,
        *,
        size: tuple[int, ...],
        precision: lax.PrecisionLike,
    ) -> jax.Array:
        """The message of a term with its affinity (None if 'plain') from the probabilities q."""


def select(
    implementation: str | None, terms: Sequence[PairwiseTerm], scores: jax.Array
) -> Messages:
    """The named way to compute the messages, or the fastest.

    Rows are for CPUs: on 21 classes at 500 x 375 they are several times as fast as the operators
    (`python -m experiments.benchmarks.crf`). Elsewhere the operators choose for themselves.

    Raises:
        ValueError: no implementation has this name.
        NotImplementedError: rows cannot run this; the message says why.
    """
    if implementation not in (None, "rows"):
        return ChannelsLast(implementation)
    limitation = _limitation_of_rows(terms, scores)
    if implementation == "rows" and limitation is not None:
        raise NotImplementedError(f"implementation 'rows' cannot run this: {limitation}")
    if implementation == "rows" or (limitation is None and jax.default_backend() == "cpu"):
        return Rows()
    return ChannelsLast(None)


def _limitation_of_rows(terms: Sequence[PairwiseTerm], scores: jax.Array) -> str | None:
    """Why rows cannot run this, None if they can."""
    if jnp.finfo(scores.dtype).bits < 32:
        return f"scores are {scores.dtype}; it needs 32 bits or more"
    for term in terms:
        window = term.window_shape(scores.ndim - 2)
        if term.has_affinity and math.prod(window) > _MAX_TAPS:
            return f"window {window} has {math.prod(window)} taps; it takes {_MAX_TAPS}"
    return None


class ChannelsLast:
    """Messages by the operators; see `Messages`."""

    class_axis = -1

    def __init__(self, implementation: str | None) -> None:
        self.implementation = implementation

    def arrange(self, array: jax.Array) -> jax.Array:
        """As it is."""
        return array

    restore = arrange

    def affinity(self, term: PairwiseTerm, guide: jax.Array, affinity: Affinity) -> jax.Array:
        """(N, *blurred size, *window)."""
        written_out = "shifts" if self.implementation == "shifts" else None
        return _affinity(term, block_means(guide, term.blur), affinity, written_out)

    def send(
        self,
        term: PairwiseTerm,
        affinity: jax.Array | None,
        weights: TermWeights,
        q: jax.Array,
        *,
        size: tuple[int, ...],
        precision: lax.PrecisionLike,
    ) -> jax.Array:
        """See `Messages`."""
        q = block_means(q, term.blur)
        ndim = len(size)
        if affinity is None:
            message = _plain(term, weights, q, precision)
        elif term.shares_filter:
            message = pac_pool_with_affinity(
                q,
                affinity,
                term.window_shape(ndim),
                weights=weights.filter,
                padding="SAME",
                kernel_dilation=term.dilation,
                precision=precision,
                implementation=self.implementation,
            )
        else:
            message = pac_conv_with_affinity(
                q,
                affinity,
                weights.filter,
                kernel_dilation=term.dilation,
                precision=precision,
                implementation=self.implementation,
            )
        if weights.mixing is not None:
            message = jnp.matmul(message, weights.mixing, precision=precision)
        return interpolate_blocks(message, term.blur, size)


class Rows:
    """Messages of rows of pixels; see `Messages`."""

    class_axis = -2

    def arrange(self, array: jax.Array) -> jax.Array:
        """(N, *spatial, C) to (N, *spatial[:-1], C, spatial[-1])."""
        return jnp.swapaxes(array, -1, -2)

    restore = arrange

    def affinity(self, term: PairwiseTerm, guide: jax.Array, affinity: Affinity) -> jax.Array:
        """(N, *blurred size[:-1], T, blurred size[-1])."""
        blurred = block_means(guide, term.blur)
        if isinstance(affinity, Gaussian) and affinity.smoothing is None:
            wide = blurred.astype(arguments.at_least_float32(guide.dtype))
            window = term.window_shape(guide.ndim - 2)
            return rows.gaussian_affinity(window, term.dilation, self.arrange(wide))
        return rows.taps_in_rows(_affinity(term, blurred, affinity))

    def send(
        self,
        term: PairwiseTerm,
        affinity: jax.Array | None,
        weights: TermWeights,
        q: jax.Array,
        *,
        size: tuple[int, ...],
        precision: lax.PrecisionLike,
    ) -> jax.Array:
        """See `Messages`."""
        if term.blur > 1:
            q = self.arrange(block_means(self.restore(q), term.blur))
        window, dilation = term.window_shape(len(size)), term.dilation
        if affinity is None:
            message = self.arrange(_plain(term, weights, self.restore(q), precision))
        else:
            arguments.check_same_dtype(weights.filter, "weights", q)
            affinity = affinity.astype(q.dtype)
            if term.shares_filter:
                folded = affinity * weights.filter.reshape((1,) * (affinity.ndim - 2) + (-1, 1))
                message = rows.pool(window, dilation, q, folded)
            else:
                static = arguments.hashable_precision(precision)
                message = rows.conv(window, dilation, static, q, affinity, weights.filter)
        if weights.mixing is not None:
            message = rows.times_matrix(message, weights.mixing, precision)
        if term.blur > 1:
            message = self.arrange(interpolate_blocks(self.restore(message), term.blur, size))
        return message


def _plain(
    term: PairwiseTerm, weights: TermWeights, q: jax.Array, precision: lax.PrecisionLike
) -> jax.Array:
    ndim = q.ndim - 2
    return lax.conv_general_dilated(
        q,
        weights.filter,
        (1,) * ndim,
        "SAME",
        rhs_dilation=(term.dilation,) * ndim,
        dimension_numbers=channels_last(ndim),
        precision=precision,
    )


def _affinity(
    term: PairwiseTerm, blurred: jax.Array, affinity: Affinity, implementation: str | None = None
) -> jax.Array:
    return pac_affinity(
        blurred,
        term.window_shape(blurred.ndim - 2),
        kernel_dilation=term.dilation,
        affinity=affinity,
        implementation=implementation,
    )
