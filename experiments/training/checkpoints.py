"""Saving a training run with orbax, and finding its last checkpoint that is whole.

Orbax writes a checkpoint under a temporary name and renames it when it is complete, so a killed run
leaves whole checkpoints. Disks and people damage files nevertheless: a digest of all values is
stored beside them, and what does not match it is passed over.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging

from experiments.training.errors import RunError

State = TypeVar("State")

# Orbax logs what it then raises, each time with a traceback; one line from us is the one to read.
logging.set_verbosity(logging.FATAL)


class Checkpoints:
    """The last checkpoints of one run in one folder.

    Args:
        folder: of the checkpoints; made if needed.
        report: takes the messages about checkpoints that are passed over.
        keep: how many to keep. More than one, so that there is one to fall back to.
        read_only: for evaluation beside a running training: changes nothing in the folder.
    """

    def __init__(
        self,
        folder: Path,
        report: Callable[[str], None],
        *,
        keep: int = 3,
        read_only: bool = False,
    ):
        self._folder, self._report, self._read_only = folder.resolve(), report, read_only
        if not read_only:
            # Orbax would remove them in the background, while a new one of the same name is written.
            for half_written in self._folder.glob("*.orbax-checkpoint-tmp*"):
                shutil.rmtree(half_written)
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep,
            create=not read_only,
            read_only=read_only,
            enable_async_checkpointing=True,
        )
        self._manager = ocp.CheckpointManager(self._folder, options=options)

    def save(self, step: int, state: Any) -> None:
        """Save after `step` updates: copy from the device now, write in the background.

        Raises:
            RunError: this or the previous checkpoint cannot be written, as on a full disk.
        """
        host = jax.device_get(state)
        record = {"digest": digest(host), "leaves": describe(host)}
        arguments = ocp.args.Composite(
            state=ocp.args.StandardSave(host), record=ocp.args.JsonSave(record)
        )
        self._writing(lambda: self._manager.save(step, args=arguments, force=True))

    def restore(self, like: State) -> tuple[int, State]:
        """The last whole checkpoint's number of updates and state.

        Damaged ones are reported, and moved aside unless read-only.

        Args:
            like: a state of the same structure, on the device that is to hold it.

        Returns:
            (updates, state), or (0, like) if there is no whole checkpoint.

        Raises:
            RunError: a whole checkpoint is of another network.
        """
        damaged: list[int] = []
        step, state = 0, like
        for candidate in sorted(self._manager.all_steps(), reverse=True):
            try:
                state = self._read(candidate, like)
            except RunError:
                raise
            except Exception as error:  # orbax and tensorstore raise whatever went wrong below
                damaged.append(candidate)
                self._report(f"passed over the damaged checkpoint {candidate}: {_reason(error)}")
            else:
                step = candidate
                break
        if damaged and not self._read_only:
            self._put_aside(damaged)
        if damaged and not step:
            self._report("no whole checkpoint is left: starting from the beginning")
        return step, state

    def close(self) -> None:
        """Wait until everything is written.

        Raises:
            RunError: a checkpoint cannot be written, as on a full disk.
        """
        self._writing(self._manager.wait_until_finished)
        self._writing(self._manager.close)

    def _read(self, step: int, like: State) -> State:
        record = self._manager.restore(
            step, args=ocp.args.Composite(record=ocp.args.JsonRestore())
        ).record
        if record["leaves"] != describe(like):
            there, here = record["leaves"].items(), describe(like).items()
            names = sorted({name for name, _ in set(map(_frozen, there)) ^ set(map(_frozen, here))})
            raise RunError(
                f"checkpoint {self._folder / str(step)} is of another network ({names[0]} and "
                f"{len(names) - 1} more differ); use the code that trained it, or another --out"
            )
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        state = self._manager.restore(
            step, args=ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
        ).state
        if digest(jax.device_get(state)) != record["digest"]:
            raise ValueError("its values do not match their digest")
        return state

    def _put_aside(self, steps: list[int]) -> None:
        """Move checkpoints out of the way of those that will be written in their place."""
        aside = self._folder.with_name(self._folder.name + "_damaged")
        aside.mkdir(exist_ok=True)
        for step in steps:
            number = sum(1 for _ in aside.glob(f"{step}_*"))
            (self._folder / str(step)).rename(aside / f"{step}_{number}")
        self._manager.reload()

    def _writing(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:  # from orbax's threads, of any type
            raise RunError(
                f"cannot write checkpoints to {self._folder}: {_reason(error)}; make room and give "
                "the same command again"
            ) from error


def describe(state: Any) -> dict[str, list]:
    """Type and shape of every leaf by its name."""
    return {
        jax.tree_util.keystr(path): [str(leaf.dtype), *map(int, leaf.shape)]
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    }


def digest(state: Any) -> str:
    """SHA-256 of the names, types, shapes and values of all leaves."""
    result = hashlib.sha256(repr(describe(state)).encode())
    for leaf in jax.tree.leaves(state):
        result.update(np.ascontiguousarray(leaf).tobytes())
    return result.hexdigest()


def _reason(error: Exception) -> str:
    """The system's words if tensorstore names its error number, else the first sentence."""
    text = " ".join(str(error).split())
    number = re.search(r"os_error_code='(\d+)'", text)
    return os.strerror(int(number[1])) if number else text.split(". ")[0][:120]


def _frozen(item: tuple[str, list]) -> tuple[str, tuple]:
    return item[0], tuple(item[1])
