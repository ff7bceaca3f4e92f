"""Optical flow: (u, v) in pixels, to the right and down."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from pac_jax.files.arrays import read_array, write_array
from pac_jax.files.atomic import replacing
from pac_jax.files.color_png import read_color16, write_color16
from pac_jax.files.errors import FileFormatError, Path
from pac_jax.files.exr import read_channels, write_channels
from pac_jax.files.flo import read_flo, write_flo
from pac_jax.files.pfm import read_pfm, write_pfm
from pac_jax.files.suffixes import by_suffix

__all__ = ["read_flow", "write_flow"]

_EXPECTED = "optical flow (u, v)"
_EXPECTED_PNG = "KITTI's flow: 3 channels of 16 bits"
_LARGEST_FLOW = 1e7  # pixels; files mark unknown flow by numbers beyond it
_KITTI_SCALE, _KITTI_ZERO = 64.0, 2.0**15
_EXR_PAIRS = (("u", "v"), ("x", "y"), ("r", "g"))


def read_flow(path: Path) -> np.ndarray:
    """Read optical flow in pixels; where it is unknown, both components are NaN.

    Unknown is what a KITTI file says is not valid, and in the other formats a component that is not
    finite or larger than 1e7.

    Args:
        path: .flo (Middlebury, Sintel, FlyingChairs), .png (KITTI), .pfm (FlyingThings; its third
            channel is not read), .npy or .npz (H, W, 2), or .exr of two or three channels, of which
            u and v, X and Y, or R and G are read.

    Returns:
        Of shape (H, W, 2), float32, NaN where unknown.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: it is damaged, or holds something else.

    Example:
        >>> from pac_jax.files import read_flow
        >>> read_flow("frame_0001.flo").shape  # doctest: +SKIP
        (436, 1024, 2)
    """
    values = by_suffix(path, _READERS, "flow")(path)
    if values.ndim != 3 or values.shape[-1] != 2 or not values.size:
        raise FileFormatError(path, f"its shape is {values.shape}", f"{_EXPECTED}, (H, W, 2)")
    known = (np.abs(values) <= _LARGEST_FLOW).all(-1, keepdims=True)  # false for NaN
    with np.errstate(over="ignore"):  # only what is unknown anyway
        return np.where(known, values.astype(np.float32), np.float32(np.nan))


def write_flow(path: Path, flow: ArrayLike) -> None:
    """Write optical flow in pixels, NaN where it is unknown; the file is there whole or not at all.

    Args:
        path: .flo, .png (KITTI, exact to 1/64 pixel), .pfm, .npy, or .exr (channels u and v); its
            folder has to exist.
        flow: of shape (H, W, 2).

    Raises:
        FileFormatError: the suffix is of none of these formats.
        FileNotFoundError: the folder is missing.
        ValueError: another shape, or flow beyond the 512 pixels of KITTI's PNG.

    Example:
        >>> import os, tempfile
        >>> import numpy as np
        >>> from pac_jax.files import read_flow, write_flow
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "flow.flo")
        ...     write_flow(path, np.array([[[1.5, -2.0], [np.nan, np.nan]]]))
        ...     read_flow(path)[0]
        array([[ 1.5, -2. ], [ nan,  nan]], dtype=float32)
    """
    write = by_suffix(path, _WRITERS, "flow")
    values = np.asarray(flow)
    if (
        values.ndim != 3
        or values.shape[-1] != 2
        or not values.size
        or values.dtype.kind not in "uif"
    ):
        raise ValueError(f"flow is {values.dtype}{list(values.shape)}; it needs numbers (H, W, 2)")
    unknown = np.isnan(values).any(-1, keepdims=True)
    values = np.where(unknown, np.nan, values).astype(np.float32)
    if (np.abs(values) > _LARGEST_FLOW).any():
        raise ValueError(
            f"flow reaches {np.nanmax(np.abs(values)):g} pixels, and beyond {_LARGEST_FLOW:g} it "
            "counts as unknown in files; mark what is unknown by NaN"
        )
    if write is _write_kitti:
        _check_range_of_kitti(values)
    with replacing(path) as temporary:
        write(temporary, values)


def _read_kitti(path: Path) -> np.ndarray:
    stored = read_color16(path, _EXPECTED_PNG)
    flow = (stored[..., :2].astype(np.float32) - _KITTI_ZERO) / _KITTI_SCALE
    return np.where(stored[..., 2:] > 0, flow, np.float32(np.nan))


def _check_range_of_kitti(flow: np.ndarray) -> None:
    stored = np.round(flow * _KITTI_SCALE + _KITTI_ZERO)
    if (stored < 0).any() or (stored > 65535).any():
        raise ValueError(
            f"flow spans [{np.nanmin(flow):g}, {np.nanmax(flow):g}] pixels, KITTI's PNG holds -512 "
            "to 511.98; write .flo, .npy, .exr or .pfm"
        )


def _write_kitti(path: str, flow: np.ndarray) -> None:
    valid = ~np.isnan(flow[..., :1])
    stored = np.where(valid, np.round(flow * _KITTI_SCALE + _KITTI_ZERO), 0)
    write_color16(path, np.concatenate([stored, valid], -1).astype(np.uint16))


def _read_pfm(path: Path) -> np.ndarray:
    """Its two first channels; a grey map falls through to the check of the shape."""
    values = read_pfm(path, _EXPECTED)
    return values[..., :2] if values.ndim == 3 else values


def _write_pfm(path: str, flow: np.ndarray) -> None:
    write_pfm(path, np.concatenate([flow, np.zeros_like(flow[..., :1])], -1))


def _read_exr(path: Path) -> np.ndarray:
    """Take the pair of channels that is named as a flow's; of more than three, none is meant."""
    channels = read_channels(path, _EXPECTED)
    by_name = {name.split(".")[-1].lower(): values for name, values in channels.items()}
    if len(by_name) == len(channels) <= 3:
        for first, second in _EXR_PAIRS:
            if first in by_name and second in by_name:
                return np.stack([by_name[first], by_name[second]], -1)
    raise FileFormatError(
        path,
        f"it has the channels {list(channels)}",
        f"{_EXPECTED} as u and v, X and Y, or R and G",
    )


def _write_exr(path: str, flow: np.ndarray) -> None:
    write_channels(path, {"u": flow[..., 0], "v": flow[..., 1]})


_ARRAY = partial(read_array, names=("flow",), expected=_EXPECTED)
_READERS: Mapping[str, Callable[[Path], np.ndarray]] = {
    ".flo": partial(read_flo, expected=_EXPECTED),
    ".png": _read_kitti,
    ".npy": _ARRAY,
    ".npz": _ARRAY,
    ".exr": _read_exr,
    ".pfm": _read_pfm,
}
_WRITERS: Mapping[str, Callable[[str, np.ndarray], None]] = {
    ".flo": write_flo,
    ".png": _write_kitti,
    ".npy": write_array,
    ".exr": _write_exr,
    ".pfm": _write_pfm,
}
