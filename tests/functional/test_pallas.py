"""The fused GPU kernels, interpreted, and lowered for a GPU that need not be there."""

import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import pac_jax
from experiments.benchmarks.workloads import WORKLOADS, Operands, apply_pac
from pac_jax.functional.geometry import conv_geometry, transpose_geometry
from pac_jax.functional.implementations import IMPLEMENTATIONS, fusing
from pac_jax.functional.implementations.pallas_triton import tiles, walks
from pac_jax.nn import InverseAffinity
from tests.functional import cases


def arrays(rng, *shapes, dtype=np.float64):
    return [jnp.asarray(rng.standard_normal(shape), dtype) for shape in shapes]


def value_and_gradients(run, values, implementation):
    """Output and, under a cotangent that is neither constant nor zero, all gradients."""

    @jax.jit
    def both(values):
        output, pull_back = jax.vjp(partial(run, implementation=implementation), *values)
        return output, pull_back(jnp.sin(output + 1).astype(output.dtype))

    return both(values)


def assert_like_taps(run, values, **tolerance):
    pairs = (value_and_gradients(run, values, name) for name in ("pallas", "taps"))
    for got, expected in zip(*map(jax.tree.leaves, pairs), strict=True):
        assert got.dtype == expected.dtype
        got, expected = (np.asarray(array, np.float64) for array in (got, expected))
        np.testing.assert_allclose(got, expected, **tolerance)


# What an interpreted kernel does not write stays NaN, so all of these also see that all is written.


