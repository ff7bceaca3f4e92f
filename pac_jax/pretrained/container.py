"""One network in one safetensors file: its arrays by path, and in the metadata how to build it."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import safetensors
import safetensors.numpy
from flax import nnx
from jax.typing import DTypeLike

from pac_jax.files.atomic import replacing
from pac_jax.pretrained.architectures import build, count_parameters, state_by_name

__all__ = ["KINDS", "Description", "WeightsError", "describe_bytes", "from_bytes", "read", "write"]

Path = str | os.PathLike[str]

# What a network was trained to upsample.
KINDS = ("depth", "flow", "labels")
# All metadata is one entry: safetensors does not keep the order of several.
_ENTRY, _FORMAT = "pac_jax", "pac_jax network 1"
_LENGTH_BYTES = 8


class WeightsError(ValueError):
    """A file of weights is damaged, exchanged, or none of ours; the line says which and what helps."""


class Description(NamedTuple):
    """What is known of a network without building it.

    Attributes:
        name: in the package, or the path of the file.
        kind: what it was trained to upsample: 'depth', 'flow' or 'labels'.
        factors: for which factors its parameters serve.
        architecture: one of `ARCHITECTURES`.
        arguments: of the architecture, without `rngs`.
        parameters: how many are trained.
        size: of the file, in bytes.
        score: the main result in words, of a shipped network; otherwise empty.
        default: whether `pac_jax.upsample` takes it when no model is named.
        seed: of the training of a shipped network; None if not known.
    """

    name: str
    kind: str
    factors: tuple[int, ...]
    architecture: str
    arguments: Mapping[str, Any]
    parameters: int
    size: int
    score: str = ""
    default: bool = False
    seed: int | None = None


def write(
    path: Path,
    model: nnx.Module,
    *,
    architecture: str,
    arguments: Mapping[str, Any],
    kind: str,
    factors: Sequence[int] | None = None,
) -> None:
    """Write a network to a file; it is there whole or not at all, the same bytes every time.

    Args:
        path: of the file, .safetensors; its folder has to exist.
        model: the network.
        architecture: its name in `ARCHITECTURES`, such as 'PacNet.lite'.
        arguments: it was built with, without `rngs`; numbers, texts, booleans, None and sequences of
            them.
        kind: what it upsamples: 'depth', 'flow' or 'labels'.
        factors: for which its parameters serve, if for others than `arguments['factor']`.

    Raises:
        ValueError: the architecture with these arguments is not this model, or an argument does not
            fit; the message says which.
        FileNotFoundError: the folder is missing.

    Example:
        >>> import os, tempfile
        >>> from flax import nnx
        >>> from pac_jax import models, pretrained
        >>> model = models.PacNet.lite(4, rngs=nnx.Rngs(0))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "mine.safetensors")
        ...     pretrained.write(
        ...         path, model, architecture="PacNet.lite", arguments={"factor": 4}, kind="depth")
        ...     pretrained.read(path).factor
        4
    """
    data = to_bytes(
        model, architecture=architecture, arguments=arguments, kind=kind, factors=factors
    )
    if os.path.splitext(os.fspath(path))[1] != ".safetensors":
        raise ValueError(f"path is {os.fspath(path)!r}; it needs to end in .safetensors")
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(data)


def to_bytes(
    model: nnx.Module,
    *,
    architecture: str,
    arguments: Mapping[str, Any],
    kind: str,
    factors: Sequence[int] | None,
    dtype: DTypeLike | None = None,
) -> bytes:
    """The content of the file that `write` writes, the arrays stored in `dtype`, or in their own."""
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; it needs one of {', '.join(KINDS)}")
    if "factor" not in arguments:
        raise ValueError(f"arguments are {dict(arguments)}; they need a factor")
    factors = [arguments["factor"]] if factors is None else [int(f) for f in factors]
    if arguments["factor"] not in factors:
        raise ValueError(f"factors are {factors}; they need {arguments['factor']}, the arguments'")
    arrays = {name: np.asarray(v[...], dtype) for name, v in state_by_name(model).items()}
    for factor in factors:
        _check_shapes(arrays, _shapes(architecture, {**arguments, "factor": factor}))
    header = {
        "format": _FORMAT,
        "architecture": architecture,
        "arguments": dict(arguments),
        "kind": kind,
        "factors": factors,
        "parameters": count_parameters(model),
    }
    return safetensors.numpy.save(arrays, {_ENTRY: json.dumps(header, sort_keys=True)})


def read(path: Path, **changes: Any) -> nnx.Module:
    """Read a network that `write` or `pac-jax convert` wrote; nothing in the file is executed.

    Args:
        path: of the file.
        changes: arguments to build it with in place of those it was written with, see `describe`,
            as far as its parameters serve them: `factor`, `protocol`.

    Returns:
        The network, ready to be called as `model(target_low, guide)`.

    Raises:
        FileNotFoundError: there is no such file.
        WeightsError: it is damaged, or no network of ours.
        ValueError: the network has no such argument, or its parameters do not serve it.

    Example:
        >>> from pac_jax import pretrained
        >>> model = pretrained.read("mine.safetensors")  # doctest: +SKIP
    """
    return from_bytes(_content(path), os.fspath(path), changes)


def describe_file(path: Path) -> Description:
    """What is known of the network in a file."""
    return describe_bytes(_content(path), os.fspath(path))


def describe_bytes(data: bytes, name: str) -> Description:
    """What is known of the network in a file's content; the name is for messages.

    Raises:
        WeightsError: the content is damaged, or no network of ours.
    """
    header = _header(data, name)
    try:
        return Description(
            name=name,
            kind=str(header["kind"]),
            factors=tuple(int(factor) for factor in header["factors"]),
            architecture=str(header["architecture"]),
            arguments=dict(header["arguments"]),
            parameters=int(header["parameters"]),
            size=len(data),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{name}: its metadata are damaged, at {error}") from error


def from_bytes(data: bytes, name: str, changes: Mapping[str, Any]) -> nnx.Module:
    """The network in a file's content; see `read`."""
    description = describe_bytes(data, name)
    check_changes(changes, description)
    try:
        arrays = safetensors.numpy.load(data)
    except (safetensors.SafetensorError, KeyError) as error:
        raise WeightsError(f"{name}: damaged: {error}; get the file anew") from error
    try:
        model = build(description.architecture, {**description.arguments, **changes})
        variables = state_by_name(model)
        _check_shapes(arrays, {path: v.shape for path, v in variables.items()})
    except ValueError as error:
        if any(value != description.arguments[key] for key, value in changes.items()):
            raise ValueError(f"{name} does not serve {dict(changes)}: {error}") from error
        raise WeightsError(f"{name}: damaged, or of another version: {error}") from error
    for path, variable in variables.items():
        # Not jnp.asarray, which compiles a program for every shape.
        variable.set_value(jax.device_put(arrays[path].astype(variable.dtype)))
    return model


