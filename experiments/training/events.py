"""TensorBoard event files of a run, written without TensorFlow.

The writer of tensorboardX that works in the caller's thread: an error (a full disk) reaches the
training, and what is written is on its way to the disk.
"""

import time
from pathlib import Path

import numpy as np
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary

from experiments.training.log import Row


class Events:
    """Event files in a folder; every start of a run adds one.

    Args:
        folder: made if it does not exist.
        first_step: updates of the checkpoint that the run goes on from; TensorBoard forgets what
            earlier files say of later ones.
    """

    def __init__(self, folder: Path, first_step: int):
        folder.mkdir(parents=True, exist_ok=True)
        # Not by the second alone, in which a run may have been started twice.
        self._writer = EventsWriter(str(folder / "events"), f".{first_step}.{time.time_ns()}")
        start = Event(step=first_step + 1, session_log=SessionLog(status=SessionLog.START))
        self._write(start)

    def add_row(self, row: Row) -> None:
        """Add the numbers of a row of the log."""
        self._add(row.step, summary.scalar("loss", row.loss))
        self._add(row.step, summary.scalar("learning_rate", row.learning_rate))
        self._add(row.step, summary.scalar("images_per_second", row.images_per_second))
        for name, value in row.metrics.items():
            self._add(row.step, summary.scalar(f"validation/{name}", value))

    def add_picture(self, step: int, picture: np.ndarray) -> None:
        """Add a picture, (H, W, 3) uint8."""
        self._add(step, summary.image("validation/picture", picture, dataformats="HWC"))

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    def _add(self, step: int, value: Summary) -> None:
        self._write(Event(step=step, summary=value))

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        self._writer.write_event(event)
        self._writer.flush()
