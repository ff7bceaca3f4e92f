"""One fused kernel for NVIDIA GPUs, written in Pallas and compiled by Triton.

A program computes a tile of the output: it reads the guide at its centres once, and for every tap
the neighbours' guide and inputs by computed addresses, computes the affinity in registers, multiplies
on the tensor cores, and writes once. What is zero (padding, the samples between those of a transposed
convolution) is neither stored nor multiplied. The reverse pass gathers in the same way from either
side and adds nothing atomically. See docs/fused_kernels.md.

Here stands only what is needed to choose it; the modules that import Pallas are imported when it runs.
Which compiler is used is known to `launch` and `sites` alone.
"""

import math
from importlib.util import find_spec

import jax
from jax import lax

from pac_jax.functional.implementations import fusing
from pac_jax.functional.implementations.products import Sums
from pac_jax.functional.implementations.taps import (
    arrays_of,
    contract_by,
    is_empty,
    nothing_at_all,
)
from pac_jax.functional.problem import Operands, Problem

_MOST_GUIDE_CHANNELS = 1024
_MOST_NUMBERS = 2**31 - 1  # addresses have 32 bits
_PRECISIONS = (lax.Precision.DEFAULT, lax.Precision.HIGH, lax.Precision.HIGHEST)


def limitation(problem: Problem, operands: Operands) -> str | None:
    """Why it cannot run this problem here, as a sentence for the user; None where it can."""
    if not fusing.is_interpreted() and not _has_gpu():
        return f"it needs an NVIDIA GPU, and JAX computes on {jax.default_backend()!r}"
    if find_spec("jax.experimental.pallas.triton") is None:
        return f"JAX {jax.__version__} has no Pallas for Triton any more"
    return (
        fusing.limitation_of(problem, operands, is_compiled=_has_gpu())
        or _limitation_of_size(problem, operands)
        or fusing.limitation_of_precision(problem.precision, _PRECISIONS)
    )


def hesitation() -> str | None:
    """Why it is not chosen by itself though it can run; None where it is."""
    if not _has_gpu():
        return "it is interpreted here, which is for tests"
    if jax.device_count() > 1:
        return (
            "there are several GPUs, and XLA would gather arrays that they share; name it inside "
            "jax.shard_map, or where arrays lie on one GPU"
        )
    return "it has not been tried on a GPU yet; name it to try it"


def contract(problem: Problem, operands: Operands) -> Sums:
    """See `problem.Implementation`."""
    from pac_jax.functional.implementations.pallas_triton.rules import rules_for

    arrays = arrays_of(problem, operands)
    if is_empty(problem, arrays) or 0 in problem.geometry.input_size:
        return nothing_at_all(problem, arrays)
    dtype = fusing.dtype_of_numerator(problem, operands)
    return contract_by(rules_for(dtype, fusing.is_interpreted()), problem, arrays)


def _has_gpu() -> bool:
    return jax.default_backend() == "gpu"


def _limitation_of_size(problem: Problem, operands: Operands) -> str | None:
    inputs, kernel, (_, neighbours, centres) = operands.inputs, operands.kernel, operands.guided_by
    if centres.shape[-1] > _MOST_GUIDE_CHANNELS:
        channels = centres.shape[-1]
        return f"the guide has {channels} channels, and it keeps at most {_MOST_GUIDE_CHANNELS}"
    features = kernel.shape[-1] if problem.feature_group_count else 0
    outputs = inputs.shape[0] * math.prod(problem.geometry.output_size) * features
    if (
        max(outputs, *(array.size for array in (inputs, neighbours, centres, kernel)))
        > _MOST_NUMBERS
    ):
        return f"an array has more than {_MOST_NUMBERS} numbers, and its addresses have 32 bits"
    return None
