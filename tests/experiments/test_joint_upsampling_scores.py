"""Metrics by hand, real images, the benchmark and the tables."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from experiments.joint_upsampling import benchmark, compare
from experiments.joint_upsampling.evaluate import evaluate
from experiments.joint_upsampling.fitting import cropped, fit
from experiments.joint_upsampling.methods import Method, baselines
from experiments.joint_upsampling.metrics import CONVENTIONS, end_point_error, root_mean_square
from experiments.joint_upsampling.real_pairs import RealPair, fill_holes, motorcycle, real_pairs
from experiments.joint_upsampling.scores import Score, measure
from experiments.joint_upsampling.tables import markdown, per_image
from experiments.training.errors import RunError

SHARED = Path(os.environ.get("PAC_JAX_SHARED", Path(__file__).parents[2].parent / "shared"))
DATA = SHARED / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no folder {DATA}")
QUIET = Console(quiet=True)


def pair(target, valid=None, kind="depth", to_8_bit=1.0, name="one"):
    """A grey photograph with this target (H, W, C)."""
    target = np.asarray(target, np.float32)
    valid = np.ones(target.shape[:2], bool) if valid is None else valid
    guide = np.full((1, *target.shape[:2], 3), 0.5, np.float32)
    return RealPair(name, "made", kind, "metres", guide, target[None], valid, to_8_bit)


def test_root_mean_square_by_hand():
    error = np.array([[3.0, 4.0], [0.0, 99.0]])
    valid = np.array([[True, True], [True, False]])
    assert root_mean_square(error, valid) == pytest.approx(np.sqrt(25 / 3))


def test_root_mean_square_leaves_out_border_and_holes():
    error = np.full((20, 22), 2.0)
    valid = np.ones((20, 22), bool)
    error[:6], error[10, 10], valid[10, 10] = 100, np.nan, False
    assert root_mean_square(error, valid, border=6) == pytest.approx(2)
    assert root_mean_square(error, valid) > 10


def test_end_point_error_by_hand():
    error = np.array([[[3.0, 4.0], [0.0, 1.0], [1e9, 1e9]]])
    assert end_point_error(error, np.array([[True, True, False]])) == pytest.approx(3)


def test_both_conventions_of_depth():
    target = np.zeros((20, 20, 1))
    result = np.zeros((20, 20, 1))
    result[:6], result[10, 10] = 5, 8  # 120 pixels of the border, one inside
    without_border, eight_bit = CONVENTIONS["depth"]
    made = pair(target, to_8_bit=4.0)
    assert without_border.measure(result, made) == pytest.approx(8 / 8)  # root of 64 / 64
    assert eight_bit.measure(result, made) == pytest.approx(4 * np.sqrt((120 * 25 + 64) / 400))
    assert (without_border.unit(made), eight_bit.unit(made)) == ("metres", "8-bit values")


def test_holes_are_filled_with_the_nearest_value():
    values = np.array([[1.0, np.inf, np.nan, 4.0]])
    np.testing.assert_array_equal(fill_holes(values, np.isfinite(values)), [[1, 1, 4, 4]])


def test_motorcycle_is_finite_and_cropped():
    whole = motorcycle()
    assert whole.valid.shape == (500, 741)
    assert np.isfinite(whole.target).all()
    assert 0.9 < whole.valid.mean() < 0.95
    assert float(whole.target.max()) * whole.to_8_bit == pytest.approx(255)
    small = cropped(whole, 16)
    assert small.guide.shape == (1, 496, 736, 3)
    assert small.target.shape == (1, 496, 736, 1)
    assert small.valid.shape == (496, 736)


@needs_data
def test_middlebury_and_flow_as_their_readme_says():
    messages = []
    depth = real_pairs("depth", DATA, messages.append)
    assert [p.data for p in depth] == ["motorcycle"] + 8 * ["middlebury"]
    cones = next(p for p in depth if p.name == "cones")
    values = np.asarray(Image.open(DATA / "depth_middlebury/cones/disparity.png"))
    np.testing.assert_array_equal(cones.valid, values > 0)
    np.testing.assert_array_equal(cones.target[0, ..., 0][cones.valid] * 4, values[values > 0])
    assert cones.target.min() > 0
    tsukuba = next(p for p in depth if p.name == "tsukuba")
    assert tsukuba.to_8_bit == 16
    flow = real_pairs("flow", DATA, messages.append)
    assert [p.name for p in flow] == [*(f"chairs_{n}" for n in range(4)), "sintel_alley_1"]
    assert flow[-1].target.shape == (1, 436, 1024, 2)
    assert [p.data for p in flow] == 4 * ["chairs"] + ["sintel"]
    assert not messages


def test_absent_data_is_said_and_left_out(tmp_path):
    messages = []
    assert [p.name for p in real_pairs("depth", None, messages.append)] == ["motorcycle"]
    assert real_pairs("flow", tmp_path, messages.append) == []
    assert messages == [
        "no --data: the images of depth_middlebury are left out",
        f"no folder {tmp_path / 'flow'}: the images of flow are left out",
    ]


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[1]",
        '{"cones": {}}',
        '{"cones": {"disparity_scale": 4}}',
        '{"cones": {"disparity_scale": "x"}}',
    ],
)
def test_incomplete_data_is_one_clear_error(content, tmp_path):
    (tmp_path / "depth_middlebury/cones").mkdir(parents=True)
    (tmp_path / "depth_middlebury/scenes.json").write_text(content)
    with pytest.raises(RunError, match="is not complete"):
        real_pairs("depth", tmp_path, print)


@pytest.mark.parametrize(
    ("scale", "height", "disparity", "message"),
    [
        (0, 20, 9, "cones's disparity_scale is 0, and needs to be above 0"),
        (-4, 20, 9, "cones's disparity_scale is -4"),
        (4, 21, 9, r"photograph has size \(21, 32\) and its disparity \(20, 32\)"),
        (4, 20, 0, "0 of them known"),
    ],
)
def test_wrong_images_are_no_data(scale, height, disparity, message, tmp_path):
    folder = tmp_path / "depth_middlebury/cones"
    folder.mkdir(parents=True)
    (folder.parent / "scenes.json").write_text(json.dumps({"cones": {"disparity_scale": scale}}))
    Image.fromarray(np.zeros((height, 32, 3), np.uint8)).save(folder / "rgb.png")
    Image.fromarray(np.full((20, 32), disparity, np.uint8)).save(folder / "disparity.png")
    with pytest.raises(RunError, match=message):
        real_pairs("depth", tmp_path, print)


def test_an_image_smaller_than_the_factor_asks_for_is_refused():
    with pytest.raises(RunError, match="has 18 x 600 pixels, and is cropped to multiples of 592"):
        fit(pair(np.ones((18, 600, 1))), 37, "bicubic")


def test_flow_of_any_size_is_measured_at_its_own():
    flow = np.random.default_rng(0).normal(size=(18, 30, 2))
    task = fit(pair(flow, kind="flow"), 8, "bilinear-antialias")
    assert task.guide.shape == (1, 24, 32, 3)
    assert task.target_low.shape == (1, 3, 4, 2)
    assert task.at_measured_size(np.zeros((1, 24, 32, 2))).shape == (18, 30, 2)
    constant = task.at_measured_size(np.full((1, 24, 32, 2), 3.0, np.float32))
    np.testing.assert_allclose(constant, 3, rtol=1e-6)


def test_depth_is_cropped_alike_for_all_factors():
    ramp = np.arange(40.0)[:, None, None] * np.ones((40, 37, 1))
    for factor in (4, 16):
        task = fit(pair(ramp), factor, "center")
        assert task.pair.valid.shape == (32, 32)
        first = (factor - 1) // 2
        np.testing.assert_array_equal(task.target_low[0, :, 0, 0], np.arange(first, 32, factor))


def exact(name="exact", factors=None):
    return Method(name, 7, 3, factors, lambda task, factor, protocol: task.pair.target)


def constant(value):
    def run(task, factor, protocol):
        return np.full_like(task.pair.target, value)

    return Method("constant", None, None, None, run)


def test_scores_bear_all_that_tells_how_they_came_about():
    measured = measure(pair(np.zeros((16, 16, 1))), 4, "center", [constant(2), exact(factors=(8,))])
    assert list(measured.results) == ["constant"]
    first, second = measured.scores
    assert first == Score(
        method="constant",
        parameters=None,
        seed=None,
        kind="depth",
        data="made",
        image="one",
        protocol="center",
        factor=4,
        metric="RMSE",
        convention="without_border",
        unit="metres",
        value=2.0,
    )
    assert (second.convention, second.value) == ("8_bit", 2.0)


def test_evaluate_writes_scores_tables_and_pictures(tmp_path):
    random = np.random.default_rng(0)
    pairs = [pair(random.uniform(1, 9, (160, 144, 1)), name=name) for name in ("a", "b")]
    methods = [m for m in baselines() if m.name == "bicubic"] + [constant(5), exact()]
    scores = evaluate(methods, pairs, (4,), ("center", "bicubic"), tmp_path, QUIET, pictures=True)
    assert len(scores) == 2 * 2 * 3 * 2  # protocols, images, methods, conventions
    record = json.loads((tmp_path / "scores.json").read_text())
    assert record["sizes"] == {
        "depth": "cropped right and below to multiples of 16 and of the factor"
    }
    assert {"commit", "date", "machine", "scores"} <= record.keys()
    assert {p.name for p in tmp_path.glob("*.png")} == {
        f"{name}_{protocol}_x4.png" for name in "ab" for protocol in ("center", "bicubic")
    }
    text = (tmp_path / "scores.md").read_text()
    assert text.count("**depth, RMSE, protocol `") == 4


def score(method, value, **fields):
    made = {
        "method": method,
        "parameters": None,
        "seed": None,
        "kind": "depth",
        "data": "made",
        "image": "a",
        "protocol": "center",
        "factor": 4,
        "metric": "RMSE",
        "convention": "without_border",
        "unit": "metres",
        "value": value,
    }
    return Score(**(made | fields))


def test_tables_average_over_images_and_relate_to_bicubic():
    scores = [
        score("bicubic", 1.0),
        score("bicubic", 3.0, image="b"),
        score("ours", 0.5, parameters=1234, seed=7),
        score("ours", 1.5, image="b", parameters=1234, seed=7),
    ]
    text = markdown(scores, "0123456789abcdef+")
    assert "| bicubic |            |      |     2.000 (1.00) |" in text
    assert "| ours    |      1,234 |    7 | **1.000** (0.50) |" in text
    for part in ("protocol `center`", "metres", "made (2 images: a, b)", "Commit 0123456789ab+."):
        assert part in text


def test_the_table_of_single_images_has_one_convention():
    values = {("a", "center"): 1.0, ("b", "center"): 2.0, ("a", "last"): 3.0, ("b", "last"): 4.0}
    scores = [
        score(method, share * value, image=image, protocol=protocol, convention=convention)
        for method, share in (("bicubic", 1.0), ("ours", 0.5))
        for convention, share in (("without_border", share), ("8_bit", 9.0))
        for (image, protocol), value in values.items()
    ]
    caption, head, _, *rows = per_image(scores).strip().replace("\n\n", "\n").split("\n")
    assert "RMSE, in the data's unit" in caption
    assert "Unit: metres" in caption
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in (head, *rows)]
    assert cells == [
        ["image", "bicubic, `center`", "bicubic, `last`", "ours, `center`", "ours, `last`"],
        ["a", "1.000", "3.000", "0.500", "1.500"],
        ["b", "2.000", "4.000", "1.000", "2.000"],
    ]


def test_benchmark_measures_by_one_command(tmp_path, monkeypatch, capsys):
    random = np.random.default_rng(0)
    made = [pair(random.uniform(1, 9, (144, 128, 1)))]
    monkeypatch.setattr(benchmark, "real_pairs", lambda *_: made)
    arguments = ["--kinds", "depth", "--factors", "4", "--network", "depth_x16", "--out"]
    benchmark.main([*arguments, str(tmp_path)])
    assert "joint bilateral" in (tmp_path / "depth/scores.md").read_text()
    output = capsys.readouterr().out
    assert "protocol `bicubic`" in output
    assert "depth_x16 is left out: it knows x16" in output
    assert not list((tmp_path / "depth").glob("*.png"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "/nowhere"], "error: there is no folder /nowhere"),
        (["--network", "nothing"], "error: nothing is neither the folder of a run nor a network"),
        (["--factors", "1"], "error: --factors are [1]"),
        (["--protocols", "mean"], "invalid choice: 'mean'"),
    ],
)
def test_wrong_arguments_of_the_benchmark_are_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        benchmark.main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_folders_that_are_no_run_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        compare.main([str(tmp_path)])
    assert stop.value.code == 2
    assert "holds no run" in capsys.readouterr().err
