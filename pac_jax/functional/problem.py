"""What every implementation is given, and what becomes of its answer.

All operators are one sum over the taps t of a window. With the guide features f of the sample that a
tap meets, m of the window's centre, the sample's mask M and the affinity k,

    numerator[o]   = sum_t k(f, m) W[t]^T x,      denominator[o] = sum_t k(f, m) M.

An implementation computes these two; the division, the mask's renormalisation, the bias and the
output's type are the same for all and live here.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from pac_jax.functional.affinity import Affinity
from pac_jax.functional.arguments import at_least_float32
from pac_jax.functional.geometry import Geometry, channels_last


@dataclass(frozen=True)
class Problem:
    """The static part of an operation: hashable, so that it decides what is compiled.

    Attributes:
        geometry: which sample each tap reads.
        channel_wise: whether there is one affinity per input channel.
        normalize: whether the denominator is wanted.
        feature_group_count: of the kernel; None for pooling, where the kernel is (*window,).
        precision: of the product with the kernel.
        dtype: of the output; everything before the last cast has at least 32 bits.
    """

    geometry: Geometry
    channel_wise: bool
    normalize: bool
    feature_group_count: int | None
    precision: lax.PrecisionLike
    dtype: DTypeLike


class GuideFeatures(NamedTuple):
    """What the affinity is computed from.

    Attributes:
        affinity: a function of (neighbour, centre), a pytree.
        neighbours: (N, *input_size, G), the guide at each sample.
        centres: (N, *output_size, G), the guide at each window's centre.
    """

    affinity: Affinity
    neighbours: jax.Array
    centres: jax.Array


class Operands(NamedTuple):
    """The arrays of an operation, in the types that the caller gave where nothing was computed.

    Attributes:
        inputs: (N, *input_size, C), already multiplied by the mask.
        mask: (N, *input_size, 1), or None.
        kernel: (*window, C / groups, D), or (*window,) for pooling.
        guided_by: `GuideFeatures`; or, where the affinity was computed before, itself: (N,
            *output_size, *window), with a last axis C if channel-wise.
        bias: (D,), added to the numerator; None where there is none, or where it is added to what
            becomes of the numerator.
    """

    inputs: jax.Array
    mask: jax.Array | None
    kernel: jax.Array
    guided_by: GuideFeatures | jax.Array
    bias: jax.Array | None = None

    def sample_weights(self) -> jax.Array:
        """The mask, or ones with batch size 1: what the denominator sums, 0 outside the image."""
        if self.mask is not None:
            return self.mask
        dtype = at_least_float32(self.inputs.dtype)
        return jnp.ones((1, *self.inputs.shape[1:-1], 1), dtype)

    def widened(self, dtype: DTypeLike) -> "Operands":
        """All of them in the type to compute an output of this type in: at least 32 bits."""
        wide = at_least_float32(self.inputs.dtype, dtype)
        guided_by = self.guided_by
        if isinstance(guided_by, GuideFeatures):
            affinity, neighbours, centres = guided_by
            of_guide = at_least_float32(centres.dtype)
            guided_by = GuideFeatures(
                affinity, neighbours.astype(of_guide), centres.astype(of_guide)
            )
        else:
            guided_by = guided_by.astype(wide)
        bias = None if self.bias is None else self.bias.astype(wide)
        inputs, kernel = self.inputs.astype(wide), self.kernel.astype(wide)
        return Operands(inputs, self.mask, kernel, guided_by, bias)


class Implementation(Protocol):
    """What a module in `implementations` must offer."""

    def limitation(self, problem: Problem, operands: Operands) -> str | None:
        """Why it cannot run this problem here, as a sentence for the user; None where it can."""

    def contract(self, problem: Problem, operands: Operands) -> tuple[jax.Array, jax.Array | None]:
        """Compute the two sums, in at least 32 bits.

        Returns:
            numerator: (N, *output_size, D), with the bias if there is one; where nothing is divided
                or renormalised afterwards, it may have `problem.dtype`.
            denominator: (N, *output_size, 1), (N, *output_size, C) if channel-wise, None unless
                `problem.normalize`.
        """


@partial(jax.jit, static_argnames=("problem", "implementation"))
def evaluate(
    problem: Problem, operands: Operands, bias: jax.Array | None, implementation: Implementation
) -> jax.Array:
    """The operator's output, (N, *output_size, D) of type `problem.dtype`."""
    if bias is not None and not problem.normalize and operands.mask is None:
        operands, bias = operands._replace(bias=bias), None
    outputs, denominator = implementation.contract(problem, operands)
    if denominator is not None:
        outputs = divide_or_zero(outputs, denominator)
    elif operands.mask is not None:
        outputs = outputs * mask_renormalisation(operands.mask, problem.geometry)
    if bias is not None:
        outputs = outputs + bias.astype(outputs.dtype).reshape((1,) * (outputs.ndim - 1) + (-1,))
    return outputs.astype(problem.dtype)


@jax.custom_jvp
def divide_or_zero(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    """Divide, and give 0 with zero gradients where the denominator is 0."""
    counts = denominator != 0
    quotient = numerator / jnp.where(counts, denominator, 1)
    return jnp.where(counts, quotient, 0)


@divide_or_zero.defjvp
def _divide_or_zero_jvp(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    # Division's own rule squares the denominator, which overflows when a Gaussian has nearly
    # underflowed; the quotient itself is bounded there, and so is this.
    numerator, denominator = primals
    quotient = divide_or_zero(numerator, denominator)
    change = tangents[0] - quotient * tangents[1]
    return quotient, divide_or_zero(change, denominator)


def mask_renormalisation(mask: jax.Array, geometry: Geometry) -> jax.Array:
    """sum_t V / sum_t M, (N, *output_size, 1): what partial convolution multiplies by."""
    everywhere = jnp.ones((1, *mask.shape[1:]), mask.dtype)
    return divide_or_zero(window_sum(everywhere, geometry), window_sum(mask, geometry))


def window_sum(samples: jax.Array, geometry: Geometry) -> jax.Array:
    """Sum over the window, (N, *input_size, 1) -> (N, *output_size, 1)."""
    return lax.conv_general_dilated(
        samples,
        jnp.ones((*geometry.window, 1, 1), samples.dtype),
        geometry.strides,
        geometry.padding,
        lhs_dilation=geometry.spread,
        rhs_dilation=geometry.kernel_dilation,
        dimension_numbers=channels_last(geometry.ndim),
        precision=lax.Precision.HIGHEST,
    )
