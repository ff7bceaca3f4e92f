"""One network on one image: continued at the borders, and in tiles as in one piece."""

from math import lcm

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pac_jax.models import PacUpsampler, target_range
from pac_jax.upsampling import network
from pac_jax.upsampling.network import run
from pac_jax.upsampling.resizing import sample
from tests.upsampling.fakes import Fake, Whole, pac_net, random


def reference(model, target, guide, margin):
    """The whole image at once, continued with jnp.pad: by the margin, and to a multiple of the unit."""
    f = model.factor
    size = (f * target.shape[0], f * target.shape[1])
    guide = jax.image.resize(guide, (*size, 3), "linear", antialias=False)
    values = target_range(jnp.asarray(target)[None])
    unit = lcm(model.alignment, f) // f
    after = [margin + -(n + 2 * margin) % unit for n in target.shape[:2]]
    low, high = (
        jnp.pad(a, ((0, 0), *((w * margin, w * n) for n in after), (0, 0)), mode="edge")
        for a, w in ((values.normalize(target[None]), 1), (guide[None], f))
    )
    inside = (slice(f * margin, f * margin + n) for n in size)
    return values.restore(model(low, high))[(0, *inside)]


@pytest.mark.parametrize(("block", "margin"), [(4, 4), (4, 0), (16, 1)])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("guide_size", [(28, 36), (26, 35), (40, 20)])
def test_it_is_the_network_on_the_whole_image(channels, guide_size, block, margin):
    model = Fake(4, block=block, margin=margin)
    target, guide = 3 + 2 * random(0, 7, 9, channels), random(1, *guide_size, 3)
    result = run(model, target, guide, tile=None)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, reference(model, target, guide, margin), atol=1e-5)


@pytest.mark.parametrize("tile", [24, 40])
@pytest.mark.parametrize("block", [4, 8])
@pytest.mark.parametrize("size", [(11, 9), (20, 3), (13, 30)])
def test_tiles_give_the_result_of_the_whole(tile, block, size):
    model = Fake(4, block=block)
    target, guide = random(0, *size, 1), random(1, 4 * size[0], 4 * size[1], 3)
    whole = run(model, target, guide, tile=None)
    np.testing.assert_allclose(run(model, target, guide, tile=tile), whole, atol=1e-5)


@pytest.mark.parametrize(
    ("truth", "claim"), [({"reach": 12}, {"receptive_field": 4}), ({"block": 8}, {"alignment": 4})]
)
def test_a_receptive_field_or_grid_that_is_not_true_shows(truth, claim):
    """The test above can fail."""
    target, guide = random(0, 31, 31, 1), random(1, 124, 124, 3)
    model = Fake(4, **truth)
    whole = run(model, target, guide, tile=None)
    for name, value in claim.items():
        setattr(model, name, value)
    assert np.abs(run(model, target, guide, tile=48) - whole).max() > 1e-3


def test_pac_net_in_tiles_is_pac_net():
    model = pac_net(4, normalize=True)
    target, guide = random(0, 23, 31, 1), random(1, 92, 124, 3)
    whole = run(model, target, guide, tile=None)
    assert np.ptp(whole) > 1
    tiled = run(model, target, guide, tile=2 * model.receptive_field + 16)
    np.testing.assert_allclose(tiled, whole, rtol=1e-5)
    np.testing.assert_allclose(whole, reference(model, target, guide, 4), rtol=1e-5)


