"""Which networks, one after another, lead from the target's size to the guide's."""

from collections.abc import Iterable, Sequence
from itertools import combinations_with_replacement
from math import ceil, floor, prod
from numbers import Real

__all__ = ["chain", "ratio"]

Size = tuple[int, int]

# How much the shapes of target and guide may differ: sensors beside a camera see nearly the same.
_ASPECT_TOLERANCE = 0.05
# Four networks of x16 would make a target of 100 pixels larger than any image.
_MOST_NETWORKS = 4


def ratio(target: Size, guide: Size, factor: float | None) -> float:
    """How many times larger the guide is.

    Args:
        target: height and width.
        guide: height and width.
        factor: what the caller says, or None.

    Raises:
        ValueError: the sizes do not fit together or not the factor, or there is nothing to upsample.
    """
    vertical, horizontal = guide[0] / target[0], guide[1] / target[1]
    sizes = f"target_low has size {target} and guide {guide}"
    if factor is not None:
        if not isinstance(factor, Real) or not factor > 1:
            raise ValueError(f"factor is {factor!r}; it needs a number above 1")
        if not all(abs(g / factor - t) < 1 for t, g in zip(target, guide, strict=True)):
            needed = tuple(ceil(n / factor) for n in guide)
            raise ValueError(
                f"factor is {factor:g}, but {sizes}; this guide needs a target of {needed}: leave "
                "factor out to take it from the sizes, or resize one of them"
            )
        return factor
    larger = max(vertical, horizontal)
    if larger <= 1:
        raise ValueError(
            f"{sizes}; the guide needs to be the larger one, so that there is a factor"
        )
    # A row or column that was rounded up or cut off is no difference of shape.
    sides = list(zip(target, guide, strict=True))
    rounded = max(g / (t + 1) for t, g in sides) <= min(g / (t - 0.999) for t, g in sides)
    if not rounded and abs(vertical / horizontal - 1) > _ASPECT_TOLERANCE:
        raise ValueError(
            f"{sizes}, {vertical:.2f} times higher but {horizontal:.2f} times wider; they need to "
            "show the same view: crop or turn one of them"
        )
    return larger


def chain(target: Size, guide: Size, ratio: float, factors: Iterable[int]) -> tuple[int, ...]:
    """The networks to use.

    The fewest whose product is the ratio, up to a row or column that was rounded; if there are none,
    those with the smallest product above it (the guide is enlarged for them, and the result brought
    back). The larger factor goes first, where images are small.

    Args:
        target: height and width.
        guide: height and width.
        ratio: as `ratio` gives it.
        factors: of the networks that there are.

    Returns:
        Their factors, in the order of use.

    Raises:
        ValueError: no chain leads that far.
    """
    available = sorted(set(factors), reverse=True)
    chains = [
        option
        for count in range(1, _MOST_NETWORKS + 1)
        for option in combinations_with_replacement(available, count)
    ]
    fitting = [option for option in chains if _fits(target, guide, prod(option))]
    if fitting:
        return min(fitting, key=lambda option: (abs(prod(option) - ratio), len(option)))
    above = [option for option in chains if prod(option) >= ratio]
    if not above:
        raise ValueError(
            f"the guide is {ratio:.4g} times larger than target_low; networks of factors "
            f"{tuple(reversed(available))} reach {max(available, default=1) ** _MOST_NETWORKS}"
        )
    return min(above, key=lambda option: (prod(option), len(option)))


def _fits(target: Sequence[int], guide: Sequence[int], factor: int) -> bool:
    """Whether a guide divided by the factor and rounded, up or down, is the target."""
    return any(
        all(rounding(g / factor) == t for t, g in zip(target, guide, strict=True))
        for rounding in (ceil, floor)
    )
