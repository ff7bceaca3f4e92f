"""Where an image is cut into overlapping tiles, so that the result is that of the whole image.

All lengths are in pixels of the low-resolution target, whose grid every cut keeps to; a network may
need a coarser one, the unit.
"""

from typing import NamedTuple

__all__ = ["Grid", "Tile", "chosen_tile", "cut", "given_tile"]

# Into more tiles no axis is cut: enough for images of 40,000 pixels.
_MOST_TILES = 128


class Tile(NamedTuple):
    """One tile along one axis.

    Attributes:
        start: its first pixel.
        keep_from: the first pixel of the result that is taken from it.
        keep_to: the first that no longer is.
    """

    start: int
    keep_from: int
    keep_to: int


class Grid(NamedTuple):
    """What a network asks of the cuts.

    Attributes:
        overlap: how far an output sees, rounded up to the unit.
        unit: of which sizes and places are multiples.
        factor: of the network, to count pixels of the guide.
    """

    overlap: int
    unit: int
    factor: int

    @property
    def smallest(self) -> int:
        """The smallest tile that has anything besides its overlaps."""
        return 2 * self.overlap + self.unit

    def rounded_up(self, length: int) -> int:
        """The next multiple of the unit."""
        return -(-length // self.unit) * self.unit


def cut(length: int, tile: int, overlap: int) -> list[Tile]:
    """Cut an axis into tiles of one size; the ends of the axis itself overlap nothing.

    Args:
        length: of the axis.
        tile: size of every tile; larger than two overlaps, unless it is the length.
        overlap: how much of a tile is not used at a side that is no end of the axis.
    """
    last = length - tile
    starts = [*range(0, last, tile - 2 * overlap), last] if last > 0 else [0]
    borders = [0, *(start + overlap for start in starts[1:]), length]
    return [Tile(start, *borders[i : i + 2]) for i, start in enumerate(starts)]


def given_tile(size: tuple[int, int], grid: Grid, tile: int) -> tuple[int, int]:
    """The tile for a side that the caller gives.

    Args:
        size: of the image, multiples of the unit.
        grid: see `Grid`.
        tile: largest side of a tile in pixels of the guide.

    Raises:
        ValueError: it leaves nothing beside the overlap.
    """
    side = tile // (grid.factor * grid.unit) * grid.unit
    if side < min(grid.smallest, max(size)):
        raise ValueError(
            f"tile is {tile}; this network needs at least {grid.smallest * grid.factor} pixels, "
            f"{grid.overlap * grid.factor} of them at each side for what it sees; or None to choose"
        )
    return min(size[0], side), min(size[1], side)


def chosen_tile(size: tuple[int, int], grid: Grid, pixels: int) -> tuple[int, int]:
    """The tile with the least to compute in all, among those of at most so many pixels.

    Args:
        size: of the image, multiples of the unit.
        grid: see `Grid`.
        pixels: of the guide in a tile; where the overlap asks for more, the smallest tile is taken.

    Returns:
        Height and width.
    """
    limit = pixels / grid.factor**2
    best, least = size, float("inf")
    smallest, area_of_smallest = size, size[0] * size[1]
    for rows, height in _divisions(size[0], grid):
        for columns, width in _divisions(size[1], grid):
            area = height * width
            if area < area_of_smallest:
                smallest, area_of_smallest = (height, width), area
            if area <= limit and rows * columns * area < least:
                best, least = (height, width), rows * columns * area
    return best if least < float("inf") else smallest


def _divisions(length: int, grid: Grid) -> list[tuple[int, int]]:
    """The numbers of tiles that an axis can be cut into, each with the size of the tiles."""
    divisions = [(1, length)]
    for number in range(2, _MOST_TILES + 1):
        tile = grid.rounded_up(-(-(length + 2 * grid.overlap * (number - 1)) // number))
        if not grid.smallest <= tile < length:
            break
        divisions.append((number, tile))
    return divisions
