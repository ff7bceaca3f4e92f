"""Puts a trained network into the package: its file, its card, and their record."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from pac_jax.files.atomic import replacing
from pac_jax.pretrained.architectures import count_parameters
from pac_jax.pretrained.catalogue import FOLDER, MANIFEST, checksum, manifest
from pac_jax.pretrained.container import to_bytes

__all__ = ["STORED_DTYPE", "ship", "withdraw"]

# Of the arrays in the package's files, half as large as float32; networks compute in float32.
STORED_DTYPE = np.float16

_KIND_ORDER = ("depth", "flow", "labels")


def ship(
    name: str,
    model: nnx.Module,
    *,
    architecture: str,
    arguments: Mapping[str, Any],
    kind: str,
    card: str,
    score: str = "",
    seed: int | None = None,
    default: bool = False,
    file: str | None = None,
    folder: Path | None = None,
) -> Path:
    """Add a network to the package, or replace it: for those who develop the package.

    Its arrays are rounded to `STORED_DTYPE`, which makes their files small.

    Args:
        name: under which `load` finds it, such as 'depth_x8'.
        model: the network.
        architecture: see `write`.
        arguments: see `write`.
        kind: see `write`.
        card: the model card, Markdown whose first line is '# ' and the name.
        score: the main result in a few words, for the table of `pac-jax models`.
        seed: of its training, for tables.
        default: whether `pac_jax.upsample` takes it for this kind and factor; it replaces the one
            that was.
        file: name of the file without its suffix, if several names share one: a network whose
            parameters serve several factors, shipped once per factor, each time with the same
            parameters (the last ones count for all); the name if None.
        folder: of the weights; the package's own if None.

    Returns:
        Path of the file of weights.

    Raises:
        ValueError: an argument does not fit, or networks of other arguments or another kind share
            the file; the message says which.

    Example:
        >>> import tempfile, pathlib
        >>> from flax import nnx
        >>> from pac_jax import models, pretrained
        >>> model = models.PacNet.lite(4, rngs=nnx.Rngs(0))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pretrained.ship(
        ...         "mine_x4", model, architecture="PacNet.lite", arguments={"factor": 4},
        ...         kind="depth", card="# mine_x4", folder=pathlib.Path(folder))
        >>> path.name
        'mine_x4.safetensors'
    """
    folder = folder or FOLDER
    if not name.isidentifier():
        raise ValueError(f"name is {name!r}; it needs letters, digits and underscores")
    if not card.startswith(f"# {name}\n") and card.strip() != f"# {name}":
        raise ValueError(f"card begins with {card.splitlines()[:1]}; it needs the line '# {name}'")
    if "factor" not in arguments:
        raise ValueError(f"arguments are {dict(arguments)}; they need a factor")
    record = manifest(folder) if (folder / MANIFEST).exists() else {"files": {}, "networks": {}}
    record["networks"].pop(name, None)
    file = f"{file or name}.safetensors"
    sharing = {n: entry for n, entry in record["networks"].items() if entry["file"] == file}
    _check_sharing(sharing, file, architecture, arguments, kind)
    data = to_bytes(
        model,
        architecture=architecture,
        arguments=arguments,
        kind=kind,
        factors=sorted({arguments["factor"], *(entry["factor"] for entry in sharing.values())}),
        dtype=STORED_DTYPE,
    )
    if default:
        for entry in record["networks"].values():
            if (entry["kind"], entry["factor"]) == (kind, arguments["factor"]):
                entry["default"] = False
    record["networks"][name] = {
        "file": file,
        "card": f"{name}.md",
        "kind": kind,
        "factor": arguments["factor"],
        "architecture": architecture,
        "arguments": dict(arguments),
        "parameters": count_parameters(model),
        "score": score,
        "seed": seed,
        "default": default,
    }
    _save(folder, record, {file: data, f"{name}.md": card.encode()})
    return folder / file


def withdraw(name: str, *, folder: Path | None = None) -> None:
    """Take a network out of the package: for those who develop the package.

    Args:
        name: one of `list()`.
        folder: of the weights; the package's own if None.

    Raises:
        ValueError: there is no such network.

    Example:
        >>> from pac_jax import pretrained
        >>> pretrained.withdraw("depth_x3")
        Traceback (most recent call last):
        ValueError: there is no network 'depth_x3' to withdraw
    """
    folder = folder or FOLDER
    record = manifest(folder)
    if record["networks"].pop(name, None) is None:
        raise ValueError(f"there is no network {name!r} to withdraw")
    _save(folder, record, {})


def _check_sharing(
    sharing: Mapping[str, dict[str, Any]],
    file: str,
    architecture: str,
    arguments: Mapping[str, Any],
    kind: str,
) -> None:
    """Raise unless all networks of a file differ in nothing but the factor."""
    for name, entry in sharing.items():
        theirs = entry["architecture"], {**entry["arguments"], "factor": 0}, entry["kind"]
        if theirs != (architecture, {**arguments, "factor": 0}, kind):
            raise ValueError(
                f"{file} is shared with {name}, {entry['kind']} {entry['architecture']} of "
                f"{entry['arguments']}; these are {kind} {architecture} of {dict(arguments)}: give "
                f"another file, or withdraw {name} first"
            )


def _save(folder: Path, record: dict[str, Any], contents: Mapping[str, bytes]) -> None:
    """Write the files, then the record, then remove what no network has any more."""
    for file, data in contents.items():
        record["files"][file] = {"bytes": len(data), "sha256": checksum(data)}
        with replacing(folder / file) as temporary:
            Path(temporary).write_bytes(data)
    networks = record["networks"]

    def order(name: str) -> tuple[int, int, bool, str]:
        entry = networks[name]
        return _KIND_ORDER.index(entry["kind"]), entry["factor"], not entry["default"], name

    used = {entry[part] for entry in networks.values() for part in ("file", "card")}
    unused = record["files"].keys() - used
    record = {
        "files": {file: record["files"][file] for file in sorted(used)},
        "networks": {name: networks[name] for name in sorted(networks, key=order)},
    }
    with replacing(folder / MANIFEST) as temporary:
        Path(temporary).write_text(json.dumps(record, indent=2) + "\n")
    for file in unused:
        (folder / file).unlink(missing_ok=True)
