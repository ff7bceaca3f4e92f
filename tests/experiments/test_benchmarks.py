"""Tests of the benchmark program: what it times is right, and how it reports is right."""

from __future__ import annotations

import dataclasses
import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.benchmarks import operators, report, timing
from experiments.benchmarks.baselines import BASELINES, plain_conv
from experiments.benchmarks.competitors import (
    list_competitors,
    with_gradients,
    without_affinities,
)
from experiments.benchmarks.workloads import WORKLOADS, Operands, Workload, apply_pac, make_operands

quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
GUIDED_BASELINES = [name for name in BASELINES if name != "plain"]
# Many workloads differ by sizes only, and have one tiny form.
KINDS = {
    dataclasses.replace(workload.tiny(), name=""): name
    for name, workload in reversed(WORKLOADS.items())
}


@pytest.fixture(params=list(KINDS.values()))
def workload(request) -> Workload:
    return WORKLOADS[request.param].tiny()


@pytest.fixture(scope="module")
def reference_answers() -> dict:
    return {}


@pytest.fixture
def reference(workload, x64, reference_answers):
    """Output and gradients of the implementation that reads like the definition, in float64."""
    if workload.name not in reference_answers:
        function = partial(apply_pac, implementation="patches")
        reference_answers[workload.name] = answers(function, workload)
    return reference_answers[workload.name]


def answers(function, workload: Workload) -> tuple[jax.Array, Operands]:
    """The output of one of the compared functions, and the gradients for its operands."""
    operands, cotangent = make_operands(workload, dtype=jnp.float64)

    @quick_jit
    def evaluate(operands: Operands, cotangent: jax.Array) -> tuple[jax.Array, Operands]:
        output = partial(function, workload)
        return output(operands), with_gradients(output)(operands, cotangent)[1]

    return evaluate(operands, cotangent)


def assert_trees_close(actual, expected, tolerance: float) -> None:
    jax.tree.map(
        partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance), actual, expected
    )


def test_implementation_equals_reference(workload, reference, implementation):
    assert_trees_close(
        answers(partial(apply_pac, implementation=implementation), workload), reference, 1e-11
    )


@pytest.mark.parametrize("name", GUIDED_BASELINES)
def test_baseline_equals_reference(workload, reference, name):
    assert_trees_close(answers(BASELINES[name], workload), reference, 1e-11)


@pytest.mark.parametrize("name", GUIDED_BASELINES)
@pytest.mark.parametrize("operator", ["conv_256", "pool_256"])
def test_baseline_runs_in_bfloat16(name, operator):
    workload = WORKLOADS[operator].tiny()
    operands, _ = make_operands(workload, dtype=jnp.bfloat16)
    outputs = quick_jit(partial(BASELINES[name], workload))(operands)
    expected = quick_jit(partial(apply_pac, workload))(operands)
    assert outputs.dtype == expected.dtype == jnp.bfloat16
    np.testing.assert_allclose(
        outputs.astype(jnp.float32), expected.astype(jnp.float32), rtol=0.03, atol=0.1
    )


def test_without_affinities_it_is_the_plain_conv(workload, x64):
    workload = dataclasses.replace(workload, normalize=False)
    output, gradients = answers(without_affinities, workload)
    expected, of_plain = answers(plain_conv, workload)
    assert_trees_close(output, expected, 1e-11)
    assert_trees_close(gradients, of_plain, 1e-11)
    assert not np.any(gradients.guide)


def test_plain_conv_is_a_constant_guide(workload, x64):
    workload = dataclasses.replace(workload, normalize=False)
    operands, _ = make_operands(workload, dtype=jnp.float64)
    operands = operands._replace(guide=jnp.ones_like(operands.guide))
    expected = quick_jit(partial(apply_pac, workload))(operands)
    np.testing.assert_allclose(plain_conv(workload, operands), expected, rtol=1e-11, atol=1e-11)


