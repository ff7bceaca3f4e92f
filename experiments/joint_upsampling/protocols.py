"""How a low-resolution target is made from a full-resolution one, exactly as publications did.

Results under different protocols are not comparable, so every table names its own. Training uses
the same protocols in JAX, `pac_jax.models.protocols`; what is measured comes from Pillow.
"""

import jax.numpy as jnp
import numpy as np
from PIL import Image

from pac_jax.models.protocols import PROTOCOLS, check_protocol, takes_pixels
from pac_jax.models.protocols import downsample as downsample_in_jax

__all__ = ["PROTOCOLS", "downsample"]

_PILLOW = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear-antialias": Image.Resampling.BILINEAR,
}


def downsample(target: np.ndarray, factor: int, protocol: str) -> np.ndarray:
    """Make the low-resolution target that a method is given.

    Args:
        target: (N, H, W, C) float32, H and W multiples of the factor.
        factor: of downsampling.
        protocol: `center` (every factor-th pixel from (factor - 1) // 2 on), `first` (from 0 on),
            `last` (from factor - 1 on), `bicubic` or `bilinear-antialias` (Pillow's, on 32-bit
            floats).

    Returns:
        (N, H / factor, W / factor, C) float32.

    Raises:
        ValueError: there is no such protocol, or the factor does not divide the size.
    """
    check_protocol(protocol)
    height, width = target.shape[1:3]
    if height % factor or width % factor:
        raise ValueError(
            f"target has size {(height, width)}; factor {factor} needs to divide it: crop it"
        )
    if takes_pixels(protocol):
        return np.asarray(downsample_in_jax(jnp.asarray(target), factor, protocol))
    size = (height // factor, width // factor)
    return resize(target, size, _PILLOW[protocol])


def resize(images: np.ndarray, size: tuple[int, int], method: Image.Resampling) -> np.ndarray:
    """Resize with Pillow, channel by channel, in 32-bit floats.

    Args:
        images: (N, H, W, C) float32.
        size: height and width.
        method: of Pillow; it averages where it makes smaller.

    Returns:
        (N, *size, C) float32.
    """
    planes = np.moveaxis(images, -1, 1).reshape(-1, *images.shape[1:3]).astype(np.float32)
    resized = [np.asarray(Image.fromarray(plane).resize(size[::-1], method)) for plane in planes]
    batch, channels = images.shape[0], images.shape[-1]
    return np.moveaxis(np.stack(resized).reshape(batch, channels, *size), 1, -1)
