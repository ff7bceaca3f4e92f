"""Strictness that holds for the whole suite, and what the tests share."""

import os
from collections.abc import Iterator

import jax
import pytest

from pac_jax.functional.implementations import IMPLEMENTATIONS, pallas_triton

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


def pytest_addoption(parser: pytest.Parser) -> None:
    """How many of the tests run 'pallas'."""
    parser.addoption("--all-pallas", action="store_true", help="run every test of 'pallas'")


_CASES_OF_PALLAS = 2  # of every test, evenly spread over those that it has
_TOO_LONG = ("test_check_grads_to_second_order", "tests/crf/")  # for interpreted kernels


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a GPU the kernels are interpreted: XLA compiles each for a second, a grid for minutes.

    What runs then is a part of every grid and `tests/functional/test_pallas.py`; all of them with
    `--all-pallas`, or on a GPU.
    """
    if config.getoption("all_pallas") or jax.default_backend() == "gpu":
        return
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if parameters.get("implementation") == "pallas":
            cases.setdefault(item.nodeid.split("[")[0], []).append(item)
    left_out = set()
    for name, own in cases.items():
        count = 0 if any(part in name for part in _TOO_LONG) else _CASES_OF_PALLAS
        left_out |= set(own) - {own[n * len(own) // count] for n in range(count)}
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=list(left_out))


@pytest.fixture(autouse=True, scope="session")
def _interpret_the_gpu_kernels() -> Iterator[None]:
    """The one switch that lets 'pallas' run without a GPU, where it is asked for by name."""
    with pallas_triton.interpreted():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """A test of 'pallas' that asks for what it cannot do is skipped, with its reason."""
    try:
        yield
    except NotImplementedError as error:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if parameters.get("implementation") != "pallas" or "cannot run this" not in str(error):
            raise
        pytest.skip(str(error))


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
