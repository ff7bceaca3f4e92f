"""Strictness that holds for the whole suite, and what the tests share."""

import os
from collections.abc import Iterator

import jax
import pytest

from pac_jax.functional.implementations import IMPLEMENTATIONS

# The older emitters of fused loops compile in half the time. Processes that tests start inherit
# it. XLA ends a process for a flag that it does not know, so versions that do are named.
if jax.__version_info__ < (0, 11):
    _EMITTERS = "--xla_cpu_use_fusion_emitters=false"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_EMITTERS}".strip()

# What a strict user switches on must not break the library: no implicit casts between types, no
# implicit broadcasting between ranks.
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test with an argument `implementation` is run for each one that is registered."""
    marks = metafunc.definition.iter_markers("parametrize")
    own = any("implementation" in str(mark.args[0]) for mark in marks)
    if "implementation" in metafunc.fixturenames and not own:
        metafunc.parametrize("implementation", list(IMPLEMENTATIONS))


@pytest.fixture(autouse=True, scope="module")
def _compile_quickly() -> Iterator[None]:
    """Few optimisations, here and in processes that tests start: arrays of tests are small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        jax.config.update("jax_disable_most_optimizations", True)
        yield
        jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def x64():
    """64-bit types for one test; the others run in JAX's default mode."""
    with jax.enable_x64(True):
        yield
