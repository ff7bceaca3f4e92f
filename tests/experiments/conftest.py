"""Experiments are programs, not the library: they run as JAX does by default."""

import jax
import pytest


@pytest.fixture(autouse=True, scope="module")
def _default_promotion():
    """Optax and orbax do not run under strict promotion; for all threads, also that of the scenes."""
    jax.config.update("jax_numpy_dtype_promotion", "standard")
    jax.config.update("jax_numpy_rank_promotion", "allow")
    yield
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
