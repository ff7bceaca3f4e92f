"""The original's segmentation networks."""

import re
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

from pac_jax.convert.checkpoints import (
    CONV_AXES,
    LINEAR_AXES,
    TRANSPOSED_AXES,
    Arrays,
    Source,
    as_arrays,
    check_same_names,
    dimension,
    fill,
)
from pac_jax.convert.crf import crf_from_torch
from pac_jax.crf import PacCRF
from pac_jax.models import FCN8s, ScoresWithCRF, pac_fcn
from pac_jax.nn import HotSwapped

__all__ = ["fcn_from_torch"]

# Arguments of FCN8s by the original's name; of `pac_fcn` the last holds.
_BACKBONES: dict[str, dict[str, Any]] = {
    "fcn8s": {"padding": "original"},
    "fcn8saltpad": {"padding": "ordinary"},
    "fcn8spac": {"padding": "ordinary", "last": "bilinear"},
}
_TERM = r"p([420]d)(s?)(\d)(\d+)(\d)"
_NAME = re.compile(rf"({'|'.join(_BACKBONES)})(?:_crfi(\d+)(l?)((?:{_TERM})+))?")
_MIXINGS = {"4d": "4d", "2d": "2d", "0d": "pott"}

_VGG16 = [[f"conv{b}_{n}" for n in range(1, c + 1)] for b, c in enumerate((2, 2, 3, 3, 3), 1)]
_PER_PIXEL = {
    "fc7": "fc7",
    "score_fr": "score_fc7",
    "score_pool4": "score_block4",
    "score_pool3": "score_block3",
}
_UPSAMPLING = ["upscore2", "upscore_pool4", "upscore8"]
_COLOR_SCALE = 30.0


def fcn_from_torch(
    source: Source,
    name: str,
    *,
    dtype: DTypeLike | None = None,
    param_dtype: DTypeLike = jnp.float32,
    precision: lax.PrecisionLike = None,
    implementation: str | None = None,
) -> FCN8s | HotSwapped | ScoresWithCRF:
    """Build the segmentation network that a checkpoint belongs to.

    It wants images of `pac_jax.models.bgr_minus_mean`.

    Args:
        source: a path, as for `load_checkpoint`, or the arrays that it gave.
        name: the original's name of the network, since arrays do not tell paddings and dilations:
            `fcn8s`, `fcn8saltpad` (ordinary padding) or `fcn8spac`, and with a CRF on top
            `_crfi<steps>[l]` (l: weights of its own for every step), then for each pairwise term
            `p<4d|2d|0d>[s]<window><dilation><blur>` (s: with a spatial filter): for example
            `fcn8spac_crfi5p4d5161p4d5641`.
        dtype: of the backbone, as in `FCN8s`.
        param_dtype: of the parameters.
        precision: of all convolutions, as in `jax.lax`.
        implementation: of the pixel-adaptive layers: 'taps', 'shifts', 'patches', or None.

    Returns:
        `FCN8s`, what `pac_fcn` makes of it, or `ScoresWithCRF`, with the checkpoint's parameters.

    Raises:
        ValueError: the name is none, or arrays are missing, unknown, or of a wrong shape; the
            message lists them.
        ImportError: see `load_checkpoint`, like the other errors of a path.

    Example:
        >>> from pac_jax.convert import fcn_from_torch
        >>> model = fcn_from_torch(
        ...     "fcn8s_paccrf.pth", "fcn8s_crfi5p4d5641p4d5161")  # doctest: +SKIP
    """
    described = _described(name)
    arrays = as_arrays(source)
    options: dict[str, Any] = {"dtype": dtype, "precision": precision}
    options["param_dtype"] = param_dtype
    if not described.terms:
        return _backbone(arrays, described.backbone, options, implementation)
    prefixes = ("backbone.", "crf.")
    backbone, crf = (
        {n.removeprefix(prefix): array for n, array in arrays.items() if n.startswith(prefix)}
        for prefix in prefixes
    )
    rest = {n: array for n, array in arrays.items() if not n.startswith(prefixes)}
    scales = [f"feat_scales.{number}" for number in range(len(described.terms))]
    check_same_names(rest, set(scales))
    return ScoresWithCRF(
        _backbone(backbone, described.backbone, options, implementation),
        _crf(
            crf,
            [rest[scale] for scale in scales],
            described,
            classes=dimension(backbone, "score_fr.weight", 0),
            param_dtype=param_dtype,
            precision=precision,
            implementation=implementation,
        ),
        guide_scale=1 / _COLOR_SCALE,
    )


class _Described(NamedTuple):
    """What a name says.

    Attributes:
        backbone: a key of `_BACKBONES`.
        terms: as `crf_from_torch` takes them; empty without a CRF.
        steps: of the CRF.
        per_step: whether every step has weights of its own.
    """

    backbone: str
    terms: list[dict[str, Any]]
    steps: int
    per_step: bool


