"""The forward kernel: some rows of the outputs at a time."""

from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.dtypes import canonicalize_dtype
from jax.experimental import pallas
from jax.experimental.pallas import tpu
from jax.typing import DTypeLike

from pac_jax.functional.arguments import at_least_float32
from pac_jax.functional.implementations.cotangents import Asked
from pac_jax.functional.implementations.fusing import (
    numbers_and_structure,
    on_platform,
    plain_cotangents,
    plain_sums,
)
from pac_jax.functional.implementations.pallas_mosaic_tpu.layout import WIDTH, Layout, Tap, plan
from pac_jax.functional.implementations.products import Sums, num_features
from pac_jax.functional.implementations.taps import Rules
from pac_jax.functional.implementations.terms import Arrays
from pac_jax.functional.problem import Problem

Ref = Any


@cache
def rules_for(dtype: DTypeLike, is_interpreted: bool) -> Rules:
    """The rules for a numerator of this type: sums by the kernel, all derivatives by 'taps'."""

    def sums(problem: Problem, arrays: Arrays) -> Sums:
        fused, plain = partial(fused_sums, dtype, problem), partial(plain_sums, dtype, problem)
        return on_platform("tpu", fused, plain, is_interpreted, arrays)

    def cotangents(problem: Problem, asked: Asked, arrays: Arrays, sums: Sums) -> Arrays:
        return plain_cotangents(problem, asked, jax.tree.leaves(arrays), sums)

    return Rules(sums, partial(plain_sums, dtype), cotangents)


class _Operands(NamedTuple):
    """What a program reads, or how; None for what there is not.

    Attributes:
        inputs: (N, residues, *size, C).
        neighbours: (N, residues, *size, G).
        mask: (N, residues, *size, 1), None also where there is 1 at every sample.
        centres: (N, phases, *phase_size, G).
        kernel: (T, C, D), or (T,) for pooling.
        bias: (1, D).
        numbers: (numbers,), the affinity's.
    """

    inputs: Any
    neighbours: Any
    mask: Any
    centres: Any
    kernel: Any
    bias: Any
    numbers: Any


class _Results(NamedTuple):
    """What a program writes.

    Attributes:
        numerator: (N, phases, *phase_size, D).
        denominator: (N, phases, *phase_size, 1 or C); None unless wanted.
    """

    numerator: Any
    denominator: Any


