"""The masks that go on from one layer to the next, in plain NumPy loops."""

from collections.abc import Sequence

import numpy as np

from tests.oracle.geometry import (
    Ints,
    Padding,
    Source,
    conv_geometry,
    positions,
    transpose_geometry,
)


def _propagated(
    mask: np.ndarray,
    window: Sequence[int],
    output_size: tuple[int, ...],
    source: Source,
    raw: np.ndarray | None,
) -> np.ndarray:
    result = np.zeros((mask.shape[0], *output_size, 1))
    for image, output in positions(mask.shape[0], output_size):
        denominator = 0.0
        for tap in np.ndindex(*window):
            position = source(output, tap)
            if position is None or mask[image, *position, 0] == 0:
                continue
            share = 1.0 if raw is None else raw[image, *output, *tap]
            denominator += share * mask[image, *position, 0]
        result[image, *output] = denominator != 0
    return result


def propagate_mask(
    mask: np.ndarray,
    window: Sequence[int],
    *,
    strides: Ints = 1,
    padding: Padding = "SAME",
    dilation: Ints = 1,
    raw_affinity: np.ndarray | None = None,
) -> np.ndarray:
    """The mask that goes on: 1 where the denominator is not 0.

    Args:
        mask: (N, *spatial, 1).
        window: odd sizes.
        strides: per dimension or one number.
        padding: as `lax_padding` takes it.
        dilation: per dimension or one number.
        raw_affinity: K before mask and normalisation (not channel-wise). Given, the denominator is
            sum_t K M, that of a normalised operator; it differs from sum_t M only where K
            underflows to 0 at every tap that counts.

    Returns:
        (N, *output, 1).
    """
    mask = np.asarray(mask, np.float64)
    geometry = conv_geometry(mask.shape[1:-1], window, strides, padding, dilation)
    return _propagated(mask, window, *geometry, raw_affinity)


def propagate_mask_transpose(
    mask: np.ndarray,
    window: Sequence[int],
    *,
    strides: Ints = 1,
    padding: Padding = "SAME",
    dilation: Ints = 1,
    raw_affinity: np.ndarray | None = None,
) -> np.ndarray:
    """`propagate_mask` of a transposed convolution: 1 where a tap meets a sample that counts."""
    mask = np.asarray(mask, np.float64)
    geometry = transpose_geometry(mask.shape[1:-1], window, strides, padding, dilation)
    return _propagated(mask, window, *geometry, raw_affinity)