def _described(name: str) -> _Described:
    matched = _NAME.fullmatch(name)
    if matched is None:
        raise ValueError(
            f"name is {name!r}; it needs one of {', '.join(_BACKBONES)}, for a CRF followed by "
            "_crfi<steps>[l] and p<4d|2d|0d>[s]<window><dilation><blur> for each of its terms, such "
            "as fcn8s_crfi5p4d5641p4d5161"
        )
    backbone, steps, loose, terms = matched.groups()[:4]
    pairwise = [
        {
            "kernel_size": int(window),
            "dilation": int(dilation),
            "blur": int(blur),
            "compat_type": _MIXINGS[mixing],
            "spatial_filter": mixing == "4d" or spatial == "s",
        }
        for mixing, spatial, window, dilation, blur in re.findall(_TERM, terms or "")
    ]
    return _Described(backbone, pairwise, int(steps or 0), loose == "l")


def _backbone(
    arrays: Arrays, kind: str, options: dict[str, Any], implementation: str | None
) -> FCN8s | HotSwapped:
    """FCN-8s or PAC-FCN with these arrays."""
    convs = [*(conv for block in _VGG16 for conv in block), "fc6", *_PER_PIXEL]
    needed = {f"{conv}.{part}" for conv in convs for part in ("weight", "bias")}
    check_same_names(arrays, needed | {f"{layer}.weight" for layer in _UPSAMPLING})
    model = nnx.eval_shape(  # nothing is drawn, since every parameter is about to be set
        lambda: FCN8s(
            dimension(arrays, "score_fr.weight", 0),
            image_features=dimension(arrays, "conv1_1.weight", 1),
            features=[dimension(arrays, f"{block[-1]}.weight", 0) for block in _VGG16],
            hidden_features=dimension(arrays, "fc7.weight", 0),
            **_BACKBONES[kind],
            **options,
            rngs=nnx.Rngs(0),
        )
    )
    layers: list[tuple[str, Any]] = []
    for names, block in zip(_VGG16, model.vgg16.blocks, strict=True):
        layers += zip(names, block.convs, strict=True)
    fill([*layers, ("fc6", model.fc6)], arrays, CONV_AXES)
    matrices = {}
    for name in (f"{layer}.weight" for layer in _PER_PIXEL):
        matrices[name] = arrays[name].reshape(dimension(arrays, name, 0), -1)
    per_pixel = [(name, getattr(model, ours)) for name, ours in _PER_PIXEL.items()]
    fill(per_pixel, {**arrays, **matrices}, LINEAR_AXES)
    # PyTorch's transposed layers turn their kernels around. PAC-FCN's checkpoints hold a last one
    # that is not used.
    upsampling = list(zip(_UPSAMPLING, model.upsampling, strict=False))
    turned = {f"{n}.weight": arrays[f"{n}.weight"][..., ::-1, ::-1] for n, _ in upsampling}
    fill(upsampling, turned, TRANSPOSED_AXES)
    return pac_fcn(model, implementation=implementation) if kind == "fcn8spac" else model


def _crf(
    arrays: Arrays,
    scales: list[np.ndarray],
    described: _Described,
    *,
    classes: int,
    param_dtype: DTypeLike,
    precision: lax.PrecisionLike,
    implementation: str | None,
) -> PacCRF:
    terms, weights, per_step = crf_from_torch(arrays, described.terms, dtype=param_dtype)
    if per_step != described.per_step:
        raise ValueError(
            f"the checkpoint has weights {'for every step' if per_step else 'for all steps'}; its "
            f"name needs {'an' if per_step else 'no'} l after the number of steps"
        )
    crf = PacCRF(
        classes,
        # The original trains no other weights of messages.
        [replace(t, learn_weight=t.mixing == "potts" and not t.spatial_filter) for t in terms],
        guide_features=scales[0].size,
        steps=described.steps,
        per_step=per_step,
        param_dtype=param_dtype,
        precision=precision,
        implementation=implementation,
    )
    values: dict[str, tuple[Any, jax.Array]] = {
        "crf.unary_weight": (crf.unary_weight, weights.unary)
    }
    for number, (ours, own, scale) in enumerate(
        zip(crf.pairwise, weights.terms, scales, strict=True)
    ):
        values[f"crf.messengers.{number}.weight"] = (ours.filter, own.filter)
        values[f"crf.pairwise_weights.{number}"] = (ours.weight, own.weight)
        if own.mixing is not None:
            values[f"crf.compat.{number}.weight"] = (ours.mixing, own.mixing)
        # Ours multiplies, on top of 1 / 30; the original's divides.
        values[f"feat_scales.{number}"] = (
            ours.scale,
            jnp.asarray(_COLOR_SCALE / scale, param_dtype),
        )
    _set(values)
    return crf


def _set(values: dict[str, tuple[Any, jax.Array]]) -> None:
    """Set every variable, once all shapes are known to fit."""
    wrong = [
        f"{name} has shape {value.shape} and needs {variable.shape} in our layout"
        for name, (variable, value) in values.items()
        if variable.shape != value.shape
    ]
    if wrong:
        raise ValueError("the checkpoint's arrays do not fit its name: " + "; ".join(wrong))
    for variable, value in values.values():
        variable.set_value(value)
