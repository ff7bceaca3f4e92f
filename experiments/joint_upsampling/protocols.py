"""How a low-resolution target is made from a full-resolution one.

Results under different protocols are not comparable, so every table names its own.
"""

import jax


def sample_center(target: jax.Array, factor: int) -> jax.Array:
    """Protocol `center`: every factor-th pixel starting at (factor - 1) // 2, no antialias.

    Args:
        target: (N, H, W, C).
        factor: of downsampling, dividing H and W.

    Returns:
        (N, H / factor, W / factor, C).
    """
    first = (factor - 1) // 2
    return target[:, first::factor, first::factor]
