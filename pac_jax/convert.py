"""Reads checkpoints in the format of the method's original PyTorch implementation.

Nothing in a file is executed: PyTorch's reader is used in its weights-only form. PyTorch is needed
for `load_checkpoint` alone; the models are built from plain NumPy arrays.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

from pac_jax.crf.terms import PairwiseTerm, TermWeights, Weights
from pac_jax.models import DJIF, PacNet

__all__ = ["crf_from_torch", "djif_from_torch", "load_checkpoint", "pac_net_from_torch"]

Arrays = Mapping[str, np.ndarray]
Source = str | os.PathLike[str] | Arrays

# Before this release the weights-only reader could be made to execute code (CVE-2025-32434).
_SAFE_TORCH = (2, 6)

_PAC_NET_BRANCHES = {
    "branch_t": ("conv1", "conv2", "conv3"),
    "branch_g": ("conv1", "conv2", "conv3"),
    "branch_f": ("conv1", "conv2"),
}
_DJIF_BRANCHES = ("branch_t", "branch_g", "branch_joint")
_DJIF_LAYERS = ("0", "2", "4")


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
    torch = _import_torch()
    path = os.fspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no checkpoint {path!r}")
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


def pac_net_from_torch(
    source: Source,
    *,
    dtype: DTypeLike | None = None,
    param_dtype: DTypeLike = jnp.float32,
    precision: lax.PrecisionLike = None,
    implementation: str | None = None,
) -> PacNet:
    """Build the `PacNet` that a checkpoint belongs to; the arrays tell its factor and its features.

    Args:
        source: a path, as for `load_checkpoint`, or the arrays that it gave.
        dtype: as in `PacNet`, like every argument below.
        param_dtype: see `PacNet`.
        precision: see `PacNet`.
        implementation: see `PacNet`.

    Returns:
        The network, full or lite, with the checkpoint's parameters.

    Raises:
        ValueError: arrays are missing, unknown, or of a wrong shape; the message lists them.
        ImportError: see `load_checkpoint`, like the other errors of a path.

    Example:
        >>> import numpy as np
        >>> from pac_jax.convert import pac_net_from_torch
        >>> shapes = {
        ...     "branch_t.conv1": (8, 1, 5, 5), "branch_t.conv2": (8, 8, 5, 5),
        ...     "branch_t.conv3": (8, 8, 5, 5), "branch_g.conv1": (8, 3, 5, 5),
        ...     "branch_g.conv2": (8, 8, 5, 5), "branch_g.conv3": (6, 8, 5, 5),
        ...     "up_convts.0": (8, 9, 5, 5), "branch_f.conv1": (8, 9, 5, 5),
        ...     "branch_f.conv2": (1, 8, 5, 5)}
        >>> arrays = {name + ".weight": np.zeros(shape) for name, shape in shapes.items()}
        >>> arrays |= {name + ".bias": np.zeros(shape[0]) for name, shape in shapes.items()}
        >>> arrays["up_convts.0.bias"] = np.zeros(9)
        >>> model = pac_net_from_torch(arrays)
        >>> model.factor, model.stages[0].out_features
        (2, 9)
    """
    arrays = _arrays(source)
    stages = [f"up_convts.{i}" for i in range(_count_stages(arrays))]
    names = {b: [f"{b}.{conv}" for conv in convs] for b, convs in _PAC_NET_BRANCHES.items()}
    _check_names(arrays, [*names["branch_t"], *names["branch_g"], *stages, *names["branch_f"]])

    def features(layers: list[str]) -> list[int]:
        return [_dimension(arrays, f"{layer}.weight", 0) for layer in layers]

    *guide_branch, guide_outputs = features(names["branch_g"])
    model = nnx.eval_shape(  # nothing is drawn, since every parameter is about to be set
        lambda: PacNet(
            2 ** len(stages),
            guide_features=_dimension(arrays, "branch_g.conv1.weight", 1),
            target_branch=features(names["branch_t"]),
            guide_branch=guide_branch,
            group_features=guide_outputs // len(stages),
            stages=[_dimension(arrays, f"{stage}.weight", 1) for stage in stages],
            final_branch=features(names["branch_f"])[:-1],
            dtype=dtype,
            param_dtype=param_dtype,
            precision=precision,
            implementation=implementation,
            rngs=nnx.Rngs(0),
        )
    )
    layers: list[tuple[str, Any]] = []
    layers += zip(names["branch_t"], model.target_branch.convs, strict=True)
    layers += zip(names["branch_g"], model.guide_branch.convs, strict=True)
    layers += zip(names["branch_f"], model.final_branch.convs, strict=True)
    _fill(layers, arrays, _CONV_AXES)
    _fill(list(zip(stages, model.stages, strict=True)), arrays, _TRANSPOSED_AXES)
    return model


def djif_from_torch(
    source: Source,
    factor: int,
    *,
    dtype: DTypeLike | None = None,
    param_dtype: DTypeLike = jnp.float32,
    precision: lax.PrecisionLike = None,
) -> DJIF:
    """Build the `DJIF` that a checkpoint belongs to.

    Args:
        source: a path, as for `load_checkpoint`, or the arrays that it gave.
        factor: as in `DJIF`, like every argument below; the arrays do not tell it.
        dtype: see `DJIF`.
        param_dtype: see `DJIF`.
        precision: see `DJIF`.

    Returns:
        The network with the checkpoint's parameters.

    Raises:
        ValueError: arrays are missing, unknown, or of a wrong shape; the message lists them.
        ImportError: see `load_checkpoint`, like the other errors of a path.

    Example:
        >>> import numpy as np
        >>> from pac_jax.convert import djif_from_torch
        >>> shapes = {
        ...     "branch_t.0": (96, 1, 9, 9), "branch_t.2": (48, 96, 1, 1),
        ...     "branch_t.4": (1, 48, 5, 5), "branch_g.0": (96, 3, 9, 9),
        ...     "branch_g.2": (48, 96, 1, 1), "branch_g.4": (1, 48, 5, 5),
        ...     "branch_joint.0": (64, 2, 9, 9), "branch_joint.2": (32, 64, 1, 1),
        ...     "branch_joint.4": (1, 32, 5, 5)}
        >>> arrays = {name + ".weight": np.zeros(shape) for name, shape in shapes.items()}
        >>> arrays |= {name + ".bias": np.zeros(shape[0]) for name, shape in shapes.items()}
        >>> djif_from_torch(arrays, 8).factor
        8
    """
    arrays = _arrays(source)
    names = {b: [f"{b}.{layer}" for layer in _DJIF_LAYERS] for b in _DJIF_BRANCHES}
    _check_names(arrays, [name for branch in names.values() for name in branch])
    model = nnx.eval_shape(  # nothing is drawn, since every parameter is about to be set
        lambda: DJIF(
            factor,
            guide_features=_dimension(arrays, "branch_g.0.weight", 1),
            dtype=dtype,
            param_dtype=param_dtype,
            precision=precision,
            rngs=nnx.Rngs(0),
        )
    )
    branches = (model.target_branch, model.guide_branch, model.joint_branch)
    layers: list[tuple[str, Any]] = []
    for branch_names, branch in zip(names.values(), branches, strict=True):
        layers += zip(branch_names, branch.convs, strict=True)
    _fill(layers, arrays, _CONV_AXES)
    return model


def crf_from_torch(
    source: Source,
    pairwise: Sequence[Mapping[str, Any]],
    *,
    dtype: DTypeLike = jnp.float32,
) -> tuple[tuple[PairwiseTerm, ...], Weights, bool]:
    """Build terms and weights of the CRF that a checkpoint belongs to.

    Args:
        source: a path, as for `load_checkpoint`, or the arrays that it gave.
        pairwise: the original's description of every term: `kernel_size`, `dilation`, `blur`,
            `compat_type` ('4d', '2d', 'pott' or 'na'), `spatial_filter`.
        dtype: of the weights.

    Returns:
        The terms, their weights, and whether every step has a set of its own (`per_step`).

    Raises:
        ValueError: arrays are missing, unknown, or of a wrong shape; the message says which.
        ImportError: see `load_checkpoint`, like the other errors of a path.

    Example:
        >>> import numpy as np
        >>> from pac_jax.convert import crf_from_torch
        >>> term = {"kernel_size": 3, "dilation": 2, "blur": 1, "compat_type": "pott",
        ...         "spatial_filter": True}
        >>> arrays = {"unary_weight": np.ones(()), "pairwise_weights.0": np.ones(()),
        ...           "messengers.0.weight": np.ones((1, 1, 3, 3))}
        >>> terms, weights, per_step = crf_from_torch(arrays, [term])
        >>> terms[0].mixing, weights.terms[0].filter.shape, per_step
        ('potts', (3, 3), False)
    """
    arrays = _arrays(source)
    steps = sorted({int(n.split(".")[1]) for n in arrays if n.startswith("steps.")})
    sets = [f"steps.{number}." for number in steps] or [""]
    needed = {prefix + name for prefix in sets for name in _crf_names(pairwise)}
    _check_same_names(arrays, needed)
    every = [_crf_weights(arrays, prefix, pairwise, dtype) for prefix in sets]
    weights = jax.tree.map(lambda *leaves: jnp.stack(leaves), *every) if steps else every[0]
    terms = tuple(
        PairwiseTerm(
            window=term["kernel_size"],
            dilation=term["dilation"],
            blur=term["blur"],
            mixing=_CRF_MIXINGS[term["compat_type"]],
            spatial_filter=term["spatial_filter"],
            weight=float(np.mean([own.terms[number].weight for own in every])),
        )
        for number, term in enumerate(pairwise)
    )
    return terms, weights, bool(steps)


_CRF_MIXINGS = {"4d": "full", "2d": "matrix", "pott": "potts", "na": "plain"}


def _crf_names(pairwise: Sequence[Mapping[str, Any]]) -> list[str]:
    names = ["unary_weight"]
    for number, term in enumerate(pairwise):
        names += [f"messengers.{number}.weight", f"pairwise_weights.{number}"]
        if term["compat_type"] == "2d":
            names.append(f"compat.{number}.weight")
    return names


def _crf_weights(
    arrays: Arrays, prefix: str, pairwise: Sequence[Mapping[str, Any]], dtype: DTypeLike
) -> Weights:
    def array(name: str, axes: tuple[int, ...] | None = None) -> jax.Array:
        values = arrays[prefix + name]
        if axes is not None and values.ndim != len(axes):
            raise ValueError(
                f"{prefix}{name} has shape {values.shape}; it needs {len(axes)} dimensions"
            )
        return jnp.asarray(values if axes is None else np.transpose(values, axes), dtype)

    terms = []
    for number, term in enumerate(pairwise):
        kernel = array(f"messengers.{number}.weight", _CONV_AXES)
        mixing = None
        if term["compat_type"] == "2d":
            mixing = array(f"compat.{number}.weight", _CONV_AXES)[0, 0]
        if term["compat_type"] in ("2d", "pott"):
            kernel = kernel[..., 0, 0]
        # The original subtracts every message; ours of 'potts' is added, for a positive weight to
        # mean that equal labels attract.
        weight = array(f"pairwise_weights.{number}")
        sign = -1 if term["compat_type"] == "pott" else 1
        terms.append(TermWeights(kernel, mixing, sign * weight))
    return Weights(array("unary_weight"), tuple(terms))


# PyTorch's axes in the order of ours, (height, width, in, out). The original's pixel-adaptive
# transposed layer stores (in, out, height, width) and does not flip its kernel, nor do we.
_CONV_AXES = (2, 3, 1, 0)
_TRANSPOSED_AXES = (2, 3, 0, 1)


def _fill(layers: list[tuple[str, Any]], arrays: Arrays, axes: tuple[int, ...]) -> None:
    """Set kernel and bias of every layer, once all shapes are known to fit."""
    wrong = []
    for name, layer in layers:
        needed = tuple(layer.kernel.shape[axes.index(axis)] for axis in range(4))
        for key, shape in ((f"{name}.weight", needed), (f"{name}.bias", layer.bias.shape)):
            if arrays[key].shape != shape:
                wrong.append(f"{key} has shape {arrays[key].shape} and needs {shape}")
    if wrong:
        raise ValueError("the checkpoint's arrays do not fit together: " + "; ".join(wrong))
    for name, layer in layers:
        kernel = np.transpose(arrays[f"{name}.weight"], axes)
        layer.kernel.set_value(jnp.asarray(kernel, layer.kernel.dtype))
        layer.bias.set_value(jnp.asarray(arrays[f"{name}.bias"], layer.bias.dtype))


def _count_stages(arrays: Arrays) -> int:
    """How many up_convts there are; at least 1, so that none at all is reported as missing."""
    parts = [name.split(".") for name in arrays]
    indices = [int(p[1]) for p in parts if p[0] == "up_convts" and len(p) > 1 and p[1].isdigit()]
    return len(set(indices)) or 1


def _check_names(arrays: Arrays, layers: list[str]) -> None:
    _check_same_names(arrays, {f"{n}.{kind}" for n in layers for kind in ("weight", "bias")})


def _check_same_names(arrays: Arrays, needed: set[str]) -> None:
    missing = sorted(needed - set(arrays))
    unknown = sorted(set(arrays) - needed)
    if missing or unknown:
        listed = [f"missing: {missing}"] * bool(missing) + [f"unknown: {unknown}"] * bool(unknown)
        raise ValueError("the checkpoint's arrays are not this model's; " + "; ".join(listed))


def _dimension(arrays: Arrays, name: str, axis: int) -> int:
    shape = arrays[name].shape
    if len(shape) != 4:
        raise ValueError(f"{name} has shape {shape}; it needs 4 dimensions")
    return shape[axis]


def _arrays(source: Source) -> Arrays:
    if isinstance(source, Mapping):
        return {name: np.asarray(value) for name, value in source.items()}
    return load_checkpoint(source)


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
