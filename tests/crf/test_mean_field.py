"""Mean-field inference against loops, and what must hold of every option."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import pac_jax
from pac_jax import crf
from pac_jax.crf import rows as rows_module

TERMS = (
    crf.PairwiseTerm(3, dilation=2, mixing="matrix", weight=0.7),
    crf.PairwiseTerm(3, mixing="potts", spatial_filter=False, weight=0.4),
)


def random(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def softmax(logits):
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def loops(scores, guide, terms, weights, steps, void=None):
    """The definition, in float64, in any number of spatial dimensions."""
    scores, guide = np.asarray(scores, np.float64), np.asarray(guide, np.float64)
    size = scores.shape[1:-1]
    logits = scores
    for _ in range(steps):
        q = softmax(logits)
        if void is not None:
            q = q * np.asarray(void)
        logits = float(weights.unary) * scores
        for term, own in zip(terms, weights.terms, strict=True):
            message = np.zeros_like(scores)
            window = term.window_shape(len(size))
            for pixel in np.ndindex(*size):
                for tap in np.ndindex(*window):
                    other = tuple(
                        p + (t - w // 2) * term.dilation
                        for p, t, w in zip(pixel, tap, window, strict=True)
                    )
                    if any(not 0 <= o < n for o, n in zip(other, size, strict=True)):
                        continue
                    difference = guide[0][other] - guide[0][pixel]
                    affinity = np.exp(-np.sum(difference**2) / 2)
                    value = affinity * q[0][other]
                    filters = np.asarray(own.filter[tap], np.float64)
                    value = value * filters if filters.ndim == 0 else value @ filters
                    if own.mixing is not None:
                        value = value @ np.asarray(own.mixing, np.float64)
                    message[0][pixel] += value
            sign = 1 if term.mixing == "potts" else -1
            logits = logits + sign * float(own.weight) * message
    return logits


@pytest.mark.parametrize("size", [(9,), (5, 7), (3, 4, 5)])
@pytest.mark.parametrize("implementation", ["rows", "taps", "shifts", "patches"])
def test_against_loops_in_one_to_three_dimensions(size, implementation):
    terms = (*TERMS, crf.PairwiseTerm(3, mixing="full", weight=0.2))
    weights = crf.initial_weights(terms, 3, len(size), noise=0.1, key=jax.random.key(0))
    scores, guide = random(0, 1, *size, 3), random(1, 1, *size, 2)
    void = (random(2, 1, *size, 1) > -0.5).astype(jnp.float32)
    result = crf.mean_field(
        scores, guide, weights, terms, steps=2, mask=void, implementation=implementation
    )
    expected = loops(scores, guide, terms, weights, 2, void)
    np.testing.assert_allclose(result.logits, expected, rtol=2e-5, atol=2e-5)
    assert result.steps == 2


def test_equal_labels_attract():
    """A pixel that is unsure takes its neighbours' label, for every mixing with positive weight."""
    scores = jnp.zeros((1, 7, 7, 2)).at[..., 0].set(2.0).at[0, 3, 3].set(jnp.array([0.0, 0.5]))
    for mixing in ("potts", "matrix", "full", "plain"):
        terms = (crf.PairwiseTerm(3, mixing=mixing),)
        weights = crf.initial_weights(terms, 2)
        logits = crf.mean_field(scores, jnp.zeros((1, 7, 7, 1)), weights, terms).logits
        assert jnp.all(jnp.argmax(logits, -1) == 0), mixing


def test_an_edge_of_the_guide_stops_the_messages():
    scores = jnp.zeros((1, 4, 8, 2)).at[:, :, :4, 0].set(3.0)
    guide = jnp.zeros((1, 4, 8, 1)).at[:, :, 4:].set(50.0)
    terms = (crf.PairwiseTerm(5, mixing="potts"),)
    weights = crf.initial_weights(terms, 2)
    logits = crf.mean_field(scores, guide, weights, terms).logits
    np.testing.assert_allclose(logits[:, :, 4:, 0], logits[:, :, 4:, 1], atol=1e-6)
    assert jnp.all(logits[:, :, :4, 0] > logits[:, :, :4, 1] + 3)