def fused_sums(dtype: DTypeLike, problem: Problem, interpret: bool, arrays: Arrays) -> Sums:
    """Both sums, the numerator in this type."""
    layout = plan(problem, arrays).layout
    assert layout is not None  # as `limitation` says
    inputs, neighbours, mask = arrays.samples
    batch, channels = len(inputs), inputs.shape[-1]
    features = num_features(problem, inputs, arrays.kernel)
    wide = canonicalize_dtype(at_least_float32(inputs.dtype, problem.dtype))
    numbers, affinity = numbers_and_structure(arrays.affinity, wide)
    pools = problem.feature_group_count is None
    if mask is not None:
        mask = layout.of_samples(jnp.broadcast_to(mask, (batch, *mask.shape[1:])))
    operands = _Operands(
        layout.of_samples(inputs),
        layout.of_samples(neighbours),
        mask,
        layout.of_outputs(arrays.centres),
        arrays.kernel.reshape((-1,) if pools else (layout.geometry.num_taps, channels, features)),
        None if arrays.bias is None else arrays.bias[None],
        numbers,
    )
    lead = (batch, layout.geometry.num_phases, *layout.phase_size)
    weights = channels if problem.channel_wise else 1
    results = _Results(
        jax.ShapeDtypeStruct((*lead, features), dtype),
        jax.ShapeDtypeStruct((*lead, weights), wide) if problem.normalize else None,
    )
    width = features if pools else min(WIDTH, features)

    def pac_forward_tpu(operands: _Operands, results: _Results) -> None:
        depth, first_row = pallas.program_id(1), pallas.program_id(2) * layout.rows

        def compute_row(row: jax.Array, _: None) -> None:
            at = depth, first_row + row
            for phase in range(len(layout.taps)):
                total = _sum_row(problem, layout, affinity, wide, operands, phase, row, at, width)
                for result, values in zip(results, total, strict=True):
                    if result is not None:
                        result[0, phase, 0, row] = values.astype(result.dtype)

        lax.fori_loop(0, layout.rows, compute_row, None)

    (found,) = pallas.pallas_call(
        pac_forward_tpu,
        grid=(batch, layout.phase_size[0], layout.bands, -(-features // width)),
        in_specs=(_reads(layout, operands, width),),
        out_specs=(_Results(*(_of_outputs(layout, result, width) for result in results)),),
        out_shape=(results,),
        interpret=interpret,
        name="pac_forward_tpu",
    )(operands)
    size = problem.geometry.output_size
    denominator = found.denominator
    return (
        layout.to_outputs(found.numerator, size),
        None if denominator is None else layout.to_outputs(denominator, size),
    )


# ------------------------------------------------------------------------------------- one program


def _sum_row(
    problem: Problem,
    layout: Layout,
    affinity: Any,
    dtype: DTypeLike,
    operands: _Operands,
    phase: int,
    row: jax.Array,
    at: tuple[jax.Array, jax.Array],
    width: int,
) -> _Results:
    """The sums of one phase in a row of the program, which lies there: (X, width), (X, 1 or C)."""
    length = layout.phase_size[2]
    centres = operands.centres[0, phase, 0, row].astype(dtype)
    numerator = jnp.zeros((length, width), dtype)
    if operands.bias is not None:
        numerator += operands.bias[...].astype(dtype)
    denominator = None
    if operands.mask is not None:
        denominator = jnp.zeros((length, centres.shape[1] if problem.channel_wise else 1), dtype)
    for tap in layout.taps[phase]:
        depth, down, right = tap.shift
        where = (0, tap.residue, depth, row + down, slice(right, right + length))
        weights = _weigh(problem, operands.numbers, affinity, operands.neighbours[where], centres)
        weights = jnp.where(_is_inside(layout, tap, at), weights, 0)
        numerator += weights * _product(problem, dtype, operands, tap, operands.inputs[where])
        if operands.mask is not None:
            denominator += weights * operands.mask[where].astype(dtype)
    return _Results(numerator, denominator)


def _weigh(
    problem: Problem, numbers: Ref, affinity: Any, neighbours: jax.Array, centres: jax.Array
) -> jax.Array:
    """The affinity, (X, 1), or (X, C) if channel-wise."""
    values = [] if numbers is None else [numbers[n] for n in range(affinity.num_leaves)]
    known = jax.tree.unflatten(affinity, values)
    apart = known.of_difference(neighbours.astype(centres.dtype) - centres)
    square = apart * apart
    if not problem.channel_wise:
        square = jnp.sum(square, axis=1, keepdims=True)
    return known.of_squared(square)


def _product(
    problem: Problem, dtype: DTypeLike, operands: _Operands, tap: Tap, inputs: jax.Array
) -> jax.Array:
    """What a tap multiplies its samples by, (X, C) -> (X, width)."""
    if problem.feature_group_count is None:
        return inputs.astype(dtype) * operands.kernel[tap.place].astype(dtype)
    kernel = operands.kernel[tap.place]
    if inputs.dtype != kernel.dtype:  # a mask or a division made one of them wider
        inputs, kernel = inputs.astype(dtype), kernel.astype(dtype)
    return lax.dot_general(
        inputs,
        kernel,
        (((1,), (0,)), ((), ())),
        precision=problem.precision,
        preferred_element_type=dtype,
    )


def _is_inside(layout: Layout, tap: Tap, at: tuple[jax.Array, jax.Array]) -> jax.Array:
    """(X, 1), whether a tap meets a sample: even of zeros the affinity may be no number."""
    geometry = layout.geometry
    is_row: Any = True
    for axis, position in enumerate(at):
        sample = position * geometry.strides[axis] + tap.start[axis]
        is_row &= (sample >= 0) & (sample < geometry.input_size[axis])
    column = lax.broadcasted_iota(jnp.int32, (layout.phase_size[2], 1), 0)
    sample = jnp.where(is_row, column * geometry.strides[2] + tap.start[2], -1)
    return (sample >= 0) & (sample < geometry.input_size[2])


# --------------------------------------------------------------------------- what programs are given


def _reads(layout: Layout, operands: _Operands, width: int) -> _Operands:
    """Which blocks a program reads."""
    in_scalars = pallas.BlockSpec(memory_space=tpu.SMEM)
    kernel = in_scalars
    if operands.kernel.ndim == 3:
        block = (*operands.kernel.shape[:2], width)
        kernel = pallas.BlockSpec(block, lambda image, depth, band, part: (0, 0, part))
    return _Operands(
        _of_samples(layout, operands.inputs),
        _of_samples(layout, operands.neighbours),
        None if operands.mask is None else _of_samples(layout, operands.mask),
        _of_outputs(layout, operands.centres, operands.centres.shape[-1]),
        kernel,
        None
        if operands.bias is None
        else pallas.BlockSpec((1, width), lambda image, depth, band, part: (0, part)),
        None if operands.numbers is None else in_scalars,
    )


def _of_samples(layout: Layout, samples: jax.Array) -> pallas.BlockSpec:
    """The samples that some rows of outputs read: neighbouring programs' overlap."""
    sizes = (1, samples.shape[1], *layout.region, samples.shape[-1])
    rows = layout.rows
    return pallas.BlockSpec(
        tuple(map(pallas.Element, sizes)),
        lambda image, depth, band, part: (image, 0, depth, band * rows, 0, 0),
    )


def _of_outputs(layout: Layout, outputs: Any, width: int) -> pallas.BlockSpec | None:
    """Some rows of all phases, and of the channels a part."""
    if outputs is None:
        return None
    width = min(width, outputs.shape[-1])
    parts = -(-outputs.shape[-1] // width)
    return pallas.BlockSpec(
        (1, outputs.shape[1], 1, layout.rows, layout.phase_size[2], width),
        lambda image, depth, band, part: (image, 0, depth, band, 0, part if parts > 1 else 0),
    )
