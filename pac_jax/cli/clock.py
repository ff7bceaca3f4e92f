"""Seconds of a run, those of compiling apart, and the peak of memory."""

import sys
import time
from typing import Any

__all__ = ["Clock", "peak_megabytes"]

# Tracing, lowering and compiling; and reading what was compiled before.
_EVENTS = ("/jax/core/compile/", "/jax/compilation_cache/cache_retrieval_time")


class Clock:
    """Counts from when it is made; `compiling` tells how much of that JAX spent on programs."""

    def __init__(self) -> None:
        self.start = time.monotonic()
        self._spans: list[tuple[float, float]] = []

    def listen(self) -> None:
        """Note from now on what JAX traces, compiles, or takes from its cache."""
        import jax

        jax.monitoring.register_event_duration_secs_listener(self._note)

    def _note(self, event: str, duration_secs: float, **_: Any) -> None:
        if event.startswith(_EVENTS):
            now = time.monotonic()
            self._spans.append((now - duration_secs, now))

    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.start

    def compiling(self) -> float:
        """Seconds with programs; spans within others, and their overlaps, count once."""
        total, end = 0.0, float("-inf")
        for first, last in sorted(self._spans):
            total += max(0.0, last - max(first, end))
            end = max(end, last)
        return total


def peak_megabytes() -> float | None:
    """Most memory that the process ever held; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
