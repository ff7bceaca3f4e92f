"""A loop over bands or taps."""

from collections.abc import Callable
from typing import Any

import jax
from jax import lax


def scan_or_step(step: Callable, total: Any, xs: Any, unroll: int = 1) -> tuple[Any, Any]:
    """`lax.scan` without a loop around a single step."""
    if len(jax.tree.leaves(xs)[0]) > 1:
        return lax.scan(step, total, xs, unroll=unroll)
    total, results = step(total, jax.tree.map(lambda array: array[0], xs))
    return total, jax.tree.map(lambda array: array[None], results)
