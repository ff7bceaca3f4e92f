"""Images, depth and disparity, optical flow, label maps and class scores in the files that people have.

A file that is missing raises `FileNotFoundError`; one that is damaged or holds something else raises
`FileFormatError`, a `ValueError` whose one line names the file, what is wrong, and what was expected.
Written files are there whole or not at all.

Example:
    >>> import os, tempfile
    >>> import numpy as np
    >>> from pac_jax import files
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "depth.exr")
    ...     files.write_depth(path, np.full((2, 3), 1.5))
    ...     files.read_depth(path)
    array([[1.5, 1.5, 1.5], [1.5, 1.5, 1.5]], dtype=float32)
    >>> files.SUFFIXES["depth"].write
    ('.png', '.npy', '.exr', '.pfm')
"""

from pac_jax.files.depth import read_depth, write_depth
from pac_jax.files.errors import FileFormatError
from pac_jax.files.flow import read_flow, write_flow
from pac_jax.files.labels import read_labels, write_labels
from pac_jax.files.palette import voc_palette
from pac_jax.files.pictures import read_image
from pac_jax.files.scores import read_scores
from pac_jax.files.suffixes import SUFFIXES, Suffixes

__all__ = [
    "SUFFIXES",
    "FileFormatError",
    "Suffixes",
    "read_depth",
    "read_flow",
    "read_image",
    "read_labels",
    "read_scores",
    "voc_palette",
    "write_depth",
    "write_flow",
    "write_labels",
]