def check_changes(changes: Mapping[str, Any], description: Description) -> None:
    """Raise ValueError unless the network has these arguments, and serves the factor."""
    for argument in changes:
        if argument not in description.arguments:
            raise ValueError(
                f"{description.name} has no argument {argument!r}; it was built with "
                f"{', '.join(description.arguments)}"
            )
    if changes.get("factor", description.factors[0]) not in description.factors:
        raise ValueError(
            f"factor is {changes['factor']!r}; {description.name} serves {description.factors}"
        )


def _content(path: Path) -> bytes:
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"{os.fspath(path)}: there is no such file; expected a network's .safetensors"
        )
    with open(path, "rb") as file:
        return file.read()


def _header(data: bytes, name: str) -> dict[str, Any]:
    """Our entry of the metadata, which safetensors itself gives for files alone."""
    try:
        length = int.from_bytes(data[:_LENGTH_BYTES], "little")
        metadata = json.loads(data[_LENGTH_BYTES : _LENGTH_BYTES + length]).get("__metadata__", {})
        header = json.loads(metadata.get(_ENTRY, "null"))
    except (ValueError, AttributeError, TypeError) as error:
        raise WeightsError(
            f"{name}: damaged, or no safetensors file; expected one that pac_jax.pretrained.write "
            "or `pac-jax convert` wrote"
        ) from error
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise WeightsError(
            f"{name}: its metadata do not say how to build the network; expected a file that "
            "pac_jax.pretrained.write or `pac-jax convert` wrote"
        )
    return header


def _shapes(architecture: str, arguments: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    model = build(architecture, arguments)
    return {name: tuple(variable.shape) for name, variable in state_by_name(model).items()}


def _check_shapes(arrays: Mapping[str, np.ndarray], needed: Mapping[str, tuple[int, ...]]) -> None:
    """Raise unless the arrays are those of the network that the metadata describe."""
    missing, unknown = sorted(needed.keys() - arrays), sorted(arrays.keys() - needed)
    wrong = [
        f"{name} has shape {arrays[name].shape} and needs {shape}"
        for name, shape in needed.items()
        if name in arrays and arrays[name].shape != shape
    ]
    problems = [f"missing: {missing}"] * bool(missing) + [f"unknown: {unknown}"] * bool(unknown)
    if problems + wrong:
        raise ValueError(
            "the arrays are not those of the architecture with these arguments; "
            + "; ".join(problems + wrong)
        )
