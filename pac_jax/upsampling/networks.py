"""Which networks can be had for a kind of target, by factor."""

import os
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

from flax import nnx

from pac_jax import pretrained
from pac_jax.pretrained.catalogue import FOLDER, is_path

__all__ = ["Model", "networks_for"]

Model = nnx.Module | str | os.PathLike[str]

# Networks for depth serve labels, too: one-hot scores have their range.
_TRAINED_FOR = {"depth": ("depth",), "flow": ("flow",), "labels": ("labels", "depth")}


def networks_for(model: Model | None, kind: str) -> Mapping[int, Callable[[], nnx.Module]]:
    """What loads the network for each factor that can be had.

    Args:
        model: a network, the name of one that ships, the path of a file, or None for the defaults
            that ship for this kind.
        kind: 'depth', 'flow' or 'labels'.

    Raises:
        ValueError: there is no such network, or it was trained for another kind.
        TypeError: the model is nothing of these.
    """
    if model is None:
        return _defaults(kind)
    if isinstance(model, str | os.PathLike):
        return _named(model, kind)
    if not (callable(model) and isinstance(getattr(model, "factor", None), int)):
        raise TypeError(
            f"model is a {type(model).__name__}; it needs the name of a network in "
            "pac_jax.pretrained.list(), the path of a file, or a network with a factor"
        )
    return {model.factor: lambda: model}  # type: ignore[attr-defined]


def _defaults(kind: str) -> Mapping[int, Callable[[], nnx.Module]]:
    described = [pretrained.describe(name) for name in pretrained.list()]
    for trained_for in _TRAINED_FOR[kind]:
        found = {
            factor: partial(_load, description.name, str(FOLDER))
            for description in described
            if description.default and description.kind == trained_for
            for factor in description.factors
        }
        if found:
            return found
    raise ValueError(f"no network for {kind} ships with this package; pass a model")


def _named(model: str | os.PathLike[str], kind: str) -> Mapping[int, Callable[[], nnx.Module]]:
    description = pretrained.describe(model)
    if description.kind not in _TRAINED_FOR[kind]:
        raise ValueError(
            f"model {os.fspath(model)!r} was trained for {description.kind} and kind is {kind!r}; "
            "name another one, or pass the loaded network itself to use it all the same"
        )
    if not is_path(model):
        return {f: partial(_load, description.name, str(FOLDER)) for f in description.factors}
    changed = os.stat(model).st_mtime_ns
    return {f: partial(_read, os.fspath(model), f, changed) for f in description.factors}


# Loaded once per process; the arguments that are not used tell when what they load is another.
@lru_cache(maxsize=16)
def _load(name: str, folder: str) -> nnx.Module:
    del folder
    return pretrained.load(name)


@lru_cache(maxsize=16)
def _read(path: str, factor: int, changed: Any) -> nnx.Module:
    del changed
    return pretrained.read(path, factor=factor)
