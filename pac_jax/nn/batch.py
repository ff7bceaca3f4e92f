"""Leading batch dimensions: any number of them outside, exactly one inside."""

import math

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

Ints = tuple[int, ...]


def batch_shape(inputs: jax.Array, ndim: int) -> Ints:
    """The dimensions in front of (*spatial, channels).

    Raises:
        ValueError: there are fewer than `ndim + 1` dimensions.
    """
    if inputs.ndim < ndim + 1:
        raise ValueError(
            f"inputs have shape {inputs.shape}; a layer of {ndim} spatial dimensions needs at "
            f"least {ndim + 1}: (*batch, *spatial, channels)"
        )
    return inputs.shape[: inputs.ndim - ndim - 1]


def flatten_batch(array: ArrayLike, name: str, batch: Ints) -> jax.Array:
    """(*batch, ...) -> (N, ...).

    Raises:
        ValueError: the array does not start with the inputs' batch dimensions.
    """
    array = jnp.asarray(array)
    if array.shape[: len(batch)] != batch:
        raise ValueError(
            f"{name} has shape {array.shape}; it needs the inputs' batch dimensions {batch} first"
        )
    return array.reshape(math.prod(batch), *array.shape[len(batch) :])


def restore_batch(array: jax.Array, batch: Ints) -> jax.Array:
    """(N, ...) -> (*batch, ...)."""
    return array.reshape(*batch, *array.shape[1:])
