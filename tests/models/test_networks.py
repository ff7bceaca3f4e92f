"""The networks: the golden outputs, the table of parameter counts, sizes, channels, training."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from pac_jax.convert import djif_from_torch, pac_net_from_torch
from pac_jax.models import DJIF, PacNet
from tests.oracle import goldens

NETWORKS = goldens.goldens_folder() / "networks"
NAMES = ["pac_x4", "pac_x16", "paclite_x4_flow", "paclite_x8", "djif_x8"]


def random(seed, *shape):
    return np.random.default_rng(seed).random(shape, np.float32)


def count(model):
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


def filled(make):
    """The model that `make` gives, with parameters drawn by NumPy, which compiles nothing."""
    model = nnx.eval_shape(make)
    generator = np.random.default_rng(0)
    for _, parameter in nnx.to_flat_state(nnx.state(model, nnx.Param)):
        bound = 1 / np.sqrt(max(np.prod(parameter.shape[:-1]), 100))
        values = generator.uniform(-bound, bound, parameter.shape)
        parameter.set_value(jnp.asarray(values, parameter.dtype))
    return model


def small(factor=4, **options):
    """A PacNet of a few features."""
    stages = range(3, 3 + factor.bit_length() - 1)
    features = {"target_branch": (4, 3), "guide_branch": (4,), "final_branch": (2,)}
    return filled(
        lambda: PacNet(
            factor, group_features=2, stages=stages, rngs=nnx.Rngs(0), **features, **options
        )
    )


def djif(**options):
    return filled(lambda: DJIF(4, rngs=nnx.Rngs(0), **options))


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_those_of_the_original(name):
    pytest.importorskip("torch")
    if not (NETWORKS / f"{name}.npz").exists():
        pytest.skip(goldens.REASON_WHEN_ABSENT)
    case = goldens.load(NETWORKS / f"{name}.npz")
    checkpoint = NETWORKS / f"{name}.pth"
    if case.meta["model"] == "DJIF":
        model = djif_from_torch(checkpoint, case.meta["factor"])
    else:
        model = pac_net_from_torch(checkpoint)
    assert model.factor == case.meta["factor"]
    assert count(model) == case.meta["params"]
    apply = nnx.jit(lambda m, target, guide: m(target, guide))
    outputs = apply(model, case.arrays["target_low"], case.arrays["guide"])
    expected = case.arrays["output"]
    assert outputs.shape == expected.shape
    # The outputs of random weights are small, so the goldens' own tolerance would say little.
    tolerance = min(case.meta["tolerance"], 1e-5 * abs(expected).max())
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("make", "factor", "parameters"),
    [
        (PacNet, 4, 183_489),
        (PacNet, 8, 221_937),
        (PacNet, 16, 260_385),
        (PacNet.lite, 4, 55_509),
        (PacNet.lite, 8, 56_273),
        (PacNet.lite, 16, 55_777),
        (DJIF, 4, 56_323),
        (DJIF, 16, 56_323),
    ],
)
def test_parameter_counts(make, factor, parameters):
    model = nnx.eval_shape(lambda: make(factor, rngs=nnx.Rngs(0)))
    assert count(model) == parameters


@pytest.mark.parametrize("make", [small, djif])
def test_channels_and_images_are_independent(make):
    model = make()
    target, guide = random(0, 3, 4, 5, 2), random(1, 3, 16, 20, 3)
    apply = nnx.jit(lambda m, target, guide: m(target, guide))
    outputs = apply(model, target, guide)
    assert outputs.shape == (3, 16, 20, 2)
    for image in range(3):
        for channel in range(2):
            alone = apply(model, target[image, None, ..., channel, None], guide[image, None])
            np.testing.assert_allclose(outputs[image, ..., channel], alone[0, ..., 0], atol=1e-5)


@pytest.mark.parametrize("channels", [1, 4])
def test_the_guide_branch_runs_once_per_image(channels):
    model = small()
    seen = []
    branch = model.guide_branch
    model.guide_branch = nnx.static(lambda guide: seen.append(guide.shape) or branch(guide))
    model(random(0, 2, 4, 5, channels), random(1, 2, 16, 20, 3))
    assert seen == [(2, 16, 20, 3)]


@pytest.mark.parametrize("make", [small, djif])
def test_sizes_that_the_factor_does_not_divide(make):
    model = make()
    target, guide = random(0, 1, 4, 5, 1), random(1, 1, 14, 17, 3)
    outputs = model(target, guide)
    assert outputs.shape == (1, 14, 17, 1)
    larger = jax.image.resize(guide, (1, 16, 20, 3), "linear", antialias=False)
    expected = jax.image.resize(model(target, larger), outputs.shape, "linear", antialias=False)
    np.testing.assert_allclose(outputs, expected, atol=1e-6)


@pytest.mark.parametrize("factor", [2, 8])
def test_other_factors_and_features(factor):
    model = small(factor, guide_features=1)
    assert [stage.out_features for stage in model.stages] == [3, 4, 5][: len(model.stages)]
    assert model(random(0, 1, 2, 3, 1), random(1, 1, 2 * factor, 3 * factor, 1)).shape == (
        1,
        2 * factor,
        3 * factor,
        1,
    )


@pytest.mark.parametrize("make", [small, djif])
def test_half_precision(make):
    target, guide = random(0, 1, 4, 5, 1), random(1, 1, 16, 20, 3)
    full = make()
    computing = make(dtype=jnp.bfloat16)
    outputs = computing(target, guide)
    assert outputs.dtype == jnp.bfloat16
    assert computing.target_branch.convs[0].kernel.dtype == jnp.float32
    np.testing.assert_allclose(outputs.astype(jnp.float32), full(target, guide), atol=0.02)
    stored = make(param_dtype=jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(stored))} == {jnp.dtype(jnp.bfloat16)}


def test_options_reach_every_layer():
    model = small(normalize=True, precision="highest", implementation="patches")
    assert {stage.normalize for stage in model.stages} == {True}
    assert {stage.implementation for stage in model.stages} == {"patches"}
    convs = [*model.target_branch.convs, *model.guide_branch.convs, *model.final_branch.convs]
    assert {layer.precision for layer in [*convs, *model.stages]} == {"highest"}
    lite = nnx.eval_shape(
        lambda: PacNet.lite(
            4,
            guide_features=2,
            normalize=True,
            dtype=jnp.bfloat16,
            param_dtype=jnp.float16,
            precision="highest",
            implementation="patches",
            rngs=nnx.Rngs(0),
        )
    )
    stage = lite.stages[0]
    assert (stage.dtype, stage.param_dtype) == (jnp.bfloat16, jnp.float16)
    assert stage.normalize
    assert (stage.precision, stage.implementation) == ("highest", "patches")
    assert lite.guide_branch.convs[0].in_features == 2


def test_the_initial_values_fill_their_range():
    model = PacNet(
        2,
        target_branch=(2,),
        guide_branch=(),
        group_features=2,
        stages=(2,),
        final_branch=(2,),
        rngs=nnx.Rngs(0),
    )
    for conv in [*model.final_branch.convs, *model.stages]:
        bound = 1 / np.sqrt(np.prod(conv.kernel.shape[:-1]))
        for values in (conv.kernel[...], conv.bias[...]):
            assert 0 < abs(values).max() <= bound
        assert abs(conv.kernel[...]).max() > 0.9 * bound
        assert conv.kernel[...].min() < 0


def test_learns():
    model = small(2)
    optimizer = nnx.Optimizer(model, optax.sgd(0.05, momentum=0.9), wrt=nnx.Param)
    target, guide = random(0, 2, 4, 4, 1), random(1, 2, 8, 8, 3)
    wanted = guide[..., :1]

    @nnx.jit
    def step(model, optimizer):
        def loss(model):
            return jnp.mean((model(target, guide) - wanted) ** 2)

        value, gradients = nnx.value_and_grad(loss)(model)
        optimizer.update(model, gradients)
        return value, gradients

    first, gradients = step(model, optimizer)
    assert all(bool(jnp.any(leaf != 0)) for leaf in jax.tree.leaves(gradients))
    for _ in range(30):
        last, _ = step(model, optimizer)
    assert float(last) < 0.5 * float(first)


TARGET, GUIDE = np.ones((1, 4, 5, 1), np.float32), np.ones((1, 16, 20, 3), np.float32)


@pytest.mark.parametrize("make", [small, djif])
@pytest.mark.parametrize(
    ("target", "guide", "error", "message"),
    [
        (TARGET, GUIDE[:, :12], ValueError, r"\(4, 5\) and guide \(12, 20\).*\(3, 5\).*\(16, 20\)"),
        (TARGET, GUIDE.repeat(2, axis=2), ValueError, r"guide \(16, 40\)"),
        (TARGET[0], GUIDE, ValueError, "target_low has shape"),
        (TARGET, GUIDE[..., 0], ValueError, "guide has shape"),
        (TARGET, GUIDE.repeat(2, axis=0), ValueError, "guide has batch size 2 and target_low 1"),
        (TARGET, GUIDE[..., :1], ValueError, "guide has 1 channels; .* 3"),
        (TARGET, GUIDE.astype(np.uint8), TypeError, "guide has dtype uint8"),
    ],
)
def test_a_bad_call_says_what_is_needed(make, target, guide, error, message):
    with pytest.raises(error, match=message):
        make()(target, guide)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PacNet(6, rngs=nnx.Rngs(0)), "factor is 6"),
        (lambda: PacNet(1, rngs=nnx.Rngs(0)), "factor is 1"),
        (lambda: PacNet(4.0, rngs=nnx.Rngs(0)), r"factor is 4\.0"),
        (lambda: PacNet(8, stages=(3, 4), rngs=nnx.Rngs(0)), r"stages is \(3, 4\).*needs 3"),
        (lambda: PacNet(4, target_branch=(), rngs=nnx.Rngs(0)), "target_branch is empty"),
        (lambda: PacNet.lite(2, rngs=nnx.Rngs(0)), "factor is 2; lite forms"),
        (lambda: DJIF(0, rngs=nnx.Rngs(0)), "factor is 0"),
    ],
)
def test_a_bad_model_says_what_is_needed(make, message):
    with pytest.raises(ValueError, match=message):
        make()
