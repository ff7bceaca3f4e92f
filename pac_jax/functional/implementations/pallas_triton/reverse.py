"""The reverse kernels that gather: cotangents at a tile of the inputs, and at one of the outputs.

With the cotangent g of the numerator and n of the denominator, the weight k of a tap has

    dk = <W^T x, g> + n M = <x, W g> + n M,

which either side computes anew from what it reads. The inputs' side adds up k W g, k n, and dk df k;
the outputs' side dk dm k. Each writes what is its own: nothing is added to atomically, and results are
the same in every run. Where several programs share the features of a tile, each knows a part of dk;
as the other cotangents are linear in it, they are added up afterwards.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from pac_jax.functional.implementations.pallas_triton.launch import (
    Grid,
    launch,
    program_number,
    tables,
)
from pac_jax.functional.implementations.pallas_triton.sites import (
    Ref,
    Rows,
    columns,
    load,
    load_column,
    store,
    store_column,
    store_number,
)
from pac_jax.functional.implementations.pallas_triton.task import Loaded, Task
from pac_jax.functional.implementations.pallas_triton.tiles import Tiles
from pac_jax.functional.implementations.pallas_triton.weights import (
    alike,
    change_of_weights,
    difference,
    load_guide,
    load_of_weights,
    numbers_of,
    only,
    squared,
    times_kernel,
    weigh,
)


class AtInputs(NamedTuple):
    """Cotangents on the inputs' side, or their types, or None for what is not asked for.

    Attributes:
        inputs: (N * inputs, C).
        neighbours: (N * inputs, G).
        mask: (N * inputs,).
    """

    inputs: Any
    neighbours: Any
    mask: Any


class AtOutputs(NamedTuple):
    """Cotangents on the outputs' side, or their types, or None for what is not asked for.

    Attributes:
        centres: (N * outputs, G).
        numbers: (numbers,).
    """

    centres: Any
    numbers: Any


def at_inputs(task: Task, loaded: Loaded, asked: AtInputs, interpret: bool) -> AtInputs:
    """Those cotangents on the inputs' side whose types are given."""
    walk = task.from_inputs
    tiles = task.tiles(walk, task.channels, task.features)
    grid = Grid(walk, tiles, task.batch, task.channels)
    rows = len(loaded.inputs)
    results = AtInputs(
        _if(asked.inputs, (rows, task.channels), asked.inputs),
        _if(asked.neighbours, _guide_shape(task, grid, rows), task.dtype),
        _if(asked.mask, (grid.parts * rows,), task.dtype),
    )

    def pac_at_inputs(taps: Ref, firsts: Ref, loaded: Loaded, results: AtInputs) -> None:
        here, part, class_ = grid.here()
        written = columns(part, tiles.width, task.channels)
        neighbours = load_guide(task, tiles, loaded.neighbours, here.rows, written)
        inputs = load(loaded.inputs, here.rows, written).astype(task.dtype)
        seen = None
        if loaded.of_weights is not None:
            seen = load_column(loaded.mask, here.rows).astype(task.dtype)
        numbers = numbers_of(loaded)

        def add(tap: jax.Array, total: AtInputs) -> AtInputs:
            place, rows = here.meet(walk, taps, tap)
            centres = load_guide(task, tiles, loaded.centres, rows, written)
            apart = difference(task, neighbours, centres)
            weights, pull_back = jax.vjp(
                lambda distance: weigh(task, distance, *numbers), squared(task, apart)
            )
            weights = only(rows, weights)
            product = times_kernel(
                task, tiles, loaded.kernel, loaded.of_sums, rows, place, written, transposed=True
            )
            of_weights = load_of_weights(task, loaded, rows, part, written)
            of_inputs, of_neighbours, of_mask = total
            if of_inputs is not None:
                of_inputs += alike(weights, product) * product
            if of_mask is not None and of_weights is not None:
                share = weights * of_weights
                of_mask += jnp.sum(share, axis=1) if task.channel_wise else share
            if of_neighbours is not None:
                change = change_of_weights(task, inputs * product, of_weights, seen)
                (change,) = pull_back(only(rows, change))
                of_neighbours += 2 * alike(change, apart) * apart
            return AtInputs(of_inputs, of_neighbours, of_mask)

        begin = AtInputs(
            _zeros(task, results.inputs, (tiles.positions, tiles.width)),
            _zeros(task, results.neighbours, _guide_block(task, tiles)),
            _zeros(task, results.mask, (tiles.positions,)),
        )
        total = grid.over_taps(firsts, class_, add, begin)
        if results.inputs is not None:
            store(results.inputs, here.rows, written, total.inputs)
        if results.neighbours is not None:
            _store_guide(task, grid, results.neighbours, here.rows, part, total.neighbours)
        if results.mask is not None:
            store_column(results.mask, _of_part(here.rows, part, rows), total.mask)

    found = launch(pac_at_inputs, grid.programs, tiles, (*tables(walk), loaded), results, interpret)
    return AtInputs(
        found.inputs,
        _added(task, found.neighbours, rows, asked.neighbours),
        found.mask if found.mask is None else found.mask.reshape(-1, rows).sum(0),
    )


