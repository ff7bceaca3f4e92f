"""The original's joint upsampling networks."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

from pac_jax.convert.checkpoints import (
    CONV_AXES,
    TRANSPOSED_AXES,
    Arrays,
    Source,
    as_arrays,
    check_layer_names,
    dimension,
    fill,
)
from pac_jax.models import DJIF, PacNet

__all__ = ["djif_from_torch", "pac_net_from_torch"]

_PAC_NET_BRANCHES = {
    "branch_t": ("conv1", "conv2", "conv3"),
    "branch_g": ("conv1", "conv2", "conv3"),
    "branch_f": ("conv1", "conv2"),
}
_DJIF_BRANCHES = ("branch_t", "branch_g", "branch_joint")
_DJIF_LAYERS = ("0", "2", "4")


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
    arrays = as_arrays(source)
    stages = [f"up_convts.{i}" for i in range(_count_stages(arrays))]
    names = {b: [f"{b}.{conv}" for conv in convs] for b, convs in _PAC_NET_BRANCHES.items()}
    check_layer_names(arrays, [*names["branch_t"], *names["branch_g"], *stages, *names["branch_f"]])

    def features(layers: list[str]) -> list[int]:
        return [dimension(arrays, f"{layer}.weight", 0) for layer in layers]

    *guide_branch, guide_outputs = features(names["branch_g"])
    model = nnx.eval_shape(  # nothing is drawn, since every parameter is about to be set
        lambda: PacNet(
            2 ** len(stages),
            guide_features=dimension(arrays, "branch_g.conv1.weight", 1),
            target_branch=features(names["branch_t"]),
            guide_branch=guide_branch,
            group_features=guide_outputs // len(stages),
            stages=[dimension(arrays, f"{stage}.weight", 1) for stage in stages],
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
    fill(layers, arrays, CONV_AXES)
    fill(list(zip(stages, model.stages, strict=True)), arrays, TRANSPOSED_AXES)
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
    arrays = as_arrays(source)
    names = {b: [f"{b}.{layer}" for layer in _DJIF_LAYERS] for b in _DJIF_BRANCHES}
    check_layer_names(arrays, [name for branch in names.values() for name in branch])
    model = nnx.eval_shape(  # nothing is drawn, since every parameter is about to be set
        lambda: DJIF(
            factor,
            guide_features=dimension(arrays, "branch_g.0.weight", 1),
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
    fill(layers, arrays, CONV_AXES)
    return model


def _count_stages(arrays: Arrays) -> int:
    """How many up_convts there are; at least 1, so that none at all is reported as missing."""
    parts = [name.split(".") for name in arrays]
    indices = [int(p[1]) for p in parts if p[0] == "up_convts" and len(p) > 1 and p[1].isdigit()]
    return len(set(indices)) or 1
