"""Tests of measuring, summaries, bars, pictures, and how costs grow."""

from __future__ import annotations

import json
import math
import sys

import pytest

from experiments.benchmarks import measuring, operators, plots, report, scaling, summary, timing
from experiments.benchmarks.workloads import NETWORK_SHAPES, WORKLOADS


def result(
    workload: str,
    competitor: str,
    seconds: float,
    *,
    mode: str = "forward",
    temporary: int | None = 0,
    peak: int = 1,
    dtype: str = "float32",
) -> report.Result:
    measurement = timing.Measurement([seconds], 1.5, temporary, peak)
    return report.Result(workload, dtype, competitor, mode, 1000, measurement)


RESULTS = [
    result("crf_16", "plain", 1.0),
    result("crf_16", "default", 2.0, temporary=500, peak=10),
    result("crf_16", "torch", 40.0, temporary=None, peak=100),
    result("audio", "plain", 1.0),
    result("audio", "default", 4.5, temporary=1200),
    result("conv_256", "plain", 1.0),
    result("conv_256", "default", 100.0),  # no network shape
    result("audio", "plain", 2.0, mode="gradients"),
    result("audio", "default", 3.0, mode="gradients", temporary=2000),
]


def test_summary_is_a_geometric_mean_over_network_shapes():
    found = summary.summarize(RESULTS)
    times = found["forward", "times_plain"]
    assert times.values == {"crf_16": 2.0, "audio": 4.5}
    assert times.mean == pytest.approx(3.0)
    assert times.worst == "audio"
    assert times.is_met is False
    assert found["forward", "memory_over_data"].values == {"crf_16": 0.5, "audio": 1.2}
    assert found["forward", "times_torch"].values == {"crf_16": 0.05}
    assert found["forward", "times_torch"].is_met is True
    assert found["forward", "peak_over_torch"].mean == pytest.approx(0.1)
    assert found["forward", "compile_seconds"].is_met is True
    assert found["gradients", "times_plain"].mean == pytest.approx(1.5)
    assert found["gradients", "memory_over_data"].is_met is True
    assert ("gradients", "times_torch") not in found


@pytest.mark.parametrize(("worst", "is_met"), [(3.9, True), (4.1, False)])
def test_every_workload_has_its_bar(worst, is_met):
    values = {"crf_16": 1.0, "audio": worst}
    assert summary.Summary(values, summary.Bar(2.5, 4.0)).is_met is is_met
    assert summary.Summary(values, summary.Bar()).is_met is None
    assert summary.Summary(values, summary.Bar(mean=1.5)).is_met is False


def test_summary_shows_means_worst_and_bars():
    text = summary.format_summary(RESULTS)
    assert text.startswith("## Summary of 2 of 14 network shapes, float32")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    by_name = {row[0]: row[1:] for row in reversed(rows) if row}
    assert by_name["workload"][:4] == ["x plain", "temporary / data", "x torch", "peak / torch's"]
    assert by_name["crf_16"] == ["2.00", "0.50", "0.05", "0.10", "1.50"]
    assert by_name["audio"] == ["4.50", "1.20", "-", "-", "1.50"]
    assert by_name["worst"] == ["4.50", "1.20", "0.05", "0.10", "1.50"]
    assert by_name["bar of the mean"] == ["2.50", "-", "0.10", "0.20", "-"]
    assert by_name["bar of each"] == ["4.00", "1.00", "-", "-", "2.00"]
    assert by_name["met"] == ["no", "no", "yes", "yes", "yes"]
    assert by_name["default"] == ["3.00", "4.50 (audio)", "2", "1.50", "1.50 (audio)", "1"]
    assert by_name["torch"] == ["40.00", "40.00 (crf_16)", "1", "-", "-", "0"]
    assert summary.format_summary([result("conv_256", "default", 1.0)]) == ""


def test_summaries_are_apart_by_dtype_and_go_into_json():
    other = [
        result("audio", name, seconds, dtype="bfloat16")
        for name, seconds in (("plain", 1.0), ("default", 7.0))
    ]
    record = json.loads(json.dumps(summary.summaries_to_json([*RESULTS, *other])))
    assert record["bfloat16"]["default"]["forward"]["times_plain"]["worst"] == 7.0
    times = record["float32"]["default"]["forward"]["times_plain"]
    assert (times["worst"], times["worst_workload"], times["is_met"]) == (4.5, "audio", False)


def test_network_shapes_are_those_of_the_networks():
    assert len(NETWORK_SHAPES) == 14
    for name, batch, size in (("pac_net", 1, (480, 640)), ("pac_net_crops", 4, (256, 256))):
        stages = [WORKLOADS[f"{name}_{number}"] for number in (1, 2, 3)]
        assert stages[2].output_shape == (batch, *size, 32)
        assert [stage.size for stage in stages[1:]] == [stage.output_size for stage in stages[:2]]
        assert {stage.padding for stage in stages} == {((2, 3), (2, 3))}  # the networks'
    assert WORKLOADS["crf_64"].padding == ((128, 128), (128, 128))
    assert WORKLOADS["jbu_8"].data_bytes("float32") == 4 * (60 * 80 + 480 * 640 * 6)


