"""PAC-Net with PyTorch's unfold formulation, as users of the public method train it.

Written from the mathematics (see `torch_unfold`). PyTorch is optional: import this module only where
it is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from experiments.benchmarks.torch_unfold import unfold_conv
from experiments.benchmarks.workloads import Workload

_STAGES = 3  # doublings
_GROUP = 16  # guide channels of each


class Stage(nn.Module):
    """A transposed pixel-adaptive convolution that doubles the size.

    Args:
        features: of input and output.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(0.1 * torch.randn(features, features, 5, 5))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, inputs: Tensor, group: Tensor) -> Tensor:
        """(N, C, h, w), (N, G, 2 h, 2 w) -> (N, C, 2 h, 2 w)."""
        batch, features, *size = inputs.shape
        workload = Workload(
            "stage",
            "conv_transpose",
            tuple(size),
            features,
            group.shape[1],
            (5, 5),
            features,
            batch=batch,
            strides=2,
        )
        return unfold_conv(workload, inputs, group, self.kernel, self.bias)


class PacNetByUnfold(nn.Module):
    """The published network for factor 8: as `pac_jax.models.PacNet(8)`, channels first.

    Args:
        features: of all layers but the first and the last.
    """

    def __init__(self, features: int = 32) -> None:
        super().__init__()
        self.target_branch = _branch((1, features, features, features))
        self.guide_branch = _branch((3, features, features, _GROUP * _STAGES))
        self.stages = nn.ModuleList([Stage(features) for _ in range(_STAGES)])
        self.final_branch = _branch((features, features, 1))

    def forward(self, target_low: Tensor, guide: Tensor) -> Tensor:
        """(N, 1, h, w), (N, 3, 8 h, 8 w) -> (N, 1, 8 h, 8 w)."""
        features = self.target_branch(target_low)
        for stage, group in zip(
            self.stages, self.guide_branch(guide).split(_GROUP, dim=1), strict=True
        ):
            size = tuple(2 * n for n in features.shape[2:])
            group = nn.functional.interpolate(group, size, mode="bilinear", align_corners=False)
            features = nn.functional.relu(stage(features, group))
        return self.final_branch(features)


def _branch(features: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(features):
        layers += [nn.Conv2d(inputs, outputs, 5, padding=2), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
