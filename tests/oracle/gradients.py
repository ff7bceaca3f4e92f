"""Derivatives by central differences."""

from collections.abc import Callable, Sequence

import numpy as np


def directional_derivative(
    f: Callable[..., float],
    args: Sequence[np.ndarray],
    directions: Sequence[np.ndarray | None],
    eps: float = 1e-6,
) -> float:
    """d/de f(args + e directions) at e = 0 by central differences in float64.

    It equals the sum over the arguments of <gradient, direction>, which is what a test compares.

    Args:
        f: of the arguments, returning one number.
        args: arrays or numbers.
        directions: of the arguments' shapes; None leaves an argument where it is.
        eps: half the distance of the two evaluations.
    """

    def shifted(step: float) -> float:
        return float(
            f(
                *(
                    np.asarray(a, np.float64) if v is None else np.asarray(a, np.float64) + step * v
                    for a, v in zip(args, directions, strict=True)
                )
            )
        )

    return (shifted(eps) - shifted(-eps)) / (2 * eps)
