"""The original's segmentation checkpoints: names, files, and what does not fit."""

import numpy as np
import pytest
from flax import nnx

from pac_jax.convert import fcn_from_torch
from pac_jax.crf import PairwiseTerm
from pac_jax.models import FCN8s, ScoresWithCRF
from pac_jax.nn import HotSwapped
from tests.models.fcn_oracle import checkpoint_arrays, crf_arrays, scores

NAME = "fcn8spac_crfi2p4d521p2d342"


def arrays_with_crf(sets=("",)):
    backbone = {f"backbone.{name}": array for name, array in checkpoint_arrays().items()}
    return backbone | crf_arrays(3, sets)


@pytest.mark.parametrize(
    ("name", "padding", "size"),
    [
        ("fcn8saltpad", "ordinary", (64, 32)),
        ("fcn8s", "original", (33, 70)),
        ("fcn8s", "original", (64, 96)),
    ],
)
def test_a_file_of_the_original_gives_its_scores(tmp_path, name, padding, size):
    torch = pytest.importorskip("torch")
    arrays = checkpoint_arrays()
    path = tmp_path / "fcn.pth"
    torch.save({n: torch.from_numpy(array) for n, array in arrays.items()}, path)
    image = np.random.default_rng(3).normal(size=(*size, 3)).astype(np.float32)
    outputs = nnx.jit(lambda model, image: model(image))(fcn_from_torch(path, name), image[None])[0]
    expected = scores(torch, arrays, image, padding)
    assert outputs.shape == expected.shape
    np.testing.assert_allclose(outputs, expected, atol=1e-5 * abs(expected).max())


def test_the_name_tells_what_arrays_do_not():
    assert isinstance(fcn_from_torch(checkpoint_arrays(), "fcn8s"), FCN8s)
    assert isinstance(fcn_from_torch(checkpoint_arrays(), "fcn8spac"), HotSwapped)
    model = fcn_from_torch(arrays_with_crf(), NAME, implementation="patches")
    assert isinstance(model, ScoresWithCRF)
    assert isinstance(model.backbone, HotSwapped)
    assert model.guide_scale == 1 / 30
    assert (model.crf.steps, model.crf.per_step) == (2, False)
    assert model.crf.implementation == "patches"
    first, second = model.crf.terms
    assert (first.window, first.dilation, first.blur, first.mixing) == (5, 2, 1, "full")
    assert (second.window, second.dilation, second.blur, second.mixing) == (3, 4, 2, "matrix")
    assert (first.spatial_filter, second.spatial_filter) == (True, False)


def test_published_names_are_read():
    from pac_jax.convert.segmentation import _described

    published = _described("fcn8s_crfi5p4d5641p4d5161")
    assert [(t["dilation"], t["blur"]) for t in published.terms] == [(64, 1), (16, 1)]
    described = _described("fcn8spac_crfi10lp0ds7324p2ds381")
    assert (described.backbone, described.steps, described.per_step) == ("fcn8spac", 10, True)
    assert described.terms[0] == {
        "kernel_size": 7,
        "dilation": 32,
        "blur": 4,
        "compat_type": "pott",
        "spatial_filter": True,
    }
    assert described.terms[1]["compat_type"] == "2d"


@pytest.mark.parametrize("steps", [0, 2])
def test_weights_of_the_crf_are_in_their_places(steps):
    sets = [f"steps.{number}." for number in range(steps)] or [""]
    arrays = arrays_with_crf(sets)
    model = fcn_from_torch(arrays, NAME.replace("i2", "i2l") if steps else NAME)
    layer = model.crf
    for number, prefix in enumerate(sets):
        step = number if steps else Ellipsis
        term = layer.pairwise[0].filter[...][step]
        assert term[1, 2, 0, 1] == arrays[f"crf.{prefix}messengers.0.weight"][1, 0, 1, 2]
        mixing = layer.pairwise[1].mixing[...][step]
        assert mixing[0, 2] == arrays[f"crf.{prefix}compat.1.weight"][2, 0, 0, 0]
        assert layer.pairwise[1].weight[...][step] == arrays[f"crf.{prefix}pairwise_weights.1"]
        assert layer.unary_weight[...][step] == arrays[f"crf.{prefix}unary_weight"]
    np.testing.assert_allclose(layer.pairwise[1].scale[...], 30 / arrays["feat_scales.1"])


def test_weights_of_potts_messages_are_learned_without_a_spatial_filter():
    arrays = arrays_with_crf()
    del arrays["crf.compat.1.weight"]
    terms = fcn_from_torch(arrays, NAME.replace("2d", "0d")).crf.terms
    assert terms[1] == PairwiseTerm(
        3, 4, 2, "potts", False, -float(arrays["crf.pairwise_weights.1"]), learn_weight=True
    )


@pytest.mark.parametrize(
    "name", ["fcn8", "fcn8s_crf", "fcn8s_crfi5", "fcn8s_crfi5p3d511", "fcn8s_crfi5p4d51", "FCN8s"]
)
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(ValueError, match=f"name is '{name}'; it needs one of fcn8s, fcn8saltpad"):
        fcn_from_torch({}, name)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("conv3_2.weight", (6, 5, 3, 3), r"conv3_2.weight has shape \(6, 5, 3, 3\) and needs"),
        ("fc7.weight", (9, 9, 3, 3), r"fc7.weight has shape \(9, 81\) and needs \(9, 9\)"),
        ("score_pool3.bias", (4,), r"score_pool3.bias has shape \(4,\) and needs \(3,\)"),
        ("upscore8.weight", (3, 3, 8, 8), r"upscore8.weight has shape .* needs \(3, 3, 16, 16\)"),
        ("score_fr.weight", (3, 9), r"score_fr.weight has shape \(3, 9\); it needs 4 dimensions"),
    ],
)
def test_arrays_that_do_not_fit_are_named(name, shape, message):
    arrays = checkpoint_arrays() | {name: np.zeros(shape, np.float32)}
    with pytest.raises(ValueError, match=message):
        fcn_from_torch(arrays, "fcn8s")


def test_a_checkpoint_under_the_wrong_name_is_refused():
    with pytest.raises(ValueError, match=r"unknown: \['backbone"):
        fcn_from_torch(arrays_with_crf(), "fcn8s")
    with pytest.raises(ValueError, match=r"missing: \['feat_scales.0'"):
        fcn_from_torch(checkpoint_arrays(), NAME)
    with pytest.raises(ValueError, match="its name needs an l after the number of steps"):
        fcn_from_torch(arrays_with_crf(("steps.0.", "steps.1.")), NAME)
    with pytest.raises(ValueError, match=r"messengers.0.weight has shape .* needs \(3, 3, 3, 3\)"):
        fcn_from_torch(arrays_with_crf(), NAME.replace("p4d5", "p4d3"))
    with pytest.raises(ValueError, match=r"has shape \(2, .* needs \(3, "):
        fcn_from_torch(arrays_with_crf(("steps.0.", "steps.1.")), NAME.replace("i2", "i3l"))
