"""The shapes that are measured, each named once; the tests run all of them in a tiny form."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

import pac_jax
from pac_jax.filters import with_positions

OPERATORS = ("conv", "conv_transpose", "pool")
_GAUSSIAN = pac_jax.Gaussian()
_TINY_SIZE = (9, 8, 6)
_TINY_WINDOW = (5, 3, 1)


@dataclasses.dataclass(frozen=True)
class Workload:
    """One call of one operator; hashable, so it may be a static argument.

    The padding is centred: a convolution at stride 1 keeps the size, at stride s it divides it by s
    (rounding up), and a transposed convolution multiplies it by s, as in the paper's networks.

    Attributes:
        name: what the command line and the results call it.
        operator: 'conv', 'conv_transpose' or 'pool'.
        size: spatial size of the inputs, one to three numbers.
        channels: of the inputs.
        guide_channels: of the guide, which has the outputs' size for 'conv_transpose' and the
            inputs' size otherwise.
        window: number of taps per spatial dimension, odd.
        features: of the output; for 'pool' equal to `channels`.
        batch: number of images.
        strides: of the operator, the same along every axis.
        kernel_dilation: distance between taps, the same along every axis.
        feature_group_count: number of groups of features.
        normalize: whether the affinity is divided by its sum over the window.
        space_sigma: of a bilateral filter: the guide's last channels are the pixels' positions
            divided by this many pixels, and every weight of the kernel is 1. None for no filter.

    Raises:
        ValueError: If the fields do not fit each other.
    """

    name: str
    operator: str
    size: tuple[int, ...]
    channels: int
    guide_channels: int
    window: tuple[int, ...]
    features: int
    batch: int = 1
    strides: int = 1
    kernel_dilation: int = 1
    feature_group_count: int = 1
    normalize: bool = False
    space_sigma: float | None = None

    def __post_init__(self) -> None:
        if self.operator not in OPERATORS:
            raise ValueError(f"operator is {self.operator!r}; it needs one of {OPERATORS}")
        if len(self.window) != len(self.size):
            raise ValueError(f"window is {self.window}; size {self.size} has other dimensions")
        if any(taps % 2 == 0 for taps in self.window):
            raise ValueError(f"window is {self.window}; it needs odd sizes")
        if self.operator == "pool" and self.features != self.channels:
            raise ValueError(f"features is {self.features}; pooling gives {self.channels} channels")
        if self.space_sigma is not None and self.guide_channels <= len(self.size):
            raise ValueError(
                f"guide_channels is {self.guide_channels}; with space_sigma {len(self.size)} of them "
                "are positions, and it needs one more"
            )

    @property
    def transposed(self) -> bool:
        """Whether the operator upsamples."""
        return self.operator == "conv_transpose"

    @property
    def spread(self) -> int:
        """Distance between the samples on the grid that the window walks over."""
        return self.strides if self.transposed else 1

    @property
    def window_strides(self) -> int:
        """Step of the window on that grid."""
        return 1 if self.transposed else self.strides

    @property
    def half_reach(self) -> tuple[int, ...]:
        """Distance from the window's centre to its outermost tap, per dimension."""
        return tuple((taps - 1) // 2 * self.kernel_dilation for taps in self.window)

    @property
    def padding(self) -> tuple[tuple[int, int], ...]:
        """(low, high) per dimension, on the grid that the window walks over."""
        return tuple((half, half + self.spread - 1) for half in self.half_reach)

    @property
    def output_size(self) -> tuple[int, ...]:
        """Spatial size of the output."""
        return tuple(-(-n * self.spread // self.window_strides) for n in self.size)

    @property
    def guide_size(self) -> tuple[int, ...]:
        """Spatial size of the guide."""
        return self.output_size if self.transposed else self.size

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the output."""
        return (self.batch, *self.output_size, self.features)

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """Shape of the kernel; for pooling of the spatial filter that all channels share."""
        if self.operator == "pool":
            return self.window
        return (*self.window, self.channels // self.feature_group_count, self.features)

    def data_bytes(self, dtype: DTypeLike) -> int:
        """Bytes of inputs, guide and output together, the measure of what memory is fair."""
        numbers = (
            math.prod(self.size) * self.channels
            + math.prod(self.guide_size) * self.guide_channels
            + math.prod(self.output_size) * self.features
        )
        return self.batch * numbers * jnp.dtype(dtype).itemsize

    def tiny(self) -> Workload:
        """The same kind of work in milliseconds: small sizes, and no two axes alike."""
        channels = min(self.channels, 4)
        return dataclasses.replace(
            self,
            name=f"{self.name}_tiny",
            size=tuple(min(n, m) for n, m in zip(self.size, _TINY_SIZE, strict=False)),
            channels=channels,
            guide_channels=min(self.guide_channels, 3),
            window=_TINY_WINDOW[: len(self.window)],
            features=channels if self.operator == "pool" else min(self.features, 8),
            batch=2,
            strides=min(self.strides, 2),
            kernel_dilation=min(self.kernel_dilation, 2),
            feature_group_count=min(self.feature_group_count, channels),
        )


def _pac_net_stages(name: str, size: tuple[int, int], batch: int) -> list[Workload]:
    """The three doublings of a PAC-Net x8 whose result has this size."""
    return [
        Workload(
            f"{name}_{stage}",
            "conv_transpose",
            (size[0] // scale, size[1] // scale),
            32,
            16,
            (5, 5),
            32,
            batch=batch,
            strides=2,
        )
        for stage, scale in enumerate((8, 4, 2), start=1)
    ]


# What networks and filters ask for, and what means are taken over. Images of VOC have 375 rows of
# 500 pixels; the three layers of a PAC-FCN work on a quarter, an eighth and a sixteenth of that,
# under a guide of VGG-16's second block. The CRF's messages are not blurred, as published.
_NETWORK_WORKLOADS = (
    *_pac_net_stages("pac_net", (480, 640), batch=1),
    *_pac_net_stages("pac_net_crops", (256, 256), batch=4),
    Workload("crf_16", "conv", (375, 500), 21, 3, (5, 5), 21, kernel_dilation=16),
    Workload("crf_64", "conv", (375, 500), 21, 3, (5, 5), 21, kernel_dilation=64),
    Workload("pac_fcn_256", "conv", (94, 125), 256, 128, (3, 3), 256),
    Workload("pac_fcn_512", "conv", (47, 63), 512, 128, (3, 3), 512),
    Workload("pac_fcn_512_last", "conv", (24, 32), 512, 128, (3, 3), 512),
    Workload(
        "jbu_8",
        "conv_transpose",
        (60, 80),
        1,
        5,
        (17, 17),
        1,
        strides=8,
        normalize=True,
        space_sigma=8.0,
    ),
    Workload("audio", "conv", (65536,), 32, 16, (9,), 32),
    Workload("volume", "conv", (40, 40, 40), 32, 16, (3, 3, 3), 32),
)

# One shape of every kind, such as are easy to talk about. A transposed workload is named after its
# output's size, the one that its cost goes with.
_OTHER_WORKLOADS = (
    Workload("conv_256", "conv", (256, 256), 32, 16, (5, 5), 32),
    Workload("transpose_160", "conv_transpose", (80, 80), 32, 16, (5, 5), 32, strides=2),
    Workload("depthwise_256", "conv", (256, 256), 32, 16, (5, 5), 32, feature_group_count=32),
    Workload("pool_256", "pool", (256, 256), 32, 16, (5, 5), 32, strides=2, normalize=True),
    Workload(
        "joint_bilateral", "pool", (480, 640), 1, 5, (9, 9), 1, normalize=True, space_sigma=3.0
    ),
)

NETWORK_SHAPES = tuple(workload.name for workload in _NETWORK_WORKLOADS)
WORKLOADS: dict[str, Workload] = {
    workload.name: workload for workload in (*_OTHER_WORKLOADS, *_NETWORK_WORKLOADS)
}


class Operands(NamedTuple):
    """The arrays that an operator is given, and is differentiated with respect to.

    Attributes:
        inputs: (N, *size, C).
        guide: (N, *guide_size, G), or None for what does not read it.
        kernel: (*window, C / groups, D), or (*window,) for pooling.
        bias: (D,), or None for pooling.
    """

    inputs: jax.Array
    guide: jax.Array | None
    kernel: jax.Array
    bias: jax.Array | None


def make_operands(
    workload: Workload, seed: int = 0, dtype: DTypeLike = jnp.float32
) -> tuple[Operands, jax.Array]:
    """Random operands, and a random cotangent of the output.

    The guide's scale makes two pixels' squared distance 2 on average, so that the affinities are
    neither all 1 nor all 0.

    Args:
        workload: the shapes.
        seed: of the random numbers.
        dtype: of every array; but positions need at least 32 bits, and so a guide that has them.

    Returns:
        The operands and the cotangent, on the default device.
    """
    generator = np.random.default_rng(seed)

    def draw(shape: tuple[int, ...], scale: float = 1.0) -> jax.Array:
        return jnp.asarray(scale * generator.standard_normal(shape), dtype)

    fan_in = math.prod(workload.kernel_shape) / workload.features
    bias_shape = (workload.features,)
    seen = workload.guide_channels
    if workload.space_sigma is not None:
        seen -= len(workload.size)
    guide = draw((workload.batch, *workload.guide_size, seen), seen**-0.5)
    kernel = draw(workload.kernel_shape, fan_in**-0.5)
    if workload.space_sigma is not None:
        guide = with_positions(guide, 1.0, 1 / workload.space_sigma)
        kernel = jnp.ones_like(kernel)
    operands = Operands(
        inputs=draw((workload.batch, *workload.size, workload.channels)),
        guide=guide,
        kernel=kernel,
        bias=None if workload.operator == "pool" else draw(bias_shape),
    )
    return operands, draw(workload.output_shape)


def apply_pac(
    workload: Workload,
    operands: Operands,
    implementation: str | None = None,
    affinity: pac_jax.Affinity = _GAUSSIAN,
) -> jax.Array:
    """Evaluate the workload with this library.

    Args:
        workload: the operator and its options.
        operands: its arrays.
        implementation: as in `pac_jax.pac_conv`.
        affinity: as in `pac_jax.pac_conv`.

    Returns:
        The output, of shape `workload.output_shape`.
    """
    inputs, guide, kernel, bias = operands
    assert guide is not None
    options: dict[str, Any] = {
        "strides": workload.strides,
        "padding": workload.padding,
        "kernel_dilation": workload.kernel_dilation,
        "normalize": workload.normalize,
        "implementation": implementation,
        "affinity": affinity,
    }
    if workload.operator == "pool":
        return pac_jax.pac_pool(inputs, guide, workload.window, weights=kernel, **options)
    convolve = pac_jax.pac_conv_transpose if workload.transposed else pac_jax.pac_conv
    groups = workload.feature_group_count
    return convolve(inputs, guide, kernel, bias, feature_group_count=groups, **options)
