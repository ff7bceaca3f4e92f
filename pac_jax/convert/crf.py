"""The original's CRFs."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from pac_jax.convert.checkpoints import CONV_AXES, Arrays, Source, as_arrays, check_same_names
from pac_jax.crf.terms import PairwiseTerm, TermWeights, Weights

__all__ = ["crf_from_torch"]


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
    arrays = as_arrays(source)
    steps = sorted({int(n.split(".")[1]) for n in arrays if n.startswith("steps.")})
    sets = [f"steps.{number}." for number in steps] or [""]
    needed = {prefix + name for prefix in sets for name in _crf_names(pairwise)}
    check_same_names(arrays, needed)
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
        kernel = array(f"messengers.{number}.weight", CONV_AXES)
        mixing = None
        if term["compat_type"] == "2d":
            mixing = array(f"compat.{number}.weight", CONV_AXES)[0, 0]
        if term["compat_type"] in ("2d", "pott"):
            kernel = kernel[..., 0, 0]
        # The original subtracts every message; ours of 'potts' is added, for a positive weight to
        # mean that equal labels attract.
        weight = array(f"pairwise_weights.{number}")
        sign = -1 if term["compat_type"] == "pott" else 1
        terms.append(TermWeights(kernel, mixing, sign * weight))
    return Weights(array("unary_weight"), tuple(terms))