def at_outputs(task: Task, loaded: Loaded, asked: AtOutputs, interpret: bool) -> AtOutputs:
    """Those cotangents on the outputs' side whose types are given."""
    walk = task.from_outputs
    tiles = task.tiles(walk, task.features, task.channels)
    grid = Grid(walk, tiles, task.batch, task.features)
    rows = len(loaded.centres)
    count = task.affinity.num_leaves
    results = AtOutputs(
        _if(asked.centres, _guide_shape(task, grid, rows), task.dtype),
        _if(asked.numbers, (grid.programs, count), task.dtype),
    )

    def pac_at_outputs(taps: Ref, firsts: Ref, loaded: Loaded, results: AtOutputs) -> None:
        here, part, class_ = grid.here()
        written = columns(part, tiles.width, task.features)
        centres = load_guide(task, tiles, loaded.centres, here.rows, written)
        of_sums = load(loaded.of_sums, here.rows, written).astype(task.dtype)
        of_weights = load_of_weights(task, loaded, here.rows, part, written)
        numbers = numbers_of(loaded)

        def add(tap: jax.Array, total: AtOutputs) -> AtOutputs:
            place, rows = here.meet(walk, taps, tap)
            neighbours = load_guide(task, tiles, loaded.neighbours, rows, written)
            apart = difference(task, neighbours, centres)
            _, pull_back = jax.vjp(
                lambda *values: weigh(task, *values), squared(task, apart), *numbers
            )
            product = times_kernel(task, tiles, loaded.kernel, loaded.inputs, rows, place, written)
            seen = None
            if of_weights is not None:
                seen = load_column(loaded.mask, rows).astype(task.dtype)
            change = change_of_weights(task, of_sums * product, of_weights, seen)
            change, *of_numbers = pull_back(only(rows, change))
            centres_total, numbers_total = total
            if centres_total is not None:
                centres_total -= 2 * alike(change, apart) * apart
            if numbers_total is not None:
                numbers_total = [a + b for a, b in zip(numbers_total, of_numbers, strict=True)]
            return AtOutputs(centres_total, numbers_total)

        begin = AtOutputs(
            _zeros(task, results.centres, _guide_block(task, tiles)),
            None if results.numbers is None else [jnp.zeros((), task.dtype)] * count,
        )
        total = grid.over_taps(firsts, class_, add, begin)
        if results.centres is not None:
            _store_guide(task, grid, results.centres, here.rows, part, total.centres)
        if results.numbers is not None:
            for place, number in enumerate(total.numbers):
                store_number(results.numbers, program_number(), place, number)

    found = launch(
        pac_at_outputs, grid.programs, tiles, (*tables(walk), loaded), results, interpret
    )
    return AtOutputs(
        _added(task, found.centres, rows, asked.centres),
        found.numbers if found.numbers is None else found.numbers.sum(0),
    )


def _if(asked: Any, shape: tuple[int, ...], dtype: DTypeLike) -> jax.ShapeDtypeStruct | None:
    return None if asked is None else jax.ShapeDtypeStruct(shape, dtype)


def _zeros(task: Task, result: Any, shape: tuple[int, ...]) -> jax.Array | None:
    return None if result is None else jnp.zeros(shape, task.dtype)


def _guide_shape(task: Task, grid: Grid, rows: int) -> tuple[int, int]:
    """Of the guide's cotangent, part after part."""
    parts = 1 if task.channel_wise else grid.parts
    return parts * rows, task.guide


def _guide_block(task: Task, tiles: Tiles) -> tuple[int, int]:
    return tiles.positions, tiles.width if task.channel_wise else tiles.guide


def _store_guide(
    task: Task, grid: Grid, ref: Ref, here: Rows, part: jax.Array, values: jax.Array
) -> None:
    if task.channel_wise:
        store(ref, here, columns(part, grid.tiles.width, task.guide), values)
        return
    rows = ref.shape[0] // grid.parts
    store(ref, _of_part(here, part, rows), columns(0, grid.tiles.guide, task.guide), values)


def _of_part(here: Rows, part: jax.Array, rows: int) -> Rows:
    """The rows, where there are as many for every part."""
    return Rows(here.number + part * np.int32(rows), here.inside)


def _added(task: Task, shares: jax.Array | None, rows: int, dtype: DTypeLike) -> jax.Array | None:
    """What the parts make together, in this type."""
    if shares is None:
        return None
    return shares.reshape(-1, rows, task.guide).sum(0).astype(dtype)
