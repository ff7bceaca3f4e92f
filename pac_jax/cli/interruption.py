"""Ctrl-C that is not lost: of many files, none is begun after it."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["noted_interruptions"]


@contextmanager
def noted_interruptions() -> Iterator[Callable[[], None]]:
    """Let Ctrl-C raise KeyboardInterrupt as ever, and note it as well.

    Python drops what is raised while it collects garbage, where JAX has a callback, and what is
    raised while JAX compares arguments becomes a ValueError: without this, some interruptions have
    no effect.

    Yields:
        A function that raises KeyboardInterrupt if there was an interruption.
    """
    noted: list[int] = []

    def check() -> None:
        if noted:
            raise KeyboardInterrupt

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        signal.default_int_handler(number, frame)

    in_main = threading.current_thread() is threading.main_thread()
    # Where interruptions are ignored, or somebody else's, they stay so.
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield check
        return
    report = sys.unraisablehook
    sys.unraisablehook = lambda lost: None if lost.exc_type is KeyboardInterrupt else report(lost)
    signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.unraisablehook = report
