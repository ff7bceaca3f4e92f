"""Filling of holes, against plain loops and against what it promises."""

import numpy as np
import pytest

from pac_jax.upsampling.holes import fill, measured_pixels
from tests.upsampling.fakes import random


def march(values, known, guide):
    """The rule in plain loops: the surest pixels first, by the mean under the affinity."""
    height, width, _ = values.shape
    values, known = values.astype(np.float64).copy(), known.copy()
    confidence = 1.0
    while not known.all():
        sums = np.zeros((height, width))
        means = np.zeros_like(values)
        for y in range(height):
            for x in range(width):
                for v in range(max(0, y - 2), min(height, y + 3)):
                    for u in range(max(0, x - 2), min(width, x + 3)):
                        if known[v, u]:
                            colour = 5 * (guide[v, u].astype(np.float64) - guide[y, x])
                            place = 0.5 * np.array([v - y, u - x])
                            k = np.exp(-(np.sum(colour**2) + np.sum(place**2)) / 2)
                            sums[y, x] += k
                            means[y, x] += k * values[v, u]
        new = ~known & (sums > 0) & (sums >= confidence)
        values[new] = means[new] / sums[new][:, None]
        known |= new
        confidence = 1.0 if new.any() else 0.1 * confidence
    return values


@pytest.mark.parametrize("channels", [1, 2])
def test_it_is_what_plain_loops_give(channels):
    target, guide = random(0, 9, 11, channels), random(1, 9, 11, 3)
    measured = random(2, 9, 11, 1) > 0.9
    expected = march(target, measured[..., 0], guide)
    np.testing.assert_allclose(fill(target, measured, guide), expected, rtol=1e-4)


def test_a_hole_across_two_objects_is_filled_from_both_sides():
    """Far into the hole every pixel has the depth of its own colour, up to the edge."""
    target = np.full((20, 24, 1), 1.0, np.float32)
    target[:, 15:] = 3
    guide = np.where(target > 2, np.float32(0.8), np.float32(0.2)).repeat(3, -1)
    measured = np.ones((20, 24, 1), bool)
    measured[4:16, 5:19] = False
    filled = fill(np.where(measured, target, 0), measured, guide)
    np.testing.assert_allclose(filled, target, atol=0.02)


def test_measured_pixels_stay_and_holes_are_never_read():
    target, guide = random(0, 12, 13, 1), random(1, 12, 13, 3)
    measured = random(2, 12, 13, 1) > 0.4
    filled = fill(target, measured, guide)
    np.testing.assert_array_equal(filled[measured], target[measured])
    assert target[measured].min() <= filled.min()
    assert filled.max() <= target[measured].max()
    for poison in (np.nan, np.inf, 1e30):
        np.testing.assert_array_equal(
            fill(np.where(measured, target, poison), measured, guide), filled
        )


def test_one_measured_pixel_fills_all_whatever_the_colours():
    target, measured = np.zeros((15, 40, 1), np.float32), np.zeros((15, 40, 1), bool)
    target[3, 2], measured[3, 2] = 7, True
    guide = (np.arange(40) % 2).astype(np.float32)[None, :, None] * np.ones((15, 1, 3), np.float32)
    np.testing.assert_allclose(fill(target, measured, guide), 7, rtol=1e-5)


def test_the_guide_may_have_any_size():
    target = np.full((6, 8, 1), 2.0, np.float32)
    measured = random(0, 6, 8, 1) > 0.5
    guide = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    np.testing.assert_allclose(fill(target, measured, guide), 2, rtol=1e-6)


def test_without_holes_nothing_is_done():
    target = random(0, 6, 8, 1)
    assert fill(target, np.ones((6, 8, 1), bool), random(1, 48, 64, 3)) is target


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("depth", [1, 0, -1, np.nan, np.inf], [1, 0, 1, 0, 0]),
        ("depth", [1, 1e29, -1e29, np.finfo(np.float32).max, -2e30], [1, 1, 1, 0, 0]),
        ("flow", [1, 0, -3e7, np.nan, 9e6], [1, 1, 0, 0, 1]),
        ("labels", [0, 1, 255, 3, 4], [1, 1, 1, 1, 1]),
    ],
)
def test_what_counts_as_a_hole(kind, values, expected):
    target = np.array(values, np.float32).reshape(1, 1, 5, 1)
    assert measured_pixels(target, None, kind).ravel().tolist() == expected


def test_a_mask_replaces_the_rule_of_zeros_but_not_that_of_nan():
    target = np.array([0, 5, np.nan], np.float32).reshape(1, 1, 3, 1)
    mask = np.array([True, False, True]).reshape(1, 1, 3, 1)
    assert measured_pixels(target, mask, "depth").ravel().tolist() == [True, False, False]


def test_one_unknown_channel_makes_a_hole():
    target = np.array([[1, 2], [np.nan, 2]], np.float32).reshape(1, 1, 2, 2)
    assert measured_pixels(target, None, "flow").ravel().tolist() == [True, False]


@pytest.mark.parametrize(
    ("kind", "mask", "message"),
    [
        ("depth", None, "no measured pixel: all of them are 0 or not finite"),
        ("depth", np.zeros((2, 2, 2, 1), bool), "no measured pixel: all of them are masked"),
    ],
)
def test_an_empty_target_is_refused(kind, mask, message):
    with pytest.raises(ValueError, match=message):
        measured_pixels(np.zeros((2, 2, 2, 1), np.float32), mask, kind)


def test_every_target_of_a_batch_needs_a_measurement():
    targets = np.array([[3, 0], [0, 0]], np.float32).reshape(2, 1, 2, 1)
    with pytest.raises(ValueError, match="no measured pixel"):
        measured_pixels(targets, None, "depth")
