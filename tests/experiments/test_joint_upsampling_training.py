"""Runs that are killed, damaged, crowded or out of space; what they leave behind."""

import dataclasses
import errno
import gc
import io
import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import killed_run
import numpy as np
import pytest
from flax import nnx
from PIL import Image
from rich.console import Console
from tensorboardX.proto.event_pb2 import Event, SessionLog

from experiments.joint_upsampling import __main__ as program
from experiments.joint_upsampling.config import CONFIGS
from experiments.joint_upsampling.networks import build
from experiments.joint_upsampling.train import first_parameters, train
from experiments.training import log, progress, run_folder
from experiments.training.errors import RunError
from experiments.training.progress import Bar
from pac_jax import pretrained

TINY = killed_run.TINY


# Where orbax fails to read or write, it leaves coroutines behind, of which Python complains when it
# finds them: here, not at the end of all tests.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def _collect_garbage():
    yield
    gc.collect()


@pytest.fixture
def quick(monkeypatch):
    killed_run.without_rendering(monkeypatch.setattr)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, compiled_once):
    """A run that nothing happens to: its folder, its network and what it printed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        killed_run.without_rendering(patch.setattr)
        output = io.StringIO()
        return folder, train(TINY, folder, Console(file=output, width=200)), output


@pytest.fixture
def copy(whole, tmp_path):
    """A copy of that run, to be damaged."""
    shutil.copytree(whole[0].parent, tmp_path / "copy")
    return tmp_path / "copy" / "run"


def start(folder, moment):
    """A training in a process of its own."""
    return subprocess.Popen(
        [sys.executable, killed_run.__file__, str(folder), moment],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )


def resume(folder):
    """Train in this process to the end: the network and what was printed."""
    output = io.StringIO()
    model = train(TINY, folder, Console(file=output, width=200))
    return model, output.getvalue()


def deterministic(folder):
    """The log without its times."""
    return [row._replace(images_per_second=0.0) for row in log.read(folder / "log.csv")]


def test_a_run_killed_again_and_again_ends_with_the_same_weights(whole, tmp_path, quick):
    folder = tmp_path / "run"
    for moment in ("update", "writing", "picture"):
        process = start(folder, moment)
        output, _ = process.communicate(timeout=900)
        assert process.returncode == -signal.SIGKILL, output
    assert [row.step for row in log.read(folder / "log.csv")] == [4, 5, 8, 10]

    process = start(folder, "never")  # killed from outside, wherever it is after the 8th update
    deadline = time.monotonic() + 900
    while process.poll() is None and time.monotonic() < deadline:
        steps = [row.step for row in log.read(folder / "log.csv")]
        if 8 in steps and 10 not in steps:
            break
        time.sleep(0.001)
    process.kill()
    output, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, output

    model, output = resume(folder)
    assert "resumed after 5 of 12" in output
    chex.assert_trees_all_equal(nnx.state(model), nnx.state(whole[1]))
    assert deterministic(folder) == deterministic(whole[0])
    start_of_training = nnx.state(build(TINY))
    moved = jax.tree.map(
        lambda a, b: float(jnp.abs(a - b).max()), start_of_training, nnx.state(model)
    )
    assert max(jax.tree.leaves(moved)) > 1e-3


def test_a_run_leaves_what_it_promises(whole):
    folder, _, output = whole
    assert {p.name for p in folder.iterdir()} == {
        "checkpoints",
        "config.json",
        "curves.png",
        "events",
        "lock",
        "log.csv",
        "validation.png",
    }
    rows = log.read(folder / "log.csv")
    assert [row.step for row in rows] == [4, 5, 8, 10, 12]  # every 4, at checkpoints, at the end
    assert [bool(row.metrics) for row in rows] == [False, True, False, True, True]
    assert all(row.images_per_second > 0 for row in rows)
    assert "12/12 loss" in output.getvalue()
    assert "bicubic" in output.getvalue()
    for name in ("curves.png", "validation.png"):
        with Image.open(folder / name) as picture:
            assert picture.width > 500


def test_events_say_what_the_log_says(whole):
    folder, _, _ = whole
    (path,) = (folder / "events").iterdir()
    events = list(read_events(path.read_bytes()))
    assert events[0].file_version == "brain.Event:2"
    assert (events[1].step, events[1].session_log.status) == (1, SessionLog.START)
    losses, pictures = {}, []
    for event in events:
        for value in event.summary.value:
            if value.tag == "loss":
                losses[event.step] = value.simple_value
            if value.tag == "validation/picture":
                pictures.append(event.step)
                with Image.open(io.BytesIO(value.image.encoded_image_string)) as picture:
                    assert picture.size == Image.open(folder / "validation.png").size
    assert pictures == [5, 10, 12]
    np.testing.assert_allclose(
        list(losses.values()), [row.loss for row in log.read(folder / "log.csv")], rtol=1e-6
    )


def read_events(data):
    """TFRecord by its definition: length, its checksum, the record, its checksum."""
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        yield Event.FromString(data[12 : 12 + length])
        data = data[16 + length :]


def test_damaged_checkpoints_are_passed_over_and_the_weights_stay_the_same(whole, copy, quick):
    largest = max((copy / "checkpoints/12").rglob("*"), key=lambda p: p.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:1000])
    shutil.rmtree(copy / "checkpoints/10/state")
    model, output = resume(copy)
    assert "passed over the damaged checkpoint 12" in output
    assert "passed over the damaged checkpoint 10" in output
    assert "resumed after 5 of 12" in output
    chex.assert_trees_all_equal(nnx.state(model), nnx.state(whole[1]))
    assert deterministic(copy) == deterministic(whole[0])
    assert sorted(p.name for p in (copy / "checkpoints_damaged").iterdir()) == ["10_0", "12_0"]
    assert sorted(p.name for p in (copy / "checkpoints").iterdir()) == ["10", "12", "5"]


def test_a_second_training_in_the_same_folder_is_refused(tmp_path, capsys):
    with run_folder.only_one_run(tmp_path), pytest.raises(RunError, match="another process trains"):
        train(TINY, tmp_path)


def test_a_full_disk_is_one_line(tmp_path, quick, capfd):
    """No file may become larger than the checkpoint's: what the system does when a disk is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    options = ["--crop=16", "--scenes=6", "--margin=4", "--border=2", "--checkpoint-every=2"]
    arguments = ["--config", "djif_x4", "--steps", "60", "--log-every", "1", *options]
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with pytest.raises(SystemExit) as stop:
            program.main([*arguments, "--train-only", "--out", str(tmp_path / "run")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert stop.value.code == 2
    error = capfd.readouterr().err
    assert error.startswith("error: cannot write checkpoints")
    assert "File too large" in error
    assert error.count("\n") == 1


def test_no_space_for_the_log_is_one_line(tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "log.csv")

    monkeypatch.setattr(program, "train", full)
    with pytest.raises(SystemExit) as stop:
        program.main(["--config", "smoke", "--out", str(tmp_path / "run")])
    assert stop.value.code == 2
    assert capsys.readouterr().err == (
        "error: No space left on device: log.csv; make room and give the same command again\n"
    )


def test_the_bar_shows_loss_metric_rate_and_time_left():
    output = io.StringIO()
    with Bar(Console(file=output, force_terminal=True, width=150), 40, 10) as bar:
        bar.advance(11)
        bar.show(log.Row(20, 0.25, 1e-3, {"rmse": 0.0125, "bicubic_rmse": 0.05}, 31.5))
        time.sleep(0.3)  # it is drawn ten times a second
    drawn = output.getvalue()
    assert "20/40 loss 0.25000 rmse 0.0125 bicubic_rmse 0.0500 31.5 images/s" in drawn
    assert re.search(r"\d:\d\d:\d\d", drawn)


def test_without_a_terminal_lines_say_the_same():
    output = io.StringIO()
    with Bar(Console(file=output, width=150), 20, 0) as bar:
        bar.show(
            log.Row(10, 0.5, 1e-3, {"rmse": 0.0125, "bicubic_rmse": 0.05}, 31.5)
        )  # no line: it is too soon
        bar.show(log.Row(20, 0.25, 0.0, {}, 31.5))
    assert output.getvalue() == (
        "20/20 loss 0.25000 rmse 0.0125 bicubic_rmse 0.0500 31.5 images/s, 0 min left\n"
    )


def test_time_left_counts_from_the_first_update(monkeypatch):
    clock = iter([0.0, 1000.0, 1060.0])  # made, after data and compiling, at the row
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    output = io.StringIO()
    bar = Bar(Console(file=output, width=150), 61, 0)
    bar.advance(1)
    bar.show(log.Row(31, 0.5, 1e-3, {}, 31.5))
    assert output.getvalue() == "31/61 loss 0.50000 31.5 images/s, 1 min left\n"


def test_an_interruption_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "train", interrupted)
    with pytest.raises(SystemExit) as stop:
        program.main(["--config", "smoke", "--out", str(tmp_path / "run")])
    assert stop.value.code == 130
    assert "goes on from the last checkpoint" in capsys.readouterr().err


def test_a_run_can_start_from_another(whole, copy, quick):
    first = nnx.state(whole[1])
    config = dataclasses.replace(TINY, start_from="run", steps=3, learning_rate=1e-9, seed=7)
    model = train(config, copy.parent / "second", Console(file=io.StringIO()))
    chex.assert_trees_all_close(nnx.state(model), first, rtol=1e-3, atol=1e-6)  # rounded as shipped
    assert not np.allclose(
        nnx.state(build(config)).target_branch.convs[0].kernel[...],
        first.target_branch.convs[0].kernel[...],
        atol=1e-3,
    )
    other = dataclasses.replace(config, network="pac_net_lite")
    with pytest.raises(RunError, match="start_from is run, whose network has other parameters"):
        train(other, copy.parent / "third", Console(file=io.StringIO()))
    nothing = dataclasses.replace(config, start_from="nothing")
    with pytest.raises(RunError, match="nothing is neither the folder of a run nor a"):
        train(nothing, copy.parent / "fourth", Console(file=io.StringIO()))


def test_a_network_with_other_filters_hands_on_all_but_what_steers_them(tmp_path):
    """`depth_x8` ships with seven; this run has two."""
    config = dataclasses.replace(CONFIGS["depth_x8"], start_from="depth_x8", dilations=(2, 1))
    built = nnx.state(build(config), nnx.Param)
    begun = first_parameters(config, tmp_path, Console(file=io.StringIO()), built)
    shipped = nnx.state(pretrained.load("depth_x8"), nnx.Param)
    for name in ("guide_network", "missing", "deep"):
        chex.assert_trees_all_equal(begun[name], shipped[name])
    for name in ("gates", "scale"):
        chex.assert_trees_all_equal(begun[name], built[name])
    fewer = dataclasses.replace(config, deep_features=2)
    with pytest.raises(
        RunError, match="start_from is depth_x8, whose network has other parameters"
    ):
        first_parameters(
            fewer, tmp_path, Console(file=io.StringIO()), nnx.state(build(fewer), nnx.Param)
        )
