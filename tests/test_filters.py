"""The classical filters against plain loops, against the goldens, and against bad input."""

import json

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pac_jax import filters
from tests.oracle import goldens, pac

RNG = np.random.default_rng(5)


def bilateral_by_loops(inputs, guide, window, color_scale, space_scale, mask):
    """(H, W, C), (H, W, G), (H, W): every pixel and every neighbour in turn."""
    outputs = np.zeros_like(inputs)
    half = [(k - 1) // 2 for k in window]
    height, width = inputs.shape[:2]
    for y, x in np.ndindex(height, width):
        total, weights = 0, 0
        for v in range(max(0, y - half[0]), min(height, y + half[0] + 1)):
            for u in range(max(0, x - half[1]), min(width, x + half[1] + 1)):
                color = np.sum((color_scale * (guide[v, u] - guide[y, x])) ** 2)
                space = space_scale**2 * ((v - y) ** 2 + (u - x) ** 2)
                weight = mask[v, u] * np.exp(-(color + space) / 2)
                total, weights = total + weight * inputs[v, u], weights + weight
        outputs[y, x] = total / weights if weights else 0
    return outputs


def test_joint_bilateral_filter_equals_plain_loops(implementation, x64):
    inputs, guide = RNG.normal(size=(2, 7, 9, 3)), RNG.normal(size=(2, 7, 9, 2))
    mask = RNG.integers(0, 2, size=(2, 7, 9, 1)).astype(float)
    mask[0, :5, :5] = 0  # a window without any pixel that counts
    result = filters.joint_bilateral_filter(
        inputs,
        guide,
        window_size=(3, 5),
        color_scale=0.7,
        space_scale=0.4,
        mask=mask,
        implementation=implementation,
    )
    for n in range(2):
        expected = bilateral_by_loops(inputs[n], guide[n], (3, 5), 0.7, 0.4, mask[n, ..., 0])
        np.testing.assert_allclose(result[n], expected, atol=1e-12)
    assert (np.asarray(result)[0, 1, 1] == 0).all()


def test_bilateral_filter_is_its_own_guide(implementation, x64):
    image = RNG.normal(size=(1, 6, 8, 3))
    result = filters.bilateral_filter(
        image, window_size=5, color_scale=1.3, space_scale=0.5, implementation=implementation
    )
    expected = bilateral_by_loops(image[0], image[0], (5, 5), 1.3, 0.5, np.ones((6, 8)))
    np.testing.assert_allclose(result[0], expected, atol=1e-12)


@pytest.mark.parametrize("name", ["jbu_x2", "jbu_x4", "jbu_x8"])
def test_joint_bilateral_upsample_reproduces_the_goldens(name, implementation):
    path = goldens.goldens_folder() / "networks" / f"{name}.npz"
    if not path.exists():
        pytest.skip(goldens.REASON_WHEN_ABSENT)
    arrays = np.load(path)
    meta = json.loads(str(arrays["meta"]))
    result = filters.joint_bilateral_upsample(
        arrays["target_low"],
        arrays["guide"],
        meta["factor"],
        window_size=meta["kernel_size"],
        color_scale=meta["scale_color"],
        space_scale=meta["scale_space"],
        implementation=implementation,
    )
    np.testing.assert_allclose(result, arrays["output"], atol=1e-6)


@pytest.mark.parametrize(("factor", "window"), [(2, 5), (3, 7), (4, 5)])
def test_upsampling_places_the_samples_where_documented_and_keeps_channels_apart(factor, window):
    """A hole-free mask of one sample: every pixel it reaches takes its value, per channel."""
    target = jnp.asarray(RNG.normal(size=(1, 4, 5, 3)), jnp.float32)
    guide = jnp.zeros((1, 4 * factor, 5 * factor, 1))
    mask = jnp.zeros((1, 4, 5, 1)).at[0, 2, 3].set(1)
    result = filters.joint_bilateral_upsample(
        target, guide, factor, window_size=window, color_scale=1.0, space_scale=0.1, mask=mask
    )
    chex.assert_shape(result, (1, 4 * factor, 5 * factor, 3))
    y, x = 2 * factor + (factor - 1) // 2, 3 * factor + (factor - 1) // 2
    half = (window - 1) // 2
    reached = np.zeros(result.shape[1:3], bool)
    reached[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1] = True
    np.testing.assert_allclose(
        result[0][reached], np.broadcast_to(target[0, 2, 3], (reached.sum(), 3)), rtol=1e-6
    )
    assert (np.asarray(result)[0][~reached] == 0).all()


def test_holes_do_not_reach_upsampled_values_or_gradients():
    target = jnp.asarray(RNG.normal(size=(1, 4, 5, 1)), jnp.float32).at[0, 1, 1].set(jnp.nan)
    guide = jnp.asarray(RNG.uniform(size=(1, 8, 10, 3)), jnp.float32)

    def total(target, guide):
        result = filters.joint_bilateral_upsample(
            target,
            guide,
            2,
            color_scale=4.0,
            space_scale=0.5,
            mask=jnp.isfinite(target).astype(jnp.float32),
        )
        return jnp.sum(result**2)

    value, gradients = jax.value_and_grad(total, (0, 1))(target, guide)
    assert np.isfinite(value)
    assert np.isfinite(gradients[0]).all()
    assert np.isfinite(gradients[1]).all()


@pytest.mark.parametrize("asymmetric", [False, True])
def test_detail_preserving_pool_equals_the_oracle(asymmetric, implementation, x64):
    inputs = RNG.normal(size=(1, 7, 9, 3))
    result = filters.detail_preserving_pool(
        inputs,
        (3, 3),
        alpha=0.2,
        exponent=1.4,
        asymmetric=asymmetric,
        strides=2,
        implementation=implementation,
    )
    expected = pac.pool(
        inputs,
        inputs,
        (3, 3),
        strides=2,
        padding="SAME",
        affinity=pac.inverse(0.2, 1.4, asymmetric),
        smoothing="gaussian",
        channel_wise=True,
        normalize=True,
    )
    np.testing.assert_allclose(result, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"factor": 3}, ValueError, r"guide has shape .*\(12, 15\) = \(4, 5\) x 3"),
        ({"factor": 0}, ValueError, "factor is 0"),
        ({"window_size": 1}, ValueError, "window_size is .*at least 3"),
        ({"window_size": 4}, ValueError, "window_size is .*odd"),
        ({"color_scale": [1.0, 2.0]}, ValueError, "color_scale has shape .*needs one number or 3"),
        ({"target": np.zeros((1, 4, 5, 1), int)}, TypeError, "target has dtype int"),
        ({"target": np.zeros((4, 5), np.float32)}, ValueError, "target has shape"),
    ],
)
def test_bad_input_names_the_argument(change, error, message):
    arguments = {
        "target": np.zeros((1, 4, 5, 1), np.float32),
        "guide": np.zeros((1, 8, 10, 3), np.float32),
        "factor": 2,
        "color_scale": 1.0,
        "space_scale": 1.0,
    } | change
    with pytest.raises(error, match=message):
        filters.joint_bilateral_upsample(**arguments)
