"""The fully connected CRF against all pairs in NumPy, and beside pydensecrf2."""

from importlib.util import find_spec

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.benchmarks import dense_crf
from pac_jax import crf
from tests.crf.test_mean_field import random, softmax


def all_pairs(scores, guides, weights, steps, *, normalize=True, mixing=None, void=None):
    scores = np.asarray(scores, np.float64)
    classes = scores.shape[-1]
    flat = scores.reshape(-1, classes)
    kernels = []
    for guide in guides:
        f = np.asarray(guide, np.float64).reshape(len(flat), -1)
        kernel = np.exp(-0.5 * np.sum((f[:, None] - f[None]) ** 2, axis=-1))
        root = np.sqrt(kernel.sum(1))
        kernels.append(kernel / (root[:, None] * root[None]) if normalize else kernel)
    logits = flat
    for _ in range(steps):
        q = softmax(logits)
        if void is not None:
            q = q * np.asarray(void).reshape(-1, 1)
        messages = [w * kernel @ q for w, kernel in zip(weights, kernels, strict=True)]
        logits = flat + sum(m if mixing is None else m @ mixing for m in messages)
    return logits.reshape(scores.shape)


@pytest.mark.parametrize("block", [7, 30, 1024])
@pytest.mark.parametrize("size", [(29,), (5, 9), (3, 4, 5)])
def test_against_all_pairs(size, block):
    scores, image = random(0, 1, *size, 3), random(1, 1, *size, 2)
    guides = [crf.position_and_color(image, 2.0), crf.position_and_color(image, 5.0, 0.7)]
    mixing = np.random.default_rng(2).normal(size=(3, 3))
    void = random(3, 1, *size, 1) > -1
    result = crf.full_mean_field(
        scores,
        guides,
        [1.5, 0.8],
        steps=3,
        block=block,
        mask=void,
        compatibility=jnp.asarray(mixing, jnp.float32),
    )
    expected = all_pairs(scores, guides, [1.5, 0.8], 3, mixing=mixing, void=void)
    np.testing.assert_allclose(result.logits, expected, atol=1e-5, rtol=1e-5)


def test_without_normalisation_and_of_several_images():
    scores, image = random(0, 2, 6, 5, 4), random(1, 2, 6, 5, 3)
    guide = crf.position_and_color(image, 3.0, 1.0)
    both = crf.full_mean_field(scores, [guide], [0.3], normalize=False, block=8).logits
    for number in range(2):
        one = slice(number, number + 1)
        expected = all_pairs(scores[one], [guide[one]], [0.3], 5, normalize=False)
        np.testing.assert_allclose(both[one], expected, atol=1e-5, rtol=1e-5)


def test_memory_is_linear_in_the_pixels():
    def temporary(side):
        scores, image = jnp.zeros((1, side, side, 3)), jnp.zeros((1, side, side, 3))

        def infer(scores, image):
            guide = crf.position_and_color(image, 5.0, 0.1)
            return crf.full_mean_field(scores, [guide], [1.0], block=256).logits

        compiled = jax.jit(infer).lower(scores, image).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert temporary(128) < 5 * temporary(64)
    assert temporary(128) < 128**4 / 16  # of the 4 bytes of every pair


def test_gradient_and_early_stop():
    scores, image = random(0, 1, 4, 5, 3), random(1, 1, 4, 5, 2)

    def total(scores, image):
        guide = crf.position_and_color(image, 2.0, 0.7)
        return jnp.sum(crf.full_mean_field(scores, [guide], [1.0], steps=2, block=8).logits ** 2)

    jax.test_util.check_grads(total, (scores, image), 1, modes=["rev"], rtol=2e-2)
    guide = crf.position_and_color(image, 2.0, 0.7)
    early = crf.full_mean_field(scores, [guide], [1.0], steps=90, tolerance=1e-6)
    assert early.steps < 90


def test_wrong_arguments_are_named():
    scores, image = random(0, 1, 4, 5, 3), random(1, 1, 4, 5, 2)
    with pytest.raises(ValueError, match="there are 1 guides and 2 weights"):
        crf.full_mean_field(scores, [image], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"guides\[0\] has shape \(1, 3, 5, 2\)"):
        crf.full_mean_field(scores, [image[:, :3]], [1.0])
    with pytest.raises(ValueError, match="block is 0"):
        crf.full_mean_field(scores, [image], [1.0], block=0)
    with pytest.raises(ValueError, match="compatibility has shape"):
        crf.full_mean_field(scores, [image], [1.0], compatibility=jnp.ones((2, 2)))
    with pytest.raises(ValueError, match="color_deviation is 0"):
        crf.position_and_color(image, 1.0, 0.0)


@pytest.mark.skipif(not find_spec("pydensecrf"), reason="pydensecrf2 is absent: extra `peers`")
@pytest.mark.parametrize("title", list(dense_crf.SETTINGS))
def test_pydensecrf2_within_its_approximation(title):
    """Measured by `python -m experiments.benchmarks.dense_crf`; its bounds with some room."""
    image = dense_crf.photograph("chelsea", (37, 48))
    setting = dense_crf.SETTINGS[title]
    for steps, most in ((1, 0.01), (5, 0.015)):
        mean = np.abs(dense_crf.differences(image, 4, setting, steps)).mean()
        assert mean < most
    if setting.weight == 0:  # no colours: the lattice is dense, and the approximation close
        assert np.abs(dense_crf.differences(image, 4, setting)).max() < 0.1
    scores = dense_crf.noisy_log_probabilities(image, 4)
    change = dense_crf.infer_by_pydensecrf2(scores, image, setting, 5) - np.exp(scores)
    assert np.abs(change).mean() > 0.1  # agreement is not for want of effect
