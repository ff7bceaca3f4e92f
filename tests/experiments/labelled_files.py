"""Small data sets of photographs and label maps, written in their true formats."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from experiments.datasets import load
from pac_jax.files.palette import voc_palette
from tests.files import made

SHAPE = (4, 6)


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def jpeg(name: str) -> bytes:
    """A photograph of one grey, which JPEG keeps to the level, and which tells the name."""
    file = io.BytesIO()
    Image.fromarray(np.full((*SHAPE, 3), grey(name), np.uint8)).save(file, "JPEG", quality=100)
    return file.getvalue()


def grey(name: str) -> int:
    return 40 + 20 * int(name[-1])


def palette_png(labels: np.ndarray) -> bytes:
    return made.png(labels, 8, made.PALETTE, voc_palette().tobytes())


def records_of(folder: Path, split: str, name: str):
    return load(name, split, folder, folder.parent / "prepared")
