"""The reverse kernel that sums over positions: the cotangent of the convolution's own kernel.

That of a tap is sum_o (k x) g^T over all outputs. A program does so for a few taps of one class, for
some of the channels and features, and for some of the positions: many programs share these, so that
all multiprocessors have work, and what they found is added up afterwards, always in the same order.
The taps of a program share what is loaded at the outputs.
"""

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pac_jax.functional.implementations.pallas_triton.launch import (
    launch,
    program_number,
    tables,
)
from pac_jax.functional.implementations.pallas_triton.sites import (
    Columns,
    Ref,
    Rows,
    Site,
    columns,
    load,
    site,
    split,
    store,
    store_number,
)
from pac_jax.functional.implementations.pallas_triton.task import Loaded, Task
from pac_jax.functional.implementations.pallas_triton.tiles import (
    Tiles,
    choose_for_kernel,
    shares_of,
)
from pac_jax.functional.implementations.pallas_triton.weights import (
    alike,
    difference,
    load_guide,
    numbers_of,
    only,
    squared,
    weigh,
)


def of_kernel(task: Task, loaded: Loaded, interpret: bool) -> jax.Array:
    """The kernel's cotangent, (T * C, D), or (T,) for pooling."""
    plan = _Plan(task)
    walk, tiles = task.from_outputs, plan.tiles
    rows = plan.shares * plan.slots * task.channels
    shape = (plan.programs, tiles.taps) if task.pools else (rows, task.features)
    result = jax.ShapeDtypeStruct(shape, task.dtype)

    def pac_of_kernel(taps: Ref, firsts: Ref, groups: Ref, loaded: Loaded, result: Ref) -> None:
        del firsts
        rest, group = split(program_number(), len(plan.groups))
        rest, feature_part = split(rest, plan.feature_parts)
        share, channel_part = split(rest, plan.channel_parts)
        of_channels = columns(channel_part, tiles.chunk, task.channels)
        of_features = of_channels
        if not task.pools:
            of_features = columns(feature_part, tiles.width, task.features)
        class_, first, last = (groups[group, n] for n in range(3))

        def add(turn: jax.Array, totals: list) -> list:
            tile = share + turn * np.int32(plan.shares)
            here = site(walk, tiles, class_, tile)
            centres = load_guide(task, tiles, loaded.centres, here.rows, of_channels)
            of_sums = load(loaded.of_sums, here.rows, of_features)
            return [
                total
                + _at_tap(
                    task,
                    tiles,
                    loaded,
                    taps,
                    lax.min(first + slot, last),
                    here,
                    centres,
                    of_sums,
                    of_channels,
                )
                for slot, total in enumerate(totals)
            ]

        turns, _ = split(plan.all_tiles - share + plan.shares - 1, plan.shares)
        shape = () if task.pools else (tiles.chunk, tiles.width)
        nothing = [jnp.zeros(shape, task.dtype)] * tiles.taps
        totals = lax.fori_loop(0, turns, add, nothing)
        for slot, total in enumerate(totals):
            if task.pools:
                store_number(result, program_number(), slot, total)
                continue
            number = (share * len(plan.groups) + group) * tiles.taps + slot
            index = number * task.channels + of_channels.number
            store(result, Rows(index, of_channels.there()), of_features, total)

    found = launch(
        pac_of_kernel,
        plan.programs,
        tiles,
        (*tables(walk), jnp.asarray(plan.groups), loaded),
        result,
        interpret,
    )
    if task.pools:
        return found.reshape(-1, plan.slots).sum(0)[plan.slot_of_place]
    of_slots = found.reshape(plan.shares, plan.slots, task.channels, task.features).sum(0)
    return of_slots[plan.slot_of_place].reshape(-1, task.features)


def _at_tap(
    task: Task,
    tiles: Tiles,
    loaded: Loaded,
    taps: Ref,
    tap: jax.Array,
    here: Site,
    centres: jax.Array,
    of_sums: jax.Array,
    of_channels: Columns,
) -> jax.Array:
    """What a tap adds at a tile: (channels, features), or a number for pooling."""
    _, rows = here.meet(task.from_outputs, taps, tap)
    neighbours = load_guide(task, tiles, loaded.neighbours, rows, of_channels)
    distances = squared(task, difference(task, neighbours, centres))
    weights = only(rows, weigh(task, distances, *numbers_of(loaded)))
    inputs = load(loaded.inputs, rows, of_channels)
    weighted = alike(weights, inputs) * inputs.astype(task.dtype)
    if task.pools:
        return jnp.sum(weighted * of_sums.astype(task.dtype))
    # The sum is over positions, of which each has its own weight: what is multiplied here cannot
    # be what the caller gave, and bfloat16 is rounded. float16 would not hold large weights.
    is_narrow = inputs.dtype == of_sums.dtype == jnp.bfloat16
    narrow = inputs.dtype if is_narrow else task.dtype
    return lax.dot_general(
        weighted.astype(narrow),
        of_sums.astype(narrow),
        (((0,), (0,)), ((), ())),
        precision=task.problem.precision,
        preferred_element_type=task.dtype,
    )


@dataclass(frozen=True)
class _Plan:
    """Who computes what."""

    task: Task

    @cached_property
    def tiles(self) -> Tiles:
        task = self.task
        guide = 0 if task.channel_wise else task.guide
        features = 0 if task.pools else task.features
        return choose_for_kernel(task.from_outputs.class_size, task.channels, features, guide)

    @cached_property
    def groups(self) -> np.ndarray:
        """(groups, 3): class, first tap and last tap."""
        firsts = self.task.from_outputs.firsts
        found = [
            (class_, first, min(first + self.tiles.taps, end) - 1)
            for class_, (begin, end) in enumerate(itertools.pairwise(firsts))
            for first in range(begin, end, self.tiles.taps)
        ]
        return np.array(found, np.int32)

    @property
    def slots(self) -> int:
        """Taps of all groups, of which the last ones of a group may be repetitions."""
        return len(self.groups) * self.tiles.taps

    @property
    def slot_of_place(self) -> np.ndarray:
        """(T,), where to find each tap's sum."""
        walk = self.task.from_outputs
        slots = np.zeros(len(walk.taps), np.int32)
        for group, (_, first, last) in enumerate(self.groups):
            for tap in range(first, last + 1):
                slots[walk.taps[tap, 0]] = group * self.tiles.taps + tap - first
        return slots

    @property
    def channel_parts(self) -> int:
        return -(-self.task.channels // self.tiles.chunk)

    @property
    def feature_parts(self) -> int:
        return 1 if self.task.pools else -(-self.task.features // self.tiles.width)

    @property
    def parts(self) -> int:
        """Programs that share a group's positions' products."""
        return len(self.groups) * self.channel_parts * self.feature_parts

    @property
    def all_tiles(self) -> int:
        """Tiles of a class, in all images."""
        return self.task.batch * math.prod(self.tiles.count(self.task.from_outputs.class_size))

    @property
    def shares(self) -> int:
        """Programs that share the positions."""
        return shares_of(self.parts, self.all_tiles)

    @property
    def programs(self) -> int:
        return self.shares * self.parts
