"""vmap over any argument, jit without retracing, and affinities of every kind through both."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pac_jax
from tests.functional import cases


def operands(operator: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Every array that an operator takes, in float32."""
    size, window = (4, 5), (3, 3)
    guide = (8, 10) if operator == "conv_transpose" else size
    arrays = {
        "inputs": rng.standard_normal((2, *size, 2)),
        "guide": 0.5 * rng.standard_normal((2, *guide, 2)),
        "mask": rng.integers(0, 2, (2, *size, 1)),
        "alpha": rng.uniform(0.1, 1, ()),
        "smoothing": rng.standard_normal(window) / 9,
    }
    if operator == "pool":
        arrays["weights"] = rng.standard_normal(window)
    else:
        arrays |= {"kernel": rng.standard_normal((*window, 2, 3)), "bias": rng.standard_normal(3)}
    return {name: np.float32(array) for name, array in arrays.items()}


def run(operator: str, arrays: dict, implementation: str | None):
    arrays = dict(arrays)
    affinity = pac_jax.Inverse(arrays.pop("alpha"), 0.5, smoothing=arrays.pop("smoothing"))
    options = {"strides": 2, "padding": "SAME", "normalize": True, "affinity": affinity}
    options["implementation"] = implementation
    inputs, guide = arrays.pop("inputs"), arrays.pop("guide")
    if operator == "pool":
        return pac_jax.pac_pool(inputs, guide, (3, 3), **arrays, **options)
    return getattr(pac_jax, f"pac_{operator}")(inputs, guide, **arrays, **options)


OWN = {"pool": ["weights"], "conv": ["kernel", "bias"], "conv_transpose": ["kernel", "bias"]}
MAPPED = [
    (operator, name)
    for operator, own in OWN.items()
    for name in ["inputs", "guide", "mask", "alpha", "smoothing", *own, "everything"]
    # The others differ in the geometry, not in how these reach the sum.
    if operator == "conv" or name in ("guide", "weights", "everything")
]


@pytest.mark.parametrize(("operator", "name"), MAPPED)
def test_vmap_over_one_argument_is_a_loop(operator, name, implementation):
    batch = [operands(operator, np.random.default_rng(i)) for i in range(3)]
    mapped = set(batch[0]) if name == "everything" else {name}
    arrays = {
        key: np.stack([member[key] for member in batch]) if key in mapped else batch[0][key]
        for key in batch[0]
    }
    axes = {key: 0 if key in mapped else None for key in arrays}
    once = jax.jit(lambda arrays: run(operator, arrays, implementation))
    got = jax.jit(jax.vmap(once, in_axes=(axes,)))(arrays)
    for i in range(3):
        alone = {key: array[i] if key in mapped else array for key, array in arrays.items()}
        np.testing.assert_allclose(got[i], once(alone), rtol=1e-5, atol=1e-5)


def test_vmap_over_another_axis_and_of_the_gradient(implementation):
    case = cases.draw("conv", 7)
    inputs = np.float32(case.arrays["inputs"])
    guides = np.float32(np.random.default_rng(0).standard_normal((*inputs.shape[:-1], 3, 2)))
    kernel = np.float32(case.arrays["kernel"])

    def gradient(guide):
        options = {**case.library_geometry, "feature_group_count": 2, "normalize": True}
        options["implementation"] = implementation
        return jax.grad(lambda g: jnp.sum(pac_jax.pac_conv(inputs, g, kernel, **options) ** 2))(
            guide
        )

    case_axis = guides.ndim - 2
    got = jax.jit(jax.vmap(gradient, in_axes=case_axis, out_axes=case_axis))(guides)
    once = jax.jit(gradient)
    for i in range(3):
        expected = once(guides[..., i, :])
        np.testing.assert_allclose(got[..., i, :], expected, rtol=1e-4, atol=1e-4)


