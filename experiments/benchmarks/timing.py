"""How long calls take, how much they hold in between, and how long they take to compile.

Competitors are called in turns within one run: where the machine's speed drifts, it drifts for all
of them, and the ratios of their medians hold.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

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
        peak_bytes: the most that is held at one time, arguments and outputs included; None where
            that is not known.
    """

    call: Callable[[], object]
    compile_seconds: float | None = None
    temporary_bytes: int | None = None
    peak_bytes: int | None = None


@dataclass
class Measurement:
    """What is known about one competitor in one mode.

    Attributes:
        seconds: of every timed call, in order.
        compile_seconds: see `Contender`.
        temporary_bytes: see `Contender`.
        peak_bytes: see `Contender`.
    """

    seconds: list[float] = field(default_factory=list)
    compile_seconds: float | None = None
    temporary_bytes: int | None = None
    peak_bytes: int | None = None

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

    Raises:
        NotImplementedError: it needs more memory than is free.
    """
    jax.clear_caches()
    start = time.perf_counter()
    compiled = jax.jit(function).lower(*arguments).compile()
    seconds = time.perf_counter() - start
    contender = Contender(lambda: jax.block_until_ready(compiled(*arguments)), seconds)
    analysis = compiled.memory_analysis()
    if analysis is not None:
        made = analysis.temp_size_in_bytes + analysis.output_size_in_bytes
        check_memory(made)
        contender.temporary_bytes = analysis.temp_size_in_bytes
        contender.peak_bytes = analysis.argument_size_in_bytes + made
    return contender


def check_memory(needed: int) -> None:
    """Refuse what would not fit: a machine that swaps, or ends the process, measures nothing.

    Args:
        needed: bytes beside those that are held already.

    Raises:
        NotImplementedError: fewer are free, where that can be known: on the CPU under Linux.
    """
    info = Path("/proc/meminfo")
    if jax.default_backend() != "cpu" or not info.exists():
        return
    fields = dict(line.split(":", 1) for line in info.read_text().splitlines())
    free = 1024 * int(fields["MemAvailable"].split()[0])
    if needed > free:
        raise NotImplementedError(
            f"it needs {needed / 2**30:.1f} GiB of memory, and {free / 2**30:.1f} are free"
        )


def race(
    contenders: Mapping[str, Contender], turns: int, budget_seconds: float
) -> dict[str, Measurement]:
    """Time all of them in turns.

    Args:
        contenders: by name.
        turns: how many each may have; a turn is one call, or several short ones.
        budget_seconds: a contender gets fewer turns, spread over the race, where all of them would
            take longer than this; but at least one. Where a single call takes longer, the first
            one counts, and there is no other.

    Returns:
        The measurements, by name.
    """
    shares: dict[str, int] = {}
    results: dict[str, Measurement] = {}
    for name, contender in contenders.items():
        first = timed(contender.call)
        is_long = first > budget_seconds
        shares[name] = 0 if is_long else count_turns(first, turns, budget_seconds)
        results[name] = Measurement(
            [first] if is_long else [],
            contender.compile_seconds,
            contender.temporary_bytes,
            contender.peak_bytes,
        )
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
