"""What really is in the package."""

import numpy as np
import pytest

import pac_jax
from pac_jax import pretrained
from pac_jax.pretrained.catalogue import FOLDER, manifest

KINDS = ("depth", "flow")
FACTORS = (4, 8, 16)


@pytest.mark.parametrize("name", pretrained.list())
def test_every_network_loads_and_has_its_card(name):
    described = pretrained.describe(name)
    model = pretrained.load(name)
    assert (model.factor,) == described.factors
    assert {"receptive_field", "alignment"} <= set(dir(model))
    assert pretrained.card(name).startswith(f"# {name}\n")
    assert f"seed {described.seed}, protocols" in pretrained.card(name)


def test_no_network_is_a_placeholder():
    cards = {name: pretrained.card(name) for name in pretrained.list()}
    assert [name for name, card in cards.items() if "PLACEHOLDER" in card] == []


def test_there_is_a_default_for_every_kind_and_factor():
    defaults = [pretrained.describe(n) for n in pretrained.list() if pretrained.describe(n).default]
    found = sorted((d.kind, f) for d in defaults for f in d.factors)
    assert found == sorted((kind, factor) for kind in KINDS for factor in FACTORS)


def test_the_folder_holds_what_the_manifest_says_and_nothing_else():
    assert {path.name for path in FOLDER.iterdir()} == {"manifest.json", *manifest()["files"]}
    sizes = {name: (FOLDER / name).stat().st_size for name in manifest()["files"]}
    assert sizes == {name: file["bytes"] for name, file in manifest()["files"].items()}


@pytest.mark.parametrize("name", ["depth_x4", "depth_x4_lite", "flow_x4_lite"])
def test_the_border_is_as_good_as_the_middle(name):
    """An edge of map and photograph alike that runs into the border: nothing happens to it there."""
    channels = 2 if name.startswith("flow") else 1
    low = np.ones((8, 9, channels), np.float32)
    low[4:] = 2
    photograph = np.full((32, 36, 3), 0.2, np.float32)
    photograph[16:] = 0.5
    result = pac_jax.upsample(low, photograph, kind=pretrained.describe(name).kind, model=name)
    error = np.abs(result - np.kron(low, np.ones((4, 4, 1), np.float32)))
    assert error[8:-8, 8:-8].max() < 0.2
    assert error.max() < 1.5 * error[8:-8, 8:-8].max() + 0.01
