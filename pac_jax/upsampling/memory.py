"""Keeps the peak of memory low."""

import ctypes
from contextlib import suppress

__all__ = ["return_free_memory"]


def return_free_memory() -> None:
    """Return to the system what the process has freed, where the C library can.

    Compiling a network takes some 200 megabytes, which the C library would keep while the network
    runs in others.
    """
    with suppress(OSError, AttributeError, TypeError):  # no glibc
        ctypes.CDLL(None).malloc_trim(0)
