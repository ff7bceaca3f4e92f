"""A convolution to one channel, the last of a branch that gives a target."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from pac_jax.functional.arguments import at_least_float32


class OneChannelConv(nnx.Conv):
    """A `nnx.Conv` from (N, H, W, C) to one channel, at stride 1, whose gradient is fast on the CPU.

    XLA's kernel gradient of so few channels has a window of the whole image and is dozens of times
    slower than the forward pass. Here one matrix product multiplies every pixel with every tap, and
    the products are moved to where they belong and added; derivatives are of the same kind.
    """

    def __call__(self, inputs: jax.Array, out_sharding: Any = None) -> jax.Array:
        """Apply it, (N, H, W, C) -> (N, H', W', 1).

        Raises:
            NotImplementedError: an `out_sharding` is given; the compiler chooses it here.
        """
        if out_sharding is not None:
            raise NotImplementedError(f"out_sharding is {out_sharding}; it needs None")
        kernel: Any = self.kernel
        bias: Any = self.bias
        padding: Any = self.padding
        images, taps, bias = self.promote_dtype((inputs, kernel[...], bias[...]), dtype=self.dtype)
        window = taps.shape[:2]
        products = jnp.matmul(
            images,
            taps.reshape(-1, taps.shape[2]).T,
            precision=self.precision,
            preferred_element_type=at_least_float32(images.dtype),
        )
        outputs = _sum_in_place(products, window, padding).astype(images.dtype)
        return outputs + bias.reshape(1, 1, 1, 1)


def _sum_in_place(
    products: jax.Array, window: tuple[int, int], padding: tuple[tuple[int, int], tuple[int, int]]
) -> jax.Array:
    """Add the products of every tap, (N, H, W, taps), each moved by the tap's offset."""
    total: Any = 0
    # `split`, since its gradient is one concatenation, where a slice's is a sum of padded arrays.
    taps = jnp.split(products, products.shape[-1], axis=-1)
    for tap, product in zip(np.ndindex(*window), taps, strict=True):
        moved = [
            (low - offset, high - (size - 1 - offset), 0)
            for offset, size, (low, high) in zip(tap, window, padding, strict=True)
        ]
        total += lax.pad(product, np.zeros((), product.dtype), [(0, 0, 0), *moved, (0, 0, 0)])
    return total
