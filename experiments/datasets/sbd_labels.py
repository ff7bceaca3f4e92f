"""Label maps of the Semantic Boundaries Dataset, which are MATLAB files."""

from pathlib import Path

import numpy as np
from scipy.io import loadmat

from pac_jax.files import FileFormatError
from pac_jax.files.errors import reading

__all__ = ["read_sbd_labels"]

_EXPECTED = (
    "a .mat file of SBD's cls folder, with the struct GTcls and its field Segmentation (H, W)"
)


def read_sbd_labels(path: Path) -> np.ndarray:
    """Read the number of the class at every pixel.

    Args:
        path: of a file of `benchmark_RELEASE/dataset/cls`.

    Returns:
        Of shape (H, W), uint8.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: it is damaged, or holds something else.
    """
    with reading(path, _EXPECTED):
        record = loadmat(path, variable_names="GTcls").get("GTcls")
        if record is None or record.dtype.names is None or "Segmentation" not in record.dtype.names:
            raise FileFormatError(path, "it has no GTcls.Segmentation", _EXPECTED)
        labels = record["Segmentation"][0, 0]
        if labels.ndim != 2 or not labels.size or labels.dtype != np.uint8:
            wrong = f"its Segmentation is {labels.dtype}{list(labels.shape)}"
            raise FileFormatError(path, wrong, _EXPECTED)
        return labels
