"""Starting kernels: one program for every tile of every class, image and part of the features."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas
from jax.experimental.pallas import triton

from pac_jax.functional.implementations.pallas_triton.sites import Ref, Site, site, split
from pac_jax.functional.implementations.pallas_triton.tiles import Tiles
from pac_jax.functional.implementations.pallas_triton.walks import Walk

Total = TypeVar("Total")


@dataclass(frozen=True)
class Grid:
    """The programs that write one side of a walk.

    Attributes:
        walk: whose own side is written.
        tiles: the share of a program.
        batch: number of images.
        features: that are written.
    """

    walk: Walk
    tiles: Tiles
    batch: int
    features: int

    @property
    def parts(self) -> int:
        """How many programs share the features of a tile."""
        return -(-self.features // self.tiles.width)

    @property
    def tiles_of_class(self) -> int:
        """Number of tiles of a class, in all images."""
        return self.batch * math.prod(self.tiles.count(self.walk.class_size))

    @property
    def programs(self) -> int:
        """Number of programs."""
        return self.parts * self.tiles_of_class * self.walk.classes

    def here(self) -> tuple[Site, jax.Array, jax.Array]:
        """The running program's positions, its part of the features, and its class."""
        tile, part = split(program_number(), self.parts)
        class_, tile = split(tile, self.tiles_of_class)
        return site(self.walk, self.tiles, class_, tile), part, class_

    def over_taps(
        self, firsts: Ref, class_: jax.Array, add: Callable[[jax.Array, Total], Total], total: Total
    ) -> Total:
        """Add up over the taps of a class."""
        return lax.fori_loop(firsts[class_], firsts[class_ + 1], add, total)


def program_number() -> jax.Array:
    """Which program is running."""
    return pallas.program_id(0)


def launch(
    kernel: Callable[..., None],
    programs: int,
    tiles: Tiles,
    operands: tuple,
    results: Any,
    interpret: bool,
) -> Any:
    """Run a kernel.

    Args:
        kernel: of references to the operands, and to the results; either may be trees.
        programs: how many run it.
        tiles: which say with how many threads.
        operands: arrays.
        results: their shapes and types.
        interpret: whether to run it as XLA operations, program after program.

    Returns:
        The results.
    """
    (found,) = pallas.pallas_call(
        kernel,
        out_shape=(results,),
        grid=(programs,),
        compiler_params=triton.CompilerParams(num_warps=tiles.warps, num_stages=tiles.stages),
        interpret=interpret,
        name=kernel.__name__,
    )(*operands)
    return found


def tables(walk: Walk) -> tuple[jax.Array, jax.Array]:
    """A walk's taps and the first of every class, as operands."""
    return jnp.asarray(walk.taps), jnp.asarray(walk.firsts)
