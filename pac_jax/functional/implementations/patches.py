"""The reference: gather every window with `lax.conv_general_dilated_patches`, then multiply and sum.

It reads like the definition and holds window-many copies of the inputs and of the guide. The copies
are made by a convolution with an identity kernel, hence at highest precision (at an accelerator's
default precision they would be rounded), and a non-finite sample turns its whole window non-finite.
"""

import math

import jax
import jax.numpy as jnp
from jax import lax

from pac_jax.functional.affinity import evaluate_affinity
from pac_jax.functional.geometry import Geometry, channels_last
from pac_jax.functional.problem import GuideFeatures, Operands, Problem


def limitation(problem: Problem, operands: Operands) -> str | None:
    """Runs everything, given the memory."""
    del problem, operands
    return None


def contract(problem: Problem, operands: Operands) -> tuple[jax.Array, jax.Array | None]:
    """See `problem.Implementation`."""
    operands = operands.widened(problem.dtype)
    geometry = problem.geometry
    affinity = _affinity(problem, operands)  # (N, *output_size, T, 1 or C)
    denominator = None
    if problem.normalize:
        mask = _patches(operands.sample_weights(), geometry)
        denominator = jnp.sum(affinity * mask, axis=-2)
    weighted = affinity * _patches(operands.inputs, geometry)  # (N, *output_size, T, C)
    groups = problem.feature_group_count
    if groups is None:
        kernel = operands.kernel.reshape((1,) * (weighted.ndim - 2) + (-1, 1))
        return jnp.sum(weighted * kernel, axis=-2), denominator
    *_, group_features, features = operands.kernel.shape
    kernel = operands.kernel.reshape(-1, group_features, groups, features // groups)
    weighted = weighted.reshape(*weighted.shape[:-1], groups, group_features)
    outputs = jnp.einsum("...tgc,tcgd->...gd", weighted, kernel, precision=problem.precision)
    outputs = outputs.reshape(*outputs.shape[:-2], features)
    if operands.bias is not None:
        outputs = outputs + operands.bias.reshape((1,) * (outputs.ndim - 1) + (-1,))
    return outputs, denominator


def _affinity(problem: Problem, operands: Operands) -> jax.Array:
    geometry = problem.geometry
    if not isinstance(operands.guided_by, GuideFeatures):
        weights = operands.guided_by
        return weights.reshape(*weights.shape[: 1 + geometry.ndim], geometry.num_taps, -1)
    function, samples, at_outputs = operands.guided_by
    neighbours = _patches(samples, geometry)  # (N, *output_size, T, G)
    centres = jnp.broadcast_to(jnp.expand_dims(at_outputs, -2), neighbours.shape)
    return evaluate_affinity(
        function,
        neighbours,
        centres,
        channel_wise=problem.channel_wise,
        dtype=operands.inputs.dtype,
    )


def _patches(array: jax.Array, geometry: Geometry) -> jax.Array:
    """(N, *input_size, C) -> (N, *output_size, T, C), zeros where a tap meets no sample."""
    patches = lax.conv_general_dilated_patches(
        array,
        geometry.window,
        geometry.strides,
        geometry.padding,
        lhs_dilation=geometry.spread,
        rhs_dilation=geometry.kernel_dilation,
        dimension_numbers=channels_last(geometry.ndim),
        precision=lax.Precision.HIGHEST,
    )
    taps = math.prod(geometry.window)
    patches = patches.reshape(*patches.shape[:-1], array.shape[-1], taps)
    return jnp.swapaxes(patches, -1, -2)
