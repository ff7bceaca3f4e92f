"""Checkpoints in PyTorch's format as arrays by name, and their way into a model's layers."""

import os
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

__all__ = [
    "CONV_AXES",
    "LINEAR_AXES",
    "TRANSPOSED_AXES",
    "Arrays",
    "Source",
    "as_arrays",
    "check_layer_names",
    "check_same_names",
    "dimension",
    "fill",
    "load_checkpoint",
]

Arrays = Mapping[str, np.ndarray]
Source = str | os.PathLike[str] | Arrays

# Before this release the weights-only reader could be made to execute code (CVE-2025-32434).
_SAFE_TORCH = (2, 6)

# PyTorch's axes in the order of ours, (height, width, in, out). The original's pixel-adaptive
# transposed layer stores (in, out, height, width) and does not flip its kernel, nor do we.
CONV_AXES = (2, 3, 1, 0)
TRANSPOSED_AXES = (2, 3, 0, 1)
LINEAR_AXES = (1, 0)


def load_checkpoint(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read a checkpoint of PyTorch tensors by name, executing nothing that is in the file.

    Args:
        path: of a file that `torch.save(module.state_dict(), path)` wrote.

    Returns:
        The arrays by their names, in PyTorch's layout.

    Raises:
        ImportError: PyTorch is absent, or too old to read files that are not trusted.
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or holds anything but tensors by name.

    Example:
        >>> from pac_jax.convert import load_checkpoint
        >>> arrays = load_checkpoint("weights.pth")  # doctest: +SKIP
        >>> arrays["conv.weight"].shape  # doctest: +SKIP
        (8, 3, 5, 5)
    """
    path = os.fspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no checkpoint {path!r}")
    torch = _import_torch()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or malicious file provokes in the reader
        raise ValueError(
            f"{path!r} is no checkpoint of weights alone, or it is damaged; it needs to be a file "
            "written by torch.save(module.state_dict(), path)"
        ) from error
    if not isinstance(state, Mapping):
        raise ValueError(
            f"{path!r} holds a {type(state).__name__}; it needs tensors by name, as "
            "torch.save(module.state_dict(), path) writes them"
        )
    other = [
        name
        for name, value in state.items()
        if not (isinstance(name, str) and isinstance(value, torch.Tensor))
    ]
    if other:
        raise ValueError(f"{path!r} holds {other} that are no tensors; it needs tensors by name")
    return {name: tensor.detach().numpy() for name, tensor in state.items()}


def as_arrays(source: Source) -> Arrays:
    """The arrays by name, read first if the source is a path."""
    if isinstance(source, Mapping):
        return {name: np.asarray(value) for name, value in source.items()}
    return load_checkpoint(source)


def check_layer_names(arrays: Arrays, layers: list[str]) -> None:
    """Raise ValueError unless the arrays are weight and bias of these layers."""
    check_same_names(arrays, {f"{n}.{kind}" for n in layers for kind in ("weight", "bias")})


def check_same_names(arrays: Arrays, needed: set[str]) -> None:
    """Raise ValueError, with what is missing and what is unknown, unless the names are these."""
    missing = sorted(needed - set(arrays))
    unknown = sorted(set(arrays) - needed)
    if missing or unknown:
        listed = [f"missing: {missing}"] * bool(missing) + [f"unknown: {unknown}"] * bool(unknown)
        raise ValueError("the checkpoint's arrays are not this model's; " + "; ".join(listed))


def dimension(arrays: Arrays, name: str, axis: int) -> int:
    """A size of a convolution's kernel; ValueError if it has not four dimensions."""
    shape = arrays[name].shape
    if len(shape) != 4:
        raise ValueError(f"{name} has shape {shape}; it needs 4 dimensions")
    return shape[axis]


def fill(layers: list[tuple[str, Any]], arrays: Arrays, axes: tuple[int, ...]) -> None:
    """Set kernel and bias, if there is one, of every layer, once all shapes are known to fit."""
    wrong = []
    for name, layer in layers:
        needed = tuple(layer.kernel.shape[axes.index(axis)] for axis in range(len(axes)))
        shapes = {f"{name}.weight": needed}
        bias = getattr(layer, "bias", None)
        if bias is not None:
            shapes[f"{name}.bias"] = bias.shape
        wrong += [
            f"{key} has shape {arrays[key].shape} and needs {shape}"
            for key, shape in shapes.items()
            if arrays[key].shape != shape
        ]
    if wrong:
        raise ValueError("the checkpoint's arrays do not fit together: " + "; ".join(wrong))
    for name, layer in layers:
        kernel = np.transpose(arrays[f"{name}.weight"], axes)
        layer.kernel.set_value(jnp.asarray(kernel, layer.kernel.dtype))
        bias = getattr(layer, "bias", None)
        if bias is not None:
            bias.set_value(jnp.asarray(arrays[f"{name}.bias"], bias.dtype))


def _import_torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "reading PyTorch's files needs PyTorch: pip install torch (the CPU build is enough, "
            "https://pytorch.org/get-started)"
        ) from error
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version < _SAFE_TORCH:
        raise ImportError(
            f"torch {torch.__version__} can be made to execute code from a file; reading "
            "checkpoints needs torch >= 2.6"
        )
    return torch
