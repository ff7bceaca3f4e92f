"""Configurations, networks at their start, batches, and the program from end to end."""

import dataclasses
import importlib
import json
import re

import chex
import jax.numpy as jnp
import killed_run
import numpy as np
import pytest
from PIL import Image

from experiments.joint_upsampling import __main__ as program
from experiments.joint_upsampling import compare
from experiments.joint_upsampling.baselines import bilinear
from experiments.joint_upsampling.config import CONFIGS, Config
from experiments.joint_upsampling.fitting import fit
from experiments.joint_upsampling.methods import network
from experiments.joint_upsampling.networks import build
from experiments.joint_upsampling.protocols import downsample
from experiments.joint_upsampling.real_pairs import motorcycle
from experiments.joint_upsampling.saved_networks import saved_network
from experiments.joint_upsampling.training_data import batch_at, batches, render_scenes
from experiments.training.errors import RunError
from experiments.training.run_folder import recall, refuse_another, remember
from pac_jax import pretrained

TINY = killed_run.TINY


@pytest.fixture
def quick(monkeypatch):
    killed_run.without_rendering(monkeypatch.setattr)


def part_of_motorcycle():
    """The real pair, small enough for a test."""
    pair = motorcycle()
    window = (slice(150, 310), slice(200, 344))
    return pair._replace(
        guide=pair.guide[:, *window], target=pair.target[:, *window], valid=pair.valid[window]
    )


@pytest.mark.parametrize("name", ["lite_x4_published", "djif_x4"])
def test_the_networks_start_as_a_filter_of_the_target(name):
    y, x = np.mgrid[:32, :32].astype(np.float32) / 32
    plane = (0.2 + 0.3 * y + 0.2 * x)[None, ..., None]
    guide = jnp.full((1, 32, 32, 3), 0.5)
    result = build(CONFIGS[name])(downsample(plane, 4, "center"), guide)
    np.testing.assert_allclose(result[0, 10:-10, 10:-10], plane[0, 10:-10, 10:-10], atol=0.06)


def test_the_normalised_network_starts_as_a_joint_filter():
    truth = np.full((1, 48, 48, 1), 0.2, np.float32)
    truth[:, :, 22:] = 0.8
    guide = jnp.asarray(truth.repeat(3, axis=-1))
    low = downsample(truth, 4, "center")
    error = np.abs(build(CONFIGS["lite_x4"])(low, guide) - truth)[0, 12:-12, 12:-12]
    blurred = np.abs(bilinear(jnp.asarray(low), 4, "center") - truth)[0, 12:-12, 12:-12]
    assert error.mean() < 0.5 * blurred.mean()


def test_batches_depend_on_seed_and_step_alone(tmp_path, quick):
    (step, batch), *none = batches(TINY, TINY.steps - 1, tmp_path)
    assert (step, none) == (TINY.steps - 1, [])
    scenes = render_scenes(TINY, tmp_path)
    chex.assert_trees_all_equal(batch, batch_at(TINY, scenes, step))
    assert not np.allclose(batch_at(TINY, scenes, step - 1).target, batch.target)
    other = dataclasses.replace(TINY, seed=1)
    assert not np.allclose(batch_at(other, scenes, step).target, batch.target)


def test_some_depths_are_in_steps_and_flow_is_not(tmp_path, quick):
    def distinct(**changes):
        config = dataclasses.replace(TINY, **changes)
        batch = batch_at(config, render_scenes(config, tmp_path), 0)
        return [len(np.unique(target)) for target in np.asarray(batch.target[..., 0])]

    pixels = TINY.crop**2
    assert min(distinct(rounded=0.0)) > 0.9 * pixels
    assert all(6 <= levels <= 62 for levels in distinct(rounded=1.0))
    assert min(distinct(rounded=1.0, task="flow")) > 0.9 * pixels


