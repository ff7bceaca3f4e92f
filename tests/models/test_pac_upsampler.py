"""PacUpsampler: against loops, and what must hold before and after any training."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pac_jax.models import PacUpsampler
from pac_jax.models.pac_upsampler import local_statistics
from pac_jax.models.protocols import PROTOCOLS, downsample, interpolate


def random_pair(factor, height=4, width=2, channels=1, seed=0):
    random = np.random.default_rng(seed)
    low = random.uniform(size=(1, height, width, channels))
    guide = random.uniform(size=(1, height * factor, width * factor, 3))
    return jnp.asarray(low, jnp.float32), jnp.asarray(guide, jnp.float32)


def disturb(model, size=0.1, seed=1):
    """As after some training: no parameter has its first value."""
    random = np.random.default_rng(seed)

    def change(value):
        return value + jnp.asarray(size * random.normal(size=value.shape), value.dtype)

    nnx.update(model, jax.tree.map(change, nnx.state(model, nnx.Param)))


@pytest.mark.parametrize(("factor", "protocol"), [(4, "center"), (16, "bilinear-antialias")])
def test_shape_and_finiteness(factor, protocol):
    model = PacUpsampler(factor, protocol=protocol, target_features=2, rngs=nnx.Rngs(0))
    low, guide = random_pair(factor, channels=2)
    result = model(low, guide)
    chex.assert_shape(result, (1, 4 * factor, 2 * factor, 2))
    chex.assert_tree_all_finite(result)


def test_sizes_that_the_factor_does_not_divide():
    model = PacUpsampler(4, rngs=nnx.Rngs(0))
    low, guide = random_pair(4, 5, 3)
    chex.assert_shape(model(low, guide[:, :19, :10]), (1, 19, 10, 1))


def test_parameters_serve_every_factor_and_protocol():
    states = [
        nnx.state(PacUpsampler(factor, protocol=protocol, rngs=nnx.Rngs(0)), nnx.Param)
        for factor in (4, 16)
        for protocol in ("bicubic", "last")
    ]
    for state in states[1:]:
        chex.assert_trees_all_equal(state, states[0])


def test_size_is_below_half_a_million():
    model = nnx.eval_shape(lambda: PacUpsampler(8, rngs=nnx.Rngs(0)))
    assert sum(p.size for p in jax.tree.leaves(nnx.state(model, nnx.Param))) == PARAMETERS


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_constant_target_stays_constant_before_training(protocol):
    model = PacUpsampler(8, protocol=protocol, rngs=nnx.Rngs(0))
    _, guide = random_pair(8)
    result = model(jnp.full((1, 4, 2, 1), 0.3), guide)
    np.testing.assert_allclose(result, 0.3, atol=1e-5)


@pytest.mark.parametrize("protocol", ["center", "first", "last"])
def test_pixels_are_kept_exactly_before_training(protocol):
    model = PacUpsampler(8, protocol=protocol, rngs=nnx.Rngs(0))
    low, guide = random_pair(8)
    np.testing.assert_allclose(downsample(model(low, guide), 8, protocol), low, atol=1e-5)


@pytest.mark.parametrize("protocol", ["bicubic", "bilinear-antialias"])
def test_with_all_views_a_turned_image_gives_the_turned_result(protocol):
    """But for the filters, whose gates and features are those of the first view."""
    options = {"protocol": protocol, "blocks": 1, "dilations": (), "rngs": nnx.Rngs(0)}
    model = PacUpsampler(4, views=8, **options)
    disturb(model)
    low, guide = random_pair(4, 3, 4)
    result = model(low, guide)
    single = PacUpsampler(4, **options)
    nnx.update(single, nnx.state(model))
    for turn in (
        lambda x: x[:, ::-1],
        lambda x: x[:, :, ::-1],
        lambda x: jnp.swapaxes(x, 1, 2),
    ):
        turned = model(turn(low), turn(guide))
        np.testing.assert_allclose(turned, turn(result), rtol=1e-4, atol=1e-5)
        alone = single(turn(low), turn(guide))
        assert np.abs(alone - turn(single(low, guide))).max() > 1e-3  # the test can fail


@pytest.mark.parametrize("protocol", ["center", "first", "last"])
def test_views_keep_the_pixels_where_they_are(protocol):
    model = PacUpsampler(4, protocol=protocol, blocks=1, views=8, rngs=nnx.Rngs(0))
    disturb(model)
    low, guide = random_pair(4, 5, 6)
    again = downsample(model(low, guide), 4, protocol)
    np.testing.assert_allclose(again[:, 1:-1, 1:-1], low[:, 1:-1, 1:-1], atol=1e-4)


def test_averages_are_kept_better_than_by_filters_alone():
    low, guide = random_pair(8)
    missing = {}
    for back_projection in (True, False):
        model = PacUpsampler(8, back_projection=back_projection, rngs=nnx.Rngs(0))
        again = downsample(model(low, guide), 8, "bicubic")
        missing[back_projection] = float(jnp.sqrt(jnp.mean((again - low) ** 2)))
    assert missing[True] < 0.5 * missing[False]


def open_gates(model):
    """As if training had found the filters to be right everywhere."""
    bias = model.gates.conv.bias
    bias[...] = jnp.full_like(bias[...], 50.0)


def test_edge_of_the_image_is_the_edge_of_the_result():
    """A step in colour inside a low-resolution pixel: the result steps there, not at the pixel."""
    guide = jnp.zeros((1, 32, 32, 3)).at[:, :, 14:].set(1.0)
    target = jnp.zeros((1, 32, 32, 1)).at[:, :, 14:].set(1.0)
    for protocol in ("bicubic", "center"):
        model = PacUpsampler(4, protocol=protocol, dilations=(2, 1, 2, 1), rngs=nnx.Rngs(0))
        low = downsample(target, 4, protocol)
        before = model(low, guide)[0, 16, :, 0]
        open_gates(model)
        result = model(low, guide)[0, 16, :, 0]
        assert result[13] < 0.25
        assert result[14] > 0.75
        assert result[14] - result[13] > before[14] - before[13] + 0.2


def test_guide_features_learn_from_the_first_update_on():
    """Equal features would have affinities without gradients, and stay equal for good."""
    model = PacUpsampler(8, blocks=1, dilations=(4, 1), rngs=nnx.Rngs(0))
    low, guide = random_pair(8)
    gradients = nnx.jit(nnx.grad(lambda m: jnp.sum(m(low, guide) ** 2)))(model)
    of_features = gradients.deep.conv.kernel[...].reshape(-1, 4)
    assert jnp.all(jnp.any(of_features != 0, axis=0))
    assert jnp.all(gradients.scale[...][:, 4:] != 0)


def test_gradients_reach_every_parameter():
    model = PacUpsampler(8, blocks=2, dilations=(4, 1), rngs=nnx.Rngs(0))
    disturb(model, 0.01)  # more, and no pixel is like its neighbours
    low, guide = random_pair(8)
    gradients = nnx.jit(nnx.grad(lambda m: jnp.sum(m(low, guide) ** 2)))(model)
    assert len(nnx.to_flat_state(gradients)) == 17
    chex.assert_tree_all_finite(gradients)
    assert all(jnp.any(g[...] != 0) for _, g in nnx.to_flat_state(gradients))


def test_network_sees_no_further_than_it_says():
    model = PacUpsampler(4, blocks=2, rngs=nnx.Rngs(0))
    disturb(model)
    network, head = model.guide_network, model.gates
    images = jnp.asarray(np.random.default_rng(0).normal(size=(1, 20, 2, 66)), jnp.float32)
    for row in range(40, 44):
        gradient = jax.grad(lambda x, row=row: head(network(x))[0, row].sum())(images)
        rows = np.flatnonzero(np.any(np.asarray(gradient) != 0, axis=(0, 2, 3)))
        seen = max(row - 4 * rows[0], 4 * rows[-1] + 3 - row)
        assert network.reach - 3 <= seen <= network.reach


@pytest.mark.parametrize("back_projection", [True, False])
def test_result_against_loops(back_projection):
    model = PacUpsampler(
        4,
        protocol="center",
        target_features=2,
        deep_features=3,
        blocks=1,
        dilations=(2, 1),
        back_projection=back_projection,
        rngs=nnx.Rngs(0),
    )
    disturb(model)
    low, guide = random_pair(4, 3, 4, channels=2)
    np.testing.assert_allclose(model(low, guide), loops(model, low, guide), rtol=2e-4, atol=2e-4)


def loops(model, low, guide):
    """The same in float64 loops; resampling is tested apart, and of the network its blocks."""
    mean, deviation = (
        np.asarray(interpolate(part, 4, "center", "linear"), np.float64)
        for part in local_statistics(low)
    )
    target = np.asarray(interpolate(low, 4, "center", "cubic"), np.float64)
    guide = np.asarray(guide, np.float64) - 0.5
    images = np.concatenate([2 * guide, (target - mean) / deviation], axis=-1)
    _, height, width, channels = images.shape
    blocks = np.empty((1, height // 4, width // 4, 16 * channels + 2))
    for y in range(height // 4):
        for x in range(width // 4):
            pixels = [images[0, 4 * y + i, 4 * x + j] for i in range(4) for j in range(4)]
            blocks[0, y, x] = np.concatenate([*pixels, [1.0, -1.0]])  # takes pixels; factor 4
    features = model.guide_network(jnp.asarray(blocks, jnp.float32))
    missing, gates, deep = (
        np.asarray(head(features), np.float64) for head in (model.missing, model.gates, model.deep)
    )
    gates = 1 / (1 + np.exp(2.0 - gates))

    def put_back(target):
        if not model.back_projection:
            return target
        missing = low - downsample(jnp.asarray(target, jnp.float32), 4, "center")
        return target + np.asarray(interpolate(missing, 4, "center", "linear"))

    target = put_back(target + deviation * missing)
    for number, dilation in enumerate(model.dilations):
        relative = 1.5 * (target - mean) / deviation
        seen = np.concatenate([15.0 * guide, relative, deep], axis=-1)
        seen = seen * np.asarray(model.scale[...])[number]
        gate = gates[..., number : number + 1]
        target = put_back(target + gate * (filtered(target, seen, dilation) - target))
    return target


def filtered(target, guide, dilation):
    _, height, width, _ = target.shape
    result = np.zeros(target.shape)
    for y in range(height):
        for x in range(width):
            total, weight = 0.0, 0.0
            for i in range(3):
                for j in range(3):
                    v, u = y + (i - 1) * dilation, x + (j - 1) * dilation
                    if 0 <= v < height and 0 <= u < width:
                        distance = np.sum((guide[0, v, u] - guide[0, y, x]) ** 2)
                        affinity = np.exp(-distance / 2)
                        total = total + affinity * target[0, v, u]
                        weight = weight + affinity
            result[0, y, x] = total / weight
    return result


def test_local_statistics_against_loops():
    low, _ = random_pair(4, 9, 11, channels=2)
    mean, deviation = local_statistics(low)
    padded = np.pad(np.asarray(low[0], np.float64), ((3, 3), (3, 3), (0, 0)), mode="edge")
    for y, x in ((0, 0), (4, 5), (8, 10)):
        window = padded[y : y + 7, x : x + 7].reshape(-1, 2)
        np.testing.assert_allclose(mean[0, y, x], window.mean(0), rtol=1e-5)
        expected = np.sqrt(window.var(0).mean() + 0.05**2)
        np.testing.assert_allclose(deviation[0, y, x, 0], expected, rtol=1e-4)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"factor is 3; it needs to be one of \(4, 8, 16\)"):
        PacUpsampler(3, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="protocol is 'mean'"):
        PacUpsampler(4, protocol="mean", rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"views is 3; it needs to be one of \(1, 2, 4, 8\)"):
        PacUpsampler(4, views=3, rngs=nnx.Rngs(0))
    model = PacUpsampler(4, rngs=nnx.Rngs(0))
    low, guide = random_pair(4, channels=2)
    with pytest.raises(ValueError, match="target_low has 2 channels; this model needs its"):
        model(low, guide)


PARAMETERS = 485_864
