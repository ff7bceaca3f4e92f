"""Inside a kernel: where a program's positions lie, and what it loads there.

Arrays are read as (rows, channels), a row for every position of every image, by computed addresses.
What lies outside an array, or beyond its last channel, is loaded as zeros: nothing is ever padded.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental.pallas import triton

from pac_jax.functional.geometry import Ints
from pac_jax.functional.implementations.pallas_triton.tiles import Tiles
from pac_jax.functional.implementations.pallas_triton.walks import Walk

Ref = Any


class Rows(NamedTuple):
    """Rows of an array, and whether they are there.

    Attributes:
        number: (P,), 0 where there is none.
        inside: (P,).
    """

    number: jax.Array
    inside: jax.Array


class Site(NamedTuple):
    """A program's positions: part of one class of one image.

    Attributes:
        at: for every axis (P,), the positions within the class.
        image: its number.
        rows: on the own side.
    """

    at: list[jax.Array]
    image: jax.Array
    rows: Rows

    def meet(self, walk: Walk, taps: Ref, tap: jax.Array) -> tuple[jax.Array, Rows]:
        """A tap's place in the window, and the rows of the other side that it joins ours with."""
        where = [
            at * step + taps[tap, 1 + axis]
            for axis, (at, step) in enumerate(zip(self.at, walk.other_step, strict=True))
        ]
        rows = _rows(where, walk.other_size, self.image)
        return taps[tap, 0], Rows(rows.number, rows.inside & self.rows.inside)


def site(walk: Walk, tiles: Tiles, class_: jax.Array, tile: jax.Array) -> Site:
    """The positions of a tile; tiles are counted through all images of the batch."""
    local = lax.iota(jnp.int32, tiles.positions)
    at: list[jax.Array] = []
    where: list[jax.Array] = []
    for axis in reversed(range(len(tiles.block))):
        count, block = tiles.count(walk.class_size)[axis], tiles.block[axis]
        step = walk.own_step[axis]
        tile, of_image = split(tile, count)
        local, of_tile = split(local, block)
        class_, of_class = split(class_, step)
        at.insert(0, of_image * block + of_tile)
        where.insert(0, at[0] * step + of_class)
    return Site(at, tile, _rows(where, walk.own_size, tile))


def split(number: jax.Array, by: int) -> tuple[jax.Array, jax.Array]:
    """Quotient and remainder of numbers that are not negative."""
    divisor = np.int32(by)
    return lax.div(number, divisor), lax.rem(number, divisor)


def _rows(where: list[jax.Array], size: Ints, image: jax.Array) -> Rows:
    index = image * np.int32(math.prod(size))
    inside: Any = True
    for position, length, later in zip(where, size, _strides(size), strict=True):
        index = index + position * later
        inside = inside & (position >= 0) & (position < length)
    return Rows(jnp.where(inside, index, 0), inside)


def _strides(size: Ints) -> list[int]:
    return [math.prod(size[axis + 1 :]) for axis in range(len(size))]


class Columns(NamedTuple):
    """Some of an array's channels.

    Attributes:
        number: (width,).
        limit: number of channels that there are; None where all of these are.
    """

    number: jax.Array
    limit: int | None

    def there(self) -> jax.Array:
        """(width,), which of them there are."""
        everywhere = jnp.ones(self.number.shape, bool)
        return everywhere if self.limit is None else self.number < self.limit


def columns(part: jax.Array | int, width: int, channels: int) -> Columns:
    """The channels of one part of this width."""
    index = part * width + lax.iota(jnp.int32, width)
    return Columns(index, None if channels % width == 0 else channels)


def load(ref: Ref, rows: Rows, columns: Columns) -> jax.Array:
    """(P, width), zeros where there is nothing."""
    where = ref.at[rows.number[:, None], columns.number[None]]
    return triton.load(where, mask=_mask(rows, columns), other=0)


def load_matrix(ref: Ref, rows: Columns, first: jax.Array, columns: Columns) -> jax.Array:
    """Rows of a matrix from the first on, and columns."""
    inside = rows.there()
    return load(ref, Rows(jnp.where(inside, first + rows.number, 0), inside), columns)


def load_column(ref: Ref, rows: Rows) -> jax.Array:
    """(P,) of an array that has no second axis, zeros where there is nothing."""
    return triton.load(ref.at[rows.number], mask=rows.inside, other=0)


def load_vector(ref: Ref, columns: Columns) -> jax.Array:
    """(width,) of an array that has no other axis."""
    return triton.load(ref.at[columns.number], mask=columns.there(), other=0)


def store(ref: Ref, rows: Rows, columns: Columns, values: jax.Array) -> None:
    """Write (P, width) where there is something."""
    where = ref.at[_beyond(ref, rows)[:, None], columns.number[None]]
    triton.store(where, values.astype(ref.dtype), mask=_mask(rows, columns))


def store_column(ref: Ref, rows: Rows, values: jax.Array) -> None:
    """Write (P,) where there is something, to an array that has no second axis."""
    triton.store(ref.at[_beyond(ref, rows)], values.astype(ref.dtype), mask=rows.inside)


def store_number(ref: Ref, row: jax.Array, column: int, value: jax.Array) -> None:
    """Write a single number."""
    ref[row, column] = value.astype(ref.dtype)


def _beyond(ref: Ref, rows: Rows) -> jax.Array:
    # An interpreter writes what the mask excludes, too: the old value, wherever the address says.
    return jnp.where(rows.inside, rows.number, ref.shape[0])


def _mask(rows: Rows, columns: Columns) -> jax.Array:
    mask = jnp.broadcast_to(rows.inside[:, None], (rows.number.size, columns.number.size))
    return mask if columns.limit is None else mask & columns.there()[None]
