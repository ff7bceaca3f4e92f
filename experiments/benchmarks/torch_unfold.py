"""The formulation that PyTorch users know: gather all windows with `unfold`, then multiply.

Written from the mathematics, channels first as PyTorch has it. PyTorch is optional: import this
module only where it is installed.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from experiments.benchmarks.workloads import Operands, Workload


def torch_operands(workload: Workload, operands: Operands) -> list[Tensor]:
    """The operands in PyTorch's layout, leaves that ask for gradients.

    Args:
        workload: which must have two spatial dimensions.
        operands: JAX's.

    Returns:
        Inputs (N, C, H, W), guide (N, G, H, W), kernel (D, C / groups, h, w) or (h, w), and, where
        there is one, the bias.

    Raises:
        NotImplementedError: PyTorch's `unfold` has two spatial dimensions, no more and no fewer.
    """
    if len(workload.size) != 2:
        raise NotImplementedError("torch.nn.functional.unfold has exactly two spatial dimensions")
    kernel_order = (0, 1) if workload.operator == "pool" else (3, 2, 0, 1)
    orders = ((0, 3, 1, 2), (0, 3, 1, 2), kernel_order, (0,))
    return [
        to_tensor(array, order).requires_grad_()
        for array, order in zip(operands, orders, strict=True)
        if array is not None
    ]


def to_tensor(array: jax.Array, order: tuple[int, ...]) -> Tensor:
    """The array as a contiguous tensor of the same type, its axes in this order."""
    name = str(array.dtype)
    if name == "bfloat16":  # NumPy's is not PyTorch's
        array = array.astype(jnp.float32)
    values = np.array(np.transpose(np.asarray(array), order), order="C")
    return torch.from_numpy(values).to(getattr(torch, name))


def unfold_conv(
    workload: Workload, inputs: Tensor, guide: Tensor, kernel: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Pixel-adaptive convolution, transposed convolution, or pooling.

    Args:
        workload: the operator and its options.
        inputs: (N, C, H, W).
        guide: (N, G, H, W), of the outputs' size for the transposed form.
        kernel: (D, C / groups, h, w), or (h, w) for pooling.
        bias: (D,), or None.

    Returns:
        (N, D, H', W').
    """
    real = torch.ones_like(inputs[:1, :1])
    columns = _unfold(workload, _spread(workload, inputs))  # (N, C, T, L)
    neighbours = _unfold_guide(workload, guide.to(torch.promote_types(guide.dtype, torch.float32)))
    centres = neighbours[:, :, neighbours.shape[2] // 2, None]
    affinity = torch.exp(-0.5 * ((neighbours - centres) ** 2).sum(dim=1, keepdim=True))
    if workload.normalize:
        real = _unfold(workload, _spread(workload, real))
        affinity = affinity / (affinity * real).sum(dim=2, keepdim=True)
    weighted = affinity.to(inputs.dtype) * columns
    if workload.operator == "pool":
        outputs = torch.einsum("nctl,t->ncl", weighted, kernel.flatten())
    else:
        groups = workload.feature_group_count
        filters = kernel.reshape(groups, workload.features // groups, -1)
        outputs = filters @ weighted.reshape(len(inputs), groups, filters.shape[-1], -1)
    outputs = outputs.reshape(len(inputs), workload.features, *workload.output_size)
    return outputs if bias is None else outputs + bias.reshape(1, -1, 1, 1)


def _spread(workload: Workload, samples: Tensor) -> Tensor:
    """Zeros between and around the samples."""
    step = workload.spread
    if step > 1:
        n, c, *size = samples.shape
        spread = samples.new_zeros(n, c, *((k - 1) * step + 1 for k in size))
        spread[:, :, ::step, ::step] = samples
        samples = spread
    (top, bottom), (left, right) = workload.padding
    return functional.pad(samples, (left, right, top, bottom))


def _unfold(workload: Workload, padded: Tensor) -> Tensor:
    """Every output's window, (N, C, H, W) -> (N, C, T, L)."""
    columns = functional.unfold(
        padded,
        workload.window,
        dilation=workload.kernel_dilation,
        stride=workload.window_strides,
    )
    n, c = padded.shape[:2]
    return columns.reshape(n, c, -1, columns.shape[-1])


def _unfold_guide(workload: Workload, guide: Tensor) -> Tensor:
    vertical, horizontal = workload.half_reach
    return _unfold(workload, functional.pad(guide, (horizontal, horizontal, vertical, vertical)))
