"""How the fused kernels are put together, and differentiated to any order.

Values and first cotangents come from the kernels. Everything else (forward mode, second order) is
differentiated from the formulas of 'taps', which are exact as well: nobody needs them often enough to
have kernels of their own.
"""

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from pac_jax.functional.implementations.cotangents import Asked
from pac_jax.functional.implementations.fusing import on_platform, plain_cotangents, plain_sums
from pac_jax.functional.implementations.pallas_triton import forward, kernel, reverse
from pac_jax.functional.implementations.pallas_triton.task import prepare
from pac_jax.functional.implementations.products import Sums
from pac_jax.functional.implementations.taps import Rules
from pac_jax.functional.implementations.terms import Arrays, Samples
from pac_jax.functional.problem import Problem


@cache
def rules_for(dtype: DTypeLike, is_interpreted: bool) -> Rules:
    """The rules for a numerator of this type.

    On a machine with a GPU, what JAX compiles for its CPU is computed by the formulas of 'taps'.
    """
    plain = partial(plain_sums, dtype)
    return Rules(
        partial(_sums, dtype, is_interpreted),
        plain,
        partial(_cotangents, is_interpreted),
    )


# ---------------------------------------------------------------------------------------------- sums


def _sums(dtype: DTypeLike, is_interpreted: bool, problem: Problem, arrays: Arrays) -> Sums:
    return on_platform(
        "cuda",
        partial(_fused_sums, dtype, problem),
        partial(plain_sums, dtype, problem),
        is_interpreted,
        arrays,
    )


def _fused_sums(dtype: DTypeLike, problem: Problem, interpret: bool, arrays: Arrays) -> Sums:
    task, loaded = prepare(problem, arrays)
    numerator, denominator = forward.sums(task, loaded, dtype, interpret)
    lead = (task.batch, *problem.geometry.output_size)
    if denominator is not None:
        denominator = denominator.reshape(*lead, -1)
    return numerator.reshape(*lead, -1), denominator


# ---------------------------------------------------------------------------------------- cotangents


def _cotangents(
    is_interpreted: bool, problem: Problem, asked: Asked, arrays: Arrays, sums: Sums
) -> Arrays:
    return _differentiable(is_interpreted, problem, asked, jax.tree.leaves(arrays), sums)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def _differentiable(
    is_interpreted: bool, problem: Problem, asked: Asked, leaves: Sequence, sums: Sums
) -> Arrays:
    return on_platform(
        "cuda",
        partial(_fused_cotangents, problem, asked),
        partial(plain_cotangents, problem, asked),
        is_interpreted,
        leaves,
        sums,
    )


@_differentiable.defjvp
def _differentiable_jvp(
    is_interpreted: bool, problem: Problem, asked: Asked, primals: tuple, tangents: tuple
) -> tuple[Arrays, Arrays]:
    found = _differentiable(is_interpreted, problem, asked, *primals)
    return found, jax.jvp(partial(plain_cotangents, problem, asked), primals, tangents)[1]


def _fused_cotangents(
    problem: Problem, asked: Asked, interpret: bool, leaves: Sequence, sums: Sums
) -> Arrays:
    arrays = asked.tree.unflatten(leaves)
    wanted = asked.keep(arrays)
    task, loaded = prepare(problem, arrays)
    numerator, denominator = sums
    if denominator is not None:
        shape = (-1, task.channels) if task.channel_wise else (-1,)
        denominator = denominator.reshape(shape)
    loaded = loaded._replace(of_sums=numerator.reshape(-1, task.features), of_weights=denominator)
    types = jax.tree.map(lambda array: array.dtype, wanted._replace(affinity=None))
    samples = reverse.AtInputs(*types.samples)
    if jax.tree.leaves(samples):
        samples = reverse.at_inputs(task, loaded, samples, interpret)
    has_numbers = task.affinity.num_leaves > 0 and jax.tree.leaves(wanted.affinity)
    outputs = reverse.AtOutputs(types.centres, task.dtype if has_numbers else None)
    if jax.tree.leaves(outputs):
        outputs = reverse.at_outputs(task, loaded, outputs, interpret)
    of_kernel = None
    if wanted.kernel is not None:
        of_kernel = kernel.of_kernel(task, loaded, interpret)
    found = Arrays(
        Samples(*samples),
        outputs.centres,
        of_kernel,
        _of_affinity(arrays.affinity, outputs.numbers),
        None if wanted.bias is None else jnp.sum(numerator, range(numerator.ndim - 1)),
    )
    return jax.tree.map(
        lambda own, of: own.reshape(of.shape).astype(of.dtype), asked.keep(found), wanted
    )


def _of_affinity(affinity: Any, numbers: jax.Array | None) -> Any:
    """Cotangents of all leaves; those behind the numbers smooth the centres, before and elsewhere."""
    leaves, tree = jax.tree.flatten(affinity)
    known = [] if numbers is None else list(numbers)
    zeros = [jnp.zeros_like(leaf) for leaf in leaves[len(known) :]]
    return jax.tree.unflatten(tree, [*known, *zeros])