def test_torch_unfold_equals_reference(workload, reference):
    torch = pytest.importorskip("torch")
    from experiments.benchmarks import torch_unfold

    # PyTorch's first `exp` is of low accuracy in one of several threads (pytorch/pytorch#188792).
    torch.zeros(1, dtype=torch.float64).exp()
    operands, cotangent = make_operands(workload, dtype=jnp.float64)
    if len(workload.size) != 2:
        with pytest.raises(NotImplementedError, match="two spatial dimensions"):
            torch_unfold.torch_operands(workload, operands)
        return
    tensors = torch_unfold.torch_operands(workload, operands)
    outputs = torch_unfold.unfold_conv(workload, *tensors)
    weights = torch_unfold.to_tensor(cotangent, (0, 3, 1, 2))
    gradients = torch.autograd.grad((outputs * weights).sum(), tensors)
    expected, expected_gradients = reference
    np.testing.assert_allclose(
        outputs.detach().permute(0, 2, 3, 1), expected, rtol=1e-11, atol=1e-11
    )
    present = [array for array in expected_gradients if array is not None]
    orders = [(0, 2, 3, 1), (0, 2, 3, 1), (2, 3, 1, 0), (0,)]
    if workload.operator == "pool":
        orders[2] = (0, 1)
    for gradient, array, order in zip(gradients, present, orders, strict=False):
        np.testing.assert_allclose(gradient.permute(order), array, rtol=1e-11, atol=1e-11)


def test_workloads_are_named_after_themselves_and_tiny_is_small():
    for name, workload in WORKLOADS.items():
        operands, cotangent = make_operands(workload.tiny())
        assert workload.name == name != workload.tiny().name
        assert cotangent.shape == workload.tiny().output_shape
        assert max(array.size for array in operands if array is not None) < 20_000


