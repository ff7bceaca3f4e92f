"""A linear map that brings a transpose of its own.

Reverse-mode differentiation transposes the tangent map. What JAX derives is correct, but where the map
reads overlapping slices in a loop it adds a whole array per turn. `jax.custom_vjp` would replace it and
lose forward mode with it; this keeps every mode and every order: the map and its transpose are plain
functions, differentiated as such wherever their first operands are what is differentiated.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

Arrays = Sequence[jax.Array]
Shapes = tuple[jax.core.ShapedArray, ...]


def linear_map(
    function: Callable[[Arrays, Arrays], Arrays],
    transpose: Callable[[Arrays, Arrays], Arrays],
    operands: Arrays,
    tangents: Arrays,
    results: Sequence[Any],
) -> list[jax.Array]:
    """Evaluate `function(operands, tangents)`, which is linear in the tangents.

    Args:
        function: gives a sequence of arrays.
        transpose: `transpose(operands, cotangents)` gives one cotangent per tangent.
        operands: what the map depends on otherwise.
        tangents: what it is linear in.
        results: anything of the shapes and types that the function's arrays have. (To find them out
            would be to trace the function, which takes longer than the rest.)

    Returns:
        The arrays that the function gives.
    """
    return _linear_map.bind(
        *operands,
        *tangents,
        function=function,
        transpose=transpose,
        split=len(operands),
        shapes=tuple(jax.core.ShapedArray(result.shape, result.dtype) for result in results),
    )


def _evaluate(
    *arrays: jax.Array, function: Callable, transpose: Callable, split: int, shapes: Shapes
) -> list:
    del transpose, shapes
    return list(function(list(arrays[:split]), list(arrays[split:])))


def _shapes(*arrays: Any, shapes: Shapes, **parameters: Any) -> list:
    del arrays, parameters
    return list(shapes)


def _differentiate(
    arrays: Sequence,
    changes: Sequence,
    *,
    function: Callable,
    transpose: Callable,
    split: int,
    shapes: Shapes,
) -> tuple:
    operands, tangents = list(arrays[:split]), list(arrays[split:])
    results = linear_map(function, transpose, operands, tangents, shapes)
    parts = []
    if any(not isinstance(change, ad.Zero) for change in changes[split:]):
        of_tangents = [ad.instantiate_zeros(change) for change in changes[split:]]
        parts.append(linear_map(function, transpose, operands, of_tangents, shapes))
    if any(not isinstance(change, ad.Zero) for change in changes[:split]):
        of_operands = [ad.instantiate_zeros(change) for change in changes[:split]]
        evaluate = partial(_evaluate_operands, function, tangents)
        parts.append(jax.jvp(evaluate, (operands,), (of_operands,))[1])
    return results, jax.tree.map(lambda *terms: sum(terms[1:], terms[0]), *parts)


def _evaluate_operands(function: Callable, tangents: list, operands: list) -> list:
    return list(function(operands, tangents))


def _transpose(
    cotangents: Sequence,
    *arrays: Any,
    function: Callable,
    transpose: Callable,
    split: int,
    shapes: Shapes,
) -> list:
    del function, shapes
    cotangents = [ad.instantiate_zeros(cotangent) for cotangent in cotangents]
    results = transpose(list(arrays[:split]), cotangents)
    asked = [ad.is_undefined_primal(tangent) for tangent in arrays[split:]]
    return [None] * split + [
        result if is_asked else None for result, is_asked in zip(results, asked, strict=True)
    ]


def _batch(
    arrays: Sequence,
    axes: Sequence,
    *,
    function: Callable,
    transpose: Callable,
    split: int,
    shapes: Shapes,
) -> tuple:
    (size,) = {a.shape[x] for a, x in zip(arrays, axes, strict=True) if x is not None}
    # Every tangent gets the axis, so that every cotangent has it.
    moved = [
        batching.bdim_at_front(array, axis, size) if place >= split or axis is not None else array
        for place, (array, axis) in enumerate(zip(arrays, axes, strict=True))
    ]
    of_operands = [None if axis is None else 0 for axis in axes[:split]]
    results = linear_map(
        jax.vmap(function, (of_operands, 0)),
        jax.vmap(transpose, (of_operands, 0)),
        moved[:split],
        moved[split:],
        [jax.ShapeDtypeStruct((size, *shape.shape), shape.dtype) for shape in shapes],
    )
    return results, [0] * len(results)


_linear_map = Primitive("linear_map")
_linear_map.multiple_results = True
_linear_map.def_impl(_evaluate)
_linear_map.def_abstract_eval(_shapes)
mlir.register_lowering(_linear_map, mlir.lower_fun(_evaluate, multiple_results=True))
ad.primitive_jvps[_linear_map] = _differentiate
ad.primitive_transposes[_linear_map] = _transpose
batching.primitive_batchers[_linear_map] = _batch
