"""Means and single pixels told apart, on maps made from drawn and from real ones."""

from itertools import product

import numpy as np
import pytest
from PIL import Image

from experiments.joint_upsampling.fitting import fit
from experiments.joint_upsampling.protocols import PROTOCOLS, downsample
from experiments.joint_upsampling.real_pairs import real_pairs
from pac_jax.models.protocols import takes_pixels
from pac_jax.upsampling import sampling
from pac_jax.upsampling.sampling import takes_single_pixels
from tests.oracle.goldens import shared_folder


def drawn(seed, size=(192, 256)):
    """(H, W, 1): slanted planes in front of each other."""
    random = np.random.default_rng(seed)
    y, x = np.indices(size, np.float32)
    depth = 5 + 0.004 * x + 0.002 * y
    for nearer in range(12):
        row, column = random.uniform(0, size[0]), random.uniform(0, size[1])
        a, b = random.uniform(10, 50, 2)
        inside = np.abs((x - column) / a) ** 3 + np.abs((y - row) / b) ** 3 < 1
        depth[inside] = 6 + nearer + (0.01 * x + 0.005 * y)[inside]
    return depth[..., None]


def everywhere(target):
    return np.ones((*target.shape[:2], 1), bool)


def made_coarse(target, factor, protocol):
    return downsample(target[None], factor, protocol)[0]


@pytest.mark.parametrize("factor", [4, 8])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_drawn_maps(protocol, factor):
    low = made_coarse(drawn(0, (384, 256)), factor, protocol)
    assert takes_single_pixels(low, everywhere(low)) == takes_pixels(protocol)
    rounded = np.round(5 * low)  # disparities in whole pixels
    assert takes_single_pixels(rounded, everywhere(low)) == takes_pixels(protocol)


def test_the_nearest_neighbour_of_pillow_takes_pixels_and_its_box_means():
    depth = drawn(0)[..., 0]
    for method, expected in ((Image.Resampling.NEAREST, True), (Image.Resampling.BOX, False)):
        low = np.asarray(Image.fromarray(depth).resize((64, 48), method))[..., None]
        assert takes_single_pixels(low, everywhere(low)) == expected


def test_what_is_not_measured_takes_no_part():
    low = made_coarse(drawn(0), 4, "bicubic")
    measured = everywhere(low)
    measured[4:44, 4:24] = measured[4:44, 30:60] = False
    holes = np.where(measured, low, 0)
    assert not takes_single_pixels(holes, measured)
    assert takes_single_pixels(holes, everywhere(low))  # the rims of the holes are steps


def test_too_few_edges_tell_nothing():
    low = np.ones((6, 9, 1), np.float32)
    low[:, 4:] = 2
    assert not takes_single_pixels(low, everywhere(low))
    assert not takes_single_pixels(np.ones_like(low), everywhere(low))


def real_pairs_at_hand():
    folder = shared_folder() / "data"
    return real_pairs("depth", folder if folder.is_dir() else None, lambda line: None)


@pytest.mark.parametrize("factor", [4, 8, 16])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_real_maps(protocol, factor):
    for pair in real_pairs_at_hand():
        low = fit(pair, factor, protocol).target_low[0]
        assert takes_single_pixels(low, everywhere(low)) == takes_pixels(protocol), pair.name


@pytest.mark.parametrize("share", [0.36, 0.55])
def test_real_maps_are_far_from_the_threshold(share, monkeypatch):
    monkeypatch.setattr(sampling, "_SHARE", share)
    methods = ((Image.Resampling.NEAREST, True), (Image.Resampling.BOX, False))
    for pair, factor, (method, expected) in product(real_pairs_at_hand(), (4, 8, 16), methods):
        height, width = (n // factor for n in pair.valid.shape)
        depth = pair.target[0, : height * factor, : width * factor, 0]
        low = np.asarray(Image.fromarray(depth).resize((width, height), method))[..., None]
        assert takes_single_pixels(low, everywhere(low)) == expected, (pair.name, factor)
