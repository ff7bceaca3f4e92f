"""The log of a run: a CSV file, TensorBoard events, and learning curves, all saying the same.

A row is due every `log_every` updates and at every checkpoint. Losses stay on the device until
then, so that updates are not waited for one by one.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from experiments.training.errors import RunError
from experiments.training.run_folder import write_atomically

_BEFORE = ("step", "loss", "learning_rate")
_AFTER = ("images_per_second",)


class Row(NamedTuple):
    """One line of the log.

    Attributes:
        step: updates done.
        loss: mean over the updates since the last row.
        learning_rate: of this update.
        metrics: of the validation by their names; empty between two validations.
        images_per_second: since the last row.
    """

    step: int
    loss: float
    learning_rate: float
    metrics: Mapping[str, float]
    images_per_second: float


class Log:
    """`log.csv`, from which what a killed run wrote after its last checkpoint is removed.

    Args:
        path: of the file.
        metrics: names of the validation's metrics, a column each.
        first_step: updates of the checkpoint that the run goes on from; later rows are dropped.

    Raises:
        RunError: the file is something else.
    """

    def __init__(self, path: Path, metrics: Sequence[str], first_step: int):
        self._metrics = tuple(metrics)
        header = (*_BEFORE, *self._metrics, *_AFTER)
        if path.exists() and _lines(path)[:1] not in ([], [list(header)]):
            raise RunError(f"{path} is not the log of a run of this version; delete it")
        self.rows = [row for row in read(path) if row.step <= first_step]
        write_atomically(path, _text([header, *map(self._cells, self.rows)]))
        self._file = path.open("a", newline="")

    def add(self, row: Row) -> None:
        """Append a row and hand it to the system, so that it outlives the process."""
        self.rows.append(row)
        self._file.write(_text([self._cells(row)]))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _cells(self, row: Row) -> tuple:
        metrics = (row.metrics.get(name, "") for name in self._metrics)
        return (row.step, row.loss, row.learning_rate, *metrics, row.images_per_second)


def read(path: Path) -> list[Row]:
    """The rows of a log; a last line that was cut short is left out, a missing file has none.

    Raises:
        RunError: the file is something else.
    """
    if not path.exists() or not (lines := _lines(path)):
        return []
    header, *rows = lines
    names = header[len(_BEFORE) : -len(_AFTER)]
    if header != [*_BEFORE, *names, *_AFTER]:
        raise RunError(f"{path} is not the log of a run of this version; delete it")
    try:
        return [_row(names, cells) for cells in rows]
    except ValueError as error:
        raise RunError(f"{path} is damaged ({error}); delete it") from error


def _lines(path: Path) -> list[list[str]]:
    with path.open(newline="", errors="replace") as file:
        text = file.read()
    whole = text[: text.rfind("\n") + 1]
    return list(csv.reader(io.StringIO(whole)))


def _row(names: Sequence[str], cells: Sequence[str]) -> Row:
    step, loss, learning_rate, *metrics, rate = cells
    found = {n: float(c) for n, c in zip(names, metrics, strict=True) if c}
    return Row(int(step), float(loss), float(learning_rate), found, float(rate))


def _text(lines: list[tuple]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()
