"""Label maps: the number of a class at every pixel."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from pac_jax.files.arrays import read_array, write_array
from pac_jax.files.atomic import replacing
from pac_jax.files.errors import FileFormatError, Path
from pac_jax.files.pictures import read_stored, write_grey, write_indices
from pac_jax.files.suffixes import by_suffix, suffix_of

__all__ = ["read_labels", "write_labels"]

_EXPECTED = "a label map of one channel of integers"


def read_labels(path: Path) -> np.ndarray:
    """Read the number of the class at every pixel.

    Args:
        path: .png (the levels of a grey one, the indices of a palette), .npy or .npz (H, W).

    Returns:
        Of shape (H, W); uint8 where the file has 8 bits or fewer, else int32.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: it is damaged, or holds something else, such as colours.

    Example:
        >>> from pac_jax.files import read_labels
        >>> read_labels("2007_000033.png").max()  # doctest: +SKIP
        255
    """
    values = by_suffix(path, _READERS, "labels")(path)
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 2 or not values.size or values.dtype.kind not in "bui":
        raise FileFormatError(path, f"it is {values.dtype}{list(values.shape)}", _EXPECTED)
    limits = np.iinfo(np.int32)
    if values.min() < limits.min or values.max() > limits.max:
        raise FileFormatError(
            path, f"its labels span [{values.min()}, {values.max()}]", "labels of 32 bits"
        )
    return values.astype(np.uint8 if values.dtype in (np.bool_, np.uint8) else np.int32)


def write_labels(path: Path, labels: ArrayLike, palette: ArrayLike | None = None) -> None:
    """Write the number of the class at every pixel; the file is there whole or not at all.

    Args:
        path: .png (grey; 8 bits where they suffice, else 16) or .npy; its folder has to exist.
        labels: of shape (H, W) or (H, W, 1), integers.
        palette: (n, 3) uint8, the colours of labels 0 to n - 1 in which programs show a .png, such as
            `voc_palette()`; the labels are read back all the same. An .npy has none and ignores it.

    Raises:
        FileFormatError: the suffix is of none of these formats.
        FileNotFoundError: the folder is missing.
        ValueError: no integers, another shape, or labels that a PNG, or the palette, cannot hold.

    Example:
        >>> import os, tempfile
        >>> import numpy as np
        >>> from pac_jax.files import read_labels, write_labels
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "labels.png")
        ...     write_labels(path, np.array([[0, 20, 255]]))
        ...     read_labels(path)
        array([[  0,  20, 255]], dtype=uint8)
    """
    write = by_suffix(path, _WRITERS, "labels")
    values = np.asarray(labels)
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 2 or not values.size or values.dtype.kind not in "bui":
        raise ValueError(
            f"labels are {values.dtype}{list(values.shape)}; they need integers (H, W)"
        )
    if suffix_of(path) == ".png":
        if values.min() < 0 or values.max() > 65535:
            raise ValueError(
                f"labels span [{values.min()}, {values.max()}], a PNG holds 0 to 65535; write .npy"
            )
        values = values.astype(np.uint8 if values.max() <= 255 else np.uint16)
        if palette is not None:
            write = partial(write_indices, palette=_checked_palette(palette, values))
    with replacing(path) as temporary:
        write(temporary, values)


def _checked_palette(palette: ArrayLike, labels: np.ndarray) -> np.ndarray:
    colors = np.asarray(palette)
    if colors.ndim != 2 or colors.shape[1] != 3 or len(colors) > 256 or colors.dtype != np.uint8:
        raise ValueError(
            f"palette is {colors.dtype}{list(colors.shape)}; it needs uint8 (n, 3), n up to 256"
        )
    if labels.max() >= len(colors):
        raise ValueError(
            f"labels span [{labels.min()}, {labels.max()}], the palette has {len(colors)} colours; "
            "write without a palette, or .npy"
        )
    return colors


_ARRAY = partial(read_array, names=("labels",), expected=_EXPECTED)
_READERS: Mapping[str, Callable[[Path], np.ndarray]] = {
    ".png": partial(read_stored, expected=_EXPECTED, palette=True),
    ".npy": _ARRAY,
    ".npz": _ARRAY,
}
_WRITERS: Mapping[str, Callable[[str, np.ndarray], None]] = {
    ".png": write_grey,
    ".npy": write_array,
}
