"""Strictness that holds for the whole suite, and what the tests share."""

import os
from collections.abc import Iterator

import jax
import pytest

from pac_jax.functional.implementations import IMPLEMENTATIONS, fusing

# The older emitters of fused loops compile in half the time, and programs that are not cut into parts
# in a tenth less. Processes that tests start inherit it. XLA ends a process for a flag that it does
# not know, so versions that do are named.
if jax.__version_info__ < (0, 11):
    _FLAGS = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_FLAGS}".strip()

# Arrays of tests are small: few optimisations, no pass that trades time for memory, and no lines of
# Python in programs, which nobody reads here.
for _option, _value in {
    "jax_disable_most_optimizations": True,
    "jax_compiler_enable_remat_pass": False,
    "jax_traceback_in_locations_limit": 0,
}.items():
    os.environ[_option.upper()] = str(int(_value))
    jax.config.update(_option, _value)

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
    """How many of the tests run fused kernels."""
    parser.addoption("--all-fused", action="store_true", help="run every test of fused kernels")


# Where they are compiled; elsewhere, of every test, how many of the cases that it has.
_BACKENDS = {"pallas": "gpu", "pallas_tpu": "tpu"}
_CASES = {"pallas": 2, "pallas_tpu": 1}
_TOO_LONG = ("test_check_grads_to_second_order", "tests/crf/")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Interpreted kernels are programs that XLA compiles for a second each, a grid for minutes.

    What runs then is a part of every grid, evenly spread, and `tests/functional/test_pallas*.py`; all
    of them with `--all-fused`, or where the kernels are compiled.
    """
    if config.getoption("all_fused"):
        return
    cases: dict[tuple[str, str], list[pytest.Item]] = {}
    for item in items:
        name = _fused(item)
        if name is not None and _BACKENDS[name] != jax.default_backend():
            cases.setdefault((item.nodeid.split("[")[0], name), []).append(item)
    left_out = set()
    for (test, name), own in cases.items():
        count = 0 if any(part in test for part in _TOO_LONG) else _CASES[name]
        left_out |= set(own) - {own[n * len(own) // count] for n in range(count)}
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=list(left_out))


def _fused(item: pytest.Item) -> str | None:
    """The fused implementation that a test is run for, if it is."""
    name = getattr(getattr(item, "callspec", None), "params", {}).get("implementation")
    return name if name in _CASES else None


@pytest.fixture(autouse=True, scope="session")
def _interpret_the_gpu_kernels() -> Iterator[None]:
    """The one switch that lets fused kernels run on CPUs, where they are asked for by name."""
    with fusing.interpreted():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """A test of a fused kernel that asks for what it cannot do is skipped, with its reason."""
    try:
        yield
    except NotImplementedError as error:
        if _fused(item) is None or "cannot run this" not in str(error):
            raise
        pytest.skip(str(error))


@pytest.fixture(autouse=True, scope="module")
def _forget_programs() -> Iterator[None]:
    """Compiled programs are mapped into memory piecewise, and a process may have 65530 such maps.

    The worker of thousands of tests came near; beyond, XLA ends it.
    """
    yield
    jax.clear_caches()


@pytest.fixture
def x64():
    """64-bit types for one test; the others run in JAX's default mode."""
    with jax.enable_x64(True):
        yield