def test_tolerance_stops_early_with_the_same_answer():
    weights = crf.initial_weights(TERMS, 3)
    scores, guide = 3 * random(0, 1, 8, 9, 3), random(1, 1, 8, 9, 2)
    every = crf.mean_field(scores, guide, weights, TERMS, steps=60)
    early = crf.mean_field(scores, guide, weights, TERMS, steps=60, tolerance=1e-5)
    assert 2 < early.steps < 60
    np.testing.assert_allclose(
        jax.nn.softmax(early.logits), jax.nn.softmax(every.logits), atol=1e-3
    )
    none = crf.mean_field(scores, guide, weights, TERMS, steps=4, tolerance=0.0)
    four = crf.mean_field(scores, guide, weights, TERMS, steps=4)
    np.testing.assert_allclose(none.logits, four.logits, rtol=1e-5, atol=1e-6)


def test_weights_of_every_step_that_are_equal_are_shared_weights():
    one = crf.initial_weights(TERMS, 3)
    three = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), one)
    scores, guide = random(0, 1, 6, 5, 3), random(1, 1, 6, 5, 2)
    shared = crf.mean_field(scores, guide, one, TERMS, steps=3).logits
    for tolerance in (None, 0.0):
        own = crf.mean_field(
            scores, guide, three, TERMS, steps=3, per_step=True, tolerance=tolerance
        )
        np.testing.assert_allclose(own.logits, shared, rtol=1e-5, atol=1e-6)


def test_probabilities_are_their_logarithms():
    weights = crf.initial_weights(TERMS, 3)
    scores, guide = random(0, 1, 6, 5, 3), random(1, 1, 6, 5, 2)
    q = jax.nn.softmax(scores)
    given = crf.mean_field(q, guide, weights, TERMS, probabilities=True).logits
    np.testing.assert_allclose(
        given, crf.mean_field(jnp.log(q), guide, weights, TERMS).logits, rtol=1e-5, atol=1e-5
    )


def test_memory_does_not_grow_with_the_steps():
    weights = crf.initial_weights(TERMS, 3)
    scores, guide = random(0, 1, 64, 48, 3), random(1, 1, 64, 48, 2)

    def temporary(steps, function):
        compiled = jax.jit(lambda s, g: function(s, g, steps)).lower(scores, guide).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    def infer(scores, guide, steps):
        return crf.mean_field(scores, guide, weights, TERMS, steps=steps).logits

    assert temporary(40, infer) == temporary(4, infer)

    def gradient(scores, guide, steps, remat):
        def loss(scores):
            inference = crf.mean_field(scores, guide, weights, TERMS, steps=steps, remat=remat)
            return jnp.sum(inference.logits**2)

        return jax.grad(loss)(scores)

    kept, again = (
        temporary(20, lambda s, g, steps, r=remat: gradient(s, g, steps, r))
        for remat in (False, True)
    )
    assert again < kept


def test_layer_shows_what_it_learns():
    terms = (
        crf.PairwiseTerm(3, mixing="full"),
        crf.PairwiseTerm(3, mixing="matrix", spatial_filter=False, learn_weight=True),
        crf.PairwiseTerm(3, mixing="plain"),
    )
    layer = crf.PacCRF(4, terms, guide_features=3, learn_unary_weight=False)
    learned = {".".join(map(str, p)) for p, _ in nnx.to_flat_state(nnx.state(layer, nnx.Param))}
    assert learned == {
        "pairwise.0.filter",
        "pairwise.0.scale",
        "pairwise.1.mixing",
        "pairwise.1.weight",
        "pairwise.1.scale",
        "pairwise.2.filter",
    }
    fixed = {".".join(map(str, p)) for p, _ in nnx.to_flat_state(nnx.state(layer, crf.Fixed))}
    assert fixed == {"unary_weight", "pairwise.0.weight", "pairwise.1.filter", "pairwise.2.weight"}


