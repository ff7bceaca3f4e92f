"""The package's own networks: found by name, and refused when their files are not what they were."""

import json

import numpy as np
import pytest
from flax import nnx

from pac_jax import pretrained
from pac_jax.models import DJIF
from tests.pretrained.conftest import ship, small


def test_what_was_shipped_is_listed_and_loaded(package):
    model = ship("depth_x4", score="0.4 of bicubic", default=True)
    ship("depth_x8", factor=8)
    assert pretrained.list() == ("depth_x4", "depth_x8")
    loaded = pretrained.load("depth_x4")
    stored = np.asarray(model.stages[1].kernel[...], np.float16)
    np.testing.assert_array_equal(loaded.stages[1].kernel[...], stored)
    assert loaded.stages[1].kernel.dtype == np.float32
    assert pretrained.card("depth_x4") == "# depth_x4\n\nA card.\n"
    described = pretrained.describe("depth_x4")
    assert (described.score, described.default, described.factors) == ("0.4 of bicubic", True, (4,))
    assert described.size == (package / "depth_x4.safetensors").stat().st_size


def test_loading_with_other_arguments(package):
    ship("depth_x4")
    with pytest.raises(ValueError, match=r"factor is 8; depth_x4 serves \(4,\)"):
        pretrained.load("depth_x4", factor=8)
    with pytest.raises(ValueError, match="depth_x4 has no argument 'protocol'"):
        pretrained.load("depth_x4", protocol="center")


def test_names_are_sorted_by_kind_and_factor_the_default_first(package):
    for name, factor, kind, default in (
        ("flow_x4", 4, "flow", True),
        ("depth_x8_lite", 8, "depth", False),
        ("depth_x8", 8, "depth", True),
        ("depth_x4", 4, "depth", True),
    ):
        ship(name, factor=factor, kind=kind, default=default)
    assert pretrained.list() == ("depth_x4", "depth_x8", "depth_x8_lite", "flow_x4")


def test_there_is_one_default_for_each_kind_and_factor(package):
    ship("old", default=True)
    ship("flow", kind="flow", default=True)
    ship("new", default=True)
    assert [pretrained.describe(n).default for n in ("old", "new", "flow")] == [False, True, True]


def test_an_unknown_name_lists_the_known(package):
    ship("depth_x4")
    for function in (pretrained.load, pretrained.card, pretrained.describe):
        with pytest.raises(ValueError, match=r"no network 'depth_x5' .*; there are depth_x4"):
            function("depth_x5")


def flip_one_bit(path):
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("file", ["depth_x4.safetensors", "depth_x4.md"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flip_one_bit, "damaged or exchanged, its SHA-256 is .* install the package again"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "damaged or exchanged"),
        (lambda path: path.unlink(), "cannot be read .* install the package again"),
    ],
)
def test_a_damaged_or_missing_file_is_refused_in_one_line(package, file, damage, message):
    ship("depth_x4")
    damage(package / file)
    read = pretrained.card if file.endswith(".md") else pretrained.load
    with pytest.raises(pretrained.WeightsError, match=message) as caught:
        read("depth_x4")
    assert "\n" not in str(caught.value)
    assert str(package / file) in str(caught.value)


def test_another_networks_file_in_its_place_is_refused(package):
    ship("depth_x4")
    ship("other", seed=1)
    (package / "other.safetensors").replace(package / "depth_x4.safetensors")
    with pytest.raises(pretrained.WeightsError, match="damaged or exchanged"):
        pretrained.load("depth_x4")


def test_a_missing_manifest_is_refused(package):
    (package / "manifest.json").unlink()
    with pytest.raises(pretrained.WeightsError, match="list of weights is missing or damaged"):
        pretrained.list()


def test_withdrawing_removes_the_files_and_the_record(package):
    ship("depth_x4")
    ship("depth_x8", factor=8)
    pretrained.withdraw("depth_x4")
    assert pretrained.list() == ("depth_x8",)
    names = {path.name for path in package.iterdir()}
    assert names == {"depth_x8.md", "depth_x8.safetensors", "manifest.json"}
    assert json.loads((package / "manifest.json").read_text())["files"].keys() == names - {
        "manifest.json"
    }


def test_shipping_anew_replaces(package):
    ship("depth_x4")
    new = ship("depth_x4", seed=1)
    loaded = pretrained.load("depth_x4")
    stored = np.asarray(new.stages[0].bias[...], np.float16)
    np.testing.assert_array_equal(loaded.stages[0].bias[...], stored)


def test_several_names_share_one_file(package):
    for factor in (4, 8):
        model = DJIF(factor, rngs=nnx.Rngs(0))
        pretrained.ship(
            f"djif_x{factor}",
            model,
            architecture="DJIF",
            arguments={"factor": factor},
            kind="depth",
            card=f"# djif_x{factor}\n",
            file="djif",
        )
    assert sorted(path.name for path in package.glob("*.safetensors")) == ["djif.safetensors"]
    assert [pretrained.load(name).factor for name in pretrained.list()] == [4, 8]
    assert pretrained.describe(package / "djif.safetensors").factors == (4, 8)
    with pytest.raises(ValueError, match=r"djif\.safetensors is shared with djif_x4"):
        ship("depth_x4", file="djif")
    pretrained.withdraw("djif_x8")
    assert pretrained.load("djif_x4").factor == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "depth x4"}, "name is 'depth x4'; it needs letters"),
        ({"card": "A card."}, "card begins with .* it needs the line '# depth_x4'"),
        ({"arguments": {}}, "they need a factor"),
    ],
)
def test_ship_refuses(package, options, message):
    model, arguments = small()
    settings = {
        "name": "depth_x4",
        "architecture": "PacNet",
        "arguments": arguments,
        "kind": "depth",
        "card": "# depth_x4\n",
        **options,
    }
    with pytest.raises(ValueError, match=message):
        pretrained.ship(settings.pop("name"), model, **settings)
    assert pretrained.list() == ()
