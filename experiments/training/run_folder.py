"""One run, one folder: what is in it, and that no other run writes there."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.training.errors import RunError
from experiments.training.plan import Config, Plan

try:
    import fcntl
except ImportError:  # no such locks on Windows: there nobody looks after two runs at once
    fcntl = None  # type: ignore[assignment]


def write_atomically(path: Path, data: str | bytes) -> None:
    """Write a file whole or not at all, even if the process is killed or the disk is full."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def refuse_another(config: Plan, folder: Path) -> None:
    """Raise unless the folder is new, or holds a run with this configuration.

    Args:
        config: what is trained.
        folder: of the run.

    Raises:
        RunError: the folder holds a run with another configuration.
    """
    path = folder / "config.json"
    if not path.exists():
        return
    fields, held = dataclasses.asdict(config), _read(path)
    names = sorted(n for n in {*fields, *held} if _plain(fields.get(n)) != held.get(n))
    if names:
        changes = ", ".join(f"{n}: {held.get(n)!r} there, {fields.get(n)!r} here" for n in names)
        raise RunError(
            f"{folder} holds a run with another configuration ({changes}); "
            "give another --out, or delete it"
        )


def remember(config: Plan, folder: Path) -> None:
    """Write the configuration into the folder of a run, in place of any that is there.

    Args:
        config: what is trained.
        folder: of the run; made if it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fields = dataclasses.asdict(config)
    write_atomically(folder / "config.json", json.dumps(fields, indent=2) + "\n")


def recall(folder: Path, form: type[Config]) -> Config:
    """The configuration of the run in a folder.

    Args:
        folder: of the run.
        form: dataclass of the configuration.

    Raises:
        RunError: there is no run, or one of another version of the code.
    """
    path = folder / "config.json"
    if not path.exists():
        raise RunError(f"{folder} holds no run (no config.json); train one with --out {folder}")
    held = _read(path)
    known = {field.name: field for field in dataclasses.fields(form)}
    if unknown := sorted(held.keys() - known.keys()):
        raise RunError(
            f"{path} has the fields {', '.join(unknown)}, unknown to this version of the code; "
            "use the version that trained it"
        )
    values: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in held.items()}
    try:
        return form(**values)
    except (TypeError, ValueError) as error:
        raise RunError(f"{path} does not describe a run: {error}") from error


def _read(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RunError(f"{path} is damaged ({error}); delete it if the run is yours") from error


def _plain(value: object) -> object:
    """As JSON gives it back: tuples are lists."""
    return json.loads(json.dumps(value))


@contextlib.contextmanager
def only_one_run(folder: Path) -> Iterator[None]:
    """Hold the folder; the system lets go of it however the process ends.

    Raises:
        RunError: another process trains in this folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(
                    f"another process trains in {folder}; wait for it, or give another --out"
                ) from None
        yield
