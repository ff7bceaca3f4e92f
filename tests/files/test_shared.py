"""Real files, where the project's shared folder is at hand."""

import json

import numpy as np
import pytest

from pac_jax.files import read_depth, read_flow, read_image, read_labels, write_flow
from tests.oracle.goldens import shared_folder

DATA = shared_folder() / "data"
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="no real files: set PAC_JAX_SHARED to the folder that holds data/"
)


def test_middlebury_disparity():
    folder = DATA / "depth_middlebury"
    for name, scene in json.loads((folder / "scenes.json").read_text()).items():
        depth = read_depth(folder / name / "disparity.png")
        image = read_image(folder / name / "rgb.png")
        assert depth.shape == image.shape[:2] == (scene["height"], scene["width"])
        assert (depth == 0).mean() == pytest.approx(scene["unknown_fraction"])
        assert 0.1 < image.mean() < 0.9


@pytest.mark.parametrize(
    ("name", "shape"), [("chairs_0", (384, 512)), ("sintel_alley_1", (436, 1024))]
)
def test_flow_of_other_programs(tmp_path, name, shape):
    original = DATA / "flow" / f"{name}.flo"
    flow = read_flow(original)
    assert flow.shape == (*shape, 2)
    assert np.abs(flow).max() < 200  # pixels, far below what would count as unknown
    write_flow(tmp_path / "copy.flo", flow)
    assert (tmp_path / "copy.flo").read_bytes() == original.read_bytes()


def test_label_maps():
    labels = read_labels(DATA / "voc7" / "2007_000033_labels.png")
    assert labels.dtype == np.uint8
    assert set(np.unique(labels)) <= set(range(21))
