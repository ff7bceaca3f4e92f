"""The path that all operators share, from checked arguments to an implementation.

`pac_conv`, `pac_conv_transpose` and `pac_pool` differ in where the guide is read and in what the
kernel is; here stand the steps they have in common.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike, DTypeLike

from pac_jax.functional import arguments
from pac_jax.functional.affinity import Affinity, centre_features
from pac_jax.functional.geometry import (
    Geometry,
    Ints,
    Padding,
    conv_geometry,
    pad_spatially,
    transpose_geometry,
)
from pac_jax.functional.implementations import select
from pac_jax.functional.problem import GuideFeatures, Operands, Problem, evaluate, window_sum


class GuideReading(NamedTuple):
    """Where the guide is read.

    Attributes:
        sample_start: guide position of input sample 0 (negative: outside the image).
        sample_step: guide positions between two input samples.
        first_centre: guide position of output 0's centre.
        centre_step: guide positions between two outputs' centres.
        on_outputs: whether the guide has the outputs' size (or the inputs').
    """

    sample_start: Ints
    sample_step: Ints
    first_centre: Ints
    centre_step: Ints
    on_outputs: bool


def on_inputs(geometry: Geometry) -> GuideReading:
    """The guide lies on the inputs' grid: convolution and pooling."""
    n = geometry.ndim
    return GuideReading((0,) * n, (1,) * n, geometry.first_centre, geometry.strides, False)


def on_outputs(geometry: Geometry) -> GuideReading:
    """The guide lies on the outputs' grid: transposed convolution."""
    n = geometry.ndim
    start = tuple(-c for c in geometry.first_centre)
    return GuideReading(start, geometry.spread, (0,) * n, (1,) * n, True)


def callable_pytree(affinity: Affinity) -> Affinity:
    """The affinity that this one stands for, as a pytree: what is none becomes a static callable."""
    arguments.check_affinity(affinity)
    if callable(resolved := getattr(affinity, "resolved", None)):
        affinity = resolved()
    if jax.tree_util.all_leaves([affinity]):
        return jax.tree_util.Partial(affinity)
    return affinity


def guide_operands(
    guide: jax.Array,
    affinity: Affinity,
    mask: jax.Array | None,
    geometry: Geometry,
    reading: GuideReading,
) -> GuideFeatures:
    """The guide at every input sample and at every output's centre.

    A guide of fewer than 32 bits is widened where it is computed with: to be smoothed.

    Where the mask is 0 a sample is not read at all, so its guide is replaced by 0, which keeps what
    is not finite there out of values and gradients.
    """
    if getattr(affinity, "smoothing", None) is not None:
        guide = guide.astype(arguments.at_least_float32(guide.dtype))
    centres = centre_features(
        guide, affinity, reading.first_centre, reading.centre_step, geometry.output_size
    )
    neighbours = samples_of_guide(guide, geometry.input_size, reading)
    if mask is not None:
        neighbours = jnp.where(mask != 0, neighbours, 0)
        # The guide's centre does not count either where nothing in its window does.
        seen = window_sum((mask != 0).astype(mask.dtype), geometry) > 0.5
        centres = jnp.where(seen, centres, 0)
    return GuideFeatures(affinity, neighbours, centres)


def samples_of_guide(guide: jax.Array, input_size: Ints, reading: GuideReading) -> jax.Array:
    """The guide at the input samples, (N, *input_size, G), 0 where a sample lies outside it."""
    if not reading.on_outputs:
        return guide
    if 0 in input_size:
        return jnp.zeros((guide.shape[0], *input_size, guide.shape[-1]), guide.dtype)
    span = [(n - 1) * s + 1 for n, s in zip(input_size, reading.sample_step, strict=True)]
    low = [-start for start in reading.sample_start]
    high = [n - size - lo for n, size, lo in zip(span, guide.shape[1:-1], low, strict=True)]
    padded = pad_spatially(guide, low, high)
    return lax.slice(padded, (0,) * padded.ndim, padded.shape, (1, *reading.sample_step, 1))


class Guided(NamedTuple):
    """The affinity is computed from a guide: (N, *size, G), and a function of two features."""

    guide: ArrayLike
    affinity: Affinity


class Given(NamedTuple):
    """The affinity was computed before: (N, *output_size, *window), or with a last axis C."""

    weights: ArrayLike


class Options(NamedTuple):
    """The keyword arguments that the operators share, as the caller gave them."""

    strides: int | Sequence[int]
    padding: Padding
    kernel_dilation: int | Sequence[int]
    normalize: bool
    mask: ArrayLike | None
    precision: lax.PrecisionLike
    preferred_element_type: DTypeLike | None
    implementation: str | None


