"""Low-resolution protocols against Pillow, and against where each sample must lie."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from pac_jax.models.protocols import PROTOCOLS, downsample, interpolate, mirror_shift

PIXELS = {"center": lambda f: (f - 1) // 2, "first": lambda f: 0, "last": lambda f: f - 1}
PILLOW = {"bicubic": Image.Resampling.BICUBIC, "bilinear-antialias": Image.Resampling.BILINEAR}


def random_map(height=48, width=32, seed=0):
    return np.random.default_rng(seed).normal(size=(1, height, width, 1)).astype(np.float32)


@pytest.mark.parametrize("factor", [2, 4, 8, 16])
@pytest.mark.parametrize("protocol", PILLOW)
def test_averaging_protocols_are_pillows(protocol, factor):
    target = random_map()
    size = (32 // factor, 48 // factor)
    expected = np.asarray(Image.fromarray(target[0, ..., 0]).resize(size, PILLOW[protocol]))
    result = downsample(jnp.asarray(target), factor, protocol)
    np.testing.assert_allclose(result[0, ..., 0], expected, atol=1e-5)


@pytest.mark.parametrize("factor", [2, 4, 8, 16])
@pytest.mark.parametrize("protocol", PIXELS)
def test_pixels_are_taken_from_their_place_in_every_block(protocol, factor):
    rows, columns = np.indices((48, 32))
    target = jnp.asarray(100 * rows + columns, jnp.float32)[None, ..., None]
    result = downsample(target, factor, protocol)[0, ..., 0]
    first = PIXELS[protocol](factor)
    assert result.shape == (48 // factor, 32 // factor)
    assert result[0, 0] == 101 * first
    assert result[1, 1] - result[0, 0] == 101 * factor


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("method", ["linear", "cubic"])
def test_interpolation_puts_samples_where_they_lie(protocol, factor, method):
    """A plane, sampled and interpolated, is the plane again, away from the border."""
    rows, columns = np.indices((96, 80))
    plane = jnp.asarray(0.3 * rows - 0.2 * columns, jnp.float32)[None, ..., None]
    again = interpolate(downsample(plane, factor, protocol), factor, protocol, method)
    inner = (0, slice(4 * factor, -4 * factor), slice(4 * factor, -4 * factor), 0)
    tolerance = 1e-3
    np.testing.assert_allclose(again[inner], plane[inner], atol=tolerance)


@pytest.mark.parametrize("factor", [2, 3, 8])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_mirrored_image_has_its_samples_mirrored_once_it_is_shifted(protocol, factor):
    target = random_map()[:, : 5 * factor, : 3 * factor]
    shift = mirror_shift(factor, protocol)
    mirrored = np.roll(target[:, :, ::-1], -shift, axis=2)
    low = downsample(jnp.asarray(mirrored), factor, protocol)[0, :, ::-1]
    np.testing.assert_allclose(low, downsample(jnp.asarray(target), factor, protocol)[0], atol=1e-5)


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("method", ["linear", "cubic"])
def test_interpolation_of_a_constant_is_constant_up_to_the_border(protocol, factor, method):
    result = interpolate(jnp.full((1, 3, 4, 1), 0.7), factor, protocol, method)
    np.testing.assert_allclose(result, 0.7, atol=1e-6)


def test_unknown_protocol_names_those_there_are():
    with pytest.raises(ValueError, match="protocol is 'nearest'; it needs one of bicubic"):
        downsample(jnp.ones((1, 4, 4, 1)), 2, "nearest")
