"""Checks of the operators' arguments: each error names the argument, what it is, and what is needed.

Everything here looks at shapes and types alone, so it runs before and during tracing alike.
"""

import operator
from collections.abc import Sequence
from functools import cache, partial
from typing import SupportsIndex

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike, DTypeLike

from pac_jax.functional.geometry import Geometry, Ints

_MAX_NDIM = 3


def as_array(value: ArrayLike, name: str) -> jax.Array:
    """The value as a JAX array of a floating-point type."""
    array = _to_jax(value, name)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(
            f"{name} has dtype {array.dtype}; it needs a floating-point type, for example "
            f"{name}.astype(jnp.float32)"
        )
    return array


def as_mask(value: ArrayLike, dtype: DTypeLike) -> jax.Array:
    """The mask as a JAX array; booleans and integers are welcome."""
    array = _to_jax(value, "mask")
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise TypeError(f"mask has dtype {array.dtype}; it needs booleans, integers or floats")
    return array.astype(dtype)


def _to_jax(value: ArrayLike, name: str) -> jax.Array:
    if isinstance(value, list | tuple | str | bytes) or value is None:
        raise TypeError(f"{name} is a {type(value).__name__}; it needs an array")
    try:
        return jnp.asarray(value)
    except TypeError as error:
        raise TypeError(f"{name} is a {type(value).__name__}; it needs an array") from error


def check_rank(array: jax.Array, name: str, ndim: int, window_name: str) -> None:
    """Raise unless the array is (N, *spatial, channels) with as many dimensions as the window."""
    if array.ndim != ndim + 2:
        raise ValueError(
            f"{name} has shape {array.shape}, {array.ndim} dimensions; with the {ndim} spatial "
            f"dimensions of {window_name} it needs {ndim + 2}: (N, {'*spatial'}, channels)"
        )


def check_same_dtype(array: jax.Array, name: str, inputs: jax.Array) -> None:
    """Raise unless the array has the inputs' type, as lax's convolutions do."""
    if array.dtype != inputs.dtype:
        raise TypeError(
            f"{name} has dtype {array.dtype} and inputs {inputs.dtype}; they need the same, for "
            f"example {name}.astype(inputs.dtype)"
        )


def window_shape(value: Sequence[int] | Ints, name: str) -> Ints:
    """A window of one to three odd sizes."""
    if isinstance(value, int) or not isinstance(value, Sequence):
        raise TypeError(
            f"{name} is {value!r}; it needs a tuple with one odd size per spatial dimension"
        )
    window = tuple(_integer(k, name, value) for k in value)
    if not 1 <= len(window) <= _MAX_NDIM:
        raise ValueError(
            f"{name} is {window}, {len(window)} spatial dimensions; it needs 1 to {_MAX_NDIM}"
        )
    if any(k < 1 or k % 2 == 0 for k in window):
        raise ValueError(f"{name} is {window}; every size needs to be odd and positive")
    return window