class Counted:
    """An affinity that counts how often it is traced."""

    def __init__(self):
        self.traces = 0

    def __call__(self, neighbour, centre):
        self.traces += 1
        return jnp.sum(neighbour * centre, axis=-1)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("operator", ["conv", "conv_transpose", "pool", "affinity"])
def test_a_second_call_traces_and_compiles_nothing(operator, compiled, implementation):
    counted = Counted()
    events = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: events.append(event)
    )

    def call(seed):
        arrays = operands(operator, np.random.default_rng(seed))
        if operator == "affinity":
            return pac_jax.pac_affinity(arrays["guide"], (3, 3), affinity=counted, normalize=True)
        for name in ("alpha", "smoothing"):
            del arrays[name]
        inputs, guide = arrays.pop("inputs"), arrays.pop("guide")
        options = {"strides": 2, "normalize": True, "affinity": counted, "padding": "SAME"}
        options["implementation"] = implementation
        if operator == "pool":
            return pac_jax.pac_pool(inputs, guide, (3, 3), **arrays, **options)
        return getattr(pac_jax, f"pac_{operator}")(inputs, guide, **arrays, **options)

    function = jax.jit(lambda seed=0: call(seed)) if compiled else call
    first = function() if compiled else function(0)
    traces = counted.traces
    assert traces > 0
    compilations = [event for event in events if "compile" in event]
    assert compilations, "the listener hears compilations"
    events.clear()
    second = function() if compiled else function(1)
    assert counted.traces == traces
    assert [event for event in events if "compile" in event] == []
    assert compiled or not np.array_equal(first, second)
    jax.monitoring.clear_event_listeners()


def test_one_compilation_serves_all_numbers_of_an_affinity(implementation):
    """alpha, the exponent and the smoothing are arguments, not constants."""
    arrays = operands("pool", np.random.default_rng(0))

    @jax.jit
    def pool(affinity):
        pool.traces += 1
        return pac_jax.pac_pool(
            arrays["inputs"],
            arrays["guide"],
            (3, 3),
            affinity=affinity,
            implementation=implementation,
        )

    pool.traces = 0
    results = [pool(pac_jax.Inverse(alpha, 0.5, smoothing=np.eye(3))) for alpha in (0.1, 0.2, 0.3)]
    assert pool.traces == 1
    np.testing.assert_allclose(results[2] - results[1], results[1] - results[0], atol=1e-5)
    assert not np.allclose(results[0], results[1])


# ------------------------------------------------------------------- affinities that a user writes


def scaled_product(neighbour, centre, scale=0.5):
    return scale * jnp.sum(neighbour * centre, axis=-1)


@functools.partial(jax.tree_util.register_dataclass, data_fields=["scale"], meta_fields=[])
@dataclasses.dataclass
class ScaledProduct:
    scale: jax.Array

    def __call__(self, neighbour, centre):
        return scaled_product(neighbour, centre, self.scale)


@pytest.mark.parametrize(
    "affinity",
    [
        pytest.param(scaled_product, id="function"),
        pytest.param(lambda f, m: 0.5 * jnp.sum(f * m, axis=-1), id="lambda"),
        pytest.param(functools.partial(scaled_product, scale=0.5), id="partial"),
        pytest.param(jax.tree_util.Partial(scaled_product, scale=0.5), id="tree partial"),
        pytest.param(jax.jit(scaled_product), id="compiled"),
        pytest.param(ScaledProduct(jnp.float32(0.5)), id="pytree"),
    ],
)
@pytest.mark.parametrize("operator", ["conv", "conv_transpose", "pool"])
def test_any_callable_is_an_affinity(operator, affinity, implementation):
    case = cases.draw(operator, 8)
    arrays = {name: np.float32(array) for name, array in case.arrays.items()}
    got = case.with_(options={"normalize": False}).call
    if operator != "pool":  # one group
        channels = arrays["inputs"].shape[-1]
        arrays["kernel"] = np.ones((*case.window, channels, 2), np.float32)
        arrays.pop("bias", None)
    result = jax.jit(lambda arrays: got(arrays, affinity, implementation))(arrays)
    # scale * <f, m> by the oracle.
    judge = case.with_(
        arrays=arrays, options={"normalize": False}, kernel=_Judge(lambda f, m: 0.5 * float(f @ m))
    )
    np.testing.assert_allclose(result, judge.expected(), rtol=1e-4, atol=1e-4)


