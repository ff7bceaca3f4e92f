"""The target's own range."""

import jax.numpy as jnp
import numpy as np

from pac_jax.models import target_range


def test_every_image_and_channel_fills_the_unit_range():
    target = np.random.default_rng(0).normal(50, 20, (3, 5, 6, 2)).astype(np.float32)
    values = target_range(jnp.asarray(target))
    assert values.offset.shape == values.scale.shape == (3, 1, 1, 2)
    normalized = np.asarray(values.normalize(jnp.asarray(target)))
    np.testing.assert_array_equal(normalized.min(axis=(1, 2)), 0)
    np.testing.assert_allclose(normalized.max(axis=(1, 2)), 1, rtol=1e-6)
    np.testing.assert_allclose(values.restore(jnp.asarray(normalized)), target, rtol=1e-5)


def test_serves_a_target_of_another_size():
    low = jnp.asarray([2.0, 6.0]).reshape(1, 1, 2, 1)
    values = target_range(low)
    np.testing.assert_array_equal(values.normalize(jnp.full((1, 4, 4, 1), 8.0)), 1.5)
    np.testing.assert_array_equal(values.restore(jnp.full((1, 4, 4, 1), 0.5)), 4.0)


def test_a_flat_target_counts_as_range_one_around_its_value():
    low = jnp.stack([jnp.full((2, 2, 1), 7.0), jnp.arange(4.0).reshape(2, 2, 1)])
    values = target_range(low)
    np.testing.assert_array_equal(values.scale.ravel(), [1, 3])
    np.testing.assert_array_equal(values.normalize(low)[0], 0.5)
    np.testing.assert_array_equal(values.restore(values.normalize(low))[0], 7)


def test_keeps_the_type():
    values = target_range(jnp.arange(4.0, dtype=jnp.bfloat16).reshape(1, 2, 2, 1))
    assert values.offset.dtype == values.scale.dtype == jnp.bfloat16