def test_some_photographs_lie_off_their_targets(tmp_path, quick):
    def batch(**changes):
        config = dataclasses.replace(TINY, **changes)
        return batch_at(config, render_scenes(config, tmp_path), 0)

    exact, moved = (batch(misaligned=1.0, largest_shift=shift) for shift in (0.0, 1.0))
    np.testing.assert_array_equal(moved.target, exact.target)
    assert np.abs(moved.guide - exact.guide).mean() > 0.05
    never = [batch(misaligned=0.0, largest_shift=shift).guide for shift in (0.0, 1.0)]
    np.testing.assert_array_equal(*never)


def test_some_targets_reach_an_end_of_their_range(tmp_path, quick):
    config = dataclasses.replace(TINY, batch_size=64)
    scenes = render_scenes(config, tmp_path)
    within, half, all_of_them = (
        batch_at(dataclasses.replace(config, ends=ends), scenes, 3) for ends in (0.0, 0.5, 1.0)
    )
    np.testing.assert_array_equal(half.guide, within.guide)
    np.testing.assert_array_equal(all_of_them.level, np.round(within.level))
    assert set(np.unique(all_of_them.level)) == {0, 1}
    at_an_end = np.isin(half.level, (0, 1))
    assert 16 < at_an_end.sum() < 48
    np.testing.assert_array_equal(half.level[~at_an_end], within.level[~at_an_end])


def test_an_error_in_the_background_reaches_the_consumer(tmp_path, monkeypatch, quick):
    def fail(*_):
        raise OSError("no crops today")

    monkeypatch.setattr("experiments.joint_upsampling.training_data.batch_at", fail)
    with pytest.raises(OSError, match="no crops today"):
        next(batches(TINY, 0, tmp_path))


def test_the_program_trains_measures_and_draws(tmp_path, monkeypatch, capsys, quick):
    monkeypatch.setattr(program, "real_pairs", lambda *_: [part_of_motorcycle()])
    options = ["--crop", "16", "--scenes", "6", "--margin", "4", "--border", "2", "--steps", "3"]
    arguments = ["--config", "djif_x4", "--warmup-steps", "1", "--protocols", "center", *options]
    folder = tmp_path / "run"
    program.main([*arguments, "--out", str(folder)])
    output = capsys.readouterr().out
    assert "| run " in output
    assert f"picture: {folder / 'motorcycle.png'}" in output
    with Image.open(folder / "motorcycle.png") as picture:
        assert picture.width > 1000

    record = json.loads((folder / "scores.json").read_text())
    value = {(s["method"], s["convention"]): s["value"] for s in record["scores"]}
    assert [name for name, convention in value if convention == "8_bit"] == [
        "nearest",
        "bilinear",
        "bicubic",
        "joint bilateral",
        "run",
    ]
    run = next(s for s in record["scores"] if s["method"] == "run")
    assert (run["parameters"], run["seed"], run["protocol"]) == (56323, 0, "center")

    # What is read from the folder is the network that was measured.
    method = network(saved_network(str(folder), print))
    task = fit(part_of_motorcycle(), 4, "center")
    error = (method.run(task, 4, "center")[0] - task.pair.target[0])[6:-6, 6:-6]
    measured = np.sqrt(np.mean(np.square(error[task.pair.valid[6:-6, 6:-6]])))
    assert measured == pytest.approx(value["run", "without_border"], rel=1e-5)

    # So it is in the table of runs; a second one changed the seed and was not measured.
    compare.main([str(folder), "--out", str(tmp_path / "table")])
    assert "| run | -      |     56,323 |" in (tmp_path / "table.md").read_text()
    (row,) = json.loads((tmp_path / "table.json").read_text())
    assert row["config"]["network"] == "djif"
    program.main([*arguments, "--seed", "1", "--train-only", "--out", str(tmp_path / "other")])
    with pytest.raises(RunError, match=r"there is no .*other/scores.json"):
        compare.compare([folder, tmp_path / "other"])
    capsys.readouterr()


