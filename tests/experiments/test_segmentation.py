"""Configurations, networks, crops, training, and the measuring of label maps."""

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import killed_segmentation
import numpy as np
import pytest
from flax import nnx
from PIL import Image
from rich.console import Console

from experiments.datasets import Pair
from experiments.segmentation import __main__ as program
from experiments.segmentation import benchmark, full_crf
from experiments.segmentation.config import CONFIGS, Config
from experiments.segmentation.crf_terms import read_terms
from experiments.segmentation.losses import cross_entropy
from experiments.segmentation.networks import build, swapped
from experiments.segmentation.saved_runs import from_run
from experiments.segmentation.small_backbone import SmallFCN
from experiments.segmentation.train import train
from experiments.segmentation.training_data import batch_at, training_set
from experiments.training import log
from experiments.training.errors import RunError
from experiments.training.run_folder import recall, remember

TINY = killed_segmentation.TINY

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def quick(monkeypatch):
    killed_segmentation.without_rendering(monkeypatch.setattr)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, compiled_once):
    """A run that nothing happens to: its folder, its network, what it printed."""
    folder = tmp_path_factory.mktemp("whole") / "first"
    with pytest.MonkeyPatch.context() as patch:
        killed_segmentation.without_rendering(patch.setattr)
        output = io.StringIO()
        model = train(TINY, folder, console=Console(file=output, width=200))
        return folder, model, output.getvalue()


def quiet():
    return Console(file=io.StringIO())


@pytest.mark.parametrize("size", [(32, 48), (37, 50), (16, 16)])
def test_the_small_backbone_takes_any_size(size):
    model = SmallFCN(5, features=(4, 6, 8, 10), blocks=(1, 1), rngs=nnx.Rngs(0))
    images = jax.random.uniform(jax.random.key(0), (2, *size, 3))
    scores = nnx.jit(lambda model: model(images))(model)
    chex.assert_shape(scores, (2, *size, 5))


def test_the_last_upsampling_is_bilinear():
    model = SmallFCN(5, features=(4, 6, 8, 10), blocks=(1, 1), rngs=nnx.Rngs(0))
    scores = jax.random.normal(jax.random.key(0), (2, 5, 7, 5))
    padded = jnp.pad(scores, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="edge")
    expected = jax.image.resize(scores, (2, 40, 56, 5), "linear", antialias=False)
    np.testing.assert_allclose(model.upsampling(padded), expected, atol=1e-6)
    assert not isinstance(model.upsampling.kernel, nnx.Param)


def test_every_parameter_of_the_small_backbone_counts():
    model = SmallFCN(5, features=(4, 6, 8, 10), blocks=(1, 1), rngs=nnx.Rngs(0))
    images = jax.random.uniform(jax.random.key(0), (2, 16, 32, 3))
    gradient = nnx.jit(nnx.grad(lambda model: jnp.sum(jnp.square(model(images)))))(model)
    largest = [float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradient)]
    assert min(largest) > 0


def test_swapping_keeps_the_scores_of_the_backbone():
    config = dataclasses.replace(CONFIGS["small_camvid_swap"], guide_scale=1e-4)
    images = jax.random.uniform(jax.random.key(0), (1, 40, 48, 3))
    plain = build(dataclasses.replace(config, swap=False)).backbone
    pac = swapped(plain, config)
    assert [swap.path for swap in pac.report] == ["upsampling"]
    scores = nnx.jit(lambda model: model(images))
    np.testing.assert_allclose(scores(pac), scores(plain), atol=1e-4)
    strong = swapped(plain, dataclasses.replace(config, guide_scale=1.0))
    assert np.abs(scores(strong) - scores(plain)).max() > 1e-3


def test_terms_by_their_names():
    terms = read_terms("4d5_16_2p0ds7_3_1w.5c0.02")
    full, potts = (term.pairwise for term in terms)
    assert (full.mixing, full.window, full.dilation, full.blur) == ("full", 5, 16, 2)
    assert (potts.mixing, potts.window, potts.learn_weight) == ("potts", 7, True)
    assert potts.spatial_filter
    assert (potts.weight, terms[1].color_deviation) == (0.5, 0.02)
    assert (full.weight, terms[0].color_deviation) == (1.0, 30 / 255)
    assert not read_terms("2d3_1_1")[0].pairwise.spatial_filter
    assert read_terms("") == ()


