"""How a low-resolution target came from a full-resolution one, and the way back by interpolation.

A network that knows where the samples lie and what each of them averages does not have to guess.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

# Values that are single pixels: the first of them in a block of `factor` pixels.
_FIRST_PIXEL = {
    "center": lambda factor: (factor - 1) // 2,
    "first": lambda factor: 0,
    "last": lambda factor: factor - 1,
}
# Values that average: the interpolation kernel, widened by the factor.
_ANTIALIASED = {"bicubic": "cubic", "bilinear-antialias": "linear"}

PROTOCOLS = (*_ANTIALIASED, *_FIRST_PIXEL)


def check_protocol(protocol: str) -> None:
    """Raise ValueError unless `protocol` is one of `PROTOCOLS`."""
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol is {protocol!r}; it needs one of {', '.join(PROTOCOLS)}")


def takes_pixels(protocol: str) -> bool:
    """Whether a protocol takes single pixels instead of averages."""
    return protocol in _FIRST_PIXEL


def first_pixel(factor: int, protocol: str) -> float:
    """Position of the first sample in pixels of the full resolution, counted from 0.

    Args:
        factor: of downsampling.
        protocol: one of `PROTOCOLS`.

    Returns:
        A whole number, or for averages the middle of the block, (factor - 1) / 2.

    Raises:
        ValueError: there is no such protocol.
    """
    check_protocol(protocol)
    return _FIRST_PIXEL[protocol](factor) if takes_pixels(protocol) else (factor - 1) / 2


def downsample(target: jax.Array, factor: int, protocol: str) -> jax.Array:
    """Make the low-resolution target of a protocol.

    Args:
        target: (N, H, W, C), H and W multiples of the factor.
        factor: of downsampling.
        protocol: one of `PROTOCOLS`: 'bicubic' and 'bilinear-antialias' average with that kernel,
            widened by the factor; 'center' takes every factor-th pixel from (factor - 1) // 2 on,
            'first' from 0, 'last' from factor - 1 on.

    Returns:
        (N, H / factor, W / factor, C).

    Raises:
        ValueError: there is no such protocol.
    """
    check_protocol(protocol)
    if protocol in _FIRST_PIXEL:
        first = _FIRST_PIXEL[protocol](factor)
        return target[:, first::factor, first::factor]
    batch, height, width, channels = target.shape
    return jax.image.resize(
        target,
        (batch, height // factor, width // factor, channels),
        _ANTIALIASED[protocol],
        antialias=True,
        precision=lax.Precision.HIGHEST,
    )


# Compiled as one, and so traced once where a network interpolates again and again.
@partial(jax.jit, static_argnames=("factor", "protocol", "method"))
def interpolate(target_low: jax.Array, factor: int, protocol: str, method: str) -> jax.Array:
    """Interpolate between a protocol's samples, each where it lies.

    Args:
        target_low: (N, h, w, C).
        factor: of upsampling.
        protocol: one of `PROTOCOLS`, see `downsample`.
        method: 'linear' or 'cubic' (Keys, a = -1/2).

    Returns:
        (N, factor h, factor w, C).

    Raises:
        ValueError: there is no such protocol.
    """
    check_protocol(protocol)
    shift = first_pixel(factor, protocol) - (factor - 1) / 2
    batch, height, width, channels = target_low.shape
    if abs(shift) > 1 / 2:
        # Some pixels lie further from the outermost sample than jax.image continues it.
        before = int(shift > 0)
        one_more = (before, 1 - before)
        target_low = jnp.pad(target_low, ((0, 0), one_more, one_more, (0, 0)), mode="edge")
        shift -= before * factor
    return jax.image.scale_and_translate(
        target_low,
        (batch, height * factor, width * factor, channels),
        (1, 2),
        np.full(2, factor, np.float32),
        np.full(2, shift, np.float32),
        method,
        antialias=False,
        precision=lax.Precision.HIGHEST,
    )


def mirror_shift(factor: int, protocol: str) -> int:
    """How many pixels to move a mirrored image to its start for its samples to lie as the protocol's.

    Args:
        factor: of downsampling.
        protocol: one of `PROTOCOLS`.

    Returns:
        0 for averages, which lie in the middle of their blocks; negative to move to the end.

    Raises:
        ValueError: there is no such protocol.
    """
    return int(factor - 1 - 2 * first_pixel(factor, protocol))
