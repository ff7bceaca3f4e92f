"""Which network is taken, and with which arguments it is built."""

import pytest
from flax import nnx

from pac_jax import pretrained
from pac_jax.models import PacUpsampler
from pac_jax.upsampling.networks import networks_for
from tests.upsampling.fakes import filled


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("networks") / "all.safetensors"
    arguments = {"factor": 8, "protocol": "bicubic", "features": 8, "blocks": 1}
    model = filled(nnx.eval_shape(lambda: PacUpsampler(**arguments, rngs=nnx.Rngs(0))))
    pretrained.write(
        path,
        model,
        architecture="PacUpsampler",
        arguments=arguments,
        kind="depth",
        factors=(4, 8, 16),
    )
    return path


@pytest.mark.parametrize("protocol", [None, "center"])
def test_one_file_serves_its_factors_and_protocols(file, protocol):
    networks = networks_for(file, "depth", protocol)
    assert sorted(networks) == [4, 8, 16]
    for factor in (4, 16):
        model = networks[factor]()
        assert (model.factor, model.protocol) == (factor, protocol or "bicubic")
    assert networks[4]() is networks[4]()


@pytest.mark.parametrize(
    ("protocol", "single_pixels", "expected"),
    [(None, True, "center"), (None, False, "bicubic"), ("bicubic", True, "bicubic")],
)
def test_single_pixels_are_taken_for_such_if_nothing_is_said(
    file, protocol, single_pixels, expected
):
    networks = networks_for(file, "depth", protocol, single_pixels=single_pixels)
    assert networks[8]().protocol == expected


def test_an_unknown_protocol_lists_the_known(file):
    with pytest.raises(ValueError, match="protocol is 'nearest'; it needs one of bicubic"):
        networks_for(file, "depth", "nearest")[8]()


def test_networks_for_depth_serve_labels_but_not_flow(file):
    assert networks_for(file, "labels", None)
    with pytest.raises(ValueError, match="was trained for depth and kind is 'flow'"):
        networks_for(file, "flow", None)
