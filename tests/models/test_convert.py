"""Checkpoints of the original: read without trust, and turned into models of the right shape."""

import os
import sys

import numpy as np
import pytest
from flax import nnx

from pac_jax.convert import djif_from_torch, load_checkpoint, pac_net_from_torch

PAC_NET = {
    "branch_t.conv1": (4, 1, 5, 5),
    "branch_t.conv2": (3, 4, 5, 5),
    "branch_t.conv3": (2, 3, 5, 5),
    "branch_g.conv1": (4, 3, 5, 5),
    "branch_g.conv2": (3, 4, 5, 5),
    "branch_g.conv3": (6, 3, 5, 5),
    "up_convts.0": (2, 5, 5, 5),
    "up_convts.1": (5, 4, 5, 5),
    "branch_f.conv1": (7, 4, 5, 5),
    "branch_f.conv2": (1, 7, 5, 5),
}


def pac_net_arrays():
    random = np.random.default_rng(0)
    arrays = {}
    for name, shape in PAC_NET.items():
        arrays[f"{name}.weight"] = random.random(shape, np.float32)
        outputs = shape[1] if name.startswith("up") else shape[0]
        arrays[f"{name}.bias"] = random.random(outputs, np.float32)
    return arrays


def test_infers_the_shape_and_puts_every_array_in_its_place():
    arrays = pac_net_arrays()
    model = pac_net_from_torch(arrays)
    assert model.factor == 4
    assert [stage.out_features for stage in model.stages] == [5, 4]
    kernel = model.target_branch.convs[1].kernel[...]
    assert kernel[1, 2, 3, 0] == arrays["branch_t.conv2.weight"][0, 3, 1, 2]
    kernel = model.stages[0].kernel[...]
    assert kernel[1, 2, 1, 4] == arrays["up_convts.0.weight"][1, 4, 1, 2]
    np.testing.assert_array_equal(model.stages[1].bias[...], arrays["up_convts.1.bias"])
    np.testing.assert_array_equal(
        model.final_branch.convs[1].bias[...], arrays["branch_f.conv2.bias"]
    )
    stored = nnx.to_flat_state(nnx.state(model, nnx.Param))
    total = sum(float(np.sum(leaf[...])) for _, leaf in stored)
    assert total == pytest.approx(sum(float(a.sum()) for a in arrays.values()), rel=1e-5)


def test_options_go_to_the_model():
    options = {
        "dtype": np.float16,
        "param_dtype": np.float16,
        "precision": "highest",
    }
    model = pac_net_from_torch(pac_net_arrays(), implementation="patches", **options)
    stage = model.stages[0]
    assert (stage.dtype, stage.precision, stage.implementation) == (
        np.float16,
        "highest",
        "patches",
    )
    assert stage.kernel.dtype == np.float16
    assert model.final_branch.convs[0].dtype == np.float16


def test_missing_and_unknown_arrays_are_listed_at_once():
    arrays = pac_net_arrays()
    del arrays["branch_t.conv2.bias"], arrays["up_convts.0.weight"]
    arrays["extra.weight"] = np.zeros(3)
    with pytest.raises(
        ValueError,
        match=r"missing: \['branch_t.conv2.bias', 'up_convts.0.weight'\]"
        r"; unknown: \['extra.weight'\]",
    ):
        pac_net_from_torch(arrays)
    with pytest.raises(ValueError, match=r"missing: .*branch_joint.*unknown: .*up_convts"):
        djif_from_torch(pac_net_arrays(), 4)
    with pytest.raises(ValueError, match=r"missing: .*up_convts.0.weight"):
        pac_net_from_torch({})


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("branch_t.conv2.weight", (3, 9, 5, 5), r"conv2.weight has .*9.* needs \(3, 4, 5, 5\)"),
        ("branch_t.conv2.weight", (3, 4, 3, 3), r"needs \(3, 4, 5, 5\)"),
        ("up_convts.1.bias", (7,), r"up_convts.1.bias has shape \(7,\) and needs \(4,\)"),
        ("branch_g.conv3.weight", (7, 3, 5, 5), r"branch_g.conv3.weight has shape \(7, 3"),
        ("branch_g.conv3.weight", (1, 3, 5, 5), "branch_g.conv3"),
        ("up_convts.0.weight", (2, 5), r"up_convts.0.weight has shape \(2, 5\)"),
        ("branch_f.conv2.weight", (2, 7, 5, 5), r"needs \(1, 7, 5, 5\)"),
    ],
)
def test_arrays_that_do_not_fit_together_are_named(name, shape, message):
    arrays = pac_net_arrays()
    arrays[name] = np.zeros(shape, np.float32)
    with pytest.raises(ValueError, match=message):
        pac_net_from_torch(arrays)


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def test_reads_what_torch_saved(torch, tmp_path):
    arrays = pac_net_arrays()
    path = tmp_path / "weights.pth"
    torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, path)
    for source in (path, str(path)):
        read = load_checkpoint(source)
        assert read.keys() == arrays.keys()
        for name in arrays:
            np.testing.assert_array_equal(read[name], arrays[name])
    assert pac_net_from_torch(path).factor == 4


class Malicious:
    """Creates a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("old_format", [False, True])
def test_what_is_in_a_file_is_never_executed(torch, tmp_path, old_format):
    path, trace = tmp_path / "weights.pth", tmp_path / "trace"
    state = {"conv.weight": torch.zeros(3), "code": Malicious(str(trace))}
    torch.save(state, path, _use_new_zipfile_serialization=not old_format)
    with pytest.raises(ValueError, match="no checkpoint of weights alone"):
        load_checkpoint(path)
    assert not trace.exists()
    torch.load(path, weights_only=False)  # the test's own test: it would have been
    assert trace.exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut off", b"\x80\x02."])
def test_a_damaged_file_is_one_clear_error(torch, tmp_path, content):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"weights\.pth.*damaged"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("stored", "message"),
    [([1, 2], "holds a list"), ({"epoch": 3}, r"holds \['epoch'\] that are no tensors")],
)
def test_anything_but_tensors_by_name_is_refused(torch, tmp_path, stored, message):
    path = tmp_path / "weights.pth"
    torch.save(stored, path)
    with pytest.raises(ValueError, match=message):
        load_checkpoint(path)


def test_an_absent_file_is_said_to_be_absent(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)  # not before that is asked for PyTorch
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_checkpoint(tmp_path / "nowhere.pth")


def test_without_torch_the_error_tells_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "weights.pth").touch()
    with pytest.raises(ImportError, match="pip install torch"):
        load_checkpoint(tmp_path / "weights.pth")
    assert pac_net_from_torch(pac_net_arrays()).factor == 4


def test_a_torch_that_can_be_made_to_execute_code_is_refused(torch, monkeypatch, tmp_path):
    monkeypatch.setattr(torch, "__version__", "2.5.1")
    (tmp_path / "weights.pth").touch()
    with pytest.raises(ImportError, match=r"torch 2\.5\.1"):
        load_checkpoint(tmp_path / "weights.pth")
