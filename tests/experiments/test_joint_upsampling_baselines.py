"""Interpolation and joint bilateral upsampling under every protocol, and the search for its scales."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from experiments.joint_upsampling import search
from experiments.joint_upsampling.baselines import bicubic, bilinear, joint_bilateral, nearest
from experiments.joint_upsampling.protocols import PROTOCOLS, downsample
from experiments.joint_upsampling.real_pairs import RealPair
from pac_jax.models.protocols import first_pixel, takes_pixels


@pytest.mark.parametrize("protocol", ["center", "first", "last"])
@pytest.mark.parametrize("method", [nearest, bilinear, bicubic])
@pytest.mark.parametrize("factor", [2, 4, 5])
def test_interpolation_hits_the_pixels_that_were_taken(method, factor, protocol):
    random = np.random.default_rng(factor).normal(size=(1, 6 * factor, 5 * factor, 2))
    low = downsample(random.astype(np.float32), factor, protocol)
    result = np.asarray(method(jnp.asarray(low), factor, protocol))
    assert result.shape == random.shape
    np.testing.assert_allclose(downsample(result, factor, protocol), low, atol=1e-5)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("method", [bilinear, bicubic])
def test_interpolation_is_exact_on_planes(method, protocol):
    y, x = np.mgrid[:64, :80].astype(np.float32)
    plane = (0.3 * y - 0.2 * x + 1)[None, ..., None]
    low = jnp.asarray(downsample(plane, 4, protocol))
    inner = (0, slice(20, -20), slice(20, -20))
    np.testing.assert_allclose(method(low, 4, protocol)[inner], plane[inner], atol=1e-4)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nearest_takes_no_farther_sample(protocol):
    low = np.arange(5.0)[None, None, :, None]
    result = np.asarray(nearest(jnp.asarray(low), 4, protocol))[0, 0, :, 0]
    distance = np.abs(np.arange(20)[:, None] - (4 * np.arange(5) + first_pixel(4, protocol)))
    taken = distance[np.arange(20), result.astype(int)]
    np.testing.assert_array_equal(taken, distance.min(axis=1))


@pytest.mark.parametrize(
    ("method", "resampling"),
    [(bilinear, Image.Resampling.BILINEAR), (bicubic, Image.Resampling.BICUBIC)],
)
def test_on_averages_interpolation_is_pillows_as_in_the_literature(method, resampling):
    low = np.random.default_rng(1).uniform(0, 255, (7, 9)).astype(np.float32)
    expected = np.asarray(Image.fromarray(low).resize((72, 56), resampling))
    result = method(jnp.asarray(low)[None, ..., None], 8, "bicubic")
    np.testing.assert_allclose(result[0, ..., 0], expected, atol=1e-3)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_joint_bilateral_follows_the_guide_where_interpolation_blurs(protocol):
    truth = np.zeros((1, 32, 32, 1), np.float32)
    truth[:, :, 14:] = 1
    low = jnp.asarray(downsample(truth, 4, protocol))
    guided = joint_bilateral(low, jnp.asarray(truth.repeat(3, axis=-1)), 4, protocol)
    blurred = bilinear(low, 4, protocol)
    share = 0.1 if takes_pixels(protocol) else 0.8  # averages at the edge are mixed
    assert np.abs(guided - truth).mean() < share * np.abs(blurred - truth).mean()


def test_joint_bilateral_puts_single_pixels_at_their_place():
    """With a flat guide it is a spatial mean, which on a ramp is off by what the place is off."""
    ramp = np.tile(np.arange(64.0, dtype=np.float32), (64, 1))[None, ..., None]
    guide = jnp.zeros((1, 64, 64, 3))
    inner = (0, slice(16, -16), slice(16, -16), 0)
    for protocol in ("center", "first", "last"):
        low = jnp.asarray(downsample(ramp, 4, protocol))
        error = np.asarray(joint_bilateral(low, guide, 4, protocol))[inner] - ramp[inner]
        assert abs(error.mean()) < 0.05


def test_search_finds_the_scales_of_a_made_truth():
    """A depth that follows a guide with a faint edge needs a sharp colour scale."""
    truth = np.zeros((64, 64, 1), np.float32)
    truth[:, 29:] = 1
    guide = np.full((1, 64, 64, 3), 0.5, np.float32)
    guide[0, :, 29:] += 0.1
    valid = np.ones((64, 64), bool)
    made = RealPair("one", "made", "depth", "metres", guide, truth[None], valid, 1.0)
    grid = [search.Scales(1, color, 1.0) for color in (1.0, 60.0)]
    found = search.search([made], (4,), ("center",), Console(quiet=True), "made", grid)
    assert next(iter(found)) == grid[1]
    assert found[grid[1]] < 0.5 < found[grid[0]]
