"""Pixel-adaptive convolution, transposed convolution and pooling in plain NumPy loops.

Everything is float64 and visits one output position and one tap at a time; only channels are
vectorised. Nothing here is meant to be fast: it is meant to be seen to be right. It shares no code
with the library it judges.

Shapes (n = 1, 2 or 3 spatial dimensions, channels last):

    inputs    (N, *spatial, C)
    guide     (N, *guide_spatial, G)     the inputs' size; the output's size when transposed
    kernel    (*window, C / groups, D)
    bias      (D,)
    mask      (N, *spatial, 1)           on the inputs' grid, also when transposed
    affinity  (N, *output, *window) or (N, *output, *window, C) when channel-wise
"""

from tests.oracle.affinity import affinity, affinity_transpose, gaussian, inverse, smooth
from tests.oracle.geometry import conv_output_size, conv_transpose_output_size, lax_padding
from tests.oracle.gradients import directional_derivative
from tests.oracle.masks import propagate_mask, propagate_mask_transpose
from tests.oracle.operators import (
    conv,
    conv_transpose,
    conv_transpose_with_affinity,
    conv_with_affinity,
    pool,
    pool_with_affinity,
)

__all__ = [
    "affinity",
    "affinity_transpose",
    "conv",
    "conv_output_size",
    "conv_transpose",
    "conv_transpose_output_size",
    "conv_transpose_with_affinity",
    "conv_with_affinity",
    "directional_derivative",
    "gaussian",
    "inverse",
    "lax_padding",
    "pool",
    "pool_with_affinity",
    "propagate_mask",
    "propagate_mask_transpose",
    "smooth",
]
