"""PyTorch's unfold formulation as a contender: as it stands, and through `torch.compile`.

Peak memory is that of PyTorch's own allocator: its profiler records when each block of a call is
taken and given back, and the largest sum counts, together with the operands. What libraries below
allocate past it is not seen, so the truth may be more, never less. JAX's peak has the same parts:
arguments, outputs, and what the compiled call holds in between.

PyTorch is optional: import this module only where it is installed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import jax
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from experiments.benchmarks import torch_unfold
from experiments.benchmarks.timing import Contender, check_memory
from experiments.benchmarks.workloads import Operands, Workload

Convolve = Callable[..., Tensor]


def prepare_unfold(
    workload: Workload, operands: Operands, cotangent: jax.Array, mode: str
) -> Contender:
    """The unfold formulation as it stands.

    Raises:
        NotImplementedError: it cannot run the workload, or needs more memory than is free.
    """
    call, tensors = make_call(torch_unfold.unfold_conv, workload, operands, cotangent, mode)
    check_memory(least_bytes(workload, operands, mode))
    return Contender(call, peak_bytes=peak_with_operands(call, tensors))


def prepare_compiled(
    workload: Workload,
    operands: Operands,
    cotangent: jax.Array,
    mode: str,
    backend: str = "inductor",
) -> Contender:
    """The same through `torch.compile`, which needs a C++ compiler for the CPU.

    Its compile time is that of the first call, the call included.

    Args:
        workload: the operator and its options.
        operands: JAX's.
        cotangent: of the output.
        mode: 'forward' or 'gradients'.
        backend: of `torch.compile`.

    Raises:
        NotImplementedError: it cannot be compiled, or needs more memory than is free.
    """
    torch.compiler.reset()
    convolve = torch.compile(torch_unfold.unfold_conv, backend=backend, dynamic=False)
    call, tensors = make_call(convolve, workload, operands, cotangent, mode)
    check_memory(least_bytes(workload, operands, mode))
    start = time.perf_counter()
    try:
        with torch.compiler.config.patch(force_disable_caches=True):  # type: ignore[attr-defined]
            call()
    except Exception as error:  # of many types: no compiler, no support, a bug
        (line, *_) = str(error).strip().splitlines() or [""]
        message = f"torch.compile cannot compile it ({type(error).__name__}: {line})"
        raise NotImplementedError(message) from error
    seconds = time.perf_counter() - start
    return Contender(call, seconds, peak_bytes=peak_with_operands(call, tensors))


def make_call(
    convolve: Convolve, workload: Workload, operands: Operands, cotangent: jax.Array, mode: str
) -> tuple[Callable[[], object], list[Tensor]]:
    """A call without arguments, and the tensors that it reads."""
    tensors = torch_unfold.torch_operands(workload, operands)
    weights = torch_unfold.to_tensor(cotangent, (0, 3, 1, 2))

    def forward() -> object:
        with torch.no_grad():
            return convolve(workload, *tensors)

    def gradients() -> object:
        loss = (convolve(workload, *tensors) * weights).sum()
        return torch.autograd.grad(loss, tensors)

    if mode == "forward":
        return forward, tensors
    return gradients, [*tensors, weights]


def peak_with_operands(call: Callable[[], object], tensors: list[Tensor]) -> int:
    """The most that a call holds at one time, with the tensors that it reads."""
    return peak_bytes(call) + sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def peak_bytes(call: Callable[[], object]) -> int:
    """The most that a call holds at one time of what it has allocated itself, on the CPU."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        result = call()
    del result
    events = [event for event in _events(record) if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def _events(record: profile) -> list:
    results = record.profiler.kineto_results if record.profiler else None
    return results.events() if results else []


def least_bytes(workload: Workload, operands: Operands, mode: str) -> int:
    """A lower bound of what the unfold formulation holds, to be known before it is tried.

    Both windows are gathered; at some moment the guide's exist twice (differences and squares).
    The reverse pass holds those of the inputs twice, too.
    """
    places = math.prod(workload.window) * math.prod(workload.output_size) * workload.batch
    item = operands.inputs.dtype.itemsize
    copies = 1 if mode == "forward" else 2
    return places * (copies * item * workload.channels + 2 * 4 * workload.guide_channels)
