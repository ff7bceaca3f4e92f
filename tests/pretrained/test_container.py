"""Files of one network: what is written comes back, and nothing else is taken for one."""

import json
import struct

import jax
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from pac_jax import pretrained
from pac_jax.models import DJIF
from tests.pretrained.conftest import small


def write(path, model, arguments, **options):
    settings = {"architecture": "PacNet", "arguments": arguments, "kind": "depth", **options}
    pretrained.write(path, model, **settings)
    return path


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "mine.safetensors", *small())


def parameters(model):
    return jax.tree.leaves(nnx.state(model))


def test_the_network_comes_back_and_computes_the_same(tmp_path):
    model, arguments = small(normalize=True)
    back = pretrained.read(write(tmp_path / "mine.safetensors", model, arguments))
    assert back.stages[0].normalize
    target, guide = np.ones((1, 3, 4, 1), np.float32), np.ones((1, 12, 16, 3), np.float32)
    np.testing.assert_array_equal(back(target, guide), model(target, guide))


def test_keys_are_paths_that_any_reader_of_safetensors_sees(file):
    model, _ = small()
    arrays = safetensors.numpy.load_file(file)
    assert "stages.1.kernel" in arrays
    np.testing.assert_array_equal(
        arrays["target_branch.convs.0.kernel"], model.target_branch.convs[0].kernel[...]
    )
    assert len(arrays) == len(parameters(model))


def test_the_same_network_is_the_same_bytes(file, tmp_path):
    again = write(tmp_path / "again.safetensors", *small())
    assert file.read_bytes() == again.read_bytes()


def test_describe_tells_what_the_file_says(file):
    described = pretrained.describe(file)
    model, arguments = small()
    assert described.name == str(file)
    assert (described.kind, described.factors, described.architecture) == ("depth", (4,), "PacNet")
    assert described.arguments["group_features"] == arguments["group_features"]
    assert described.parameters == sum(leaf.size for leaf in parameters(model))
    assert described.size == file.stat().st_size


def test_one_file_serves_several_factors(tmp_path):
    model = DJIF(4, rngs=nnx.Rngs(0))
    settings = {"architecture": "DJIF", "factors": (4, 8)}
    file = write(tmp_path / "djif.safetensors", model, {"factor": 4}, **settings)
    assert [pretrained.read(file, factor=f).factor for f in (4, 8)] == [4, 8]
    with pytest.raises(ValueError, match=r"factor is 16; .*djif.safetensors serves \(4, 8\)"):
        pretrained.read(file, factor=16)


def test_arguments_that_change_no_parameter_can_be_changed(tmp_path):
    model, arguments = small(normalize=True)
    file = write(tmp_path / "mine.safetensors", model, arguments)
    assert not pretrained.read(file, normalize=False).stages[0].normalize
    with pytest.raises(ValueError, match=r"does not serve \{'group_features': 4\}: .* needs"):
        pretrained.read(file, group_features=4)
    with pytest.raises(ValueError, match="has no argument 'protocol'; it was built with factor, "):
        pretrained.read(file, protocol="center")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"architecture": "PackNet"}, "architecture is 'PackNet'; it needs one of PacUpsampler, "),
        ({"kind": "normals"}, "kind is 'normals'; it needs one of depth, flow, labels"),
        ({"arguments": {"groups": 2}}, "they need a factor"),
        ({"arguments": {"factor": 4, "features": 8}}, "PacNet does not take"),
        (
            {"arguments": {"factor": 4}},
            r"target_branch.convs.0.bias has shape \(4,\) and needs \(32",
        ),
        ({"factors": (8,)}, r"factors are \[8\]; they need 4"),
        ({"factors": (4, 8)}, "stages is"),
    ],
)
def test_a_description_that_is_not_the_models_is_refused(tmp_path, changed, message):
    model, arguments = small()
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "x.safetensors", model, **{"arguments": arguments, **changed})
    assert list(tmp_path.iterdir()) == []


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"it needs to end in .safetensors"):
        write(tmp_path / "mine.pth", *small())


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.safetensors: there is no such file"):
        pretrained.read(tmp_path / "no.safetensors")


@pytest.mark.parametrize("length", [0, 5, 100, -4])
def test_a_file_that_was_cut_off_is_refused(file, length):
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(pretrained.WeightsError, match=r"mine.safetensors: .*damaged"):
        pretrained.read(file)


def test_safetensors_of_others_are_refused(tmp_path):
    file = tmp_path / "other.safetensors"
    safetensors.numpy.save_file({"weight": np.zeros(3)}, file)
    with pytest.raises(pretrained.WeightsError, match="do not say how to build the network"):
        pretrained.read(file)


def rewrite(file, change):
    """Change the metadata by hand, as the format's specification has them."""
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    ours = json.loads(header["__metadata__"]["pac_jax"])
    change(ours)
    header["__metadata__"]["pac_jax"] = json.dumps(ours)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


@pytest.mark.parametrize(
    "change",
    [
        lambda ours: ours.pop("arguments"),
        lambda ours: ours.update(factors=4),
        lambda ours: ours.update(architecture="os.system"),
        lambda ours: ours["arguments"].update(group_features=3),
        lambda ours: ours["arguments"].update(unknown=3),
    ],
)
def test_metadata_that_make_no_network_are_refused(file, change):
    rewrite(file, change)
    with pytest.raises(pretrained.WeightsError, match=r"mine\.safetensors"):
        pretrained.read(file)


def test_rewriting_alone_changes_nothing(file):
    rewrite(file, lambda ours: None)
    assert pretrained.read(file).factor == 4
