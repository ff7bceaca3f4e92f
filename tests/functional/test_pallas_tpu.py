"""The fused forward pass for TPUs, interpreted, and lowered for a TPU that need not be there."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pac_jax
from experiments.benchmarks.workloads import WORKLOADS, Operands, apply_pac
from pac_jax.functional.implementations import fusing
from pac_jax.functional.implementations.pallas_mosaic_tpu import forward, layout
from tests.functional import cases
from tests.oracle import pac


def arrays(rng, *shapes):
    return [jnp.asarray(rng.standard_normal(shape)) for shape in shapes]


def test_several_bands_and_parts_of_the_features(x64, monkeypatch):
    """The last band has rows that there are not, and the last part such features."""
    monkeypatch.setattr(layout, "_MOST_ROWS", 4)
    monkeypatch.setattr(forward, "WIDTH", 8)
    inputs, guide, kernel, bias = arrays(
        np.random.default_rng(0), (2, 9, 7, 5), (2, 9, 7, 3), (3, 5, 5, 19), (19,)
    )
    got = pac_jax.pac_conv(
        inputs, guide, kernel, bias=bias, normalize=True, implementation="pallas_tpu"
    )
    expected = pac.conv(inputs, guide, kernel, bias=bias, normalize=True)
    np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-11)


def test_less_fast_memory_means_fewer_rows():
    shape = partial(jax.ShapeDtypeStruct, dtype=jnp.float32)

    def rows(height, width):
        x, kernel = shape((1, height, width, 64)), shape((3, 3, 64, 64))
        found = []

        def keep(problem, arrays):
            found.append(layout.plan(problem, arrays))
            return found[-1]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(forward, "plan", keep)
            call = partial(pac_jax.pac_conv, implementation="pallas_tpu")
            jax.eval_shape(call, x, x, kernel)
        return found[-1].layout.rows

    assert rows(5, 16) == 8  # the next power of 2
    assert rows(500, 16) == layout._MOST_ROWS
    assert 1 <= rows(500, 640) < layout._MOST_ROWS


def test_volumes_by_strides_and_dilation(x64):
    inputs, guide, kernel = arrays(
        np.random.default_rng(1), (1, 5, 6, 7, 2), (1, 5, 6, 7, 3), (3, 1, 3, 2, 4)
    )
    strides, dilation = (2, 1, 3), (1, 2, 2)
    got = pac_jax.pac_conv(
        inputs,
        guide,
        kernel,
        strides=strides,
        kernel_dilation=dilation,
        implementation="pallas_tpu",
    )
    expected = pac.conv(inputs, guide, kernel, strides=strides, dilation=dilation)
    np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-11)


def test_bfloat16_is_summed_in_32_bits():
    rng = np.random.default_rng(2)
    shapes = (1, 6, 5, 21), (1, 12, 10, 3), (5, 5, 21, 7)
    values = [jnp.asarray(rng.standard_normal(shape), jnp.bfloat16) for shape in shapes]
    got = pac_jax.pac_conv_transpose(*values, strides=2, implementation="pallas_tpu")
    expected = pac_jax.pac_conv_transpose(*values, strides=2, implementation="taps")
    assert got.dtype == expected.dtype == jnp.bfloat16
    got, expected = np.asarray(got, np.float64), np.asarray(expected, np.float64)
    # Each sum is rounded to bfloat16 once.
    assert np.abs(got - expected).max() <= 2**-7 * np.abs(expected).max()


def test_the_grid_that_it_runs_is_that_of_the_gpu():
    """Of all drawn convolutions and poolings."""

    def runs(case, name):
        try:
            jax.eval_shape(lambda: case.call(case.arrays, implementation=name))
        except NotImplementedError:
            return False
        return True

    drawn = [
        cases.draw(operator, seed)
        for operator in ("conv", "conv_transpose", "pool")
        for seed in range(21)
    ]
    found = [runs(case, "pallas_tpu") for case in drawn]
    assert found == [runs(case, "pallas") for case in drawn]
    assert sum(found) > 20


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("name", ["pac_net_3", "pac_fcn_512", "pool_256", "volume"])
def test_forward_lowers_for_tpu(name, dtype):
    """At full size, with gradients: shapes are all that lowering needs."""
    workload = WORKLOADS[name]
    shapes = [
        (workload.batch, *workload.size, workload.channels),
        (workload.batch, *workload.guide_size, workload.guide_channels),
        workload.kernel_shape,
        None if workload.operator == "pool" else (workload.features,),
    ]
    operands = Operands(*(shape and jax.ShapeDtypeStruct(shape, dtype) for shape in shapes))

    def both(operands, cotangent):
        output, pull_back = jax.vjp(lambda o: apply_pac(workload, o, "pallas_tpu"), operands)
        return output, pull_back(cotangent)

    cotangent = jax.ShapeDtypeStruct(workload.output_shape, dtype)
    program = jax.jit(both).trace(operands, cotangent).lower(lowering_platforms=("tpu",)).as_text()
    assert "tpu_custom_call" in program
    assert "pac_forward_tpu" in program


def test_limits_are_named(monkeypatch):
    shape = partial(jax.ShapeDtypeStruct, dtype=jnp.float32)

    def reason(x, kernel, **options):
        call = partial(pac_jax.pac_conv, implementation="pallas_tpu", **options)
        with pytest.raises(NotImplementedError) as error:
            jax.eval_shape(call, x, x, kernel)
        return str(error.value)

    x, kernel = shape((1, 5, 6, 2)), shape((3, 3, 2, 2))
    assert "a row and what it reads take" in reason(shape((1, 5, 60000, 2)), kernel)
    assert "625 taps" in reason(x, shape((25, 25, 2, 2)))
    assert "precision is 'high'" in reason(x, kernel, precision="high")
    monkeypatch.setattr(fusing, "_is_interpreted", False)
    assert "needs a TPU, and JAX computes on" in reason(x, kernel)


def test_features_too_far_from_the_zeros_outside_do_no_harm():
    """Their squared distance overflows; zero times that would be no number."""
    inputs = np.random.default_rng(3).standard_normal((1, 4, 5, 2)).astype(np.float32)
    guide, kernel = np.full((1, 4, 5, 1), 1e20, np.float32), np.ones((3, 3, 2, 1), np.float32)
    affinity = pac_jax.Inverse(0.0, 2.0)
    for name in ("pallas_tpu", "pallas"):

        def run(kernel, name=name):
            return pac_jax.pac_conv(inputs, guide, kernel, affinity=affinity, implementation=name)

        expected = 1e-4 * pac_jax.pac_conv(inputs, 0 * guide, kernel, implementation="taps")
        np.testing.assert_allclose(run(kernel), expected, rtol=1e-5, atol=1e-9, err_msg=name)
        if name == "pallas":
            of_kernel = jax.grad(lambda kernel: jnp.sum(run(kernel)))(kernel)
            assert np.isfinite(of_kernel).all()
