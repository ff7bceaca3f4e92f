"""How much one program computes: a heuristic of a few lines, in place of a tuner.

A streaming multiprocessor has 64 Ki registers of 4 bytes. A program that leaves room for another one
keeps at most 32 Ki numbers in them: the sums of its positions and features, and their guide. Products
on the tensor cores need at least 16 along every axis, and 64 positions to be fast; all sizes are
powers of 2, as Triton needs them.
"""

import math
from dataclasses import dataclass

from pac_jax.functional.geometry import Ints

_NUMBERS_HELD = 32768
_MOST_POSITIONS = 128
_FEWEST = 16  # along every axis of a product
_WIDEST = 128  # features of one program
_CHUNK = 64  # channels that one product sums over
_MOST_TAPS = 4  # of a program that sums over positions
_PROGRAMS_WANTED = 264  # two for each of an H200's 132 multiprocessors


@dataclass(frozen=True)
class Tiles:
    """The share of one program.

    Attributes:
        block: positions along every spatial axis.
        width: features, of which a program computes this many.
        chunk: channels that are summed over at a time.
        guide: channels of the guide, all of which are read at once, rounded up.
        warps: of 32 threads.
        stages: loads in flight in the innermost loop.
        taps: that a program treats together.
    """

    block: Ints
    width: int
    chunk: int
    guide: int
    warps: int
    stages: int
    taps: int = 1

    @property
    def positions(self) -> int:
        """Number of positions."""
        return math.prod(self.block)

    def count(self, size: Ints) -> Ints:
        """How many tiles cover this many positions, along every axis."""
        return tuple(-(-n // b) for n, b in zip(size, self.block, strict=True))


def choose(
    size: Ints, copies: int, features: int, channels: int, guide: int, *, reverse: bool
) -> Tiles:
    """The tiles of a program that holds sums for its positions.

    Args:
        size: spatial size of what is written, of one class.
        copies: how many of these there are, images and classes.
        features: of what is written.
        channels: that a product sums over.
        guide: channels of the guide.
        reverse: whether the guide's cotangent is summed up, too.

    Returns:
        The tiles.
    """
    width = min(power_above(features), _WIDEST)
    guide_width = power_above(guide, 1)
    # Of features: the sum, a tap's product, and what that is multiplied by in the reverse pass. Of
    # the guide: centres and neighbours; their difference and the sum.
    held = (3 * width + 4 * guide_width) if reverse else 2 * (width + guide_width)
    most = max(_FEWEST, min(_MOST_POSITIONS, _NUMBERS_HELD // held))
    parts = copies * -(-features // width)
    wanted = math.prod(size) * parts // _PROGRAMS_WANTED
    positions = max(_FEWEST, min(power_below(most), power_above(wanted)))
    warps = 8 if positions * held > _NUMBERS_HELD // 2 else 4
    chunk = min(power_above(channels), _CHUNK)
    return Tiles(_block(size, positions), width, chunk, guide_width, warps, 2)


def choose_for_kernel(size: Ints, channels: int, features: int, guide: int) -> Tiles:
    """The tiles of a program that sums over positions, for `chunk` channels and `width` features.

    Args:
        size: spatial size of what is summed over, of one class.
        channels: of the inputs.
        features: of the output; 0 where there is one sum for all channels.
        guide: channels of the guide.

    Returns:
        The tiles.
    """
    width, chunk = (min(power_above(n), _WIDEST) for n in (features, channels))
    guide_width = power_above(guide, 1)
    taps = max(1, min(_MOST_TAPS, _NUMBERS_HELD // (2 * width * chunk)))
    most = min(_CHUNK, _NUMBERS_HELD // (2 * (width + chunk + 2 * guide_width)))
    positions = min(max(_FEWEST, power_below(most)), power_above(math.prod(size)))
    warps = 8 if taps * width * chunk >= _NUMBERS_HELD // 8 else 4
    return Tiles(_block(size, positions), width, chunk, guide_width, warps, 2, taps)


def shares_of(parts: int, tiles: int) -> int:
    """How many programs share the tiles that each of so many others would walk over alone."""
    return max(1, min(tiles, _PROGRAMS_WANTED // parts))


def _block(size: Ints, positions: int) -> Ints:
    """As near to a square as the size allows: neighbouring windows then share what they read."""
    block = [1] * len(size)
    while math.prod(block) < positions:
        fitting = [axis for axis, n in enumerate(size) if block[axis] < n]
        # Where nothing is left to cover, what is too much lies along the last axis.
        axis = min(reversed(fitting), key=lambda axis: block[axis]) if fitting else len(size) - 1
        block[axis] *= 2
    return tuple(block)


def power_above(number: int, fewest: int = _FEWEST) -> int:
    """The smallest power of 2 that is no less than either."""
    return max(fewest, 1 << max(number - 1, 0).bit_length())


def power_below(number: int) -> int:
    """The largest power of 2 that is no more."""
    return 1 << (number.bit_length() - 1)