@pytest.mark.parametrize("per_step", [False, True])
def test_layer_is_the_function_and_learns(per_step):
    layer = crf.PacCRF(
        3, TERMS, guide_features=2, steps=2, per_step=per_step, learn_unary_weight=True, remat=True
    )
    scores, guide = random(0, 2, 6, 5, 3), random(1, 2, 6, 5, 2)
    weights = crf.initial_weights(TERMS, 3)
    expected = crf.mean_field(scores, guide, weights, TERMS, steps=2).logits
    np.testing.assert_allclose(layer(scores, guide), expected, rtol=1e-5, atol=1e-5)
    gradients = nnx.jit(nnx.grad(lambda m: jnp.sum(m(scores, guide)[..., 0] ** 2)))(layer)
    chex.assert_tree_all_finite(gradients)
    assert all(jnp.any(g[...] != 0) for _, g in nnx.to_flat_state(gradients))


def test_noise_is_small_and_needs_a_key():
    terms = (crf.PairwiseTerm(5),)
    plain = crf.initial_weights(terms, 3)
    shaken = crf.initial_weights(terms, 3, noise=5e-4, key=jax.random.key(0))
    difference = np.abs(np.asarray(shaken.terms[0].filter - plain.terms[0].filter))
    assert 4e-4 < difference.max() <= 5.1e-4
    with pytest.raises(ValueError, match=r"noise is 0\.1; it needs a key"):
        crf.initial_weights(terms, 3, noise=0.1)
    with pytest.raises(ValueError, match=r"noise is 0\.1; it needs rngs"):
        crf.PacCRF(3, terms, noise=0.1)


