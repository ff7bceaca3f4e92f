"""Tests of what other packages are timed with: they do the same job, and their memory is theirs."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.benchmarks import peers
from experiments.benchmarks.competitors import list_competitors
from experiments.benchmarks.workloads import WORKLOADS, Workload, make_operands
from pac_jax.filters import joint_bilateral_filter, joint_bilateral_upsample

# What is more than 4 pixels from the window's centre weighs exp(-13) at most.
BILATERAL = Workload(
    "bilateral", "pool", (13, 17), 1, 3, (9, 9), 1, batch=2, normalize=True, space_sigma=0.8
)
INTERIOR = (slice(None), slice(4, -4), slice(4, -4))
PEERS = ["kornia", "opencv_bilateral", "opencv_guided"]


def expected_of(workload: Workload, operands) -> np.ndarray:
    """Our filter, given what the peers are given: no positions, and no scale."""
    return joint_bilateral_filter(
        operands.inputs,
        operands.guide[..., : workload.guide_channels - 2],
        window_size=workload.window,
        color_scale=1.0,
        space_scale=1 / workload.space_sigma,
    )


@pytest.mark.parametrize("colors", [1, 3])
def test_joint_bilateral_workload_is_our_filter(colors):
    workload = dataclasses.replace(BILATERAL, guide_channels=colors + 2)
    operands, cotangent = make_operands(workload)
    outputs = list_competitors()["default"](workload, operands, cotangent, "forward").call()
    np.testing.assert_allclose(outputs, expected_of(workload, operands), rtol=1e-5, atol=1e-6)


def test_jbu_workload_has_the_filters_arrays():
    workload = WORKLOADS["jbu_8"]
    small = dataclasses.replace(workload, size=(2, 3))
    operands, _ = make_operands(small)
    result = joint_bilateral_upsample(
        operands.inputs, operands.guide[..., :3], 8, color_scale=1.0, space_scale=1 / 8
    )
    assert result.shape == small.output_shape
    assert workload.output_size == (480, 640)
    assert workload.window == (17, 17)  # the filter's default, which its docstring names


@pytest.mark.parametrize("colors", [1, 3])
def test_kornia_is_our_filter_but_at_the_borders(colors):
    pytest.importorskip("kornia")
    torch = pytest.importorskip("torch")
    workload = dataclasses.replace(BILATERAL, guide_channels=colors + 2)
    operands, cotangent = make_operands(workload)
    contender = peers.prepare_kornia(workload, operands, cotangent, "forward")
    outputs = torch.as_tensor(contender.call()).permute(0, 2, 3, 1)
    expected = expected_of(workload, operands)
    np.testing.assert_allclose(outputs[INTERIOR], expected[INTERIOR], rtol=1e-4, atol=1e-5)
    gradients = peers.prepare_kornia(workload, operands, cotangent, "gradients").call()
    assert [tuple(gradient.shape) for gradient in gradients] == [
        (2, 1, 13, 17),
        (2, colors + 2, 13, 17),
    ]


def test_opencv_is_our_filter_for_a_gray_guide_but_at_the_borders():
    pytest.importorskip("cv2.ximgproc")
    operands, cotangent = make_operands(BILATERAL)
    contender = peers.prepare_opencv_bilateral(BILATERAL, operands, cotangent, "forward")
    outputs = np.stack(contender.call())[..., None]
    expected = expected_of(BILATERAL, operands)
    np.testing.assert_allclose(outputs[INTERIOR], expected[INTERIOR], rtol=0, atol=1e-4)


def test_opencv_guided_filter_follows_its_guide():
    pytest.importorskip("cv2.ximgproc")
    operands, cotangent = make_operands(BILATERAL)
    strong = operands._replace(guide=100 * operands.guide)  # the variance is large beside eps
    strong = strong._replace(inputs=2 * strong.guide[..., :1] + 3)  # linear in the guide
    contender = peers.prepare_opencv_guided(BILATERAL, strong, cotangent, "forward")
    outputs = np.stack(contender.call())[..., None]
    np.testing.assert_allclose(outputs, strong.inputs, rtol=1e-2, atol=0.2)


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize(
    "change",
    [
        {"strides": 2},
        {"kernel_dilation": 2},
        {"normalize": False},
        {"space_sigma": None},
        {"operator": "conv"},
    ],
)
def test_peers_refuse_other_jobs(name, change):
    workload = dataclasses.replace(BILATERAL, **change)
    operands, cotangent = make_operands(workload)
    with pytest.raises(NotImplementedError, match="a joint bilateral filter of images"):
        list_competitors()[name](workload, operands, cotangent, "forward")


@pytest.mark.parametrize(
    ("module", "name", "message"),
    [
        ("kornia.filters", "kornia", "kornia is not installed"),
        ("cv2", "opencv_bilateral", "OpenCV with its contributed modules is not installed"),
        ("cv2", "opencv_guided", "OpenCV with its contributed modules is not installed"),
    ],
)
def test_absent_peers_say_so(module, name, message, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, module, None)  # importing it fails
    operands, cotangent = make_operands(BILATERAL)
    with pytest.raises(NotImplementedError, match=message):
        list_competitors()[name](BILATERAL, operands, cotangent, "forward")


@pytest.mark.parametrize(
    ("change", "mode", "message"),
    [
        ({}, "gradients", "no gradients"),
        ({"window": (9, 7)}, "forward", "windows are square"),
        ({"guide_channels": 4}, "forward", "1 or 3 channels"),
    ],
)
def test_opencv_refuses_what_it_cannot_do(change, mode, message):
    pytest.importorskip("cv2.ximgproc")
    workload = dataclasses.replace(BILATERAL, **change)
    operands, cotangent = make_operands(workload)
    with pytest.raises(NotImplementedError, match=message):
        peers.prepare_opencv_bilateral(workload, operands, cotangent, mode)


def test_torch_peak_is_what_the_allocator_held():
    torch = pytest.importorskip("torch")
    from experiments.benchmarks import torch_runs

    def call():
        first = torch.ones(1000)
        second = first + 1  # 8000 bytes are held
        del first
        return second.sum()

    assert 8000 <= torch_runs.peak_bytes(call) <= 8000 + 64
    given = torch.ones(1000, requires_grad=True)

    def gradient():
        return torch.autograd.grad((given.exp() * 2).sum(), given)

    assert 12_000 <= torch_runs.peak_bytes(gradient) <= 16_000 + 512


@pytest.mark.parametrize("mode", ["forward", "gradients"])
def test_torch_holds_all_windows(mode):
    pytest.importorskip("torch")
    from experiments.benchmarks import torch_runs

    workload = dataclasses.replace(WORKLOADS["conv_256"].tiny(), size=(40, 30))
    operands, cotangent = make_operands(workload)
    least = torch_runs.least_bytes(workload, operands, mode)
    held = list_competitors()["torch"](workload, operands, cotangent, mode).peak_bytes
    assert least <= held <= 4 * least


def test_torch_compile_computes_the_same():
    torch = pytest.importorskip("torch")
    from experiments.benchmarks import torch_runs

    workload = WORKLOADS["pool_256"].tiny()
    operands, cotangent = make_operands(workload)
    # Inductor takes half a minute, and a C++ compiler; what is before it is tried here.
    contender = torch_runs.prepare_compiled(
        workload, operands, cotangent, "forward", backend="eager"
    )
    expected = torch_runs.prepare_unfold(workload, operands, cotangent, "forward").call()
    torch.testing.assert_close(contender.call(), expected)
    assert contender.compile_seconds > 0


def test_torch_compile_that_fails_says_why(monkeypatch):
    torch = pytest.importorskip("torch")
    from experiments.benchmarks import torch_runs

    def fail(function, **options):
        def call(*tensors):
            raise RuntimeError("No working C++ compiler found\nand much more")

        return call

    monkeypatch.setattr(torch, "compile", fail)
    workload = WORKLOADS["conv_256"].tiny()
    operands, cotangent = make_operands(workload)
    message = r"cannot compile it \(RuntimeError: No working C\+\+ compiler found\)$"
    with pytest.raises(NotImplementedError, match=message):
        torch_runs.prepare_compiled(workload, operands, cotangent, "forward")


def test_positions_keep_their_precision():
    operands, _ = make_operands(BILATERAL, dtype=jnp.bfloat16)
    assert operands.inputs.dtype == jnp.bfloat16
    assert operands.guide.dtype == jnp.float32
    np.testing.assert_allclose(jnp.diff(operands.guide[0, :, 0, 1]), 1 / 0.8, rtol=1e-5)
