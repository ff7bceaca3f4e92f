"""Filters of other packages that do the job of a workload; all are optional (extra `peers`).

* kornia's `joint_bilateral_blur` is our joint bilateral filter but at the borders, which it mirrors.
* OpenCV's `ximgproc.jointBilateralFilter` has a round window and adds up the absolute differences
  of the colours: the same for a guide of one channel wherever the window's corners weigh nothing.
* OpenCV's `ximgproc.guidedFilter` is another filter for the same purpose.
"""

from __future__ import annotations

from types import ModuleType

import jax
import numpy as np

from experiments.benchmarks.timing import Contender
from experiments.benchmarks.workloads import Operands, Workload


def prepare_kornia(
    workload: Workload, operands: Operands, cotangent: jax.Array, mode: str
) -> Contender:
    """The joint bilateral filter of kornia.

    Raises:
        NotImplementedError: kornia is not installed, or the workload is another filter.
    """
    sigma = _space_sigma(workload)
    try:
        import torch
        from kornia.filters import joint_bilateral_blur

        from experiments.benchmarks import torch_runs
    except ImportError as error:
        raise NotImplementedError("kornia is not installed (extra `peers`)") from error

    def convolve(
        workload: Workload, inputs: torch.Tensor, guide: torch.Tensor, *kernel: torch.Tensor
    ) -> torch.Tensor:
        colors = guide[:, : _colors(workload)]
        return joint_bilateral_blur(
            inputs, colors, workload.window, 1.0, (sigma, sigma), color_distance_type="l2"
        )

    given = operands._replace(kernel=None)  # type: ignore[arg-type]
    call, tensors = torch_runs.make_call(convolve, workload, given, cotangent, mode)
    return Contender(call, peak_bytes=torch_runs.peak_with_operands(call, tensors))


def prepare_opencv_bilateral(
    workload: Workload, operands: Operands, cotangent: jax.Array, mode: str
) -> Contender:
    """OpenCV's joint bilateral filter; its memory is not measured.

    Raises:
        NotImplementedError: OpenCV is not installed, or the workload is another filter.
    """
    sigma = _space_sigma(workload)
    ximgproc = _import_ximgproc()
    images = _images(workload, operands, mode)
    diameter = _diameter(workload)

    def call() -> list[np.ndarray]:
        return [
            ximgproc.jointBilateralFilter(guide, source, diameter, 1.0, sigma)
            for guide, source in images
        ]

    return Contender(call)


def prepare_opencv_guided(
    workload: Workload, operands: Operands, cotangent: jax.Array, mode: str
) -> Contender:
    """OpenCV's guided filter with the window of the bilateral one; its memory is not measured.

    Raises:
        NotImplementedError: OpenCV is not installed, or the workload is no joint bilateral filter.
    """
    _space_sigma(workload)
    ximgproc = _import_ximgproc()
    images = _images(workload, operands, mode)
    radius = _diameter(workload) // 2

    def call() -> list[np.ndarray]:
        return [ximgproc.guidedFilter(guide, source, radius, 1.0) for guide, source in images]

    return Contender(call)


def _space_sigma(workload: Workload) -> float:
    """The workload's space sigma, if it is a joint bilateral filter of an image."""
    if (
        workload.operator != "pool"
        or workload.space_sigma is None
        or len(workload.size) != 2
        or not workload.normalize
        or (workload.strides, workload.kernel_dilation) != (1, 1)
    ):
        raise NotImplementedError(
            "it is a joint bilateral filter of images, and this is another job"
        )
    return workload.space_sigma


def _colors(workload: Workload) -> int:
    """How many of the guide's channels are not positions."""
    return workload.guide_channels - len(workload.size)


def _diameter(workload: Workload) -> int:
    """The window's size, the same along both axes."""
    if len(set(workload.window)) > 1:
        raise NotImplementedError(f"OpenCV's windows are square, not {workload.window}")
    return workload.window[0]


def _import_ximgproc() -> ModuleType:
    try:
        from cv2 import ximgproc
    except ImportError as error:
        message = "OpenCV with its contributed modules is not installed (extra `peers`)"
        raise NotImplementedError(message) from error
    return ximgproc


def _images(
    workload: Workload, operands: Operands, mode: str
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Colours and inputs of every image, as OpenCV takes them."""
    if mode != "forward":
        raise NotImplementedError("OpenCV's filters have no gradients")
    channels = (_colors(workload), workload.channels)
    if not set(channels) <= {1, 3}:
        raise NotImplementedError(f"OpenCV takes 1 or 3 channels, not {channels}")
    colors = np.asarray(operands.guide, np.float32)[..., : channels[0]]
    inputs = np.asarray(operands.inputs, np.float32)
    return [
        (np.ascontiguousarray(guide), np.ascontiguousarray(source))
        for guide, source in zip(colors, inputs, strict=True)
    ]
