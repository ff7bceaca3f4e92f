"""What a person sees of a training: a bar on a terminal, else a line now and then."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from experiments.training.log import Row

# Between two lines where there is no terminal.
_SECONDS_BETWEEN_LINES = 30.0


class Bar:
    """Progress with loss, metric, images per second and time left.

    Args:
        console: to draw on.
        steps: updates in all.
        first_step: updates already done.
    """

    def __init__(self, console: Console, steps: int, first_step: int):
        self._console, self._steps = console, steps
        self._last_line = time.perf_counter()
        self._started: tuple[float, int] | None = None
        self._metrics = ""
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} {task.fields[figures]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(
            "training", total=steps, completed=first_step, figures="compiling"
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def advance(self, step: int) -> None:
        """Note that `step` updates have been handed to the device."""
        if self._started is None:  # data were prepared and the update compiled before
            self._started = time.perf_counter(), step
        self._progress.update(self._task, completed=step)

    def show(self, row: Row) -> None:
        """Show a row of the log."""
        if row.metrics:
            self._metrics = "".join(f" {name} {value:.4f}" for name, value in row.metrics.items())
        figures = f"loss {row.loss:.5f}{self._metrics} {row.images_per_second:.3g} images/s"
        self._progress.update(self._task, completed=row.step, figures=figures)
        now = time.perf_counter()
        due = now - self._last_line > _SECONDS_BETWEEN_LINES or row.step == self._steps
        if not self._console.is_terminal and due:
            self._last_line = now
            start, first = self._started or (now, row.step)
            left = (self._steps - row.step) * (now - start) / max(row.step - first, 1) / 60
            self._console.print(f"{row.step}/{self._steps} {figures}, {left:.0f} min left")
