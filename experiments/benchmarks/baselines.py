"""What a user without this library could write in JAX, each from the mathematics.

All read the same zero-padded arrays (`_pad_sources`), on which output o meets with tap t the
position o * stride + t * dilation. None of them is tuned beyond what its description says.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from experiments.benchmarks.workloads import Operands, Workload

Baseline = Callable[[Workload, Operands], jax.Array]


def plain_conv(workload: Workload, operands: Operands) -> jax.Array:
    """The convolution of the same shape with no guide: the floor.

    With a spread input it is what `lax.conv_transpose` computes, for pooling a depthwise
    convolution with one filter for all channels; `normalize` has no meaning here.
    """
    kernel, groups = operands.kernel, workload.feature_group_count
    if workload.operator == "pool":
        shared = kernel.reshape(*workload.window, 1, 1)
        kernel = jnp.broadcast_to(shared, (*workload.window, 1, workload.channels))
        groups = workload.channels
    n = len(workload.size)
    spatial = "DHW"[-n:]
    outputs = lax.conv_general_dilated(
        operands.inputs,
        kernel,
        window_strides=(workload.window_strides,) * n,
        padding=workload.padding,
        lhs_dilation=(workload.spread,) * n,
        rhs_dilation=(workload.kernel_dilation,) * n,
        feature_group_count=groups,
        dimension_numbers=(f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"),
    )
    return _add_bias(outputs, operands.bias)


def shifted_slices(workload: Workload, operands: Operands) -> jax.Array:
    """Concatenate one shifted, re-weighted copy of the inputs per tap; then one product."""
    sources = _pad_sources(workload, operands)
    centres = _read_tap(workload, sources.guide, workload.half_reach)
    columns, counts = [], []
    for offset in _tap_offsets(workload):
        affinity = _gaussian(_read_tap(workload, sources.guide, offset), centres)
        inputs = _read_tap(workload, sources.inputs, offset)
        columns.append(affinity.astype(inputs.dtype) * inputs)
        counts.append(affinity * _read_tap(workload, sources.real, offset))
    outputs = _multiply_taps(workload, jnp.stack(columns, axis=-2), operands.kernel)
    if workload.normalize:
        outputs = outputs / sum(counts)
    return _add_bias(outputs.astype(operands.inputs.dtype), operands.bias)


def scan_over_taps(workload: Workload, operands: Operands) -> jax.Array:
    """Add up one tap after the other in a `lax.scan`, each computed again in the reverse pass.

    For the transposed convolution the window walks over stuffed zeros like over any other samples.
    """
    sources = _pad_sources(workload, operands)
    centres = _read_tap(workload, sources.guide, workload.half_reach)

    @jax.checkpoint
    def add_tap(
        sums: tuple[jax.Array, jax.Array], tap: tuple[jax.Array, jax.Array]
    ) -> tuple[tuple[jax.Array, jax.Array], None]:
        outputs, total = sums
        offset, kernel = tap
        affinity = _gaussian(_read_tap(workload, sources.guide, offset), centres)
        inputs = _read_tap(workload, sources.inputs, offset)
        outputs = outputs + _multiply(workload, affinity.astype(inputs.dtype) * inputs, kernel)
        if workload.normalize:
            total = total + affinity * _read_tap(workload, sources.real, offset)
        return (outputs, total), None

    wide = sources.guide.dtype
    start = (
        jnp.zeros(workload.output_shape, wide),
        jnp.zeros((*centres.shape[:-1], 1) if workload.normalize else (), wide),
    )
    offsets = jnp.array(_tap_offsets(workload))
    kernels = operands.kernel.reshape(-1, *workload.kernel_shape[len(workload.window) :])
    (outputs, total), _ = lax.scan(add_tap, start, (offsets, kernels))
    if workload.normalize:
        outputs = outputs / total
    return _add_bias(outputs.astype(operands.inputs.dtype), operands.bias)


BASELINES: dict[str, Baseline] = {
    "plain": plain_conv,
    "slices": shifted_slices,
    "scan": scan_over_taps,
}


class _Sources(NamedTuple):
    """What the taps read.

    Attributes:
        inputs: spread and padded.
        guide: padded, in at least 32 bits.
        real: 1 at the real samples of `inputs`, 0 at the others.
    """

    inputs: jax.Array
    guide: jax.Array
    real: jax.Array


def _pad_sources(workload: Workload, operands: Operands) -> _Sources:
    assert operands.guide is not None
    guide = operands.guide.astype(_wide(operands.guide))
    around_guide = [(half, half, 0) for half in workload.half_reach]
    around_inputs = [(low, high, workload.spread - 1) for low, high in workload.padding]
    real = jnp.ones((1, *workload.size, 1), guide.dtype)
    return _Sources(
        _pad(operands.inputs, around_inputs), _pad(guide, around_guide), _pad(real, around_inputs)
    )


def _wide(array: jax.Array) -> DTypeLike:
    """The type of sums over this array: at least 32 bits."""
    return jnp.float64 if array.dtype == jnp.float64 else jnp.float32


def _pad(array: jax.Array, amounts: Sequence[tuple[int, int, int]]) -> jax.Array:
    """Zeros around, and between, the samples of (N, *spatial, C)."""
    return lax.pad(array, jnp.zeros((), array.dtype), [(0, 0, 0), *amounts, (0, 0, 0)])


def _tap_offsets(workload: Workload) -> list[tuple[int, ...]]:
    """Where each tap begins to read on the padded arrays."""
    steps = [
        range(0, n * workload.kernel_dilation, workload.kernel_dilation) for n in workload.window
    ]
    return list(itertools.product(*steps))


def _read_tap(
    workload: Workload, array: jax.Array, offset: tuple[int, ...] | jax.Array
) -> jax.Array:
    """The sample that one tap meets at every output, (N, *padded, C) -> (N, *output_size, C)."""
    stride = workload.window_strides
    extent = [(n - 1) * stride + 1 for n in workload.output_size]
    if isinstance(offset, tuple):
        end = [begin + size for begin, size in zip(offset, extent, strict=True)]
        steps = (1, *(stride for _ in extent), 1)
        return lax.slice(array, (0, *offset, 0), (len(array), *end, array.shape[-1]), steps)
    zero = jnp.zeros((), offset.dtype)
    region = lax.dynamic_slice(array, (zero, *offset, zero), (len(array), *extent, array.shape[-1]))
    return region[:, *(slice(None, None, stride) for _ in extent)]


def _gaussian(neighbours: jax.Array, centres: jax.Array) -> jax.Array:
    """(..., G), (..., G) -> (..., 1)."""
    return jnp.exp(-0.5 * jnp.sum((neighbours - centres) ** 2, axis=-1, keepdims=True))


def _multiply(workload: Workload, samples: jax.Array, kernel: jax.Array) -> jax.Array:
    """The product with one tap's kernel, (..., C) -> (..., D), summed in at least 32 bits."""
    return _multiply_taps(workload, samples[..., None, :], kernel[None])


def _multiply_taps(workload: Workload, columns: jax.Array, kernel: jax.Array) -> jax.Array:
    """The product with the kernel of several taps, (..., T, C) -> (..., D)."""
    wide = _wide(columns)
    *lead, taps, channels = columns.shape
    if workload.operator == "pool":
        weights = kernel.reshape(taps)
        return jnp.einsum("...tc,t->...c", columns, weights, preferred_element_type=wide)
    groups = workload.feature_group_count
    if groups == 1:
        flat = columns.reshape(*lead, taps * channels)
        matrix = kernel.reshape(taps * channels, workload.features)
        return jnp.matmul(flat, matrix, preferred_element_type=wide)
    columns = columns.reshape(*lead, taps, groups, channels // groups)
    kernel = kernel.reshape(taps, channels // groups, groups, workload.features // groups)
    outputs = jnp.einsum("...tgc,tcgd->...gd", columns, kernel, preferred_element_type=wide)
    return outputs.reshape(*lead, workload.features)


def _add_bias(outputs: jax.Array, bias: jax.Array | None) -> jax.Array:
    if bias is None:
        return outputs
    return outputs + bias.reshape((1,) * (outputs.ndim - 1) + (-1,))
