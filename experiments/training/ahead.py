"""Batches prepared in the background while the device trains."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Batch = TypeVar("Batch")


def prepared(
    make: Callable[[int], Batch], steps: Iterable[int], ahead: int = 3
) -> Iterator[tuple[int, Batch]]:
    """Yield (step, make(step)), `ahead` of them made before they are asked for.

    Args:
        make: the batch of a step; called in a thread of its own. What it raises is raised here.
        steps: in their order.
        ahead: number of batches that wait.
    """
    ready: queue.Queue = queue.Queue(maxsize=ahead)
    stopped = threading.Event()

    def put(item: object) -> None:
        while not stopped.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except queue.Full:
                continue
        return None

    def work() -> None:
        try:
            for step in steps:
                if stopped.is_set():
                    return
                put((step, make(step)))
            put(None)
        except Exception as error:  # handed to the consumer, who would wait for ever
            put(error)

    threading.Thread(target=work, name="batches", daemon=True).start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        stopped.set()
