"""What fused kernels have in common: what they can fuse, where they run, what 'taps' does for them.

Nothing here imports Pallas.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.dtypes import canonicalize_dtype
from jax.typing import DTypeLike

from pac_jax.functional.affinity import OF_DISTANCE
from pac_jax.functional.arguments import at_least_float32
from pac_jax.functional.implementations.cotangents import Asked, cotangents
from pac_jax.functional.implementations.products import Sums
from pac_jax.functional.implementations.taps import sums_over_taps
from pac_jax.functional.implementations.terms import Arrays, Samples
from pac_jax.functional.problem import GuideFeatures, Operands, Problem

_is_interpreted = False


# ------------------------------------------------------------------------------------ where they run


@contextmanager
def interpreted() -> Iterator[None]:
    """Within this context they run on CPUs too, as XLA operations, program after program: for tests."""
    global _is_interpreted
    before, _is_interpreted = _is_interpreted, True
    try:
        yield
    finally:
        _is_interpreted = before


def is_interpreted() -> bool:
    """Whether such a context is entered."""
    return _is_interpreted


def on_platform(
    platform: str,
    fused: Callable[..., Any],
    plain: Callable[..., Any],
    is_interpreted: bool,
    *arrays: Any,
) -> Any:
    """The kernel where JAX compiles for this platform; else the formulas of 'taps', or its interpreter.

    Args:
        platform: 'cuda' or 'tpu'.
        fused: of whether it is interpreted, and the arrays.
        plain: of the arrays.
        is_interpreted: on all other platforms.
        arrays: trees of arrays.
    """
    elsewhere = partial(fused, True) if is_interpreted else plain
    return lax.platform_dependent(*arrays, default=elsewhere, **{platform: partial(fused, False)})


# --------------------------------------------------------------------------------- what they can fuse


def limitation_of(problem: Problem, operands: Operands, *, is_compiled: bool) -> str | None:
    """Why no fused kernel can run this problem; None where one may."""
    guided_by = operands.guided_by
    if not isinstance(guided_by, GuideFeatures):
        return "the affinity is given, and it computes its own from a guide"
    if type(guided_by.affinity) not in OF_DISTANCE:
        name = type(guided_by.affinity).__name__
        return f"the affinity is a {name}, and it knows Gaussian and Inverse alone"
    if problem.feature_group_count not in (None, 1):
        return f"feature_group_count is {problem.feature_group_count}, and it has no groups"
    arrays = (operands.inputs, guided_by.neighbours, guided_by.centres, operands.kernel)
    types = {canonicalize_dtype(problem.dtype), *(array.dtype for array in arrays)}
    if jnp.dtype(jnp.float64) in types and is_compiled:
        return "something is float64, which its products do not have"
    return None


def limitation_of_precision(
    precision: lax.PrecisionLike, known: Sequence[lax.Precision]
) -> str | None:
    """Why products cannot have this precision; None where they can."""
    both = precision if isinstance(precision, tuple) else (precision, precision)
    try:
        found = {lax.Precision(one or "default") for one in both}
    except ValueError:  # one that names the algorithm
        found = set()
    if len(found) == 1 and found <= set(known):
        return None
    names = " or ".join(repr(one.name.lower()) for one in known)
    return f"precision is {precision!r}, and it has {names}, one for both factors"


def dtype_of_numerator(problem: Problem, operands: Operands) -> jnp.dtype:
    """What is divided or renormalised afterwards stays wide; all else is written as it is wanted."""
    is_final = not problem.normalize and operands.mask is None
    wide = at_least_float32(operands.inputs.dtype, problem.dtype)
    return canonicalize_dtype(problem.dtype if is_final else wide)


def numbers_and_structure(affinity: Any, dtype: DTypeLike) -> tuple[jax.Array | None, Any]:
    """An affinity's numbers (numbers,), None where it has none, and its structure without smoothing."""
    assert isinstance(affinity, OF_DISTANCE)  # as `limitation_of` says
    numbers, structure = jax.tree.flatten(replace(affinity, smoothing=None))
    if not numbers:
        return None, structure
    return jnp.stack([jnp.asarray(number).astype(dtype) for number in numbers]), structure


# -------------------------------------------------------------------------- what 'taps' does for them


def plain_sums(dtype: DTypeLike, problem: Problem, arrays: Arrays) -> Sums:
    """The sums over taps of arrays of any type, the numerator in this one."""
    numerator, denominator = sums_over_taps(problem, _widened(problem, arrays))
    return numerator.astype(dtype), denominator


def plain_cotangents(problem: Problem, asked: Asked, leaves: Sequence, sums: Sums) -> Arrays:
    """The cotangents of leaves of any type, in their types."""
    arrays = asked.tree.unflatten(leaves)
    wide = _widened(problem, arrays)
    sums = jax.tree.map(lambda array: array.astype(wide.samples.inputs.dtype), sums)
    found = cotangents(problem, asked, wide, sums)
    return jax.tree.map(lambda own, of: own.astype(of.dtype), found, asked.keep(arrays))


def _widened(problem: Problem, arrays: Arrays) -> Arrays:
    """The arrays as 'taps' is given them, in at least 32 bits."""
    dtype = canonicalize_dtype(at_least_float32(arrays.samples.inputs.dtype, problem.dtype))

    def widen(array: Any) -> jax.Array:
        return array.astype(at_least_float32(array.dtype))

    inputs, neighbours, mask = arrays.samples
    return Arrays(
        Samples(inputs.astype(dtype), widen(neighbours), mask),
        widen(arrays.centres),
        arrays.kernel.astype(dtype),
        arrays.affinity,
        None if arrays.bias is None else arrays.bias.astype(dtype),
    )