def test_cross_entropy_leaves_out_void():
    random = np.random.default_rng(0)
    logits = random.normal(size=(2, 3, 4, 5)).astype(np.float32)
    labels = random.integers(0, 5, (2, 3, 4))
    labels[0, 0] = 9
    total, count = 0.0, 0
    for index in np.ndindex(labels.shape):
        if labels[index] != 9:
            row = logits[index].astype(np.float64)
            total += np.log(np.exp(row).sum()) - row[labels[index]]
            count += 1
    found = cross_entropy(jnp.asarray(logits), jnp.asarray(labels, jnp.int32), void=9)
    np.testing.assert_allclose(found, total / count, rtol=1e-6)
    nothing = cross_entropy(jnp.asarray(logits), jnp.full((2, 3, 4), 9), void=9)
    assert float(nothing) == 0


def coordinates(height, width):
    """An image whose red and green say where a pixel is, and labels that say the same."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([4 * y, 4 * x, 0 * x], axis=-1).astype(np.uint8)
    return Pair(image, (y // 8 % 11)[..., None].astype(np.float32), "coordinates")


@pytest.mark.parametrize("size", [(60, 50), (20, 18)])
def test_crops_keep_image_and_labels_together(size):
    config = dataclasses.replace(
        TINY, smallest_scale=1.0, largest_scale=1.0, brightness=0.0, batch_size=8
    )
    batch = batch_at(config, [coordinates(*size)], 3)
    chex.assert_shape(batch.images, (8, 24, 32, 3))
    rows = np.round(np.asarray(batch.images[..., 0]) * 255 / 4).astype(int)
    labels = np.asarray(batch.labels)
    inside = labels != config.label_set.void
    np.testing.assert_array_equal(labels[inside], (rows // 8 % 11)[inside])
    assert inside.sum() == 8 * min(24, size[0]) * min(32, size[1])
    columns = np.asarray(batch.images[..., 1])
    steps = np.diff(columns[:, 0, : min(32, size[1])], axis=1)
    assert {bool(np.all(row > 0)) for row in steps} == {True, False}  # some are mirrored


def test_scaled_crops_show_more_or_less():
    def rows(scale):
        config = dataclasses.replace(
            TINY, smallest_scale=scale, largest_scale=scale, brightness=0.0
        )
        batch = batch_at(config, [coordinates(60, 60)], 0)
        red = np.asarray(batch.images[0, :, 16, 0]) * 255 / 4
        return red.max() - red.min()

    assert rows(2.0) < 13 < 22 < rows(1.0) < 24 < 42 < rows(0.5)


def test_batches_depend_on_seed_and_step_alone(tmp_path, quick):
    pairs = training_set(TINY, None, tmp_path)
    chex.assert_trees_all_equal(batch_at(TINY, pairs, 4), batch_at(TINY, pairs, 4))
    assert not np.allclose(batch_at(TINY, pairs, 4).images, batch_at(TINY, pairs, 5).images)


def test_a_killed_run_ends_with_the_same_weights(whole, tmp_path, quick):
    folder = tmp_path / "run"
    process = subprocess.run(
        [sys.executable, killed_segmentation.__file__, str(folder), "5"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=600,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stdout
    output = io.StringIO()
    model = train(TINY, folder, console=Console(file=output, width=200))
    assert "resumed after 3 of 7" in output.getvalue()
    chex.assert_trees_all_equal(nnx.state(model), nnx.state(whole[1]))


def test_a_run_leaves_what_it_promises(whole):
    folder, _, output = whole
    assert "7/7 loss" in output
    assert "mean_iou" in output
    rows = log.read(folder / "log.csv")
    assert [row.step for row in rows] == [2, 3, 4, 6, 7]
    assert set(rows[-1].metrics) == {"mean_iou", "pixels"}
    for name in ("curves.png", "validation.png"):
        with Image.open(folder / name) as picture:
            assert picture.width > 500


def test_the_first_stage_trains_the_crf_alone(whole, quick):
    folder, start, _ = whole
    config = dataclasses.replace(TINY, trained="crf", start_from="first", learning_rate=0.1)
    model = train(config, folder.parent / "stage", console=quiet())
    chex.assert_trees_all_equal(nnx.state(model.backbone), nnx.state(start.backbone))
    before, after = (nnx.state(m.crf, nnx.Param) for m in (start, model))
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), before, after)
    assert min(jax.tree.leaves(moved)) > 1e-4
    saved = from_run(folder.parent / "stage", print)
    chex.assert_trees_all_equal(nnx.state(saved.model), nnx.state(model))


def test_a_run_goes_on_with_swapped_layers_and_a_new_crf(whole, quick):
    folder, start, _ = whole
    config = dataclasses.replace(TINY, swap=True, start_from="first", learning_rate=1e-9)
    model = train(config, folder.parent / "swap", console=quiet())
    chex.assert_trees_all_close(
        nnx.state(model.backbone.model.scores8), nnx.state(start.backbone.scores8), atol=1e-6
    )
    other = dataclasses.replace(config, crf="0ds5_1_1")
    with pytest.raises(RunError, match="start_from is first, whose crf is '0ds3_1_1'"):
        train(other, folder.parent / "other", console=quiet())
    missing = dataclasses.replace(config, start_from="missing")
    with pytest.raises(RunError, match="holds no run"):
        train(missing, folder.parent / "missing_start", console=quiet())


def test_the_program_trains_measures_and_draws(tmp_path, capsys, quick):
    folder = tmp_path / "run"
    options = ["--crop", "24,32", "--scenes", "6", "--steps", "3", "--measured", "2"]
    program.main(["--config", "smoke", *options, "--warmup-steps", "1", "--out", str(folder)])
    assert "| run " in capsys.readouterr().out
    with Image.open(folder / "run.png") as picture:
        assert picture.width > 500
    benchmark.main(
        ["--run", str(folder), "--out", str(tmp_path / "results"), "--export", "--count", "1"]
    )
    (exported,) = (tmp_path / "results" / "run").iterdir()
    with Image.open(exported) as picture:
        assert (picture.mode, picture.size) == ("P", (80, 80))
    record = json.loads((tmp_path / "results" / "scores.json").read_text())
    (score,) = record["scores"]
    assert (score["images"], np.sum(score["confusion"])) == (1, 6400)
    capsys.readouterr()


def test_the_exact_full_crf_cleans_scores():
    random = np.random.default_rng(0)
    truth = np.zeros((24, 32), int)
    truth[:, 14:] = 1
    image = np.where(truth[..., None] == 1, 200, 50).repeat(3, axis=-1).astype(np.uint8)
    scores = np.eye(2)[truth] + 0.8 * random.normal(size=(24, 32, 2))
    before = np.mean(np.argmax(scores, -1) == truth)
    settings = full_crf.Settings(far_deviation=10.0)
    after = np.mean(np.argmax(full_crf.exact(settings)(scores, image), -1) == truth)
    assert before < 0.95
    assert after > 0.99
    halved = full_crf.exact(settings, reduce=2)(scores, image)
    assert np.mean(np.argmax(halved, -1) == truth) > before


def test_pydensecrf_is_asked_for_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydensecrf", None)
    with pytest.raises(RunError, match="pip install pydensecrf2"):
        full_crf.approximate(full_crf.Settings())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--crop", "8,8"], "crop is (8, 8)"),
        (["--crf", "5d3_1_1"], "crf has the term '5d3_1_1'"),
        (["--crf", "", "--trained", "crf"], "trained is 'crf'; it needs a crf"),
        (["--labels", "cats"], "labels is 'cats'; it needs one of voc, camvid, scenes"),
        (["--steps", "0"], "steps is 0"),
        (["--smallest-scale", "2"], "smallest_scale is 2.0 and largest_scale 1.5"),
        (["--brightness", "-1"], "brightness is -1.0"),
        (["--data", "/nowhere"], "there is no folder /nowhere"),
        (
            ["--data", ".", "--dataset", "camvid"],
            ".: it holds no pairs for train, val, test; expected",
        ),
    ],
)
def test_a_bad_configuration_is_one_line(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        program.main(["--config", "smoke", "--out", str(tmp_path / "run"), *arguments])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_configurations_come_back_and_start_from_one_another(tmp_path):
    for name, config in CONFIGS.items():
        remember(config, tmp_path / name)
        assert recall(tmp_path / name, Config) == config
        assert config.start_from in {"", "vgg16", *CONFIGS}
