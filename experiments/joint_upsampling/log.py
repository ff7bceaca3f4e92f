"""The log of a run: a CSV file, TensorBoard events, and learning curves, all saying the same.

A row is due every `log_every` updates and at every checkpoint. Losses stay on the device until
then, so that updates are not waited for one by one.
"""

import csv
import io
from pathlib import Path
from typing import NamedTuple

from experiments.joint_upsampling.errors import RunError
from experiments.joint_upsampling.run_folder import write_atomically


class Row(NamedTuple):
    """One line of the log.

    Attributes:
        step: updates done.
        loss: mean over the updates since the last row.
        learning_rate: of this update.
        rmse: of the held-out scenes; None between two validations.
        bicubic_rmse: what bicubic interpolation reaches there.
        images_per_second: since the last row.
    """

    step: int
    loss: float
    learning_rate: float
    rmse: float | None
    bicubic_rmse: float | None
    images_per_second: float


class Log:
    """`log.csv`, from which what a killed run wrote after its last checkpoint is removed.

    Args:
        path: of the file.
        first_step: updates of the checkpoint that the run goes on from; later rows are dropped.
    """

    def __init__(self, path: Path, first_step: int):
        self._path = path
        self.rows = [row for row in read(path) if row.step <= first_step]
        write_atomically(path, _text([Row._fields, *map(_cells, self.rows)]))
        self._file = path.open("a", newline="")

    def add(self, row: Row) -> None:
        """Append a row and hand it to the system, so that it outlives the process."""
        self.rows.append(row)
        self._file.write(_text([_cells(row)]))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read(path: Path) -> list[Row]:
    """The rows of a log; a last line that was cut short is left out, a missing file has none.

    Raises:
        RunError: the file is something else.
    """
    if not path.exists():
        return []
    with path.open(newline="", errors="replace") as file:
        text = file.read()
    whole = text[: text.rfind("\n") + 1]
    lines = list(csv.reader(io.StringIO(whole)))
    if lines and lines[0] != list(Row._fields):
        raise RunError(f"{path} is not the log of a run of this version; delete it")
    try:
        return [
            Row(int(step), *(float(c) if c else None for c in cells))  # type: ignore[arg-type]
            for step, *cells in lines[1:]
        ]
    except (ValueError, TypeError) as error:
        raise RunError(f"{path} is damaged ({error}); delete it") from error


def _cells(row: Row) -> tuple:
    return tuple("" if cell is None else cell for cell in row)


def _text(lines: list[tuple]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()