@dataclasses.dataclass(frozen=True)
class _Judge:
    function: object
    smoothing: None = None

    def oracle(self):
        return self.function


@pytest.mark.parametrize("how", ["closure", "partial", "pytree", "tree partial"])
@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_reach_the_numbers_of_a_users_affinity(how, compiled, implementation):
    """A product of features is linear in its scale, and so is the output."""
    arrays = operands("conv", np.random.default_rng(1))
    make = {
        "closure": lambda scale: lambda f, m: scaled_product(f, m, scale),
        "partial": lambda scale: functools.partial(scaled_product, scale=scale),
        "tree partial": lambda scale: jax.tree_util.Partial(scaled_product, scale=scale),
        "pytree": ScaledProduct,
    }[how]

    def total(scale):
        return pac_jax.pac_conv(
            arrays["inputs"],
            arrays["guide"],
            arrays["kernel"],
            affinity=make(scale),
            implementation=implementation,
        ).sum()

    scale = jnp.float32(0.7)
    differentiated = jax.value_and_grad(total)
    value, slope = (jax.jit(differentiated) if compiled else differentiated)(scale)
    np.testing.assert_allclose(value, scale * slope, rtol=1e-4)
    assert abs(slope) > 1e-3


@pytest.mark.parametrize(
    "affinity",
    [
        pac_jax.Gaussian(),
        pac_jax.Gaussian("gaussian"),
        pac_jax.Gaussian(jnp.ones((3, 3))),
        pac_jax.Inverse(0.5, 1.0),
        pac_jax.Inverse(jnp.float32(0.5), jnp.float32(1), True, "gaussian"),
        pac_jax.Inverse(0.5, jnp.float32(1), asymmetric=True, smoothing=jnp.ones((3, 1))),
    ],
    ids=repr,
)
def test_affinities_are_pytrees_of_their_numbers(affinity):
    doubled = jax.tree.map(lambda leaf: 2 * leaf, affinity)
    assert type(doubled) is type(affinity)
    through = jax.jit(lambda a: a)(affinity)
    for field in dataclasses.fields(affinity):
        before, after = (getattr(a, field.name) for a in (affinity, doubled))
        if isinstance(before, str | bool | None):
            assert after == before == getattr(through, field.name)
        else:
            np.testing.assert_array_equal(after, 2 * before)
            np.testing.assert_array_equal(getattr(through, field.name), before)


def test_any_affinity_of_ours_fits_the_protocol():
    for affinity in (pac_jax.Gaussian(), pac_jax.Inverse(0.1, 1.0), scaled_product, Counted()):
        assert isinstance(affinity, pac_jax.Affinity)


def test_nested_transformations(implementation):
    """grad of vmap of jit of scan, against one gradient at a time."""
    rng = np.random.default_rng(2)
    inputs, guide = rng.standard_normal((2, 1, 5, 1)).astype(np.float32)
    kernel = np.ones((3, 1, 1), np.float32)

    def step(x, scale):
        return pac_jax.pac_conv(x, scale * guide, kernel, implementation=implementation), None

    def loss(scales):
        once = jax.jit(lambda s: jax.lax.scan(step, inputs, s)[0].mean())
        return jax.vmap(once)(scales).sum()

    scales = jnp.linspace(0.5, 1.5, 6).reshape(3, 2)
    gradient = jax.jit(jax.grad(loss))
    alone = jnp.concatenate([gradient(s[None]) for s in scales])
    np.testing.assert_allclose(gradient(scales), alone, rtol=1e-4, atol=1e-6)
