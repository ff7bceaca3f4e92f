"""Interpolation of coarse scores, beside a loop over pixels."""

import numpy as np
import pytest

from pac_jax.refinement.resizing import resized


def looped(image, size, alignment):
    """Bilinear interpolation written from its definition, in float64."""
    image = image.astype(np.float64)
    h, w, classes = image.shape
    result = np.zeros((*size, classes))
    for y in range(size[0]):
        for x in range(size[1]):
            place = []
            for at, n, to in ((y, h, size[0]), (x, w, size[1])):
                if alignment == "corners":
                    place.append(at * (n - 1) / (to - 1) if to > 1 else 0.0)
                else:
                    place.append(min(max((at + 0.5) * n / to - 0.5, 0), n - 1))
            for row in range(h):
                for column in range(w):
                    share = max(0, 1 - abs(place[0] - row)) * max(0, 1 - abs(place[1] - column))
                    result[y, x] += share * image[row, column]
    return result


@pytest.mark.parametrize("alignment", ["centers", "corners"])
@pytest.mark.parametrize("size", [(4, 5), (9, 11), (13, 5), (16, 25)])
def test_beside_a_loop(size, alignment):
    image = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
    result = resized(image, size, alignment)
    np.testing.assert_allclose(result, looped(image, size, alignment), atol=1e-5)
    batch = resized(np.stack([image, 2 * image]), size, alignment)
    np.testing.assert_allclose(batch[1], 2 * result, atol=1e-5)


def test_the_corners_coincide_or_do_not():
    image = np.arange(6, dtype=np.float32).reshape(2, 3, 1)
    corners = resized(image, (9, 17), "corners")[..., 0]
    assert [float(corners[i, j]) for i in (0, -1) for j in (0, -1)] == [0, 2, 3, 5]
    assert float(corners[4, 8]) == 2.5
    np.testing.assert_array_equal(resized(image, (4, 6), "centers")[:1, :2, 0], [[0, 0.25]])