def test_operands_are_made_by_the_seed():
    workload = WORKLOADS["conv_256"].tiny()
    first, again, other = (make_operands(workload, seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.inputs, again.inputs)
    assert not np.array_equal(first.inputs, other.inputs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"operator": "blur"}, "operator is 'blur'"),
        ({"window": (5,)}, "other dimensions"),
        ({"window": (5, 4)}, "odd"),
        ({"operator": "pool", "features": 7}, "features is 7"),
        ({"space_sigma": 1.0, "guide_channels": 2}, "2 of them are positions"),
    ],
)
def test_workload_refuses_what_does_not_fit(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(WORKLOADS["conv_256"], **change)


def test_race_gives_every_contender_its_turns_spread_over_the_run(monkeypatch):
    monkeypatch.setattr(timing, "_TURN_SECONDS", 1e-9)
    order = []
    contenders = {
        name: timing.Contender(partial(order.append, name), temporary_bytes=7) for name in "ab"
    }
    results = timing.race(contenders, turns=3, budget_seconds=10.0)
    assert order == ["a", "b"] * 4  # a warm-up each, then three turns
    assert [len(result.seconds) for result in results.values()] == [3, 3]
    assert results["a"].temporary_bytes == 7
    due = [turn for turn in range(9) if timing.is_due(turn, 3, 9)]
    assert due == [2, 5, 8]


@pytest.mark.parametrize(
    ("call_seconds", "turns"), [(0.001, 20), (1.0, 10), (3.0, 3), (11.0, 1), (0.5, 20)]
)
def test_budget_limits_turns_but_leaves_one(call_seconds, turns):
    assert timing.count_turns(call_seconds, turns=20, budget_seconds=10.0) == turns


def test_compile_call_reports_compile_time_and_temporary_memory():
    def hoard(array):
        return jnp.fft.fft(array).real

    contender = timing.compile_call(hoard, jnp.ones((64, 64)))
    assert contender.compile_seconds > 0
    assert contender.temporary_bytes > 0
    assert contender.peak_bytes == contender.temporary_bytes + 2 * 4 * 64 * 64
    np.testing.assert_allclose(contender.call(), hoard(jnp.ones((64, 64))), rtol=1e-5, atol=1e-5)


def test_program_measures_prints_and_writes(tmp_path, capsys):
    names = ["plain", "taps", "scan", "torch"]
    data, tables = tmp_path / "now.json", tmp_path / "now.md"
    status = operators.main(
        [
            "--tiny",
            "--workload",
            "audio",
            "--runs",
            "1",
            "--competitor",
            *names,
            "--json",
            str(data),
            "--markdown",
            str(tables),
        ]
    )
    assert status == 0
    record = json.loads(data.read_text())
    assert set(record) == {"machine", "commit", "date", "summary", "skipped", "results"}
    assert record["machine"]["jax"] == jax.__version__
    assert set(record["skipped"]) == {"audio_tiny float32 torch"}
    keys = {(entry["competitor"], entry["mode"]) for entry in record["results"]}
    assert keys == {(name, mode) for name in names[:3] for mode in ("forward", "gradients")}
    assert all(entry["seconds"] and entry["median_seconds"] > 0 for entry in record["results"])
    printed = capsys.readouterr().out
    assert tables.read_text().strip() in printed
    assert printed.count("\n|") == 5 + 5  # results and means
    assert "Summary of 1 of 14 network shapes" in printed
    assert len(report.read_json(data)) == 6


def result(competitor: str, seconds: float, mode: str = "forward") -> report.Result:
    measurement = timing.Measurement([seconds, seconds / 2, 2 * seconds], 0.5, 2**20, 2**21)
    return report.Result("conv_256", "float32", competitor, mode, 2**20, measurement)


def test_table_has_ratios_to_the_plain_convolution():
    table = report.format_table(
        [result("plain", 0.01), result("taps", 0.025), result("taps", 0.1, "gradients")]
    )
    plain, taps = ([cell.strip() for cell in line.split("|")] for line in table.splitlines()[2:])
    assert plain[1:-1] == ["plain", "10.0", "1.00", "1.0", "2.0", "0.50", *"-----"]
    assert taps[1:6] == ["taps", "25.0", "2.50", "1.0", "2.0"]
    assert taps[6:-1] == ["0.50", "100.0", "-", "1.0", "2.0", "0.50"]


def test_compare_names_what_got_slower(tmp_path, capsys):
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    report.write_json(before, [result("plain", 0.01), result("taps", 0.02)], {})
    report.write_json(
        after, [result("plain", 0.011), result("taps", 0.03), result("scan", 1.0)], {}
    )
    assert operators.main(["--compare", str(before), str(after)]) == 1
    slower, summary = capsys.readouterr().out.splitlines()
    assert slower == (
        "conv_256 float32 taps forward: 20.0 ms -> 30.0 ms (1.50 x; beside the plain "
        "convolution 1.36 x)"
    )
    assert summary == "1 of 2 results are more than 1.2 x slower"
    assert operators.main(["--compare", str(before), str(after), "--threshold", "1.6"]) == 0
    assert operators.main(["--compare", str(after), str(before)]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workload", "conv_255"], "workload is 'conv_255'; it needs one of conv_256, "),
        (["--competitor", "magic"], "competitor is 'magic'; it needs one of plain, default, "),
        (["--scaling", "--workload", "audio"], "--scaling has its own workloads and competitors"),
        (["--read", "now.json", "--competitor", "plain"], "--read has its own workloads"),
        (["--read", "now.json", "--scaling"], "--scaling measures, --read does not"),
        (["--plot", "now.png", "--dtype", "float32", "bfloat16"], "have one --dtype"),
        (["--runs", "0"], "--runs is 0; it needs at least 1"),
        (["--dtype", "int8"], "argument --dtype: invalid choice"),
    ],
)
def test_bad_arguments_end_in_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as ending:
        operators.main(arguments)
    assert ending.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


@pytest.mark.parametrize("content", [None, "no JSON", "[]", "{}", '{"results": [{}]}'])
def test_compare_refuses_what_is_no_record(content, tmp_path, capsys):
    broken = tmp_path / "broken.json"
    if content is not None:
        broken.write_text(content)
    assert operators.main(["--compare", str(broken), str(broken)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert str(broken) in line


def test_list_names_every_workload_and_competitor(capsys):
    assert operators.main(["--list"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in [*WORKLOADS, *list_competitors()])
