"""From a finished run and its scores to a network that ships, with its card."""

import dataclasses
import json

import chex
import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from experiments.joint_upsampling.config import CONFIGS
from experiments.joint_upsampling.networks import build
from experiments.joint_upsampling.package import main
from experiments.joint_upsampling.scores import Score, write
from experiments.training.checkpoints import Checkpoints
from experiments.training.log import Log, Row
from experiments.training.optimizer import State, optimizer
from experiments.training.run_folder import remember
from pac_jax import pretrained
from pac_jax.models import PacUpsampler
from pac_jax.pretrained.shipping import STORED_DTYPE
from tests.pretrained.conftest import package as package  # a fixture

# Two of the fields are not those of the configuration that the run is named after.
CONFIG = dataclasses.replace(CONFIGS["lite_x4"], steps=40, warmup_steps=3, seed=5)


@pytest.fixture
def run(tmp_path):
    """The folder of a run as it is after its last update, as if nothing had been learned."""
    folder = tmp_path / "lite_x4"
    parameters = nnx.state(build(CONFIG))
    remember(CONFIG, folder)
    checkpoints = Checkpoints(folder / "checkpoints", print)
    checkpoints.save(CONFIG.steps, State(parameters, optimizer(CONFIG).init(parameters)))
    checkpoints.close()
    log = Log(folder / "log.csv", ("rmse",), 0)
    log.add(Row(40, 0.5, 0.0, {"rmse": 0.1}, images_per_second=0.5))  # 160 s for 2 crops each
    log.close()
    return folder


def scored(folder, method, value):
    """A file of scores: a method of this name, bicubic at 2, on one image, and another factor."""
    own = {"method": method, "parameters": 56_273, "seed": 5, "value": value}
    bicubic = {"method": "bicubic", "parameters": None, "seed": None, "value": 2.0}
    rows = [
        Score(kind="depth", data="made", image="one", protocol=protocol, factor=factor,
              metric="RMSE", convention=convention, unit="metres", **fields)
        for protocol in ("bicubic", "center")
        for convention in ("without_border", "8_bit")
        for factor, several in ((4, (bicubic, own)), (8, (bicubic,)))
        for fields in several
    ]  # fmt: skip
    write(rows, folder / "scores.json")
    return ["--scores", str(folder / "scores.json")]


def test_a_run_ships_with_its_card(run, package, tmp_path, capsys):
    main([str(run), *scored(tmp_path, "lite_x4", 0.75), "--note", "A sentence of mine."])
    assert "depth_x4_lite.safetensors" in capsys.readouterr().out.replace("\n", "")
    assert pretrained.list() == ("depth_x4_lite",)
    described, card = pretrained.describe("depth_x4_lite"), pretrained.card("depth_x4_lite")
    assert (described.architecture, described.factors) == ("PacNet.lite", (4,))
    assert (described.seed, described.default) == (5, False)
    assert described.score == "RMSE 0.750 on made (bicubic; bicubic 2.000)"
    for part in (
        "--config lite_x4 --steps 40 --warmup-steps 3 --seed 5`, 40 updates",
        "A sentence of mine.\nIt took 3 minutes on",
        "| **0.750** (0.38) |",
        "| one   | ",
        "## Known failures",
    ):
        assert part in card
    assert " x8" not in card
    rounded = jax.tree.map(
        lambda leaf: leaf.astype(STORED_DTYPE).astype(jnp.float32), nnx.state(build(CONFIG))
    )
    chex.assert_trees_all_equal(nnx.state(pretrained.load("depth_x4_lite"), nnx.Param), rounded)


def test_what_ships_is_measured_anew_and_changes_in_nothing_else(run, package, tmp_path, capsys):
    main([str(run), *scored(tmp_path, "lite_x4", 0.75)])
    weights = (package / "depth_x4_lite.safetensors").read_bytes()
    card = pretrained.card("depth_x4_lite")
    entry = json.loads((package / "manifest.json").read_text())["networks"]["depth_x4_lite"]

    main(["depth_x4_lite", *scored(tmp_path, "depth_x4_lite", 0.5)])
    capsys.readouterr()
    anew = json.loads((package / "manifest.json").read_text())["networks"]["depth_x4_lite"]
    assert anew == entry | {"score": "RMSE 0.500 on made (bicubic; bicubic 2.000)"}
    assert (package / "depth_x4_lite.safetensors").read_bytes() == weights
    changed = pretrained.card("depth_x4_lite")
    assert "| **0.500** (0.25) |" in changed
    assert "0.750" not in changed
    for mark in ("## Results", "## Known failures"):
        assert changed.count(mark) == card.count(mark) == 1
    assert changed.partition("## Results")[0] == card.partition("## Results")[0]
    assert changed.partition("## Known")[2] == card.partition("## Known")[2]


def test_a_card_of_a_file_that_several_networks_share_stays(package, tmp_path, capsys):
    for factor in (4, 8):
        model = PacUpsampler(factor, blocks=1, rngs=nnx.Rngs(0))
        name, arguments = f"depth_x{factor}", {"factor": factor, "blocks": 1}
        pretrained.ship(name, model, architecture="PacUpsampler", arguments=arguments, kind="depth",
                        card=f"# {name}", file="depth")  # fmt: skip
    with pytest.raises(SystemExit):
        main(["depth_x4", *scored(tmp_path, "depth_x4", 0.5)])
    assert "depth_x4 shares its file with others" in capsys.readouterr().err


def test_what_was_not_measured_or_finished_does_not_ship(run, package, tmp_path, capsys):
    options = scored(tmp_path, "another", 0.75)
    with pytest.raises(SystemExit):
        main([str(run), *options])
    assert "the scores have no method lite_x4" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["depth_x4_lite", *options])
    assert "depth_x4_lite holds no run" in capsys.readouterr().err
    remember(dataclasses.replace(CONFIG, steps=41), run)
    with pytest.raises(SystemExit):
        main([str(run), *scored(tmp_path, "lite_x4", 0.75)])
    assert "has 40 of 41 updates; finish it first" in capsys.readouterr().err
    assert pretrained.list() == ()
