"""Sampling between pixels, against jax.image.resize."""

import jax
import numpy as np
import pytest

from pac_jax.upsampling.resizing import at_scale, resize, sample, shrink
from tests.upsampling.fakes import random

SIZES = [(5, 7), (10, 14), (13, 9), (3, 30), (1, 1)]


def by_jax(image, size, antialias):
    return jax.image.resize(image, (*size, image.shape[-1]), "linear", antialias=antialias)


@pytest.mark.parametrize("size", SIZES)
def test_resize_is_bilinear(size):
    image = random(0, 5, 7, 2)
    np.testing.assert_allclose(resize(image, size), by_jax(image, size, False), atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_shrink_is_antialiased(size):
    image = random(0, 5, 7, 2)
    np.testing.assert_allclose(shrink(image, size), by_jax(image, size, True), atol=1e-6)


def test_bytes_count_as_values_from_0_to_1():
    image = np.random.default_rng(0).integers(0, 256, (6, 7, 3), np.uint8)
    for function in (resize, shrink):
        for size in ((4, 9), (6, 7)):
            expected = function(image.astype(np.float32) / 255, size)
            np.testing.assert_allclose(sample_as_float(function, image, size), expected, atol=1e-6)


def sample_as_float(function, image, size):
    result = function(image, size)
    return result / 255 if result.dtype == np.uint8 else result


def test_a_part_is_the_part_of_the_whole():
    image = random(0, 9, 11, 1)
    whole = resize(image, (20, 30))
    rows, columns = at_scale(np.arange(4, 12), 9, 20), at_scale(np.arange(15, 30), 11, 30)
    np.testing.assert_array_equal(sample(image, rows, columns), whole[4:12, 15:30])


def test_beyond_the_ends_the_image_is_continued_by_its_last_pixels():
    image = random(0, 4, 5, 1)
    rows, columns = at_scale(np.arange(-3, 7), 4, 4), at_scale(np.arange(-2, 8), 5, 5)
    padded = np.pad(image, ((3, 3), (2, 3), (0, 0)), mode="edge")
    np.testing.assert_array_equal(sample(image, rows, columns), padded)
    # Of a resized image the last pixel is that of the resized one.
    rows = at_scale(np.arange(-2, 10), 4, 8)
    padded = np.pad(resize(image, (8, 5)), ((2, 2), (0, 0), (0, 0)), mode="edge")
    np.testing.assert_array_equal(sample(image, rows, np.arange(5.0)), padded)