def test_networks_come_from_files_too(tmp_path):
    model = build(CONFIGS["djif_x4"])
    path = tmp_path / "mine.safetensors"
    pretrained.write(path, model, architecture="DJIF", arguments={"factor": 4}, kind="depth")
    saved = saved_network(str(path), print)
    assert (saved.name, saved.kind, saved.factors, saved.parameters) == (
        "mine",
        "depth",
        (4,),
        56323,
    )
    task = fit(part_of_motorcycle(), 4, "center")
    assert network(saved).run(task, 4, "center").shape == (1, 160, 144, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--factors", "5"], "crop is 32; factor 5"),
        (["--steps", "0"], "steps is 0"),
        (["--network", "vgg"], "network is 'vgg'"),
        (["--network", "pac_upsampler", "--factors", "2"], "factor is 2; it needs to be one of"),
        (["--network", "pac_upsampler", "--views", "3"], "views is 3; it needs to be one of"),
        (["--dilations", "1,0"], "dilations are (1, 0)"),
        (["--deep-features", "-1"], "deep_features is -1"),
        (["--seed", "-1"], "seed is -1"),
        (["--learning-rate", "nan"], "learning_rate is nan"),
        (["--gradient-clip", "0"], "gradient_clip is 0.0"),
        (["--border", "16"], "border is 16"),
        (["--rounded", "1.5"], "rounded is 1.5"),
        (["--misaligned", "-1"], "misaligned is -1.0"),
        (["--ends", "1.5"], "ends is 1.5"),
        (["--largest-shift", "7"], "largest_shift is 7.0"),
        (["--protocols", "mean"], "protocol is 'mean'"),
        (["--steps", "many"], "argument --steps: invalid int value: 'many'"),
        (["--config", "nothing"], "invalid choice: 'nothing'"),
        (["--data", "/nowhere"], "there is no folder /nowhere"),
    ],
)
def test_a_bad_configuration_is_one_line(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        program.main(["--config", "smoke", "--out", str(tmp_path / "run"), *arguments])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_folder_with_another_configuration_is_refused(tmp_path):
    refuse_another(Config(), tmp_path)
    remember(Config(), tmp_path)
    refuse_another(Config(), tmp_path)
    with pytest.raises(RunError, match="seed: 0 there, 1 here"):
        refuse_another(Config(seed=1), tmp_path)


def test_a_run_that_cannot_begin_leaves_the_folder_free(tmp_path, capsys, quick):
    command = ["--config", "smoke", "--out", str(tmp_path / "run"), "--train-only"]
    with pytest.raises(SystemExit):
        program.main([*command, "--start-from", "nothing"])
    assert "nothing is neither the folder of a run nor a network" in capsys.readouterr().err
    assert not (tmp_path / "run/config.json").exists()


def test_configurations_come_back(tmp_path):
    for name, config in CONFIGS.items():
        remember(config, tmp_path / name)
        assert recall(tmp_path / name, Config) == config


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"magic": 1}', "has the fields magic, unknown to this version"),
        ('{"steps": 0}', "does not describe a run: steps is 0"),
        ("{", "is damaged"),
        (None, "holds no run"),
    ],
)
def test_other_folders_are_named(content, message, tmp_path):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(RunError, match=message):
        recall(tmp_path, Config)


@pytest.mark.parametrize("experiment", ["joint_upsampling", "segmentation"])
def test_help_explains_every_field_and_mistakes_are_short(experiment, capsys):
    main = importlib.import_module(f"experiments.{experiment}.__main__").main
    form = importlib.import_module(f"experiments.{experiment}.config").Config
    with pytest.raises(SystemExit):
        main(["--help"])
    options = re.split(r"\n  --", capsys.readouterr().out)
    for field in dataclasses.fields(form):
        name = field.name.replace("_", "-")
        (told,) = (o for o in options if re.match(rf"{name}\s", o))
        assert len(told.split()) > 3, told
    for mistake, message in ((["--crop", "x"], "--crop: "), (["--crpo", "3"], "--crpo 3")):
        with pytest.raises(SystemExit):
            main(mistake)
        errors = capsys.readouterr().err
        assert message in errors
        assert "lambda" not in errors
        assert len(errors.splitlines()) == 2
