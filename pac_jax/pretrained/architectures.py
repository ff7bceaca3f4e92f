"""The networks that a file can name, and their parameters by name."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
from flax import nnx

from pac_jax.models import DJIF, PacNet, PacUpsampler

__all__ = ["ARCHITECTURES", "build", "state_by_name"]

# A network to be shipped or stored needs its line here; nothing else is built from a file.
ARCHITECTURES: Mapping[str, Callable[..., nnx.Module]] = MappingProxyType(
    {
        "PacUpsampler": PacUpsampler,
        "PacNet": PacNet,
        "PacNet.lite": PacNet.lite,
        "DJIF": DJIF,
    }
)


def build(architecture: str, arguments: Mapping[str, Any]) -> nnx.Module:
    """The network with shapes in place of parameters: nothing is drawn or compiled.

    Args:
        architecture: one of `ARCHITECTURES`.
        arguments: of its constructor, without `rngs`; lists become tuples.

    Raises:
        ValueError: there is no such architecture, or it does not take these arguments.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"architecture is {architecture!r}; it needs one of {', '.join(ARCHITECTURES)}"
        )
    constructor = ARCHITECTURES[architecture]
    given = {name: tuple(v) if isinstance(v, list) else v for name, v in arguments.items()}
    try:
        return nnx.eval_shape(lambda: constructor(**given, rngs=_OneKey()))
    except TypeError as error:
        raise ValueError(f"{architecture} does not take {dict(arguments)}: {error}") from error


class _OneKey:
    """In place of `nnx.Rngs`, whose counting takes half of the time where only shapes are wanted."""

    def __init__(self) -> None:
        self._key = jax.random.key(0)

    def params(self) -> jax.Array:
        """The same key each time."""
        return self._key


def state_by_name(model: nnx.Module) -> dict[str, nnx.Variable[Any]]:
    """Every variable of a model by its path, joined with dots: `stages.0.kernel`."""
    flat = nnx.to_flat_state(nnx.state(model))
    return {".".join(map(str, path)): variable for path, variable in flat}


def count_parameters(model: nnx.Module) -> int:
    """How many numbers are trained."""
    parameters = nnx.to_flat_state(nnx.state(model, nnx.Param))
    return sum(int(np.prod(variable.shape)) for _, variable in parameters)
