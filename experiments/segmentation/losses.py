"""What the training makes small."""

import jax
import jax.numpy as jnp
import optax


def cross_entropy(logits: jax.Array, labels: jax.Array, void: int) -> jax.Array:
    """Mean cross-entropy over the pixels that have a label.

    Args:
        logits: (N, H, W, L).
        labels: (N, H, W) integers.
        void: label of pixels that do not count.

    Returns:
        A scalar; 0 where every pixel is void.
    """
    counts = labels != void
    each = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.where(counts, labels, 0))
    number = jnp.maximum(jnp.sum(counts), 1).astype(each.dtype)
    return jnp.sum(jnp.where(counts, each, jnp.zeros_like(each))) / number
