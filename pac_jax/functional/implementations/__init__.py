"""The implementations of the operators, by name, the fastest first.

To add one: write a module with the two functions of `problem.Implementation`, and name it here.
"""

import types

from pac_jax.functional.implementations import patches, shifts, taps
from pac_jax.functional.problem import Implementation, Operands, Problem

IMPLEMENTATIONS: dict[str, types.ModuleType] = {
    "taps": taps,
    "shifts": shifts,
    "patches": patches,
}


def select(name: str | None, problem: Problem, operands: Operands) -> Implementation:
    """The named implementation, or the first that can run the problem.

    Raises:
        ValueError: no implementation has this name.
        NotImplementedError: the named implementation cannot run this problem; the message says why.
    """
    if name is None:
        for module in IMPLEMENTATIONS.values():
            if module.limitation(problem, operands) is None:
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
