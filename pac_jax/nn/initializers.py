"""Initial values of the layers' parameters, as initializers (key, shape, dtype) -> array."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn.initializers import Initializer
from jax.typing import DTypeLike

from pac_jax.functional import arguments


def uniform_kernel(
    key: jax.Array,
    shape: Sequence[int],
    dtype: DTypeLike | None = jnp.float32,
    out_sharding: Any = None,
) -> jax.Array:
    r"""Draw a kernel uniformly from $\pm 1 / \sqrt{C \prod w}$, the default of the PAC layers.

    Args:
        key: a random key.
        shape: (*window, C, D), where C is the number of inputs per group.
        dtype: of the kernel.
        out_sharding: of the kernel, as in `jax.random.uniform`.

    Returns:
        An array of that shape.

    Example:
        >>> import jax
        >>> from pac_jax.nn import uniform_kernel
        >>> kernel = uniform_kernel(jax.random.key(0), (5, 5, 4, 16))
        >>> bool(abs(kernel).max() <= 0.1)
        True
    """
    bound = _bound(shape)
    return _uniform(key, shape, dtype, bound, out_sharding)


def uniform_bias(kernel_shape: Sequence[int]) -> Initializer:
    r"""Give the initializer of a bias beside a kernel: uniform in $\pm 1 / \sqrt{C \prod w}$.

    Args:
        kernel_shape: (*window, C, D) of the kernel, which sets the bound.

    Returns:
        An initializer (key, shape, dtype) -> array.

    Example:
        >>> import jax
        >>> from pac_jax.nn import uniform_bias
        >>> bias = uniform_bias((5, 5, 4, 16))(jax.random.key(0), (16,))
        >>> bool(abs(bias).max() <= 0.1)
        True
    """
    bound = _bound(kernel_shape)

    def draw(key, shape, dtype=jnp.float32, out_sharding=None):
        return _uniform(key, shape, dtype, bound, out_sharding)

    return draw


def linear_interpolation(
    strides: int | Sequence[int],
    normalize: bool = False,
    kernel_dilation: int | Sequence[int] = 1,
) -> Initializer:
    r"""Give the initializer with which a transposed layer starts as linear interpolation.

    Per axis the kernel is a tent on the channel diagonal,

    $$ W_t = \max(0, 1 - |t - (w - 1)/2| / s)\,[c = d], $$

    times, for a layer that normalises, the number of the window's taps that meet a real sample
    together with t (those a multiple of s from it), which is what the layer divides by. With a
    constant guide the layer then interpolates linearly between samples that lie on every s-th
    output pixel. For odd s that is `jax.image.resize(..., 'linear')` away from the borders; for
    even s `resize` places its samples half an output pixel off, between two outputs.

    Args:
        strides: of the layer, an int or one per spatial dimension.
        normalize: whether the layer normalises.
        kernel_dilation: of the layer; needs to have no factor in common with its stride.

    Returns:
        An initializer (key, shape, dtype) -> kernel for shapes (*window, C, D); output d copies
        input d mod C of its group. A window smaller than the tent, 2 s - 1, is a ValueError there.

    Raises:
        ValueError: strides and kernel_dilation would leave outputs without any sample.
        TypeError: an argument's type does not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from pac_jax.nn import PacConvTranspose, linear_interpolation
        >>> layer = PacConvTranspose(
        ...     1, 1, 3, 2, padding=1, use_bias=False,
        ...     kernel_init=linear_interpolation(2), rngs=nnx.Rngs(0))
        >>> inputs = jnp.array([0.0, 4.0, 8.0])[:, None]
        >>> print(layer(inputs, jnp.zeros((5, 1)))[:, 0])
        [0. 2. 4. 6. 8.]
    """
    arguments.check_flag(normalize, "normalize")

    def tent(key, shape, dtype=jnp.float32, out_sharding=None):
        del key  # nothing is random
        *window, inputs, outputs = shape
        kernel = np.array(np.arange(inputs)[:, None] == np.arange(outputs) % inputs, float)
        steps = arguments.per_dimension(strides, len(window), "strides")
        dilations = arguments.per_dimension(kernel_dilation, len(window), "kernel_dilation")
        for axis in reversed(range(len(window))):
            _check_common_factor(steps[axis], dilations[axis])
            line = _tent(window[axis], steps[axis], normalize)
            kernel = line.reshape(-1, *(1,) * kernel.ndim) * kernel
        return jnp.asarray(kernel, dtype, out_sharding=out_sharding)

    return tent


def _tent(window: int, stride: int, normalize: bool) -> np.ndarray:
    if window < 2 * stride - 1:
        raise ValueError(
            f"the kernel's window is {window}; linear interpolation at stride {stride} needs at "
            f"least {2 * stride - 1}"
        )
    taps = np.arange(window)
    weights = np.maximum(0, 1 - abs(taps - (window - 1) / 2) / stride)
    if normalize:
        weights = weights * [np.sum(taps % stride == tap % stride) for tap in taps]
    return weights


def _check_common_factor(stride: int, dilation: int) -> None:
    if math.gcd(stride, dilation) != 1:
        raise ValueError(
            f"strides {stride} and kernel_dilation {dilation} have a common factor, so that some "
            "outputs meet no sample and nothing can be interpolated there; they need to have none"
        )


def _uniform(
    key: jax.Array, shape: Sequence[int], dtype: DTypeLike | None, bound: float, out_sharding: Any
) -> jax.Array:
    dtype = jnp.float32 if dtype is None else dtype
    if out_sharding is not None:
        return jax.random.uniform(
            key, tuple(shape), dtype, -bound, bound, out_sharding=out_sharding
        )
    # The same numbers, drawn in one dimension: that compiles in half the time.
    return jax.random.uniform(key, (math.prod(shape),), dtype, -bound, bound).reshape(shape)


def _bound(kernel_shape: Sequence[int]) -> float:
    return 1 / math.sqrt(max(math.prod(kernel_shape[:-1]), 1))
