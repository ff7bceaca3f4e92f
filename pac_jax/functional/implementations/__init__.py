"""The implementations of the operators, by name, the fastest first.

`pallas` and `pallas_tpu` are fused kernels for accelerators, which say themselves when to choose them;
`taps` runs everything, everywhere; `shifts` is for images that several devices share; `patches` is the
reference, slow and large. To add one: write a module with the two functions of
`problem.Implementation`, and name it here.
"""

import types

from pac_jax.functional.implementations import (
    pallas_mosaic_tpu,
    pallas_triton,
    patches,
    shifts,
    taps,
)
from pac_jax.functional.problem import Implementation, Operands, Problem

IMPLEMENTATIONS: dict[str, types.ModuleType] = {
    "pallas": pallas_triton,
    "pallas_tpu": pallas_mosaic_tpu,
    "taps": taps,
    "shifts": shifts,
    "patches": patches,
}

_HESITANT = (pallas_triton, pallas_mosaic_tpu)  # which may run and should still be asked for


class Survey:
    """Passed in place of a name: finds out which implementations can run a problem.

    Attributes:
        reasons: why each is not the one to choose, None for those that are, the fastest first.
    """

    def __init__(self) -> None:
        self.reasons: dict[str, str | None] = {}


def select(name: str | Survey | None, problem: Problem, operands: Operands) -> Implementation:
    """The named implementation, or the first that can run the problem.

    Raises:
        ValueError: no implementation has this name.
        NotImplementedError: the named implementation cannot run this problem; the message says why.
    """
    if isinstance(name, Survey):
        name.reasons = {each: _reason_against(each, problem, operands) for each in IMPLEMENTATIONS}
        name = None
    if name is None:
        for each, module in IMPLEMENTATIONS.items():
            if _reason_against(each, problem, operands) is None:
                return module
    if not isinstance(name, str) or name not in IMPLEMENTATIONS:
        names = ", ".join(map(repr, IMPLEMENTATIONS))
        raise ValueError(
            f"implementation is {name!r}; pass one of {names}, or None for the fastest"
        )
    limitation = IMPLEMENTATIONS[name].limitation(problem, operands)
    if limitation is not None:
        raise NotImplementedError(f"implementation {name!r} cannot run this: {limitation}")
    return IMPLEMENTATIONS[name]


def _reason_against(name: str, problem: Problem, operands: Operands) -> str | None:
    """Why not to choose an implementation: it cannot run, or it may but should be asked for."""
    module = IMPLEMENTATIONS[name]
    limitation = module.limitation(problem, operands)
    if limitation is None and module in _HESITANT:
        return module.hesitation()
    return limitation
