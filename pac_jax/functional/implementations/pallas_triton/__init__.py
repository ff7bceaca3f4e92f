"""One fused kernel for NVIDIA GPUs, written in Pallas and compiled by Triton.

A program computes a tile of the output: it reads the guide at its centres once, and for every tap
the neighbours' guide and inputs by computed addresses, computes the affinity in registers, multiplies
on the tensor cores, and writes once. What is zero (padding, the samples between those of a transposed
convolution) is neither stored nor multiplied. The reverse pass gathers in the same way from either
side and adds nothing atomically. See docs/gpu_kernel.md.

Here stands only what is needed to choose it; the modules that import Pallas are imported when it runs.
Which compiler is used is known to `launch` and `sites` alone.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import jax
import jax.numpy as jnp
from jax import lax
from jax.dtypes import canonicalize_dtype

from pac_jax.functional.affinity import Gaussian, Inverse
from pac_jax.functional.arguments import at_least_float32
from pac_jax.functional.implementations.products import Sums
from pac_jax.functional.implementations.taps import (
    arrays_of,
    contract_by,
    is_empty,
    nothing_at_all,
)
from pac_jax.functional.problem import GuideFeatures, Operands, Problem

KEEPS_TYPES = True  # see `problem.Implementation`
_MOST_GUIDE_CHANNELS = 1024
_MOST_NUMBERS = 2**31 - 1  # addresses have 32 bits
_is_interpreted = False


@contextmanager
def interpreted() -> Iterator[None]:
    """Within this context it runs on CPUs too, as XLA operations, program after program: for tests."""
    global _is_interpreted
    before, _is_interpreted = _is_interpreted, True
    try:
        yield
    finally:
        _is_interpreted = before


def limitation(problem: Problem, operands: Operands) -> str | None:
    """Why it cannot run this problem here, as a sentence for the user; None where it can."""
    return _limitation_here() or _limitation_of(problem, operands)


def hesitation() -> str | None:
    """Why it is not chosen by itself though it can run; None where it is."""
    if not _has_gpu():
        return "it is interpreted here, which is for tests"
    if jax.device_count() > 1:
        return (
            "there are several GPUs, and XLA would gather arrays that they share; name it inside "
            "jax.shard_map, or where arrays lie on one GPU"
        )
    return None


def contract(problem: Problem, operands: Operands) -> Sums:
    """See `problem.Implementation`."""
    from pac_jax.functional.implementations.pallas_triton.rules import rules_for

    arrays = arrays_of(problem, operands)
    if is_empty(problem, arrays) or 0 in problem.geometry.input_size:
        return nothing_at_all(problem, arrays)
    # What is divided or renormalised afterwards stays wide; all else is written as it is wanted.
    is_final = not problem.normalize and operands.mask is None
    dtype = problem.dtype if is_final else at_least_float32(operands.inputs.dtype, problem.dtype)
    rules = rules_for(canonicalize_dtype(dtype), _is_interpreted)
    return contract_by(rules, problem, arrays)


def _has_gpu() -> bool:
    return jax.default_backend() == "gpu"


def _limitation_here() -> str | None:
    if not _is_interpreted and not _has_gpu():
        return f"it needs an NVIDIA GPU, and JAX computes on {jax.default_backend()!r}"
    if find_spec("jax.experimental.pallas.triton") is None:
        return f"JAX {jax.__version__} has no Pallas for Triton any more"
    return None


def _limitation_of(problem: Problem, operands: Operands) -> str | None:
    guided_by = operands.guided_by
    if not isinstance(guided_by, GuideFeatures):
        return "the affinity is given, and it computes its own from a guide"
    if type(guided_by.affinity) not in (Gaussian, Inverse):
        name = type(guided_by.affinity).__name__
        return f"the affinity is a {name}, and it knows Gaussian and Inverse alone"
    if problem.feature_group_count not in (None, 1):
        return f"feature_group_count is {problem.feature_group_count}, and it has no groups"
    arrays = (operands.inputs, guided_by.neighbours, guided_by.centres, operands.kernel)
    types = {canonicalize_dtype(problem.dtype), *(array.dtype for array in arrays)}
    if jnp.dtype(jnp.float64) in types and (_has_gpu() or not _is_interpreted):
        return "something is float64, which its products do not have"
    if guided_by.centres.shape[-1] > _MOST_GUIDE_CHANNELS:
        channels = guided_by.centres.shape[-1]
        return f"the guide has {channels} channels, and it keeps at most {_MOST_GUIDE_CHANNELS}"
    features = operands.kernel.shape[-1] if problem.feature_group_count else 0
    outputs = operands.inputs.shape[0] * math.prod(problem.geometry.output_size) * features
    if max(outputs, *(array.size for array in arrays)) > _MOST_NUMBERS:
        return f"an array has more than {_MOST_NUMBERS} numbers, and its addresses have 32 bits"
    return _limitation_of_precision(problem.precision)


def _limitation_of_precision(precision: lax.PrecisionLike) -> str | None:
    both = precision if isinstance(precision, tuple) else (precision,)
    known = (None, "default", "high", "highest", "fastest", "bfloat16", "tensorfloat32", "float32")
    if all(isinstance(one, lax.Precision) or one in known for one in both):
        return None
    return f"precision is {precision!r}, and it has one for both factors: tf32 or exact"
