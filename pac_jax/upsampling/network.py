"""One network on one image: continued at its borders, cut into tiles, compiled once."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from math import lcm
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx

from pac_jax.models import target_range
from pac_jax.upsampling.memory import return_free_memory
from pac_jax.upsampling.resizing import at_scale, sample
from pac_jax.upsampling.tiles import Grid, chosen_tile, cut, given_tile

__all__ = ["run"]

# Networks that pad with zeros answer wrongly at the border, and training leaves the border out. So
# images are continued by their last pixels: this many of the target's at every side, unless the network
# says by its `margin` that it needs fewer.
_MARGIN = 4
# Pixels of the guide in a tile times channels of the target: bounds the memory of one call.
_TILE_PIXELS = 420_000
# On CPUs XLA hands convolutions and products to a library that prepares each of them when it first
# runs, which takes longer than half an image; XLA's own are as fast.
_CPU_OPTIONS: dict[str, bool | str] = {"xla_cpu_experimental_ynn_fusion_type": ""}


def run(
    model: nnx.Module, target: np.ndarray, guide: np.ndarray, *, tile: int | None
) -> np.ndarray:
    """Upsample by the network's factor.

    Args:
        model: called as `model(target_low, guide)`; it has a `factor` and, unless images are always
            to be taken whole, `receptive_field` and `alignment`. It may have a `margin`: by how many
            pixels of the target images are continued at every side, 4 if it does not say.
        target: (h, w, C) float32, finite.
        guide: (H, W, 3) of any size, float32 in [0, 1] or uint8; it is resized to (factor h,
            factor w) bilinearly.
        tile: largest side of a tile in pixels of the guide, the overlap included; None to choose.

    Returns:
        (factor h, factor w, C) float32; a channel of one value keeps it everywhere.

    Raises:
        ValueError: the tile is too small, the model does not tell how it may be cut, or the target
            has not as many channels as the model takes.
    """
    groups = target.shape[2]
    if hasattr(model, "target_features"):
        groups = model.target_features
    if target.shape[2] % groups:
        raise ValueError(
            f"target_low has {target.shape[2]} channels; this network takes {groups} at a time"
        )
    parts = [target[..., c : c + groups] for c in range(0, target.shape[2], groups)]
    results = [_channels(model, part, guide, tile) for part in parts]
    return results[0] if len(results) == 1 else np.concatenate(results, axis=-1)


def _channels(
    model: nnx.Module, target: np.ndarray, guide: np.ndarray, tile: int | None
) -> np.ndarray:
    """As many channels as the network takes at a time."""
    factor: int = model.factor  # type: ignore[attr-defined]
    height, width, channels = target.shape
    result = np.empty((factor * height, factor * width, channels), np.float32)
    offset, scale = (np.asarray(value)[0] for value in _target_range(target[None]))
    low = (target - offset) / scale  # in NumPy, which compiles nothing
    rows, columns = _pieces(model, guide.shape, target.shape, tile)
    program = _prepared(model, (1, *(len(p[0].low) for p in (rows, columns)), channels))
    for row in rows:
        for column in columns:
            target_tile = low[np.ix_(row.low, column.low)][None]
            output = program(target_tile, sample(guide, row.guide, column.guide)[None])
            result[row.inside, column.inside] = np.asarray(output)[0, row.taken, column.taken]
    result = result * scale + offset
    flat = np.ptp(target, axis=(0, 1)) == 0
    result[..., flat] = target[0, 0, flat]  # where all is equal, networks still add a little noise
    return result


class _Piece(NamedTuple):
    """What one tile reads and gives, along one axis.

    Attributes:
        low: indices of the target's pixels.
        guide: positions of the guide's samples.
        inside: where in the result its part belongs.
        taken: where in the tile's output that part stands.
    """

    low: np.ndarray
    guide: np.ndarray
    inside: slice
    taken: slice


def _pieces(
    model: nnx.Module, guide: tuple[int, ...], target: tuple[int, ...], tile: int | None
) -> tuple[list[_Piece], list[_Piece]]:
    """The tiles' parts along both axes."""
    grid, margin = _grid(model, tile), getattr(model, "margin", _MARGIN)
    height, width = (grid.rounded_up(n + 2 * margin) for n in target[:2])
    size = height, width
    if tile is not None:
        shape = given_tile(size, grid, tile)
    elif hasattr(model, "receptive_field"):
        shape = chosen_tile(size, grid, _TILE_PIXELS // target[2])
    else:
        shape = size
    rows, columns = (
        _pieces_of_axis(*lengths, grid, margin)
        for lengths in zip(target[:2], guide[:2], size, shape, strict=True)
    )
    return rows, columns


def _pieces_of_axis(
    target: int, guide: int, size: int, tile: int, grid: Grid, margin: int
) -> list[_Piece]:
    pieces, factor = [], grid.factor
    for start, *keep in cut(size, tile, grid.overlap):
        first = start - margin  # on the target, without its continuation
        inside = [min(max(0, border - margin), target) * factor for border in keep]
        pieces.append(
            _Piece(
                low=np.clip(first + np.arange(tile), 0, target - 1),
                guide=at_scale(first * factor + np.arange(tile * factor), guide, target * factor),
                inside=slice(*inside),
                taken=slice(*(border - first * factor for border in inside)),
            )
        )
    return pieces


def _grid(model: Any, tile: int | None) -> Grid:
    """How the model may be cut; one that does not tell is not cut."""
    if not hasattr(model, "receptive_field"):
        if tile is not None:
            raise ValueError(
                f"tile is {tile}, but the model has no receptive_field and alignment to cut images "
                "by; give it these attributes, or tile=None"
            )
        return Grid(0, 1, model.factor)
    unit = lcm(model.alignment, model.factor) // model.factor
    overlap = -(-model.receptive_field // (model.factor * unit)) * unit
    return Grid(overlap, unit, model.factor)


def _prepared(model: nnx.Module, target: tuple[int, ...]) -> Callable[..., jax.Array]:
    """The program for tiles of this shape: compiled once, however many images and calls."""
    graph, state = nnx.split(model)
    batch, height, width, _ = target
    factor: int = model.factor  # type: ignore[attr-defined]
    guide = batch, height * factor, width * factor, 3
    if (graph, target) not in _programs:
        shapes = (jax.ShapeDtypeStruct(shape, np.float32) for shape in (target, guide))
        _programs[graph, target] = _compiled(graph, state, *shapes)
        return_free_memory()
    return partial(_programs[graph, target], graph, state)


_programs: dict[tuple[Any, ...], Callable[..., jax.Array]] = {}


def _compiled(*arguments: Any) -> Callable[..., jax.Array]:
    """`_output` as a program that is compiled for these arguments, but compiles itself for others."""
    if jax.default_backend() == "cpu":
        with suppress(jax.errors.JaxRuntimeError):  # a version of XLA that has no such option
            _on_cpu.lower(*arguments).compile()
            return _on_cpu
    _elsewhere.lower(*arguments).compile()
    return _elsewhere


def _output(graph: Any, state: Any, target: jax.Array, guide: jax.Array) -> jax.Array:
    return nnx.merge(graph, state)(target, guide)


_on_cpu = jax.jit(_output, static_argnums=0, compiler_options=_CPU_OPTIONS)
_elsewhere = jax.jit(_output, static_argnums=0)
_target_range = jax.jit(target_range)