def test_wrong_arguments_are_named():
    weights = crf.initial_weights(TERMS, 3)
    scores, guide = random(0, 1, 6, 5, 3), random(1, 1, 6, 5, 2)

    def run(scores=scores, guides=guide, weights=weights, terms=TERMS, **options):
        return crf.mean_field(scores, guides, weights, terms, **options)

    cases = [
        (lambda: run(scores[..., :1]), "1 class; a CRF needs two or more"),
        (lambda: run(scores[0, 0]), "one to three spatial dimensions"),
        (lambda: run(guides=guide[:, :5]), r"guides\[0\] has shape \(1, 5, 5, 2\); scores of"),
        (lambda: run(guides=[guide]), "there are 1 guides; 2 terms need one each"),
        (lambda: run(guides=[guide, None]), r"guides\[1\] is None"),
        (lambda: run(steps=0), "steps is 0"),
        (lambda: run(tolerance=-1.0), "tolerance is -1.0"),
        (lambda: run(mask=guide), "mask has shape"),
        (lambda: run(per_step=True), r"weights.unary has shape \(\); it needs \(5,\)"),
        (lambda: run(terms=TERMS[:1]), "weights are of 2 terms; there are 1 terms"),
        (lambda: run(random(0, 1, 6, 5, 4)), "mixing has shape"),
        (lambda: crf.PairwiseTerm(4), "window is 4; it needs odd sizes"),
        (lambda: run(terms=(crf.PairwiseTerm((3,)), TERMS[1])), r"window is \(3,\); scores with 2"),
        (lambda: crf.PairwiseTerm(3, dilation=0), "dilation is 0"),
        (lambda: crf.PairwiseTerm(3, mixing="half"), "mixing is 'half'; it needs one of full"),
        (lambda: crf.PairwiseTerm(3, spatial_filter=False), "spatial_filter is False, but mixing"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="scores has dtype int32"):
        run(jnp.zeros((1, 6, 5, 3), jnp.int32))


def test_the_layer_names_what_does_not_fit():
    scores, guide = random(0, 1, 6, 5, 3), random(1, 1, 6, 5, 2)
    layer = crf.PacCRF(3, TERMS, guide_features=2)
    assert layer(scores, guide).shape == scores.shape
    cases = [
        (scores[..., :2], guide, r"scores have shape \(1, 6, 5, 2\); .* and its 3 classes"),
        (scores[0], guide[0], "with 2 spatial dimensions"),
        (scores, guide[..., :1], r"guide has shape \(1, 6, 5, 1\); .* guide_features, 2 channels"),
        (scores, jnp.concatenate([guide, guide], -1), "guide_features, 2 channels"),
        (scores, [guide], "there are 1 guides; 2 terms need one each"),
    ]
    for values, guides, message in cases:
        with pytest.raises(ValueError, match=message):
            layer(values, guides)


@pytest.mark.parametrize("mixing", ["full", "matrix", "potts", "plain"])
def test_rows_are_the_operators_in_values_and_derivatives(mixing, monkeypatch):
    """Odd sizes, a batch, blur, unequal windows, several bands, learned guides; twice derived."""
    monkeypatch.setattr(rows_module, "_BAND_BYTES", 2000)
    terms = (
        crf.PairwiseTerm((5, 3), dilation=2, mixing=mixing, weight=0.3),
        crf.PairwiseTerm(3, dilation=4, blur=2, mixing=mixing, weight=0.3),
    )
    weights = crf.initial_weights(terms, 3, noise=0.2, key=jax.random.key(0))
    scores, guide = random(0, 2, 11, 7, 3), random(1, 2, 11, 7, 2)
    mask = (random(2, 2, 11, 7, 1) > -1).astype(jnp.float32)

    def logits(implementation, scores, guide, weights):
        return crf.mean_field(
            scores, guide, weights, terms, steps=2, mask=mask, implementation=implementation
        ).logits

    def derivatives(implementation):
        function = partial(logits, implementation)

        def loss(*given):
            return jnp.mean(function(*given) ** 2)

        arguments = (scores, guide, weights)
        values, forward = jax.jvp(function, arguments, arguments)
        gradients = jax.grad(loss, (0, 1, 2))(*arguments)
        twice = jax.grad(lambda g: jnp.sum(jax.grad(loss, 1)(scores, g, weights) ** 2))(guide)
        return values, forward, gradients, twice

    compiled = [jax.jit(derivatives, static_argnums=0)(name) for name in ("rows", "taps")]
    chex.assert_trees_all_close(*compiled, rtol=2e-4, atol=2e-5)


def test_rows_take_any_affinity():
    affinity = pac_jax.Inverse(0.5, -1.0, smoothing="gaussian")
    weights = crf.initial_weights(TERMS, 3)
    scores, guide = random(0, 1, 6, 7, 3), random(1, 1, 6, 7, 2)
    rows, taps = (
        crf.mean_field(scores, guide, weights, TERMS, affinity=affinity, implementation=name).logits
        for name in ("rows", "taps")
    )
    np.testing.assert_allclose(rows, taps, rtol=1e-5, atol=1e-5)


def test_rows_say_what_they_cannot_and_are_not_chosen_then():
    scores, guide = random(0, 1, 6, 7, 3), random(1, 1, 6, 7, 2)
    half = jnp.bfloat16
    cases = [
        (half, TERMS, "scores are bfloat16; it needs 32 bits"),
        (jnp.float32, (crf.PairwiseTerm(9, mixing="potts"),), r"window \(9, 9\) has 81 taps"),
    ]
    for dtype, terms, message in cases:
        weights = crf.initial_weights(terms, 3, dtype=dtype)
        given = scores.astype(dtype), guide.astype(dtype), weights, terms
        with pytest.raises(NotImplementedError, match=message):
            crf.mean_field(*given, implementation="rows")
        chosen, taps = (crf.mean_field(*given, implementation=n).logits for n in (None, "taps"))
        np.testing.assert_array_equal(chosen, taps)
    weights = crf.initial_weights(TERMS, 3)
    with pytest.raises(ValueError, match="implementation is 'columns'"):
        crf.mean_field(scores, guide, weights, TERMS, implementation="columns")
    first, *others = weights.terms
    first = first._replace(filter=first.filter.astype(half))
    weights = weights._replace(terms=(first, *others))
    with pytest.raises(TypeError, match="weights has dtype bfloat16"):
        crf.mean_field(scores, guide, weights, TERMS, implementation="rows")
