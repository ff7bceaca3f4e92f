"""Random arrays, drawn by NumPy: jax.random would compile once for every shape."""

import jax.numpy as jnp
import numpy as np


def normal(seed: int, *shape: int) -> np.ndarray:
    """Standard normal, float32."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def mask(seed: int, *shape: int) -> np.ndarray:
    """True in seven places of ten."""
    return np.random.default_rng(seed).random(shape) < 0.7


def bfloat16(seed: int, *shape: int) -> np.ndarray:
    """Standard normal, bfloat16."""
    return normal(seed, *shape).astype(jnp.bfloat16)
