"""Tests of the program that measures the GPU kernel, and of the floors on paper."""

from __future__ import annotations

import json
from functools import partial

import jax
import numpy as np
import pytest
from flax import nnx

from experiments.benchmarks import floors, gpu, training_steps
from experiments.benchmarks.workloads import WORKLOADS
from pac_jax.models import PacNet


def test_floor_counts_pairs_as_a_convolution_of_ones_does():
    for name in ("pac_net_1", "conv_256", "pool_256", "volume", "audio"):
        workload = WORKLOADS[name].tiny()
        n = len(workload.size)
        spatial = "DHW"[-n:]
        counted = jax.lax.conv_general_dilated(
            np.ones((workload.batch, *workload.size, 1), np.float32),
            np.ones((*workload.window, 1, 1), np.float32),
            (workload.window_strides,) * n,
            workload.padding,
            (workload.spread,) * n,
            (workload.kernel_dilation,) * n,
            (f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"),
        )
        assert floors.pairs(workload) == counted.sum()


def test_floors_by_hand():
    """(1, 256, 256, 32) to 32, guide 16, 5 x 5: 25 taps but for the borders, everything moved once."""
    forward, reverse = floors.costs(WORKLOADS["conv_256"], "float32", guided=True)
    joined = (5 * 256 - 2 * (1 + 2)) ** 2
    assert forward.products == 2 * joined * 32 * 32
    assert forward.others == joined * (3 * 16 + 2 * 32)
    read = 256 * 256 * (32 + 16) + 25 * 32 * 32 + 32
    assert forward.memory == 4 * (read + 256 * 256 * 32)
    assert reverse.memory == 4 * (2 * read + 256 * 256 * 32)
    assert reverse.products == 3 * forward.products
    seconds, limit = forward.seconds("float32")
    assert limit == "tensor cores"
    assert seconds == forward.products / floors.PRODUCTS_PER_SECOND["float32"]
    plain, _ = floors.costs(WORKLOADS["conv_256"], "float32", guided=False)
    assert plain.products == forward.products
    assert plain.others == 0


def test_floors_are_a_table(capsys, tmp_path):
    floors.main(["--markdown", str(tmp_path / "floors.md")])
    text = (tmp_path / "floors.md").read_text()
    assert text == capsys.readouterr().out
    assert text.count("| pac_net_3 |") == 2
    widths = {line.count("|") for line in text.splitlines()}
    assert widths == {11}


def test_program_checks_measures_and_writes(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training_steps, "steps_per_second", lambda make, steps: 6.0)
    monkeypatch.setattr(training_steps, "jax_steps", lambda *arguments: None)
    monkeypatch.setattr(training_steps, "torch_steps", lambda *arguments: None)
    arguments = ["--out", str(tmp_path), "--tiny", "--workload", "pac_net_1", "--dtype", "float32"]
    assert gpu.main(arguments) == 0
    record = json.loads((tmp_path / "gpu.json").read_text())
    found = {(result["competitor"], result["mode"]) for result in record["results"]}
    assert found == {(name, mode) for name in gpu.COMPETITORS for mode in ("forward", "gradients")}
    assert record["summary"]["training steps over torch"] == 1
    assert record["summary"]["errors"]["pac_net_1_tiny float32"] < 1e-5
    assert "| pac_net_1_tiny | float32 | gradients |" in capsys.readouterr().out


def test_wrong_kernels_are_not_timed(monkeypatch):
    wrong = {**gpu.COMPETITORS, "pallas": lambda w, o: 1.1 * gpu.COMPETITORS["taps"](w, o)}
    monkeypatch.setattr(gpu, "COMPETITORS", wrong)
    with pytest.raises(ArithmeticError, match="conv_256_tiny"):
        gpu.check(WORKLOADS["conv_256"].tiny(), "float32")


def test_full_sizes_need_a_gpu(tmp_path, capsys):
    assert gpu.main(["--out", str(tmp_path)]) == 2
    assert "needs a GPU" in capsys.readouterr().err


def test_torch_trains_the_same_network(monkeypatch):
    torch = pytest.importorskip("torch")
    from experiments.benchmarks.torch_pac_net import PacNetByUnfold

    model = PacNetByUnfold()
    sizes = sorted(parameter.numel() for parameter in model.parameters())
    ours = nnx.state(PacNet(8, rngs=nnx.Rngs(0)), nnx.Param)
    assert sizes == sorted(leaf.size for leaf in jax.tree.leaves(ours))
    assert model(torch.zeros(1, 1, 2, 3), torch.zeros(1, 3, 16, 24)).shape == (1, 1, 16, 24)
    assert training_steps.steps_per_second(training_steps.torch_steps(16, 1), 1) > 0
    small = {"target_branch": (2,), "guide_branch": (), "group_features": 1, "final_branch": ()}
    monkeypatch.setattr(training_steps, "PacNet", partial(PacNet, stages=(2, 2, 2), **small))
    assert training_steps.steps_per_second(training_steps.jax_steps(16, 1, "taps"), 1) > 0
