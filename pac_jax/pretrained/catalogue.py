"""The networks in the package: what there is, checked before it is used."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from flax import nnx

from pac_jax.pretrained.container import (
    Description,
    WeightsError,
    check_changes,
    describe_file,
    from_bytes,
)

__all__ = ["FOLDER", "MANIFEST", "card", "describe", "list", "load", "manifest"]

FOLDER = Path(__file__).parent / "weights"
MANIFEST = "manifest.json"
_REMEDY = "install the package again: pip install --force-reinstall --no-deps pac_jax"


def list() -> tuple[str, ...]:
    """Names of the networks that ship with the package.

    Returns:
        The names, for `load`, sorted by kind and factor.

    Example:
        >>> from pac_jax import pretrained
        >>> "depth_x8" in pretrained.list()
        True
    """
    return tuple(manifest()["networks"])


def load(name: str, **changes: Any) -> nnx.Module:
    """Load a network that ships with the package.

    Its file is checked against the SHA-256 that the package recorded for it. Nothing is downloaded.

    Args:
        name: one of `list()`.
        changes: arguments to build it with in place of those in `describe(name).arguments`, as far
            as its parameters serve them: `protocol="center"`.

    Returns:
        The network, called as `model(target_low, guide)` with targets in the range 0 to 1 (see
        `pac_jax.models.target_range`); `pac_jax.upsample` does everything around it.

    Raises:
        ValueError: there is no such network, the message lists those there are; or it has no such
            argument, or does not serve it.
        WeightsError: its file is damaged, exchanged or missing.

    Example:
        >>> import jax.numpy as jnp
        >>> from pac_jax import pretrained
        >>> model = pretrained.load("depth_x8")
        >>> model(jnp.ones((1, 3, 4, 1)), jnp.ones((1, 24, 32, 3))).shape
        (1, 24, 32, 1)
    """
    entry = _entry(name)
    check_changes(changes, describe(name))
    return from_bytes(_verified(entry["file"]), name, {"factor": entry["factor"], **changes})


def card(name: str) -> str:
    """Read the model card of a network: how it was trained, on what, its results and its failures.

    Args:
        name: one of `list()`.

    Returns:
        Markdown.

    Raises:
        ValueError: there is no such network; the message lists those there are.
        WeightsError: the card is damaged or missing.

    Example:
        >>> from pac_jax import pretrained
        >>> pretrained.card("depth_x8").splitlines()[0]
        '# depth_x8'
    """
    return _verified(_entry(name)["card"]).decode()


def describe(name: str | os.PathLike[str]) -> Description:
    """Tell what is known of a network without building it.

    Args:
        name: one of `list()`, or the path of a file that `write` wrote.

    Returns:
        Its kind, factors, architecture, size and, if it ships with the package, score and seed.

    Raises:
        ValueError: there is no such network; the message lists those there are.
        FileNotFoundError: there is no such file.
        WeightsError: the file is damaged, or no network of ours.

    Example:
        >>> from pac_jax import pretrained
        >>> pretrained.describe("depth_x8").factors
        (8,)
    """
    if is_path(name):
        return describe_file(name)
    entry = _entry(os.fspath(name))
    return Description(
        name=os.fspath(name),
        kind=entry["kind"],
        factors=(entry["factor"],),
        architecture=entry["architecture"],
        arguments=entry["arguments"],
        parameters=entry["parameters"],
        size=manifest()["files"][entry["file"]]["bytes"],
        score=entry["score"],
        default=entry["default"],
        seed=entry["seed"],
    )


def is_path(name: str | os.PathLike[str]) -> bool:
    """Whether this is the path of a file and not a name: it has a suffix or a folder."""
    text = os.fspath(name)
    return not isinstance(name, str) or "." in text or os.path.basename(text) != text


def version(name: str) -> str:
    """A text that changes when the weights that `name` stands for do; see `describe`."""
    if is_path(name):
        return str(os.stat(name).st_mtime_ns)
    return manifest()["files"][_entry(name)["file"]]["sha256"]


def manifest(folder: Path | None = None) -> dict[str, Any]:
    """The record of what ships: `files` with size and checksum, and `networks` by name."""
    path = (folder or FOLDER) / MANIFEST
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{path}: the list of weights is missing or damaged; {_REMEDY}"
        ) from error


def _entry(name: str) -> dict[str, Any]:
    networks = manifest()["networks"]
    if name not in networks:
        raise ValueError(
            f"there is no network {name!r} in the package; there are {', '.join(networks) or 'none'}"
        )
    return networks[name]


def _verified(file: str) -> bytes:
    """The content of a file of the package, if it is what the package was made with."""
    path, needed = FOLDER / file, manifest()["files"][file]["sha256"]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); {_REMEDY}") from error
    found = checksum(data)
    if found != needed:
        raise WeightsError(
            f"{path}: damaged or exchanged, its SHA-256 is {found[:12]}... and needs to be "
            f"{needed[:12]}...; {_REMEDY}"
        )
    return data


def checksum(data: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()
