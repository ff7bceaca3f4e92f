"""Saving and resuming a training run with orbax."""

from pathlib import Path
from typing import TypeVar

import jax
import orbax.checkpoint as ocp

State = TypeVar("State")


class Checkpoints:
    """The last checkpoints of one run in one folder."""

    def __init__(self, folder: Path, every: int, keep: int = 2):
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep, save_interval_steps=every, enable_async_checkpointing=True
        )
        self._manager = ocp.CheckpointManager(folder.resolve(), options=options)

    def save(self, step: int, state: object, *, force: bool = False) -> None:
        """Save after `step` updates, if a checkpoint is due or forced."""
        if self._manager.latest_step() != step:
            self._manager.save(step, args=ocp.args.StandardSave(state), force=force)

    def restore(self, like: State) -> tuple[int, State]:
        """The latest checkpoint's number of updates and state, or (0, like) if there is none."""
        step = self._manager.latest_step()
        if step is None:
            return 0, like
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        return step, self._manager.restore(step, args=ocp.args.StandardRestore(abstract))

    def close(self) -> None:
        """Wait until everything is written."""
        self._manager.wait_until_finished()
        self._manager.close()
