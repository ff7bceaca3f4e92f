"""How long calls take, how much they hold in between, and how long they take to compile.

Competitors are called in turns within one run: where the machine's speed drifts, it drifts for all
of them, and the ratios of their medians hold.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import jax

# A turn is repeated for this long: the median then leaves out the first call, which finds in the
# caches what the competitor before it left there.
_TURN_SECONDS = 0.1


@dataclass
class Contender:
    """A call that is ready to be timed.

    Attributes:
        call: does the work and waits for its end.
        compile_seconds: tracing, lowering and compiling, with nothing cached; None for what is not
            compiled.
        temporary_bytes: what the compiled call holds beside its arguments and outputs; None where
            that is not known.
    """

    call: Callable[[], object]
    compile_seconds: float | None = None
    temporary_bytes: int | None = None


@dataclass
class Measurement:
    """What is known about one competitor in one mode.

    Attributes:
        seconds: of every timed call, in order.
        compile_seconds: see `Contender`.
        temporary_bytes: see `Contender`.
    """

    seconds: list[float] = field(default_factory=list)
    compile_seconds: float | None = None
    temporary_bytes: int | None = None

    @property
    def median(self) -> float:
        """Median seconds of a call."""
        return statistics.median(self.seconds)


def compile_call(function: Callable, *arguments: object) -> Contender:
    """Compile a JAX function for these arguments, from nothing.

    Args:
        function: of arrays (or trees of them).
        *arguments: what it will be called with.

    Returns:
        The compiled call, with the cost of compiling it.
    """
    jax.clear_caches()
    start = time.perf_counter()
    compiled = jax.jit(function).lower(*arguments).compile()
    seconds = time.perf_counter() - start
    analysis = compiled.memory_analysis()
    return Contender(
        call=lambda: jax.block_until_ready(compiled(*arguments)),
        compile_seconds=seconds,
        temporary_bytes=None if analysis is None else analysis.temp_size_in_bytes,
    )


def race(
    contenders: Mapping[str, Contender], turns: int, budget_seconds: float
) -> dict[str, Measurement]:
    """Time all of them in turns.

    Args:
        contenders: by name.
        turns: how many each may have; a turn is one call, or several short ones.
        budget_seconds: a contender gets fewer turns, spread over the race, where all of them would
            take longer than this; but at least one.

    Returns:
        The measurements, by name.
    """
    shares = {
        name: count_turns(timed(contender.call), turns, budget_seconds)
        for name, contender in contenders.items()
    }
    results = {
        name: Measurement([], contender.compile_seconds, contender.temporary_bytes)
        for name, contender in contenders.items()
    }
    for turn in range(turns):
        for name, contender in contenders.items():
            if is_due(turn, shares[name], turns):
                results[name].seconds += take_turn(contender.call)
    return results


def timed(call: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def count_turns(call_seconds: float, turns: int, budget_seconds: float) -> int:
    """How many turns the budget allows, at least one."""
    affordable = int(budget_seconds / max(call_seconds, _TURN_SECONDS))
    return max(1, min(turns, affordable))


def is_due(turn: int, share: int, turns: int) -> bool:
    """Whether this is one of `share` turns spread evenly over all `turns`."""
    return (turn + 1) * share // turns > turn * share // turns


def take_turn(call: Callable[[], object]) -> list[float]:
    """Call once, or again and again until the turn is over; the seconds of every call."""
    seconds: list[float] = []
    while sum(seconds) < _TURN_SECONDS:
        seconds.append(timed(call))
    return seconds
