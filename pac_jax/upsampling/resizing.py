"""Samples images between their pixels, on the host: only what a tile needs, without compiling.

All sizes have half-pixel centres, as `jax.image.resize` and the networks have them.
"""

import numpy as np

__all__ = ["at_scale", "resize", "sample", "shrink"]


def at_scale(indices: np.ndarray, size_from: int, size_to: int) -> np.ndarray:
    """Where pixels of an image that was resized lie on the original's axis.

    Args:
        indices: of pixels on the resized axis; those beyond its ends count as the ends, so that an
            image is continued by its last pixels.
        size_from: of the original.
        size_to: of the resized image.

    Returns:
        Positions on the original's axis, in 0 ... size_from - 1.
    """
    inside = np.clip(indices, 0, size_to - 1)
    if size_from == size_to:
        return inside.astype(np.float64)
    return np.clip((inside + 0.5) * (size_from / size_to) - 0.5, 0, size_from - 1)


def sample(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Interpolate bilinearly at the crossings of rows and columns.

    Args:
        image: (H, W, C), float32, or uint8 for values of 0 to 1.
        rows: (h,) positions in 0 ... H - 1.
        columns: (w,) positions in 0 ... W - 1.

    Returns:
        (h, w, C) float32.
    """
    first, last = int(columns.min()), int(np.ceil(columns.max()))
    strip = _between(image[:, first : last + 1], rows, axis=0)
    return _between(strip, columns - first, axis=1)


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (H, W, C) bilinearly without antialiasing."""
    if image.shape[:2] == size:
        return image
    axes = (at_scale(np.arange(to), n, to) for n, to in zip(image.shape, size, strict=False))
    return sample(image, *axes)


def shrink(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (H, W, C) with the triangle that is as wide as the new pixels: antialiased.

    Args:
        image: (H, W, C), float32, or uint8 for values of 0 to 1.
        size: (h, w).

    Returns:
        (h, w, C) float32.
    """
    image = _as_float(image)
    if image.shape[:2] == size:
        return image
    rows, columns = (_triangles(n, to) for n, to in zip(image.shape, size, strict=False))
    height, width, channels = image.shape
    strip = (rows @ image.reshape(height, -1)).reshape(size[0], width, channels)
    return np.ascontiguousarray(np.moveaxis(np.tensordot(columns, strip, (1, 1)), 0, 1))


def _between(image: np.ndarray, positions: np.ndarray, axis: int) -> np.ndarray:
    low = np.floor(positions).astype(np.intp)
    share = (positions - low).astype(np.float32)
    lower = _as_float(image.take(low, axis))
    if not share.any():
        return lower
    high = np.minimum(low + 1, image.shape[axis] - 1)
    share = share.reshape([-1 if i == axis else 1 for i in range(image.ndim)])
    return lower + share * (_as_float(image.take(high, axis)) - lower)


def _as_float(image: np.ndarray) -> np.ndarray:
    return image / np.float32(255) if image.dtype == np.uint8 else image


def _triangles(size_from: int, size_to: int) -> np.ndarray:
    """The weights (size_to, size_from) of a triangle around every new pixel."""
    step = size_from / size_to
    centres = (np.arange(size_to)[:, None] + 0.5) * step - 0.5
    weights = np.maximum(0, 1 - np.abs(np.arange(size_from) - centres) / max(step, 1))
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)
