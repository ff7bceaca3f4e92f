"""A fused forward pass for TPUs, written in Pallas and compiled by Mosaic.

A program computes some rows of the output: the rows of inputs and guide that these read are brought to
fast memory once, where every tap reads them shifted, multiplies, and adds up; the sums are written
once. Gradients are those of 'taps'. See docs/fused_kernels.md.

Here stands only what is needed to choose it; the modules that import Pallas are imported when it runs.
"""

import jax
from jax import lax

from pac_jax.functional.implementations import fusing
from pac_jax.functional.implementations.pallas_mosaic_tpu.layout import plan
from pac_jax.functional.implementations.products import Sums
from pac_jax.functional.implementations.taps import (
    arrays_of,
    contract_by,
    is_empty,
    nothing_at_all,
)
from pac_jax.functional.problem import Operands, Problem

_PRECISIONS = (lax.Precision.DEFAULT, lax.Precision.HIGHEST)


def limitation(problem: Problem, operands: Operands) -> str | None:
    """Why it cannot run this problem here, as a sentence for the user; None where it can."""
    if not fusing.is_interpreted() and not _has_tpu():
        return f"it needs a TPU, and JAX computes on {jax.default_backend()!r}"
    found = fusing.limitation_of(
        problem, operands, is_compiled=_has_tpu()
    ) or fusing.limitation_of_precision(problem.precision, _PRECISIONS)
    if found is not None or is_empty(problem, arrays_of(problem, operands)):
        return found
    return plan(problem, arrays_of(problem, operands)).limitation


def hesitation() -> str:
    """Why it is not chosen by itself though it can run."""
    return "it has not been tried on a TPU yet; name it to try it"


def contract(problem: Problem, operands: Operands) -> Sums:
    """See `problem.Implementation`."""
    from pac_jax.functional.implementations.pallas_mosaic_tpu.forward import rules_for

    arrays = arrays_of(problem, operands)
    if is_empty(problem, arrays) or 0 in problem.geometry.input_size:
        return nothing_at_all(problem, arrays)
    dtype = fusing.dtype_of_numerator(problem, operands)
    return contract_by(rules_for(dtype, fusing.is_interpreted()), problem, arrays)


def _has_tpu() -> bool:
    return jax.default_backend() == "tpu"