def test_more_of_everything_than_one_program_holds(x64, monkeypatch):
    """Several tiles, parts of the channels and features, chunks, groups of taps, and shares."""
    monkeypatch.setattr(tiles, "_WIDEST", 16)
    monkeypatch.setattr(tiles, "_CHUNK", 16)
    monkeypatch.setattr(tiles, "_MOST_POSITIONS", 32)
    values = arrays(np.random.default_rng(0), (2, 9, 7, 21), (2, 9, 7, 20), (3, 3, 21, 19), (19,))
    run = partial(pac_jax.pac_conv, normalize=True, affinity=pac_jax.Inverse(0.3, 0.7))
    assert_like_taps(run, values, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("channel_wise", [False, True])
def test_pooling_of_more_channels_than_one_program_holds(channel_wise, x64, monkeypatch):
    monkeypatch.setattr(tiles, "_WIDEST", 16)
    rng = np.random.default_rng(1)
    values = arrays(rng, (1, 8, 5, 37), (1, 8, 5, 37 if channel_wise else 3), (3, 3))
    mask = rng.uniform(0.2, 1, (1, 8, 5, 1))

    def run(inputs, guide, weights, implementation):
        options = {"mask": mask, "normalize": True, "strides": (2, 1)}
        options |= {"channel_wise": channel_wise, "implementation": implementation}
        return pac_jax.pac_pool(inputs, guide, (3, 3), weights=weights, **options)

    assert_like_taps(run, values, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("normalize", [False, True])
def test_bfloat16_of_odd_channels(normalize):
    """Outputs as exact as those of 'taps'; gradients of the kernel sum rounded products."""
    values = arrays(
        np.random.default_rng(2), (2, 5, 6, 21), (2, 10, 12, 3), (5, 5, 21, 7), dtype=jnp.bfloat16
    )
    run = partial(pac_jax.pac_conv_transpose, strides=2, normalize=normalize)
    pairs = (value_and_gradients(run, values, name) for name in ("pallas", "taps"))
    for got, expected in zip(*map(jax.tree.leaves, pairs), strict=True):
        assert got.dtype == expected.dtype == jnp.bfloat16
        got, expected = (np.asarray(array, np.float64) for array in (got, expected))
        assert np.linalg.norm(got - expected) <= 2**-8 * np.linalg.norm(expected)


# --------------------------------------------------------------------------------- parts of the plan


@pytest.mark.parametrize(
    "geometry",
    [
        conv_geometry((7, 9), (3, 5), (2, 1), ((1, 3), (-1, 7)), (2, 3)),
        transpose_geometry((5, 4), (5, 3), (2, 3), "SAME", (1, 2)),
        conv_geometry((6, 5, 4), (3, 1, 3), (3, 2, 1), "VALID", (1, 1, 1)),
    ],
)
def test_walks_from_both_sides_join_the_same_pairs(geometry):
    """Against the definition: u = o * strides - padding_low + t * dilation on the spread input."""
    expected = set()
    for output in np.ndindex(geometry.output_size):
        for place, tap in enumerate(np.ndindex(geometry.window)):
            low = [low for low, _ in geometry.padding]
            at = np.multiply(output, geometry.strides) - low
            at = at + np.multiply(tap, geometry.kernel_dilation)
            sample, between = np.divmod(at, geometry.spread)
            if not between.any() and ((sample >= 0) & (sample < geometry.input_size)).all():
                expected.add((output, place, tuple(map(int, sample))))
    assert expected

    def pairs(walk):
        for class_, residue in enumerate(np.ndindex(walk.own_step)):
            for place, *start in walk.taps[walk.firsts[class_] : walk.firsts[class_ + 1]]:
                for at in np.ndindex(walk.class_size):
                    own = np.multiply(at, walk.own_step) + residue
                    other = np.multiply(at, walk.other_step) + start
                    if (own < walk.own_size).all() and (
                        (other >= 0) & (other < walk.other_size)
                    ).all():
                        yield tuple(map(int, own)), int(place), tuple(map(int, other))

    from_outputs = list(pairs(walks.from_outputs(geometry)))
    from_inputs = [(other, place, own) for own, place, other in pairs(walks.from_inputs(geometry))]
    for found in (from_outputs, from_inputs):
        assert len(found) == len(expected)
        assert set(found) == expected


@pytest.mark.parametrize("name", WORKLOADS)
def test_tiles_are_powers_of_two_that_fit(name):
    workload = WORKLOADS[name]
    shape = (workload.output_size, workload.batch, workload.features, workload.channels)
    of_positions = [
        tiles.choose(*shape, workload.guide_channels, reverse=reverse) for reverse in (False, True)
    ]
    of_kernel = tiles.choose_for_kernel(
        workload.output_size, workload.channels, workload.features, workload.guide_channels
    )
    for chosen in (*of_positions, of_kernel):
        numbers = (chosen.positions, chosen.width, chosen.chunk)
        assert all(n >= 16 and n & (n - 1) == 0 for n in numbers)
        covered = np.multiply(chosen.count(workload.output_size), chosen.block)
        assert (covered >= workload.output_size).all()
        assert (chosen.width + chosen.guide) * chosen.positions <= 2**16


# --------------------------------------------------------------------------------- lowered for a GPU


def lower_for_cuda(function, *shapes) -> str:
    """The program for a GPU, from any machine."""
    jitted = jax.jit(function).trace(*shapes)
    abstract_device = getattr(jax.sharding, "AbstractDevice", None)
    if abstract_device is None:  # before JAX 0.11 Triton's lowering assumes a GPU of its own
        return jitted.lower(lowering_platforms=("cuda",)).as_text()
    device = abstract_device(device_kind="NVIDIA H200", num_cores=132, platform="gpu")
    mesh = jax.sharding.AbstractMesh((), (), abstract_device=device)
    with jax.sharding.use_abstract_mesh(mesh):
        jitted = jax.jit(function).trace(*shapes)
        return jitted.lower(lowering_platforms=("cuda",)).as_text()


@pytest.mark.filterwarnings("ignore:The Pallas Triton backend is deprecated")
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("name", ["pac_net_3", "crf_64", "pac_fcn_512", "jbu_8", "pool_256"])
def test_forward_and_reverse_lower_for_cuda(name, dtype):
    """At full size: shapes are all that lowering needs."""
    workload = WORKLOADS[name]
    shapes = [
        (workload.batch, *workload.size, workload.channels),
        (workload.batch, *workload.guide_size, workload.guide_channels),
        workload.kernel_shape,
        None if workload.operator == "pool" else (workload.features,),
    ]
    operands = Operands(*(shape and jax.ShapeDtypeStruct(shape, dtype) for shape in shapes))

    def both(operands, cotangent):
        output, pull_back = jax.vjp(lambda o: apply_pac(workload, o, "pallas"), operands)
        return output, pull_back(cotangent)

    text = lower_for_cuda(both, operands, jax.ShapeDtypeStruct(workload.output_shape, dtype))
    for kernel in ("pac_forward", "pac_at_inputs", "pac_at_outputs", "pac_of_kernel"):
        assert kernel in text


# ------------------------------------------------------------------------- where it runs, where not


def test_without_an_accelerator_nothing_of_pallas_is_imported():
    code = """
import sys, jax.numpy as jnp, pac_jax
x = jnp.ones((1, 5, 6, 2))
pac_jax.pac_conv(x, x, jnp.ones((3, 3, 2, 2)))
pac_jax.explain_implementation(pac_jax.pac_pool, x, x, (3, 3))
assert not [name for name in sys.modules if name.startswith("jax.experimental.pallas")]
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_the_tests_switch_it_says_that_it_needs_a_gpu(monkeypatch):
    monkeypatch.setattr(fusing, "_is_interpreted", False)
    x, kernel = np.ones((1, 5, 6, 2), np.float32), np.ones((3, 3, 2, 2), np.float32)
    with pytest.raises(NotImplementedError, match=r"'pallas' cannot run this: it needs an NVIDIA"):
        pac_jax.pac_conv(x, x, kernel, implementation="pallas")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    reasons = pac_jax.explain_implementation(pac_jax.pac_conv, x, x, kernel)
    assert "not been tried on a GPU" in reasons["pallas"]
    monkeypatch.setattr(jax, "device_count", lambda: 2)
    reasons = pac_jax.explain_implementation(pac_jax.pac_conv, x, x, kernel)
    assert "several GPUs" in reasons["pallas"]


def test_the_grid_that_it_runs_is_the_expected_one():
    """Of all drawn convolutions and poolings: those with one group and an affinity that it knows."""
    found, expected = set(), set()
    for operator in ("conv", "conv_transpose", "pool"):
        for seed in range(21):
            case = cases.draw(operator, seed)
            names = (operator, seed)
            if case.options.get("feature_group_count", 1) == 1 and case.kernel.name != "user":
                expected.add(names)
            try:
                jax.eval_shape(lambda case=case: case.call(case.arrays, implementation="pallas"))
                found.add(names)
            except NotImplementedError:
                pass
    assert found == expected
    assert len(found) > 20


def test_learned_affinities_of_layers(x64):
    """A module stands for the affinity whose numbers it holds."""
    affinity = InverseAffinity(0.3, 0.7, param_dtype=jnp.float64)
    inputs, guide, kernel = arrays(
        np.random.default_rng(4), (1, 4, 5, 2), (1, 4, 5, 3), (3, 3, 2, 2)
    )
    graph, numbers = nnx.split(affinity)

    def gradient(implementation):
        def loss(numbers):
            options = {"affinity": nnx.merge(graph, numbers), "implementation": implementation}
            return jnp.sum(jnp.sin(pac_jax.pac_conv(inputs, guide, kernel, **options)))

        return jax.tree.leaves(jax.grad(loss)(numbers))

    found = gradient("pallas")
    assert len(found) == 2
    np.testing.assert_allclose(found, gradient("patches"), rtol=1e-11)


LIMITS = {
    "knows Gaussian and Inverse": {"affinity": lambda a, b: jnp.sum(a * b, -1)},
    "feature_group_count is 2": {"feature_group_count": 2},
    "precision is": {"precision": "BF16_BF16_F32_X3"},
}


@pytest.mark.parametrize("reason", LIMITS)
def test_limits_are_named(reason):
    options = LIMITS[reason]
    groups = options.get("feature_group_count", 1)
    x, kernel = np.ones((1, 5, 6, 2), np.float32), np.ones((3, 3, 2 // groups, 2), np.float32)
    with pytest.raises(NotImplementedError, match=reason):
        pac_jax.pac_conv(x, x, kernel, implementation="pallas", **options)


def test_limits_of_size_and_of_a_given_affinity():
    shape = partial(jax.ShapeDtypeStruct, dtype=jnp.float32)

    def reason(operator, *arguments, **options):
        call = partial(operator, implementation="pallas", **options)
        with pytest.raises(NotImplementedError) as error:
            jax.eval_shape(call, *arguments)
        return str(error.value)

    large, kernel = shape((1, 40000, 30000, 2)), shape((3, 3, 2, 2))
    assert "32 bits" in reason(pac_jax.pac_conv, large, large, kernel)
    x, guide = shape((1, 5, 6, 2)), shape((1, 5, 6, 2000))
    assert "2000 channels" in reason(pac_jax.pac_conv, x, guide, kernel)
    given = shape((1, 5, 6, 3, 3))
    assert "is given" in reason(pac_jax.pac_conv_with_affinity, x, given, kernel)


def test_explanation_of_every_implementation():
    x = jax.ShapeDtypeStruct((1, 5, 6, 2), jnp.float32)
    reasons = pac_jax.explain_implementation(pac_jax.pac_pool, x, x, (3, 3), normalize=True)
    assert list(reasons) == list(IMPLEMENTATIONS)
    assert "interpreted" in reasons.pop("pallas")
    assert "not been tried on a TPU" in reasons.pop("pallas_tpu")
    assert set(reasons.values()) == {None}
    with pytest.raises(TypeError, match="leave it out"):
        pac_jax.explain_implementation(pac_jax.pac_pool, x, x, (3, 3), implementation="taps")
    with pytest.raises(ValueError, match="window_shape"):
        pac_jax.explain_implementation(pac_jax.pac_pool, x, x, (3, 4))
