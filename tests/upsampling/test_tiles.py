"""Cuts: complete, aligned, within what they are allowed."""

import pytest

from pac_jax.upsampling.tiles import Grid, chosen_tile, cut, given_tile

CASES = [
    (100, 30, 5, 1),
    (100, 100, 5, 1),
    (64, 24, 8, 4),
    (60, 20, 4, 4),
    (61, 21, 10, 1),
    (10, 40, 5, 1),
]


@pytest.mark.parametrize(("length", "tile", "overlap", "unit"), CASES)
def test_every_pixel_is_taken_once_and_far_from_the_cuts(length, tile, overlap, unit):
    tiles = cut(length, tile, overlap)
    taken = [i for piece in tiles for i in range(piece.keep_from, piece.keep_to)]
    assert taken == list(range(length))
    for piece in tiles:
        end = min(piece.start + tile, length)
        assert piece.start % unit == 0
        assert piece.start == 0 or piece.keep_from - piece.start >= overlap
        assert end == length or end - piece.keep_to >= overlap
        assert piece.start + tile <= max(length, tile)


@pytest.mark.parametrize("size", [(68, 88), (12, 500), (300, 400), (9, 9)])
@pytest.mark.parametrize("grid", [Grid(10, 1, 8), Grid(12, 4, 4), Grid(0, 1, 2)])
@pytest.mark.parametrize("pixels", [100, 60_000, 400_000])
def test_the_chosen_tile_is_allowed_and_the_cheapest(size, grid, pixels):
    size = tuple(grid.rounded_up(n) for n in size)
    tile = chosen_tile(size, grid, pixels)
    assert all(side % grid.unit == 0 and side <= n for side, n in zip(tile, size, strict=True))
    assert all(s >= min(grid.smallest, n) for s, n in zip(tile, size, strict=True))

    def cost(tile):
        rows, columns = (len(cut(n, s, grid.overlap)) for n, s in zip(size, tile, strict=True))
        return rows * columns * tile[0] * tile[1]

    def allowed(tile):
        return tile[0] * tile[1] * grid.factor**2 <= pixels

    whole = (size, (size[0] // 2 // grid.unit * grid.unit, size[1]))
    for other in whole:
        fits = all(s >= min(grid.smallest, n) for s, n in zip(other, size, strict=True))
        if fits and allowed(other):
            assert allowed(tile)
            assert cost(tile) <= 1.1 * cost(other)  # a tile more may be counted than is cut


def test_a_small_image_is_taken_whole():
    assert chosen_tile((68, 88), Grid(10, 1, 8), 400_000) == (68, 88)


def test_a_given_tile_is_rounded_down_to_the_grid():
    assert given_tile((68, 88), Grid(10, 2, 8), 260) == (32, 32)
    assert given_tile((68, 20), Grid(10, 2, 8), 260) == (32, 20)
    assert given_tile((12, 20), Grid(10, 2, 8), 10_000) == (12, 20)


def test_a_given_tile_that_is_smaller_than_the_overlap_is_refused():
    with pytest.raises(ValueError, match="tile is 160; this network needs at least 168 pixels, 80"):
        given_tile((68, 88), Grid(10, 1, 8), 160)
