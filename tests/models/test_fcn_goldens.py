"""The original's outputs at full size, with the weights that the goldens' rules draw."""

import json

import jax
import numpy as np
import pytest
from flax import nnx

from pac_jax.convert import fcn_from_torch
from tests.oracle import goldens

FOLDER = goldens.goldens_folder() / "segmentation"
PATHS = sorted(FOLDER.glob("*.npz"))
TOLERANCE = 2e-5  # of the largest output; the goldens' own, 1e-3, is far above float32's rounding


def on_disk(folder, name, shape):
    """An array of 100 million numbers need not be in memory twice."""
    return np.memmap(folder / name, np.float32, "w+", shape=tuple(shape))


def normal(random, array, deviation, chunk=1 << 20):
    flat = array.reshape(-1)
    for start in range(0, flat.size, chunk):
        part = flat[start : start + chunk]
        part[:] = random.standard_normal(part.size) * deviation


def bilinear(array):
    window = array.shape[-1]
    tent = 1 - abs(np.arange(window) - (window - 1) / 2) / (window / 2)
    for channel in range(array.shape[0]):
        array[channel, channel] = np.outer(tent, tent)


class Drawn:
    """Arrays by the rules of a meta; a backbone is drawn once for all, since all begin with it."""

    def __init__(self, folder):
        self.folder = folder
        self.random = np.random.RandomState(0)
        self.backbone, self.after = {}, None

    def arrays(self, parameters):
        crf = [entry for entry in parameters if entry[0].startswith(("crf.", "feat_scales."))]
        of_backbone = [entry for entry in parameters if entry not in crf]
        if self.after is None:
            self.backbone = {n.removeprefix("backbone."): self.draw(n, *r) for n, *r in of_backbone}
            self.after = self.random.get_state()
        self.random.set_state(self.after)
        drawn = {name: self.backbone[name.removeprefix("backbone.")] for name, *_ in of_backbone}
        return drawn | {name: self.draw(name, *rest) for name, *rest in crf}

    def draw(self, name, shape, rule):
        kind, _, value = rule.replace("*", " ").partition(" ")
        array = on_disk(self.folder, name, shape) if np.prod(shape) > 1e6 else np.zeros(
            shape, np.float32
        )  # fmt: skip
        if kind == "normal":
            fan_in = np.prod(shape[1:])
            normal(self.random, array, np.sqrt(2 / fan_in) if "fan_in" in value else float(value))
        elif kind == "kept":
            bilinear(array)
        else:
            array[...] = json.loads(value)
        return array


@pytest.mark.skipif(not PATHS, reason=goldens.REASON_WHEN_ABSENT)
def test_outputs_are_those_of_the_original(tmp_path):
    """One test for all, which draws 135 million numbers once."""
    drawn, errors = Drawn(tmp_path), {}
    for path in PATHS:
        case = goldens.load(path)
        model = fcn_from_torch(drawn.arrays(case.meta["parameters"]), case.meta["model"])
        graph, state = nnx.split(model)
        del model
        outputs = jax.jit(lambda state, image, graph=graph: nnx.merge(graph, state)(image))(
            state, case.arrays["image"]
        )
        expected = case.arrays["output"]
        assert outputs.shape == expected.shape
        errors[path.stem] = float(abs(outputs - expected).max() / abs(expected).max())
        del state
    assert {name: error for name, error in errors.items() if not error < TOLERANCE} == {}