@pytest.mark.parametrize("factor", [4, 8, 16])
def test_pac_upsampler_in_tiles_is_pac_upsampler(factor):
    """Its filters see ever further but ever less: what is cut away is below rounding."""
    model = nnx.eval_shape(lambda: PacUpsampler(factor, views=2, rngs=nnx.Rngs(0)))
    generator = np.random.default_rng(0)
    for path, parameter in nnx.to_flat_state(nnx.state(model, nnx.Param)):
        inputs = np.prod(parameter.shape[:-1]) if path[-1] == "kernel" else 0
        values = generator.normal(size=parameter.shape) / np.sqrt(inputs) if inputs > 16 else 1
        parameter.set_value(jnp.full(parameter.shape, values, jnp.float32))
    overlap = -(-model.receptive_field // factor) * factor
    length = 3 * overlap // factor
    target, guide = random(0, 6, length, 1), random(1, 6 * factor, length * factor, 3)
    whole = run(model, target, guide, tile=None)
    tiled = run(model, target, guide, tile=2 * overlap + 2 * factor)
    assert np.ptp(whole) > 0.1
    np.testing.assert_allclose(tiled, whole, atol=1e-5 * np.ptp(whole))


def test_large_images_are_cut_without_being_asked(monkeypatch):
    model = Fake(4)
    target, guide = random(0, 30, 40, 1), random(1, 120, 160, 3)
    whole = run(model, target, guide, tile=None)
    shapes = []
    monkeypatch.setattr(network, "_TILE_PIXELS", 5000)
    monkeypatch.setattr(
        network, "sample", lambda *a: (shapes.append(sample(*a).shape), sample(*a))[1]
    )
    np.testing.assert_allclose(run(model, target, guide, tile=None), whole, atol=1e-5)
    assert len(shapes) > 4
    assert len(set(shapes)) == 1
    assert shapes[0][0] * shapes[0][1] <= 5000


def test_the_range_is_that_of_the_whole_image():
    """A tile whose own target is flat must not be stretched."""
    target = np.zeros((20, 20, 1), np.float32)
    target[0, 0] = 100
    model = Fake(4, strength=0.01)
    result = run(model, target, np.ones((80, 80, 3), np.float32), tile=32)
    whole = run(model, target, np.ones((80, 80, 3), np.float32), tile=None)
    np.testing.assert_allclose(result, whole, atol=1e-4)


def test_what_is_flat_stays_flat():
    target, guide = random(0, 6, 7, 2), random(1, 24, 28, 3)
    target[..., 1] = 3e-5
    result = run(Fake(4), target, guide, tile=None)
    assert np.all(result[..., 1] == np.float32(3e-5))
    varied = run(Fake(4), target[..., :1], guide, tile=None)
    np.testing.assert_allclose(result[..., :1], varied, rtol=1e-6)
    assert np.ptp(varied) > 1


def test_a_model_that_does_not_tell_is_taken_whole_or_not_at_all(monkeypatch):
    monkeypatch.setattr(network, "_TILE_PIXELS", 100)
    target, guide = random(0, 9, 9, 1), random(1, 18, 18, 3)
    result = run(Whole(2), target, guide, tile=None)
    np.testing.assert_allclose(result, target.repeat(2, 0).repeat(2, 1), rtol=1e-6)
    with pytest.raises(ValueError, match="the model has no receptive_field and alignment"):
        run(Whole(2), target, guide, tile=16)


def test_a_model_of_one_channel_is_given_one_at_a_time():
    target, guide = 1 + random(0, 6, 7, 2), random(1, 24, 28, 3)
    model = Fake(4)
    together = run(model, target, guide, tile=None)
    model.target_features = 1
    np.testing.assert_allclose(run(model, target, guide, tile=None), together, rtol=1e-6)
    model.target_features = 2
    with pytest.raises(
        ValueError, match="target_low has 1 channels; this network takes 2 at a time"
    ):
        run(model, target[..., :1], guide, tile=None)


def test_one_shape_is_compiled_once():
    traced = []

    class Counting(Whole):
        def __call__(self, target_low, guide):
            traced.append(guide.shape)
            return super().__call__(target_low, guide)

    guide = random(1, 18, 18, 3)
    for seed in range(3):
        run(Counting(2), random(seed, 9, 9, 1), guide, tile=None)
    assert len(traced) == 1


def test_a_version_of_xla_without_the_option_does_without(monkeypatch):
    options = {"xla_cpu_no_such_option": ""}
    unknown = jax.jit(network._output, static_argnums=0, compiler_options=options)
    monkeypatch.setattr(network, "_on_cpu", unknown)
    target, guide = random(0, 5, 3, 1), random(1, 10, 6, 3)
    result = run(Whole(2), target, guide, tile=None)
    np.testing.assert_allclose(result, target.repeat(2, 0).repeat(2, 1), rtol=1e-6)


def test_parameters_may_change_their_type():
    """The same network in half precision: another program."""

    class Scaled(Whole):
        def __init__(self):
            super().__init__(2)
            self.scale = nnx.Param(jnp.full((), 1.0001))

        def __call__(self, target_low, guide):
            return super().__call__(target_low, guide) * self.scale[...].astype(jnp.float32)

    model, target, guide = Scaled(), random(0, 6, 7, 1), random(1, 12, 14, 3)
    before = run(model, target, guide, tile=None)
    model.scale.set_value(model.scale[...].astype(jnp.float16))  # 1
    after = run(model, target, guide, tile=None)
    np.testing.assert_allclose(after, target.repeat(2, 0).repeat(2, 1), rtol=1e-6)
    assert not np.array_equal(before, after)
