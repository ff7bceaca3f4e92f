"""The training loop, its resuming, the initial state, the baselines and the measurements."""

import dataclasses
import json

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from rich.console import Console

from experiments.joint_upsampling import __main__ as program
from experiments.joint_upsampling.baselines import interpolate, joint_bilateral
from experiments.joint_upsampling.config import CONFIGS, Config
from experiments.joint_upsampling.evaluate import root_mean_square
from experiments.joint_upsampling.networks import build
from experiments.joint_upsampling.protocols import sample_center
from experiments.joint_upsampling.real_pair import fill_holes, motorcycle
from experiments.joint_upsampling.train import train
from experiments.joint_upsampling.training_data import batch_at, batches

SMOKE = CONFIGS["smoke"]
QUIET = Console(quiet=True)


def test_sample_center_takes_the_documented_pixels():
    target = jnp.arange(64.0).reshape(1, 8, 8, 1)
    np.testing.assert_array_equal(sample_center(target, 4)[0, :, :, 0], [[9, 13], [41, 45]])
    np.testing.assert_array_equal(sample_center(target[:, :6, :6], 3)[0, 0, :, 0], [9, 12])


@pytest.mark.parametrize("method", ["linear", "cubic"])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_interpolation_hits_the_samples_and_is_exact_on_planes(method, factor):
    y, x = np.mgrid[: 8 * factor, : 9 * factor].astype(np.float32)
    plane = jnp.asarray(0.3 * y - 0.2 * x + 1)[None, ..., None]
    result = interpolate(sample_center(plane, factor), factor, method)
    chex.assert_shape(result, plane.shape)
    inner = (0, slice(2 * factor, -2 * factor), slice(2 * factor, -2 * factor))
    np.testing.assert_allclose(result[inner], plane[inner], atol=1e-4)
    np.testing.assert_allclose(
        sample_center(result, factor)[0, 1:-1, 1:-1],
        sample_center(plane, factor)[0, 1:-1, 1:-1],
        atol=1e-4,
    )


def test_joint_bilateral_follows_the_guide_where_interpolation_blurs():
    truth = np.zeros((1, 32, 32, 1), np.float32)
    truth[:, :, 14:] = 1
    low = sample_center(jnp.asarray(truth), 4)
    guided = joint_bilateral(low, jnp.asarray(truth.repeat(3, axis=-1)), 4)
    blurred = interpolate(low, 4, "linear")
    assert np.abs(guided - truth).mean() < 0.1 * np.abs(blurred - truth).mean()


def test_root_mean_square_leaves_out_border_and_holes():
    error = np.full((20, 22), 2.0)
    valid = np.ones((20, 22), bool)
    error[:6], error[10, 10], valid[10, 10] = 100, np.nan, False
    assert root_mean_square(error, valid) == pytest.approx(2)
    assert root_mean_square(error, valid, border=0) > 10


def test_holes_are_filled_with_the_nearest_value():
    values = np.array([[1.0, np.inf, np.nan, 4.0]])
    np.testing.assert_array_equal(fill_holes(values, np.isfinite(values)), [[1, 1, 4, 4]])


def test_motorcycle_is_finite_and_divisible():
    pair = motorcycle(8)
    assert np.isfinite(pair.target).all()
    assert pair.guide.shape == (1, 496, 736, 3)
    assert pair.target.shape == (1, 496, 736, 1)
    assert 0.9 < pair.valid.mean() < 0.95


@pytest.mark.parametrize("name", ["lite_x4", "djif_x4"])
def test_the_networks_start_as_a_filter_of_the_target(name):
    config = dataclasses.replace(CONFIGS[name], normalize=False)
    y, x = np.mgrid[:32, :32].astype(np.float32) / 32
    plane = jnp.asarray(0.2 + 0.3 * y + 0.2 * x)[None, ..., None]
    guide = jnp.full((1, 32, 32, 3), 0.5)
    result = build(config)(sample_center(plane, 4), guide)
    np.testing.assert_allclose(result[0, 10:-10, 10:-10], plane[0, 10:-10, 10:-10], atol=0.06)


def test_the_normalised_network_starts_as_a_joint_filter():
    truth = np.full((1, 48, 48, 1), 0.2, np.float32)
    truth[:, :, 22:] = 0.8
    guide = jnp.asarray(truth.repeat(3, axis=-1))
    low = sample_center(jnp.asarray(truth), 4)
    error = np.abs(build(CONFIGS["lite_x4"])(low, guide) - truth)[0, 12:-12, 12:-12]
    blurred = np.abs(interpolate(low, 4, "linear") - truth)[0, 12:-12, 12:-12]
    assert error.mean() < 0.5 * blurred.mean()


def test_batches_depend_on_seed_and_step_alone():
    again = dict(batches(SMOKE, first_step=SMOKE.steps - 1))
    assert list(again) == [SMOKE.steps - 1]
    chex.assert_trees_all_equal(again[SMOKE.steps - 1], batch_at(SMOKE, SMOKE.steps - 1))
    other = batch_at(dataclasses.replace(SMOKE, seed=1), SMOKE.steps - 1)
    assert not np.allclose(other.target, again[SMOKE.steps - 1].target)


def test_an_error_while_rendering_reaches_the_consumer(monkeypatch):
    def fail(*_):
        raise OSError("no scenes today")

    monkeypatch.setattr("experiments.joint_upsampling.training_data.batch_at", fail)
    with pytest.raises(OSError, match="no scenes today"):
        next(batches(SMOKE, 0))


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, monkeypatch):
    whole = train(SMOKE, tmp_path / "whole", QUIET)

    class PowerCutError(Exception):
        pass

    def interrupted(config, first_step, ahead=3):
        for step, batch in batches(config, first_step, ahead):
            if step == 7:  # after the checkpoint of 5 updates
                raise PowerCutError
            yield step, batch

    monkeypatch.setattr("experiments.joint_upsampling.train.batches", interrupted)
    with pytest.raises(PowerCutError):
        train(SMOKE, tmp_path / "cut", QUIET)
    monkeypatch.undo()
    resumed = train(SMOKE, tmp_path / "cut", QUIET)
    chex.assert_trees_all_equal(nnx.state(resumed), nnx.state(whole))
    start = nnx.state(build(SMOKE))
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), start, nnx.state(whole))
    assert max(jax.tree.leaves(moved)) > 1e-4


def test_the_program_trains_measures_and_draws(tmp_path, capsys):
    folder = tmp_path / "run"
    program.main(["--config", "smoke", "--steps", "4", "--out", str(folder)])
    record = json.loads((folder / "motorcycle.json").read_text())
    assert list(record["rmse"]) == ["bilinear", "bicubic", "joint bilateral", "pac net lite"]
    assert record["rmse"]["joint bilateral"] < record["rmse"]["bilinear"]
    assert (folder / "motorcycle.png").stat().st_size > 100_000
    assert "RMSE" in capsys.readouterr().out
    assert (folder / "log.csv").read_text().startswith("step,loss")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--factor", "5"], "crop is 32; factor 5"),
        (["--steps", "0"], "steps is 0"),
        (["--network", "vgg"], "network is 'vgg'"),
        (["--border", "16"], "border is 16"),
    ],
)
def test_a_bad_configuration_is_one_line(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        program.main(["--config", "smoke", "--out", str(tmp_path / "run"), *arguments])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_a_folder_with_another_configuration_is_refused(tmp_path, capsys):
    program.remember(Config(), tmp_path)
    program.remember(Config(), tmp_path)
    with pytest.raises(ValueError, match="another configuration"):
        program.remember(Config(seed=1), tmp_path)
