"""Class scores of a segmentation network, as NumPy stores them."""

import numpy as np

from pac_jax.files.arrays import read_array
from pac_jax.files.errors import FileFormatError, Path
from pac_jax.files.suffixes import by_suffix

__all__ = ["read_scores"]

_EXPECTED = "class scores, floats of shape (h, w, classes)"
_NAMES = ("scores", "logits", "probabilities")


def read_scores(path: Path) -> np.ndarray:
    """Read the scores of every class at every pixel.

    Args:
        path: .npy, or .npz with one array, or one named scores, logits or probabilities.

    Returns:
        Of shape (h, w, L) or (N, h, w, L), in the file's type, floating point.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: it is damaged, or holds something else.

    Example:
        >>> import os, tempfile
        >>> import numpy as np
        >>> from pac_jax.files import read_scores
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "scores.npz")
        ...     np.savez(path, logits=np.zeros((4, 5, 21), np.float16))
        ...     read_scores(path).shape
        (4, 5, 21)
    """
    values = by_suffix(path, {".npy": read_array, ".npz": read_array}, "scores")(
        path, _NAMES, _EXPECTED
    )
    if values.ndim not in (3, 4) or not values.size or values.dtype.kind != "f":
        raise FileFormatError(path, f"it is {values.dtype}{list(values.shape)}", _EXPECTED)
    return values
