"""The colours in which Pascal VOC stores its label maps, and most programs after it."""

import numpy as np

__all__ = ["VOC_PALETTE"]


def _voc_palette() -> np.ndarray:
    """Bits 0, 1, 2 of a label are the highest bits of red, green, blue; bits 3, 4, 5 the next."""
    labels = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for channel in range(3):
        for level in range(3):
            bit = (labels >> (3 * level + channel)) & 1
            palette[:, channel] |= (bit << (7 - level)).astype(np.uint8)
    palette.setflags(write=False)
    return palette


VOC_PALETTE = _voc_palette()
"""(256, 3) uint8, read-only: black is 0, and 255 (void) is nearly white."""
