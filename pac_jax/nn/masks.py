"""`pac_jax.propagate_mask` with any number of batch dimensions."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from pac_jax.functional.mask import propagate_mask
from pac_jax.nn.batch import Ints, flatten_batch, restore_batch


def propagated(mask: ArrayLike, window: Ints, **geometry: Any) -> jax.Array:
    """The mask for the next layer, (*batch, *spatial, 1) -> (*batch, *output_size, 1).

    Raises:
        ValueError: there are fewer dimensions than (*spatial, 1).
    """
    mask = jnp.asarray(mask)
    leading = mask.ndim - len(window) - 1
    if leading < 0:
        raise ValueError(
            f"mask has shape {mask.shape}; it needs (*batch, *spatial, 1) with {len(window)} "
            "spatial dimensions"
        )
    batch = mask.shape[:leading]
    return restore_batch(
        propagate_mask(flatten_batch(mask, "mask", batch), window, **geometry), batch
    )
