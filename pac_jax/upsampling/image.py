"""One image through its chain of networks."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from flax import nnx

from pac_jax.upsampling.network import run
from pac_jax.upsampling.resizing import resize, shrink

__all__ = ["Networks", "through"]

Networks = Mapping[int, Callable[[], nnx.Module]]


def through(
    factors: Sequence[int],
    networks: Networks,
    target: np.ndarray,
    guide: np.ndarray,
    *,
    tile: int | None,
) -> np.ndarray:
    """Upsample a target without holes to the guide's size.

    Args:
        factors: of the networks, in the order of use.
        networks: what loads each.
        target: (h, w, C) float32.
        guide: (H, W, 3) float32 in [0, 1] or uint8.
        tile: see `upsample`.

    Returns:
        (H, W, C) float32.
    """
    for number, factor in enumerate(factors):
        if number < len(factors) - 1:
            size = target.shape[0] * factor, target.shape[1] * factor
            target = run(networks[factor](), target, shrink(guide, size), tile=tile)
        else:
            target = run(networks[factor](), target, guide, tile=tile)
    return resize(target, guide.shape[:2])
