"""Loops over bands and taps."""

from collections.abc import Callable
from typing import Any

import jax
from jax import lax

# So many taps are one step of a loop, if they divide the number of taps: their terms are added up in
# one pass over memory. The more, the longer it compiles.
_LARGEST_STEP = 7


def scan_or_step(step: Callable, total: Any, xs: Any, unroll: int = 1) -> tuple[Any, Any]:
    """`lax.scan` without a loop around a single step."""
    if len(jax.tree.leaves(xs)[0]) > 1:
        return lax.scan(step, total, xs, unroll=unroll)
    total, results = step(total, jax.tree.map(lambda array: array[0], xs))
    return total, jax.tree.map(lambda array: array[None], results)


def taps_in_a_step(count: int) -> int:
    """How many of so many taps to unroll."""
    return max(n for n in range(1, _LARGEST_STEP + 1) if count % n == 0)
