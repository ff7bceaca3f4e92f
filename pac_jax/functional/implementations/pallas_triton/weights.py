"""Inside a kernel: the affinity, and the product with one tap's part of the kernel."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from pac_jax.functional.implementations.pallas_triton.sites import (
    Columns,
    Ref,
    Rows,
    columns,
    load,
    load_column,
    load_matrix,
)
from pac_jax.functional.implementations.pallas_triton.task import Loaded, Task
from pac_jax.functional.implementations.pallas_triton.tiles import Tiles


def load_guide(task: Task, tiles: Tiles, ref: Ref, rows: Rows, of_part: Columns) -> jax.Array:
    """(P, G), or the features of the program's own channels."""
    all_of_them = columns(0, tiles.guide, task.guide)
    return load(ref, rows, of_part if task.channel_wise else all_of_them).astype(task.dtype)


def difference(task: Task, neighbours: jax.Array, centres: jax.Array) -> jax.Array:
    """(P, G), clipped as the affinity asks."""
    affinity = task.affinity_of([0.0] * task.affinity.num_leaves)
    return affinity.of_difference(neighbours - centres)


def squared(task: Task, apart: jax.Array) -> jax.Array:
    """(P,), or (P, width) if channel-wise."""
    square = apart * apart
    return square if task.channel_wise else jnp.sum(square, axis=1)


def weigh(task: Task, distances: jax.Array, *numbers: jax.Array) -> jax.Array:
    """The affinity of these squared distances."""
    return task.affinity_of(list(numbers)).of_squared(distances)


def numbers_of(loaded: Loaded) -> list[jax.Array]:
    """The affinity's numbers, scalars."""
    return [] if loaded.numbers is None else [loaded.numbers[n] for n in range(loaded.numbers.size)]


def alike(of_rows: jax.Array, values: jax.Array) -> jax.Array:
    """(P,) -> (P, 1) where the values have features too."""
    return of_rows[:, None] if values.ndim > of_rows.ndim else of_rows


def only(rows: Rows, values: jax.Array) -> jax.Array:
    """Zeros where there is no row: even of zeros the affinity may be no number."""
    return jnp.where(alike(rows.inside, values), values, 0)


def load_of_weights(
    task: Task, loaded: Loaded, rows: Rows, part: jax.Array, own: Columns
) -> jax.Array | None:
    """The denominator's cotangent, (P,) or (P, width), which of several parts only one counts."""
    if loaded.of_weights is None:
        return None
    if task.channel_wise:
        return load(loaded.of_weights, rows, own).astype(task.dtype)
    return load_column(loaded.of_weights, rows).astype(task.dtype) * (part == 0).astype(task.dtype)


def change_of_weights(
    task: Task,
    products: jax.Array,
    of_weights: jax.Array | None,
    seen: jax.Array | None,
) -> jax.Array:
    """The weights' cotangent, (P,) or (P, width), from what the kernel joins at either side."""
    change = products if task.channel_wise else jnp.sum(products, axis=1)
    if of_weights is None or seen is None:
        return change
    return change + of_weights * alike(seen, of_weights)


def times_kernel(
    task: Task,
    tiles: Tiles,
    kernel: Ref,
    source: Ref,
    rows: Rows,
    place: jax.Array,
    written: Columns,
    *,
    transposed: bool = False,
) -> jax.Array:
    """One tap's product with the kernel, or with its transpose, at these rows: (P, width).

    The affinity is a factor of whole rows, so that it can be applied to the product as well as to
    what is multiplied. It is applied after: what the tensor cores multiply are then the numbers that
    the caller gave, rounded by nobody.
    """
    if task.pools:
        return load(source, rows, written).astype(task.dtype) * kernel[place].astype(task.dtype)
    depth = task.features if transposed else task.channels
    contracted: Any = (((1,), (1 if transposed else 0,)), ((), ()))

    def chunk(number: jax.Array | int) -> jax.Array:
        summed = columns(number, tiles.chunk, depth)
        of_tap = (written, place * task.channels, summed)
        if not transposed:
            of_tap = (summed, place * task.channels, written)
        right = load_matrix(kernel, *of_tap)
        left = load(source, rows, summed)
        if left.dtype != right.dtype:  # a mask or a division made one of them wider
            left, right = left.astype(task.dtype), right.astype(task.dtype)
        return lax.dot_general(
            left,
            right,
            contracted,
            precision=task.problem.precision,
            preferred_element_type=task.dtype,
        )

    count = -(-depth // tiles.chunk)
    if count == 1:
        return chunk(0)
    nothing = jnp.zeros((tiles.positions, tiles.width), task.dtype)
    return lax.fori_loop(0, count, lambda number, total: total + chunk(number), nothing)
