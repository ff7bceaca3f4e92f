"""The forward kernel: the two sums, a tile of the outputs at a time."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from pac_jax.functional.implementations.pallas_triton.launch import Grid, launch, tables
from pac_jax.functional.implementations.pallas_triton.sites import (
    Ref,
    columns,
    load_column,
    load_vector,
    store,
    store_column,
)
from pac_jax.functional.implementations.pallas_triton.task import Loaded, Task
from pac_jax.functional.implementations.pallas_triton.weights import (
    alike,
    difference,
    load_guide,
    numbers_of,
    only,
    squared,
    times_kernel,
    weigh,
)


class Sums(NamedTuple):
    """What the kernel writes.

    Attributes:
        numerator: (N * outputs, D), with the bias if there is one.
        denominator: (N * outputs,), or (N * outputs, C) if channel-wise; None unless wanted.
    """

    numerator: Any
    denominator: Any


def sums(task: Task, loaded: Loaded, dtype: DTypeLike, interpret: bool) -> Sums:
    """Both sums, the numerator in this type."""
    walk = task.from_outputs
    tiles = task.tiles(walk, task.features, task.channels, reverse=False)
    grid = Grid(walk, tiles, task.batch, task.features)
    rows = len(loaded.centres)
    denominator = None
    if task.problem.normalize:
        shape = (rows, task.channels) if task.channel_wise else (rows,)
        denominator = jax.ShapeDtypeStruct(shape, task.dtype)
    results = Sums(jax.ShapeDtypeStruct((rows, task.features), dtype), denominator)

    def pac_forward(taps: Ref, firsts: Ref, loaded: Loaded, results: Sums) -> None:
        here, part, class_ = grid.here()
        written = columns(part, tiles.width, task.features)
        centres = load_guide(task, tiles, loaded.centres, here.rows, written)
        numbers = numbers_of(loaded)

        def add(tap: jax.Array, total: Sums) -> Sums:
            place, rows = here.meet(walk, taps, tap)
            neighbours = load_guide(task, tiles, loaded.neighbours, rows, written)
            distances = squared(task, difference(task, neighbours, centres))
            weights = only(rows, weigh(task, distances, *numbers))
            product = times_kernel(task, tiles, loaded.kernel, loaded.inputs, rows, place, written)
            numerator = total.numerator + alike(weights, product) * product
            if total.denominator is None:
                return Sums(numerator, None)
            seen = load_column(loaded.mask, rows).astype(task.dtype)
            return Sums(numerator, total.denominator + weights * alike(seen, weights))

        nothing = Sums(jnp.zeros((tiles.positions, tiles.width), task.dtype), None)
        if results.denominator is not None:
            width = (tiles.width,) if task.channel_wise else ()
            counted = jnp.zeros((tiles.positions, *width), task.dtype)
            nothing = nothing._replace(denominator=counted)
        total = grid.over_taps(firsts, class_, add, nothing)
        numerator = total.numerator
        if loaded.bias is not None:
            numerator += load_vector(loaded.bias, written).astype(task.dtype)[None]
        store(results.numerator, here.rows, written, numerator)
        if task.channel_wise and total.denominator is not None:
            store(results.denominator, here.rows, written, total.denominator)
        elif total.denominator is not None:
            # Every part has the same one.
            store_column(results.denominator, here.rows, total.denominator)

    return launch(pac_forward, grid.programs, tiles, (*tables(walk), loaded), results, interpret)