def convolve(
    inputs: ArrayLike,
    source: Guided | Given,
    kernel: ArrayLike,
    bias: ArrayLike | None,
    feature_group_count: int,
    options: Options,
    *,
    transposed: bool,
) -> jax.Array:
    """Check the arguments of a (transposed) convolution and evaluate it."""
    inputs = arguments.as_array(inputs, "inputs")
    kernel = arguments.as_array(kernel, "kernel")
    window = arguments.check_kernel(kernel, inputs, feature_group_count)
    arguments.check_same_dtype(kernel, "kernel", inputs)
    if bias is not None:
        bias = arguments.as_array(bias, "bias")
        arguments.check_bias(bias, kernel.shape[-1])
        arguments.check_same_dtype(bias, "bias", inputs)
    geometry_of = transpose_geometry if transposed else conv_geometry
    geometry = geometry_of(inputs.shape[1:-1], window, *steps(options, len(window)))
    return _evaluate(
        inputs,
        source,
        kernel,
        bias,
        int(feature_group_count),
        geometry,
        on_outputs(geometry) if transposed else on_inputs(geometry),
        options,
        channel_wise=False,
    )


def pool(
    inputs: ArrayLike,
    source: Guided | Given,
    window_shape: Sequence[int],
    weights: ArrayLike | None,
    options: Options,
    *,
    channel_wise: bool,
) -> jax.Array:
    """Check the arguments of a pooling and evaluate it."""
    inputs = arguments.as_array(inputs, "inputs")
    window = arguments.window_shape(window_shape, "window_shape")
    arguments.check_rank(inputs, "inputs", len(window), "window_shape")
    arguments.check_flag(channel_wise, "channel_wise")
    if weights is None:
        kernel = jnp.ones(window, inputs.dtype)
    else:
        kernel = arguments.as_array(weights, "weights")
        arguments.check_same_dtype(kernel, "weights", inputs)
        if kernel.shape != window:
            raise ValueError(
                f"weights have shape {kernel.shape}; window_shape {window} needs its own"
            )
    geometry = conv_geometry(inputs.shape[1:-1], window, *steps(options, len(window)))
    reading = on_inputs(geometry)
    return _evaluate(
        inputs, source, kernel, None, None, geometry, reading, options, channel_wise=channel_wise
    )


def steps(options: Options, ndim: int) -> tuple[Ints, Padding, Ints]:
    """Strides, padding and dilation, the ints checked and given per dimension."""
    return (
        arguments.per_dimension(options.strides, ndim, "strides"),
        options.padding,
        arguments.per_dimension(options.kernel_dilation, ndim, "kernel_dilation"),
    )


def _evaluate(
    inputs: jax.Array,
    source: Guided | Given,
    kernel: jax.Array,
    bias: jax.Array | None,
    feature_group_count: int | None,
    geometry: Geometry,
    reading: GuideReading,
    options: Options,
    *,
    channel_wise: bool,
) -> jax.Array:
    arguments.check_flag(options.normalize, "normalize")
    dtype = arguments.output_dtype(options.preferred_element_type, inputs.dtype)
    wide = arguments.at_least_float32(inputs.dtype, dtype)
    mask = None
    if options.mask is not None:
        mask = arguments.as_mask(options.mask, wide)
        arguments.check_mask(mask, inputs.shape, "inputs")
    guided_by: GuideFeatures | jax.Array
    if isinstance(source, Guided):
        guide = arguments.as_array(source.guide, "guide")
        arguments.check_guide(guide, inputs.shape, geometry, reading.on_outputs)
        if channel_wise:
            arguments.check_channel_wise(guide, inputs.shape[-1])
        affinity = callable_pytree(source.affinity)
        guided_by = guide_operands(guide, affinity, mask, geometry, reading)
    else:
        guided_by = arguments.as_array(source.weights, "affinity")
        arguments.check_weights(guided_by, inputs.shape, geometry, channel_wise)
    problem = Problem(
        geometry,
        channel_wise,
        options.normalize,
        feature_group_count,
        arguments.hashable_precision(options.precision),
        dtype,
    )
    operands = Operands(
        without_masked(inputs if mask is None else inputs.astype(wide), mask),
        mask,
        kernel,
        guided_by,
    )
    implementation = select(options.implementation, problem, operands)
    return evaluate(problem, operands, bias, implementation)


def without_masked(inputs: jax.Array, mask: jax.Array | None) -> jax.Array:
    """Multiply inputs and mask, and give 0 where the mask is 0 whatever the input is."""
    if mask is None:
        return inputs
    return jnp.where(mask != 0, inputs, 0) * mask
