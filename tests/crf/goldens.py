"""The arrays that the method's original implementation computed for its CRF."""

import json
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[3] / "shared" / "goldens" / "operators"
PATHS = sorted(FOLDER.glob("crf_*.npz"))
MIXINGS = {"4d": "full", "2d": "matrix", "pott": "potts", "na": "plain"}

needs_goldens = pytest.mark.skipif(not PATHS, reason=f"{FOLDER} with crf_*.npz is not here")


def read(path):
    """Arrays by name, and the meta."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != "meta"}
        return arrays, json.loads(str(file["meta"]))