def test_program_reads_what_it_wrote_and_draws_it(tmp_path, capsys):
    record, picture, tables = (tmp_path / name for name in ("now.json", "now.png", "now.md"))
    reasons = {f"crf_16 float32 {name}": "because" for name in ("kornia", "opencv_guided")}
    report.write_json(record, RESULTS, reasons, summary.summaries_to_json(RESULTS))
    arguments = ["--read", str(record), "--plot", str(picture), "--markdown", str(tables)]
    assert operators.main(arguments) == 0
    out = capsys.readouterr().out
    assert "Skipped kornia, opencv_guided: because." in out
    assert summary.format_summary(RESULTS) in out
    assert tables.read_text().strip() in out.strip()
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_program_names_all_network_shapes_at_once(monkeypatch, tmp_path):
    asked = []

    def nothing(workload, competitors, dtype, runs, budget_seconds):
        asked.append((workload.name, dtype))
        return [], {}

    monkeypatch.setattr(operators, "measure", nothing)
    dtypes = ["float32", "bfloat16"]
    arguments = ["--workload", "audio", "networks", "--dtype", *dtypes]
    assert operators.main(arguments) == 0
    names = ["audio", *(name for name in NETWORK_SHAPES if name != "audio")]
    assert asked == [(name, dtype) for dtype in dtypes for name in names]


@pytest.mark.parametrize("power", [0.0, 1.0, 1.7])
def test_exponent_of_a_power(power):
    numbers = [64, 256, 4096]
    assert scaling.fit_exponent(numbers, [3 * n**power for n in numbers]) == pytest.approx(power)
    assert scaling.fit_exponent(numbers, [0.0, 5.0, 0.0]) is None


def test_sweeps_change_one_number():
    sweeps = scaling.sweeps()
    assert list(sweeps["pixels"]) == [4**n for n in range(6, 12)]
    assert list(sweeps["taps"]) == [9, 25, 49, 81]
    for name in ("channels", "features", "guide_channels"):
        assert [getattr(point, name) for point in sweeps[name].values()] == list(sweeps[name])
        assert max(sweeps[name]) == 256
    assert len({point.name for points in sweeps.values() for point in points.values()}) == 28


def test_scaling_is_measured_reported_and_drawn(monkeypatch, tmp_path, capsys):
    def pretend(workload, competitors, dtype, runs, budget_seconds):
        cost = math.prod(workload.size) * math.prod(workload.window) * workload.channels
        return [
            result(workload.name, name, 1e-9 * cost, mode=mode, temporary=math.prod(workload.size))
            for name in competitors
            for mode in ("forward", "gradients")
        ], {}

    monkeypatch.setattr(scaling, "measure", pretend)
    monkeypatch.setattr(scaling, "_OPERATORS", ("pool_256",))
    data, picture = tmp_path / "scaling.json", tmp_path / "scaling.png"
    assert operators.main(["--scaling", "--tiny", "--json", str(data), "--plot", str(picture)]) == 0
    written = json.loads(data.read_text())["summary"]
    fitted = written["exponents"]
    for name, seconds, temporary in (("pixels", 1, 1), ("taps", 1, 0), ("features", 0, 0)):
        assert fitted[name]["forward_seconds"] == pytest.approx(seconds, abs=1e-6)
        assert fitted[f"{name}, last step"]["gradients_seconds"] == pytest.approx(seconds, abs=1e-6)
        assert fitted[name]["gradients_temporary_bytes"] == pytest.approx(temporary, abs=1e-6)
    assert set(written["compile_seconds"]) == {"pool_256 forward", "pool_256 gradients"}
    assert picture.read_bytes().startswith(b"\x89PNG")
    out = capsys.readouterr().out
    assert "## Scaling with taps" in out
    assert "| taps, last step " in out


def test_measure_keeps_what_ran_when_a_mode_is_refused(monkeypatch):
    monkeypatch.setattr(timing, "_TURN_SECONDS", 1e-9)

    def no_gradients(workload, operands, cotangent, mode):
        if mode == "gradients":
            raise NotImplementedError("there are none")
        return timing.Contender(lambda: None)

    monkeypatch.setattr(measuring, "list_competitors", lambda: {"filter": no_gradients})
    found, skipped = measuring.measure(WORKLOADS["audio"].tiny(), ["filter"], "float32", 1, 1.0)
    assert [(one.competitor, one.mode) for one in found] == [("filter", "forward")]
    assert skipped == {"audio_tiny float32 filter": "there are none"}


def test_ratios_are_drawn_without_a_plain_convolution(tmp_path):
    plots.draw_ratios(RESULTS[1:3], tmp_path / "ratios.png")
    assert (tmp_path / "ratios.png").stat().st_size > 1000


def test_a_call_longer_than_the_budget_is_not_repeated(monkeypatch):
    clock = iter([0.0, 20.0, 20.0, 20.5, 21.0, 22.0, 22.0, 23.0])  # starts and ends of calls
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    contenders = {name: timing.Contender(lambda: None) for name in ("long", "short")}
    results = timing.race(contenders, turns=2, budget_seconds=10.0)
    assert results["long"].seconds == [20.0]
    assert results["short"].seconds == [1.0, 1.0]


def test_what_needs_more_memory_than_is_free_is_refused():
    timing.check_memory(1)
    if sys.platform == "linux":
        with pytest.raises(NotImplementedError, match=r"needs 1048576\.0 GiB of memory, and"):
            timing.check_memory(2**50)
