"""Depth and disparity maps, of one channel."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from pac_jax.files.arrays import read_array, write_array
from pac_jax.files.atomic import replacing
from pac_jax.files.errors import FileFormatError, Path
from pac_jax.files.exr import read_channels, write_channels
from pac_jax.files.pfm import read_pfm, write_pfm
from pac_jax.files.pictures import read_stored, write_grey
from pac_jax.files.suffixes import by_suffix, suffix_of

__all__ = ["read_depth", "write_depth"]

_EXPECTED = "depth or disparity of one channel"
_COARSEST_ROUNDING = 1 / 64  # of the largest value
_FLOATS = ".npy, .exr or .pfm"


def read_depth(path: Path) -> np.ndarray:
    """Read a depth or disparity map, its values as they stand in the file.

    Integers are not scaled: a 16-bit PNG in millimetres gives millimetres. A 0 stays 0, although it
    often means unknown; infinite values, which mean unknown in PFM and EXR files, become NaN.

    Args:
        path: .png, .pgm or .tif of one channel (or an 8-bit .png of three equal ones), .npy or .npz
            (H, W) or (H, W, 1), grey .pfm, .exr (its only channel, else Z, else Y).

    Returns:
        Of shape (H, W), float32.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: it is damaged, or holds something else.

    Example:
        >>> from pac_jax.files import read_depth
        >>> read_depth("depth.png").shape  # doctest: +SKIP
        (480, 640)
    """
    values = by_suffix(path, _READERS, "depth")(path)
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 2 or not values.size:
        raise FileFormatError(path, f"its shape is {values.shape}", f"{_EXPECTED}, (H, W)")
    with np.errstate(over="ignore"):  # what float32 cannot hold is as far away as infinity
        values = values.astype(np.float32)
    return np.where(np.isinf(values), np.float32(np.nan), values)


def write_depth(
    path: Path, depth: ArrayLike, *, scale: float = 1.0, bits: int | None = None
) -> None:
    """Write a depth or disparity map; the file is there whole or not at all.

    PNG holds integers: values are rounded, and NaN (unknown) becomes 0. What that would spoil is
    refused: values outside the range, and values so small that rounding takes more than 1/64 of the
    largest one. The other formats hold float32.

    Args:
        path: .png, .npy, .pfm, or .exr (channel Z); its folder has to exist.
        depth: of shape (H, W) or (H, W, 1).
        scale: what is written is depth * scale; 1000 turns metres into millimetres.
        bits: of a PNG: 16 (the default) or 8.

    Raises:
        FileFormatError: the suffix is of none of these formats.
        FileNotFoundError: the folder is missing.
        ValueError: a shape, a scale, or bits that cannot be, or values that a PNG cannot hold.

    Example:
        >>> import os, tempfile
        >>> import numpy as np
        >>> from pac_jax.files import read_depth, write_depth
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "depth.png")
        ...     write_depth(path, np.array([[0.5, 2.25]]), scale=1000)
        ...     read_depth(path)
        array([[ 500., 2250.]], dtype=float32)
    """
    write = by_suffix(path, _WRITERS, "depth")
    values = np.asarray(depth)
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 2 or not values.size or values.dtype.kind not in "uif":
        raise ValueError(f"depth is {values.dtype}{list(values.shape)}; it needs numbers (H, W)")
    if not (np.isfinite(scale) and scale > 0):
        raise ValueError(f"scale is {scale}; it needs to be a positive number")
    values = values.astype(np.float64) * scale
    if suffix_of(path) == ".png":
        values = _to_integers(values, 16 if bits is None else bits)
    elif bits is not None:
        raise ValueError(f"bits={bits} is for PNG alone; leave it out for {suffix_of(path)}")
    else:
        values = values.astype(np.float32)
    with replacing(path) as temporary:
        write(temporary, values)


def _to_integers(values: np.ndarray, bits: int) -> np.ndarray:
    """Round to what a PNG holds, and refuse what it does not."""
    if bits not in (8, 16):
        raise ValueError(f"bits is {bits}; a depth PNG has 8 or 16")
    largest = 2**bits - 1
    values = np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf)
    rounded = np.round(values)
    if not (rounded.min() >= 0 and rounded.max() <= largest):
        raise ValueError(
            f"depth times scale spans [{values.min():g}, {values.max():g}], a PNG of {bits} bits "
            f"holds 0 to {largest}; "
            + ("" if rounded.min() < 0 else "give another scale, or ")
            + f"write {_FLOATS}"
        )
    error = np.abs(rounded - values).max()
    if error > _COARSEST_ROUNDING * values.max():
        raise ValueError(
            f"depth times scale reaches only {values.max():g}, and a PNG would round it to whole "
            f"numbers (up to {error:.2g} off); give a scale (1000: metres to millimetres), or write "
            f"{_FLOATS}"
        )
    return rounded.astype(np.uint8 if bits == 8 else np.uint16)


def _read_exr(path: Path) -> np.ndarray:
    """Take the only channel, else the one called Z, else Y, in whichever layer."""
    channels = read_channels(path, _EXPECTED)
    if len(channels) == 1:
        return next(iter(channels.values()))
    for wanted in ("Z", "Y"):
        names = [name for name in channels if name.split(".")[-1].upper() == wanted]
        if len(names) == 1:
            return channels[names[0]]
    raise FileFormatError(
        path, f"it has the channels {list(channels)}", f"{_EXPECTED}, or one that is called Z or Y"
    )


def _write_exr(path: str, values: np.ndarray) -> None:
    write_channels(path, {"Z": values})


_STORED = partial(read_stored, expected=_EXPECTED)
_ARRAY = partial(read_array, names=("depth", "disparity"), expected=_EXPECTED)
_READERS: Mapping[str, Callable[[Path], np.ndarray]] = {
    ".png": _STORED,
    ".npy": _ARRAY,
    ".npz": _ARRAY,
    ".exr": _read_exr,
    ".pfm": partial(read_pfm, expected=_EXPECTED),
    ".tif": _STORED,
    ".tiff": _STORED,
    ".pgm": _STORED,
}
_WRITERS: Mapping[str, Callable[[str, np.ndarray], None]] = {
    ".png": write_grey,
    ".npy": write_array,
    ".exr": _write_exr,
    ".pfm": write_pfm,
}
