"""Which networks can be had for a kind of target, by factor."""

import os
from collections.abc import Callable, Mapping
from functools import lru_cache, partial

from flax import nnx

from pac_jax import pretrained
from pac_jax.models.protocols import takes_pixels
from pac_jax.pretrained.catalogue import is_path, version

__all__ = ["Model", "networks_for"]

Model = nnx.Module | str | os.PathLike[str]

# Networks for depth serve labels, too: one-hot scores have their range.
_TRAINED_FOR = {"depth": ("depth",), "flow": ("flow",), "labels": ("labels", "depth")}


def networks_for(
    model: Model | None, kind: str, protocol: str | None, *, single_pixels: bool = False
) -> Mapping[int, Callable[[], nnx.Module]]:
    """What loads the network for each factor that can be had.

    Args:
        model: a network, the name of one that ships, the path of a file, or None for the defaults
            that ship for this kind.
        kind: 'depth', 'flow' or 'labels'.
        protocol: to build the networks with, or None for the one they were stored with.
        single_pixels: whether the target's values are single pixels; where no protocol is given, one
            for means is replaced by 'center' then.

    Raises:
        ValueError: there is no such network, it was trained for another kind, or knows no protocols.
        TypeError: the model is nothing of these.
    """
    if model is None:
        return _defaults(kind, protocol, single_pixels)
    if isinstance(model, str | os.PathLike):
        description = pretrained.describe(model)
        if description.kind not in _TRAINED_FOR[kind]:
            raise ValueError(
                f"model {description.name!r} was trained for {description.kind} and kind is "
                f"{kind!r}; name another one, or pass the loaded network itself to use it all the same"
            )
        return _loaders(description, protocol, single_pixels)
    factor = getattr(model, "factor", None)
    if not (isinstance(model, nnx.Module) and isinstance(factor, int)):
        raise TypeError(
            f"model is a {type(model).__name__}; it needs the name of a network in "
            "pac_jax.pretrained.list(), the path of a file, or a flax.nnx.Module with a factor"
        )
    if protocol is not None:
        raise ValueError(
            f"protocol is {protocol!r} and model a network, which was built for one; leave it out"
        )
    return {factor: lambda: model}


def _defaults(
    kind: str, protocol: str | None, single_pixels: bool
) -> Mapping[int, Callable[[], nnx.Module]]:
    described = [pretrained.describe(name) for name in pretrained.list()]
    for trained_for in _TRAINED_FOR[kind]:
        found: dict[int, Callable[[], nnx.Module]] = {}
        for description in described:
            if description.default and description.kind == trained_for:
                found |= _loaders(description, protocol, single_pixels)
        if found:
            return found
    raise ValueError(f"no network for {kind} ships with this package; pass a model")


def _loaders(
    description: pretrained.Description, protocol: str | None, single_pixels: bool
) -> dict[int, Callable[[], nnx.Module]]:
    """What loads a shipped or stored network, for each of its factors."""
    name, stored = description.name, description.arguments.get("protocol")
    if protocol is not None and stored is None:
        raise ValueError(f"protocol is {protocol!r}, but {name} knows no protocols; leave it out")
    if protocol is None and stored is not None and single_pixels and not takes_pixels(stored):
        protocol = "center"
    return {f: partial(_load, name, f, protocol, version(name)) for f in description.factors}


@lru_cache(maxsize=32)
def _load(name: str, factor: int, protocol: str | None, version: str) -> nnx.Module:
    """The network, loaded once per process and version."""
    del version
    load = pretrained.read if is_path(name) else pretrained.load
    return load(name, factor=factor, **({} if protocol is None else {"protocol": protocol}))
