"""All ways to upsample, by name, called alike."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import pac_jax
from experiments.joint_upsampling.baselines import bicubic, bilinear, joint_bilateral, nearest
from experiments.joint_upsampling.fitting import Task
from experiments.joint_upsampling.saved_networks import SavedNetwork


class Method(NamedTuple):
    """One row of the tables.

    Attributes:
        name: for tables.
        parameters: number of them, if it is trained.
        seed: of its training; None if there is none, or it is not known.
        factors: that it can do; None for all.
        run: (task, factor, protocol) -> (1, H, W, C).
    """

    name: str
    parameters: int | None
    seed: int | None
    factors: tuple[int, ...] | None
    run: Callable[[Task, int, str], np.ndarray]


def baselines() -> list[Method]:
    """The methods without training."""
    return [
        *(
            _without_guide(name, interpolation)
            for name, interpolation in (
                ("nearest", nearest),
                ("bilinear", bilinear),
                ("bicubic", bicubic),
            )
        ),
        Method("joint bilateral", None, None, None, _joint_bilateral),
    ]


def _without_guide(name: str, interpolation: Callable[[jax.Array, int, str], jax.Array]) -> Method:
    def run(task: Task, factor: int, protocol: str) -> np.ndarray:
        return np.asarray(interpolation(jnp.asarray(task.target_low), factor, protocol))

    return Method(name, None, None, None, run)


def _joint_bilateral(task: Task, factor: int, protocol: str) -> np.ndarray:
    low, guide = jnp.asarray(task.target_low), jnp.asarray(task.guide)
    return np.asarray(joint_bilateral(low, guide, factor, protocol))


def network(saved: SavedNetwork) -> Method:
    """A trained network, run as `pac_jax.upsample` runs it for everybody."""

    @lru_cache(maxsize=32)
    def model(factor: int, protocol: str) -> nnx.Module:
        return saved.build(factor, protocol)

    def run(task: Task, factor: int, protocol: str) -> np.ndarray:
        low = task.target_low[0]
        result = pac_jax.upsample(
            low,
            task.guide[0],
            factor,
            kind=task.pair.kind,
            mask=np.ones(low.shape[:2]),
            model=model(factor, protocol),
        )
        return np.asarray(result)[None]

    return Method(saved.name, saved.parameters, saved.seed, saved.factors, run)