def per_dimension(value: int | Sequence[int], ndim: int, name: str) -> Ints:
    """An int for all dimensions or one per dimension, all of them positive."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        numbers = tuple(_integer(v, name, value) for v in value)
    else:
        numbers = (_integer(value, name, value),) * ndim
    if len(numbers) != ndim:
        raise ValueError(
            f"{name} is {numbers}; it needs an int or one for each of the {ndim} spatial dimensions"
        )
    if any(v < 1 for v in numbers):
        raise ValueError(f"{name} is {value}; it needs to be positive")
    return numbers


def _integer(value: object, name: str, whole: object) -> int:
    try:
        if isinstance(value, SupportsIndex) and not isinstance(value, bool):
            return operator.index(value)
    except TypeError:  # an array has __index__, but may be no single integer
        pass
    if isinstance(value, jax.core.Tracer):
        raise TypeError(
            f"{name} is traced; it needs integers: static_argnames={name!r} of jax.jit keeps them"
        )
    raise TypeError(f"{name} is {whole!r}; it needs integers")


def check_kernel(kernel: jax.Array, inputs: jax.Array, groups: int) -> Ints:
    """Raise unless kernel is (*window, C / groups, D) for these inputs; returns its window."""
    if not 3 <= kernel.ndim <= _MAX_NDIM + 2:
        raise ValueError(
            f"kernel has shape {kernel.shape}; it needs (*window, in_features, out_features) with 1 "
            f"to {_MAX_NDIM} window dimensions"
        )
    window = window_shape(kernel.shape[:-2], "the kernel's window")
    check_rank(inputs, "inputs", len(window), "kernel")
    groups = _integer(groups, "feature_group_count", groups)
    channels = inputs.shape[-1]
    if not channels or not kernel.shape[-1]:
        raise ValueError(
            f"inputs have {channels} channels and kernel has {kernel.shape[-1]} output features; both "
            "need at least one"
        )
    if groups < 1 or channels % groups:
        raise ValueError(
            f"feature_group_count is {groups}; it needs to be positive and divide the inputs' "
            f"{channels} channels"
        )
    if kernel.shape[-2] != channels // groups:
        raise ValueError(
            f"kernel has shape {kernel.shape}, {kernel.shape[-2]} input features; inputs have "
            f"{channels} channels in {groups} groups, so it needs {channels // groups}"
        )
    if kernel.shape[-1] % groups:
        raise ValueError(
            f"kernel has {kernel.shape[-1]} output features; feature_group_count {groups} needs to "
            "divide them"
        )
    return window


def check_bias(bias: jax.Array, features: int) -> None:
    """Raise unless bias is (D,)."""
    if bias.shape != (features,):
        raise ValueError(f"bias has shape {bias.shape}; it needs ({features},), the kernel's last")


def check_guide(guide: jax.Array, inputs: Ints, geometry: Geometry, on_outputs: bool) -> None:
    """Raise unless guide is (N, *size, G), on the outputs' grid or the inputs'."""
    check_rank(guide, "guide", geometry.ndim, "the window")
    if guide.shape[0] != inputs[0]:
        raise ValueError(f"guide has batch size {guide.shape[0]}; inputs have {inputs[0]}")
    size = guide.shape[1:-1]
    if on_outputs and size != geometry.output_size:
        by = "x".join(map(str, geometry.spread))
        raise ValueError(
            f"guide has spatial size {size}; pac_conv_transpose needs the output's, "
            f"{geometry.output_size}, which inputs of {geometry.input_size} have at strides {by} and "
            f"padding {geometry.padding}"
        )
    if not on_outputs and size != geometry.input_size:
        raise ValueError(
            f"guide has spatial size {size}; it needs the inputs', {geometry.input_size}: resize it, "
            "for example with jax.image.resize"
        )
    if guide.shape[-1] == 0:
        raise ValueError(f"guide has shape {guide.shape}; it needs at least one channel")


def check_channel_wise(guide: jax.Array, channels: int) -> None:
    """Raise unless the guide has one channel for each of the inputs'."""
    if guide.shape[-1] != channels:
        raise ValueError(
            f"guide has {guide.shape[-1]} channels; channel_wise needs one for each of the inputs' "
            f"{channels}"
        )


def check_mask(mask: jax.Array, shape: Ints, name: str) -> None:
    """Raise unless mask is (N, *spatial, 1) for an array of this shape."""
    needed = (*shape[:-1], 1)
    if mask.shape != needed:
        raise ValueError(f"mask has shape {mask.shape}; {name} of shape {shape} need {needed}")


def check_weights(weights: jax.Array, inputs: Ints, geometry: Geometry, channel_wise: bool) -> None:
    """Raise unless affinity is (N, *output_size, *window), with a last axis C if channel-wise."""
    channels = (inputs[-1],) if channel_wise else ()
    needed = (inputs[0], *geometry.output_size, *geometry.window, *channels)
    if weights.shape != needed:
        names = "(N, *output_size, *window" + (", C)" if channel_wise else ")")
        raise ValueError(
            f"affinity has shape {weights.shape}; these arguments need {needed}: {names}"
        )


def output_dtype(preferred: DTypeLike | None, inputs: DTypeLike) -> jnp.dtype:
    """The output's type."""
    needed = f"preferred_element_type is {preferred}; it needs a floating-point type"
    try:
        dtype = jnp.dtype(inputs if preferred is None else preferred)
    except TypeError as error:
        raise TypeError(needed) from error
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(needed)
    return dtype


def at_least_float32(*dtypes: DTypeLike) -> jnp.dtype:
    """The type to compute in: float64 if one of these is, else float32.

    `jnp.promote_types` would ask for the same under default promotion only.
    """
    wide = any(jnp.dtype(dtype) == jnp.dtype(jnp.float64) for dtype in dtypes)
    return jnp.dtype(jnp.float64 if wide else jnp.float32)


def hashable_precision(precision: lax.PrecisionLike) -> lax.PrecisionLike:
    """The precision as a static argument."""
    hashable = tuple(precision) if isinstance(precision, list) else precision
    try:
        _trace_product(hashable)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"precision is {precision!r}; it needs None, 'default', 'high', 'highest', or what else "
            "jax.lax.dot_general takes"
        ) from error
    return hashable


@cache
def _trace_product(precision: lax.PrecisionLike) -> None:
    """Have lax check a precision, which it does when it traces a product."""
    vector = jax.ShapeDtypeStruct((1,), jnp.float32)
    jax.eval_shape(partial(jnp.dot, precision=precision), vector, vector)


def check_flag(value: object, name: str) -> None:
    """Raise unless the value is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; it needs True or False")


def check_affinity(affinity: object) -> None:
    """Raise unless the affinity can be called; its smoothing is checked where it is used."""
    if not callable(affinity) or isinstance(affinity, type):
        hint = f"; did you mean {affinity.__name__}(...)" if isinstance(affinity, type) else ""
        raise TypeError(
            f"affinity is {affinity!r}; it needs Gaussian(), Inverse(alpha, exponent) or a function "
            f"(neighbour, centre) -> weights{hint}"
        )
