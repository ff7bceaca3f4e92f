"""`pac_jax.refine`: the inference that it is, what goes in and out, and what is refused."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import pac_jax
from pac_jax.refinement.terms import STEPS, TERMS, RefinementTerm
from tests.refinement.test_resizing import looped

CLASSES = 4


def drawn(seed=0, size=(21, 26), classes=CLASSES):
    return np.random.default_rng(seed).normal(size=(*size, classes)).astype(np.float32)


def photo(*shape, seed=1):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def shares_of(logits):
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def block_mean(image, block):
    """Means over blocks, those at the borders over what they have; and the padding at the start."""
    low = [-(-(-n % block) // 2) for n in image.shape[:2]]
    counts = [-(-n // block) for n in image.shape[:2]]
    result = np.zeros((*counts, image.shape[-1]))
    for y in range(counts[0]):
        for x in range(counts[1]):
            rows = slice(max(0, y * block - low[0]), (y + 1) * block - low[0])
            columns = slice(max(0, x * block - low[1]), (x + 1) * block - low[1])
            result[y, x] = image[rows, columns].mean((0, 1))
    return result, low


def spatial(window):
    offsets = np.arange(window) - window // 2
    values = np.exp(-0.5 * (offsets[:, None] ** 2 + offsets[None] ** 2) / (window / 4) ** 2)
    values *= window**2 / values.sum()
    values[window // 2, window // 2] = 0
    return values


def oracle(scores, image, mask, steps, terms=TERMS):
    """Mean-field inference with the terms that ship, in loops and float64."""
    scores, image = scores.astype(np.float64), image / 255.0
    logits = scores
    for _ in range(steps):
        q = shares_of(logits) * (1 if mask is None else mask[..., None])
        logits = scores.copy()
        for term, deviation in terms:
            small, low = block_mean(q, term.blur)
            guide, _ = block_mean(image / deviation, term.blur)
            message, filter_ = np.zeros_like(small), spatial(term.window)
            height, width = small.shape[:2]
            reach = term.window // 2
            for y in range(height):
                for x in range(width):
                    for i in range(-reach, reach + 1):
                        for j in range(-reach, reach + 1):
                            v, u = y + i * term.dilation, x + j * term.dilation
                            if 0 <= v < height and 0 <= u < width:
                                near = np.exp(-0.5 * np.square(guide[v, u] - guide[y, x]).sum())
                                message[y, x] += filter_[i + reach, j + reach] * near * small[v, u]
            full = looped(message, (height * term.blur, width * term.blur), "centers")
            cut = full[low[0] : low[0] + q.shape[0], low[1] : low[1] + q.shape[1]]
            logits = logits + term.weight * cut
    return logits


@pytest.mark.parametrize("masked", [False, True])
def test_it_is_the_inference_it_says(masked):
    """Beside loops; an image of two nearly flat parts, large enough for every term to speak."""
    size = (29, 34)
    scores = drawn(size=size)
    image = np.where(np.arange(34)[:, None] < 20, 80, 95) + np.zeros((*size, 3), int)
    image = (image + np.random.default_rng(2).integers(0, 5, image.shape)).astype(np.uint8)
    mask = np.random.default_rng(3).uniform(size=size) > 0.3 if masked else None
    labels, shares = pac_jax.refine(
        scores, image, mask=mask, steps=2, strength=0.2, return_probabilities=True
    )
    weaker = [RefinementTerm(replace(t, weight=0.2 * t.weight), d) for t, d in TERMS]
    expected = shares_of(oracle(scores, image, mask, 2, weaker))
    np.testing.assert_allclose(shares, expected, atol=1e-4)
    assert (labels == expected.argmax(-1)).mean() > 0.999
    for left_out in range(len(TERMS)):
        others = [term for number, term in enumerate(weaker) if number != left_out]
        without = shares_of(oracle(scores, image, mask, 2, others))
        assert np.abs(without - expected).max() > 0.01  # a hundred times the tolerance


def test_noise_within_a_colour_goes_and_the_border_moves_to_the_images():
    size = (48, 64)
    truth = np.zeros(size, int)
    truth[:, 30:] = 1
    image = np.where(truth[..., None] == 1, 200, 40).astype(np.uint8).repeat(3, -1)
    displaced = np.roll(truth, 3, axis=1)
    displaced[:, :3] = 0
    scores = 2.0 * np.eye(2, dtype=np.float32)[displaced]
    scores += np.random.default_rng(0).normal(size=scores.shape).astype(np.float32)
    before = (scores.argmax(-1) == truth).mean()
    after = (pac_jax.refine(scores, image) == truth).mean()
    assert before < 0.92
    assert after > 0.98


@pytest.mark.parametrize(
    ("scores", "image", "result"),
    [
        ((21, 26, 3), (21, 26, 3), (21, 26)),
        ((21, 26, 3), (21, 26, 1), (21, 26)),
        ((21, 26, 3), (21, 26), (21, 26)),
        ((2, 21, 26, 3), (2, 21, 26, 3), (2, 21, 26)),
        ((2, 6, 7, 3), (2, 21, 26, 1), (2, 21, 26)),
        ((1, 6, 7, 300), (1, 21, 26, 3), (1, 21, 26)),
    ],
)
def test_shapes_and_types(scores, image, result):
    labels, shares = pac_jax.refine(
        np.zeros(scores, np.float16), photo(*image), return_probabilities=True
    )
    assert labels.shape == result
    assert labels.dtype == (np.int32 if scores[-1] > 256 else np.uint8)
    assert shares.shape == (*result, scores[-1])
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares.sum(-1), 1, rtol=1e-5)


def test_jax_in_jax_out():
    scores, image = drawn(), photo(21, 26, 3)
    result = pac_jax.refine(jnp.asarray(scores), image)
    assert isinstance(result, jax.Array)
    other = pac_jax.refine(scores, jnp.asarray(image))
    assert isinstance(other, np.ndarray)
    np.testing.assert_array_equal(result, other)


def test_a_batch_is_its_images():
    scores, images = np.stack([drawn(s) for s in range(3)]), photo(3, 21, 26, 3)
    mask = np.random.default_rng(0).uniform(size=(3, 21, 26)) > 0.5
    results = pac_jax.refine(scores, images, mask=mask)
    for number, result in enumerate(results):
        single = pac_jax.refine(scores[number], images[number], mask=mask[number])
        np.testing.assert_array_equal(result, single)


def test_bytes_floats_and_files_are_the_same(tmp_path):
    scores, image = drawn(size=(7, 9)), photo(21, 26, 3)
    wanted = pac_jax.refine(scores, image)
    np.testing.assert_array_equal(pac_jax.refine(scores, image / 255), wanted)
    np.savez(tmp_path / "s.npz", logits=scores, other=np.zeros(3))
    Image.fromarray(image).save(tmp_path / "i.png")
    result = pac_jax.refine(tmp_path / "s.npz", str(tmp_path / "i.png"))
    np.testing.assert_array_equal(result, wanted)


def test_probabilities_are_recognised_or_told():
    scores, image = drawn(), photo(21, 26, 3)
    wanted = pac_jax.refine(scores, image, return_probabilities=True)[1]
    shares = np.asarray(jax.nn.softmax(scores))
    for told in (None, True):
        found = pac_jax.refine(shares, image, probabilities=told, return_probabilities=True)[1]
        np.testing.assert_allclose(found, wanted, atol=1e-4)
    as_logits = pac_jax.refine(shares, image, probabilities=False, return_probabilities=True)[1]
    assert np.abs(as_logits - wanted).max() > 0.1


@pytest.mark.parametrize("alignment", ["centers", "corners"])
def test_small_scores_are_interpolated_first(alignment):
    scores, image = drawn(size=(6, 8)), photo(21, 26, 3)
    full = looped(scores, (21, 26), alignment).astype(np.float32)
    result = pac_jax.refine(scores, image, alignment=alignment, return_probabilities=True)[1]
    wanted = pac_jax.refine(full, image, return_probabilities=True)[1]
    np.testing.assert_allclose(result, wanted, atol=1e-4)


def test_strength_and_steps_count():
    scores, image = drawn(), np.zeros((21, 26, 3), np.uint8)
    np.testing.assert_array_equal(pac_jax.refine(scores, image, strength=0), scores.argmax(-1))
    changed = [
        (pac_jax.refine(scores, image, strength=s) != scores.argmax(-1)).mean() for s in (0.1, 1)
    ]
    assert 0 < changed[0] < changed[1]
    one, more = (
        pac_jax.refine(scores, image, steps=n, strength=0.1, return_probabilities=True)[1]
        for n in (1, STEPS)
    )
    assert np.abs(one - more).max() > 1e-3


def test_void_pixels_say_nothing_and_get_their_label():
    scores, image = drawn(), np.zeros((21, 26, 3), np.uint8)
    mask = np.ones((21, 26), bool)
    mask[5:9, 4:20] = False
    loud = np.where(mask[..., None], scores, 50 * np.eye(CLASSES, dtype=np.float32)[2])
    quiet = pac_jax.refine(scores, image, mask=mask, return_probabilities=True)[1]
    other = pac_jax.refine(loud, image, mask=mask, return_probabilities=True)[1]
    np.testing.assert_allclose(other[mask], quiet[mask], atol=1e-6)
    labels = pac_jax.refine(scores, image, mask=mask, void_label=255)
    np.testing.assert_array_equal(labels == 255, ~mask)


def test_it_is_compiled_once_for_a_shape():
    from pac_jax.refinement.inference import infer

    scores, image = drawn(size=(19, 23)), photo(19, 23, 3)
    pac_jax.refine(scores, image)
    before = infer._cache_size()
    pac_jax.refine(2 * scores, image // 2, strength=0.3)
    assert infer._cache_size() == before


GOOD, IMAGE = (21, 26, CLASSES), (21, 26, 3)


@pytest.mark.parametrize(
    ("scores", "image", "options", "message"),
    [
        ((21, 26, 1), IMAGE, {}, "1 class; refining needs two or more"),
        ((21, 26), IMAGE, {}, r"they need \(h, w, classes\) or \(N, h, w, classes\)"),
        ((22, 26, 4), IMAGE, {}, r"scores have size \(22, 26\) and the image \(21, 26\)"),
        ((3, 26, 4), IMAGE, {}, "smaller by a network's stride, alike in both axes"),
        ((2, 2, 4), (200, 200, 3), {}, "at most 64"),
        ((4, 21, 26), IMAGE, {}, r"with classes first, give np.moveaxis\(scores, -3, -1\)"),
        ((4, 21, 26), (168, 208, 3), {}, r"with classes first, give np.moveaxis\(scores, -3, -1\)"),
        ((13, 8, 4), (64, 104, 3), {}, "height and width seem to be swapped"),
        ((26, 21, 4), IMAGE, {}, "height and width seem to be swapped"),
        ((2, 21, 26, 4), (3, 21, 26, 3), {}, "scores are of 2 images and image has 3"),
        ((2, 21, 26, 4), IMAGE, {}, r"with this scores it needs \(N, H, W, 3\)"),
        (GOOD, (21, 26, 4), {}, r"image has shape \(21, 26, 4\)"),
        (GOOD, IMAGE, {"mask": np.ones((20, 26))}, r"mask has shape \(20, 26\)"),
        (GOOD, IMAGE, {"probabilities": True}, "scores are no probabilities: the least is -"),
        (GOOD, IMAGE, {"alignment": "middle"}, "alignment is 'middle'; it needs one of centers"),
        (GOOD, IMAGE, {"steps": 0}, "steps is 0; it needs a whole number, 1 or more"),
        (GOOD, IMAGE, {"strength": -1.0}, "strength is -1.0; it needs to be 0 or more"),
        (GOOD, IMAGE, {"strength": np.nan}, "strength is nan"),
        (GOOD, IMAGE, {"void_label": 255}, "there is no mask that says where"),
        (
            GOOD,
            IMAGE,
            {"void_label": 256, "mask": np.ones((21, 26))},
            "void_label is 256; with this number of classes it needs 0 to 255",
        ),
    ],
)
def test_what_does_not_fit_is_told(scores, image, options, message):
    with pytest.raises(ValueError, match=message):
        pac_jax.refine(drawn(0, scores[:-1], scores[-1]), photo(*image), **options)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(value):
    scores = drawn()
    scores[2, 3, 1] = value
    with pytest.raises(ValueError, match=r"scores hold 1 values that are not finite \(of 2184\)"):
        pac_jax.refine(scores, photo(*IMAGE))


def test_types_that_do_not_fit_are_told():
    with pytest.raises(TypeError, match="scores have dtype int64; they need floats"):
        pac_jax.refine(np.zeros(GOOD, np.int64), photo(*IMAGE))
    with pytest.raises(TypeError, match="scores is a list"):
        pac_jax.refine([[0.0]], photo(*IMAGE))
    with pytest.raises(TypeError, match=r"scores is traced; refine looks at values"):
        jax.jit(lambda s: pac_jax.refine(s, photo(*IMAGE)))(drawn())
    with pytest.raises(ValueError, match=r"image holds floats from 0 to 255"):
        pac_jax.refine(drawn(), 255 * np.eye(21, 26)[..., None])
    with pytest.raises(FileNotFoundError, match=r"nothing\.npy: there is no such file"):
        pac_jax.refine("nothing.npy", photo(*IMAGE))
