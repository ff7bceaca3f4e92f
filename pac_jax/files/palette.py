"""Colours of label maps, as PASCAL VOC gives them."""

import numpy as np

__all__ = ["voc_palette"]

_LEVELS = 256
_BITS = 8
_CHANNELS = 3


def voc_palette(colors: int = _LEVELS) -> np.ndarray:
    """Colour of every class number in the palette of PASCAL VOC.

    Bits 3 i, 3 i + 1, 3 i + 2 of the number are bit 7 - i of red, green and blue. So neighbouring
    numbers differ in a high bit, all 256 colours are distinct, 0 is black and 255, which stands for
    void, is (224, 224, 192).

    Args:
        colors: how many, from the first on.

    Returns:
        Of shape (colors, 3), uint8.

    Raises:
        ValueError: colors is not 1 to 256.

    Example:
        >>> from pac_jax.files.palette import voc_palette
        >>> voc_palette(4).tolist()
        [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]

    Reference:
        Everingham et al., The PASCAL Visual Object Classes Challenge 2012, development kit.
    """
    if not 1 <= colors <= _LEVELS:
        raise ValueError(f"colors is {colors}; the palette has 1 to {_LEVELS}")
    bits = np.arange(colors)[:, None] >> np.arange(_BITS) & 1
    channel = np.arange(_BITS) % _CHANNELS
    weights = 128 >> np.arange(_BITS) // _CHANNELS
    columns = [(bits * weights)[:, channel == c].sum(-1) for c in range(_CHANNELS)]
    return np.stack(columns, -1).astype(np.uint8)
