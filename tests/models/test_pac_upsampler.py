"""PacUpsampler: against loops, and what must hold before and after any training."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pac_jax.models import PacUpsampler
from pac_jax.models.pac_upsampler import Level, local_statistics
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


@pytest.mark.parametrize("protocol", ["center", "last"])
def test_pixels_are_kept_exactly_before_training(protocol):
    model = PacUpsampler(8, protocol=protocol, rngs=nnx.Rngs(0))
    low, guide = random_pair(8)
    np.testing.assert_allclose(downsample(model(low, guide), 8, protocol), low, atol=1e-5)


def test_averages_are_kept_better_than_by_filters_alone():
    low, guide = random_pair(8)
    missing = {}
    for back_projection in (True, False):
        model = PacUpsampler(8, back_projection=back_projection, rngs=nnx.Rngs(0))
        again = downsample(model(low, guide), 8, "bicubic")
        missing[back_projection] = float(jnp.sqrt(jnp.mean((again - low) ** 2)))
    assert missing[True] < 0.5 * missing[False]


def test_edge_of_the_image_is_the_edge_of_the_result():
    """A step in colour inside a low-resolution pixel: the result steps there, not at the pixel."""
    guide = jnp.zeros((1, 64, 64, 3)).at[:, :, 29:].set(1.0)
    target = jnp.zeros((1, 64, 64, 1)).at[:, :, 29:].set(1.0)
    for protocol in ("bicubic", "center"):
        model = PacUpsampler(8, protocol=protocol, rngs=nnx.Rngs(0))
        result = model(downsample(target, 8, protocol), guide)[0, 32, :, 0]
        assert result[28] < 0.2
        assert result[29] > 0.8


def test_gradients_reach_every_parameter():
    model = PacUpsampler(8, rngs=nnx.Rngs(0))
    disturb(model, 0.01)  # more, and no pixel is like its neighbours
    low, guide = random_pair(8)
    gradients = nnx.jit(nnx.grad(lambda m: jnp.sum(m(low, guide) ** 2)))(model)
    chex.assert_tree_all_finite(gradients)
    unused = {path for path, g in nnx.to_flat_state(gradients) if not jnp.any(g[...] != 0)}
    # At x8 the target is there at 1/8: the first level, and what the network says of it, idle.
    assert {path[:2] for path in unused} <= {("levels", 0), ("guide_network", "head_8")}


def test_level_against_loops():
    level = Level(
        "center",
        2,
        3,
        1,
        back_projection=True,
        implementation=None,
        dtype=None,
        param_dtype=jnp.float32,
        precision=None,
        rngs=nnx.Rngs(0),
    )
    disturb(level)
    random = np.random.default_rng(3)
    low, target, guide, features, mean = (
        jnp.asarray(random.normal(size=(1, *shape)), jnp.float32)
        for shape in ((3, 2, 2), (6, 4, 2), (6, 4, 3), (6, 4, 3 + 1 + 1 + 2), (6, 4, 2))
    )
    deviation = jnp.asarray(random.uniform(0.5, 2, (1, 6, 4, 1)), jnp.float32)
    result = level(target, low, 0.1 * guide, features, mean, deviation)
    expected = loops_of_level(level, target, low, 0.1 * guide, features, mean, deviation)
    np.testing.assert_allclose(result, expected, rtol=2e-4, atol=2e-4)


def loops_of_level(level, target, low, guide, features, mean, deviation):
    """The same in float64 loops; resampling and the correction's convolutions are tested apart."""
    guide = np.concatenate([15.0 * guide + features[..., :3], features[..., 3:4]], axis=-1)
    where = 2 / (1 + np.exp(-np.asarray(features[..., 4:5], np.float64)))
    mean, deviation = np.asarray(mean, np.float64), np.asarray(deviation, np.float64)
    scale, steps = (np.asarray(p[...]) for p in (level.scale, level.step))

    def put_back(target, number):
        missing = low - downsample(jnp.asarray(target, jnp.float32), 2, "center")
        return target + steps[number] * where * interpolate(missing, 2, "center", "linear")

    def seen(target):
        return np.concatenate([guide, 1.5 * (target - mean) / deviation], axis=-1)

    target = put_back(target + deviation * features[..., 5:], 0)
    for number, dilation in enumerate((2, 1, 2, 1)):
        target = filtered(target, seen(target) * scale[number], dilation)
        target = put_back(target, number)
    correction = level.correction(jnp.asarray(seen(target), jnp.float32))
    return put_back(target + deviation * np.asarray(correction), 4)


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
    model = PacUpsampler(4, rngs=nnx.Rngs(0))
    low, guide = random_pair(4, channels=2)
    with pytest.raises(ValueError, match="target_low has 2 channels; this model needs its"):
        model(low, guide)


PARAMETERS = 444_598
