"""Bad arguments: the error names the argument, what was given and what is needed, traced or not."""

import re
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pac_jax
from pac_jax.functional.implementations import IMPLEMENTATIONS


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


# Good arguments of every operator: inputs (1, 6, 7, 4), 3 x 3 windows, a guide of 3 channels.
INPUTS, GUIDE, KERNEL = zeros(1, 6, 7, 4), zeros(1, 6, 7, 3), zeros(3, 3, 4, 6)
GOOD = {
    "pac_conv": {"inputs": INPUTS, "guide": GUIDE, "kernel": KERNEL},
    "pac_conv_transpose": {
        "inputs": INPUTS,
        "guide": zeros(1, 12, 14, 3),
        "kernel": KERNEL,
        "strides": 2,
    },
    "pac_pool": {"inputs": INPUTS, "guide": GUIDE, "window_shape": (3, 3), "padding": "SAME"},
    "pac_affinity": {"guide": GUIDE, "window_shape": (3, 3)},
    "propagate_mask": {"mask": zeros(1, 6, 7, 1), "window_shape": (3, 3)},
    "pac_conv_with_affinity": {
        "inputs": INPUTS,
        "affinity": zeros(1, 6, 7, 3, 3),
        "kernel": KERNEL,
    },
    "pac_conv_transpose_with_affinity": {
        "inputs": INPUTS,
        "affinity": zeros(1, 12, 14, 3, 3),
        "kernel": KERNEL,
        "strides": 2,
    },
    "pac_pool_with_affinity": {
        "inputs": INPUTS,
        "affinity": zeros(1, 6, 7, 3, 3),
        "window_shape": (3, 3),
        "padding": "SAME",
    },
}
ALL = list(GOOD)
CONVOLVING = [name for name in ALL if "conv" in name]
COMPUTING = [name for name in ALL if "inputs" in GOOD[name]]
GUIDED = ["pac_conv", "pac_conv_transpose", "pac_pool"]
POOLING = ["pac_pool", "pac_pool_with_affinity"]
WINDOWED = [name for name in ALL if "window_shape" in GOOD[name]]
GIVEN = [name for name in ALL if name.endswith("with_affinity")]


def is_array(value) -> bool:
    return isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.number)


def call(operator: str, traced: bool, changes: dict):
    """The operator with some arguments replaced, as it is or with its arrays traced."""
    arguments = {**GOOD[operator], **changes}
    function = getattr(pac_jax, operator)
    if not traced:
        return function(**arguments)
    static = (
        "strides",
        "padding",
        "kernel_dilation",
        "window_shape",
    )  # no arrays, even if given so
    arrays = {k: v for k, v in arguments.items() if is_array(v) and k not in static}
    rest = {k: v for k, v in arguments.items() if k not in arrays}
    return jax.jit(lambda arrays: function(**arrays, **rest))(arrays)


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("operator", ALL)
def test_the_good_arguments_are_good(operator, traced):
    assert call(operator, traced, {}).ndim >= 4


# (operators, argument, bad values, error, what the message says after the argument's name)
V, T = ValueError, TypeError
TABLE = [
    # ranks and sizes
    (COMPUTING, "inputs", zeros(6, 7, 4), V, r"\(6, 7, 4\).*needs? 4"),
    (COMPUTING, "inputs", zeros(1, 1, 6, 7, 4), V, r"\(1, 1, 6, 7, 4\).*needs? 4"),
    (GUIDED, "guide", zeros(6, 7, 3), V, r"\(6, 7, 3\).*needs 4"),
    (["pac_affinity"], "guide", zeros(6, 7, 3), V, r"\(6, 7, 3\).*needs 4"),
    (["pac_affinity"], "guide", zeros(1, 6, 7, 0), V, r"\(1, 6, 7, 0\).*at least one channel"),
    (GUIDED[::2], "guide", zeros(2, 6, 7, 3), V, r"batch size 2.*1"),
    (GUIDED[::2], "guide", zeros(1, 7, 6, 3), V, r"\(7, 6\).*needs.*\(6, 7\)"),
    (GUIDED[1:2], "guide", GUIDE, V, r"\(6, 7\).*needs.*\(12, 14\)"),
    (CONVOLVING, "kernel", zeros(4, 6), V, r"\(4, 6\).*needs.*1 to 3"),
    (CONVOLVING, "kernel", zeros(3, 3, 3, 3, 4, 6), V, r"\(3, 3, 3, 3, 4, 6\).*needs"),
    (CONVOLVING, "kernel", zeros(2, 3, 4, 6), V, r"\(2, 3\).*odd"),
    (CONVOLVING, "kernel", zeros(3, 3, 5, 6), V, r"5 input features.*needs 4"),
    (CONVOLVING, "bias", zeros(5), V, r"\(5,\).*needs \(6,\)"),
    (CONVOLVING, "bias", zeros(1, 6), V, r"\(1, 6\).*needs \(6,\)"),
    (WINDOWED, "window_shape", (2, 3), V, r"\(2, 3\).*odd"),
    (WINDOWED, "window_shape", (3, -3), V, r"\(3, -3\).*positive"),
    (WINDOWED, "window_shape", (3, 3, 3, 3), V, r"\(3, 3, 3, 3\).*1 to 3"),
    (WINDOWED, "window_shape", (), V, r"\(\).*1 to 3"),
    (WINDOWED, "window_shape", 3, T, r"3.*needs a tuple"),
    (WINDOWED, "window_shape", (3.0, 3), T, r"\(3\.0, 3\).*integers"),
    (POOLING, "weights", zeros(3, 5), V, r"\(3, 5\).*\(3, 3\)"),
    (GIVEN[:1], "affinity", zeros(1, 6, 7, 9), V, r"\(1, 6, 7, 9\).*need \(1, 6, 7, 3, 3\)"),
    (GIVEN[1:2], "affinity", zeros(1, 6, 7, 3, 3), V, r"need \(1, 12, 14, 3, 3\)"),
    (GIVEN[2:], "affinity", zeros(1, 6, 7, 3, 3, 4), V, r"need \(1, 6, 7, 3, 3\)"),
    ([*COMPUTING, "pac_affinity"], "mask", zeros(1, 6, 7), V, r"\(1, 6, 7\).*\(1, 6, 7, 1\)"),
    ([*COMPUTING, "pac_affinity"], "mask", zeros(1, 1, 1, 1), V, r"\(1, 1, 1, 1\).*\(1, 6, 7, 1\)"),
    (["propagate_mask"], "mask", zeros(6, 7, 1), V, r"\(6, 7, 1\).*needs 4"),
    (["propagate_mask"], "mask", zeros(1, 6, 7, 2), V, r"\(1, 6, 7, 2\).*need \(1, 6, 7, 1\)"),
    # types of arrays
    (COMPUTING, "inputs", np.zeros((1, 6, 7, 4), np.int32), T, "int32.*floating"),
    (COMPUTING, "inputs", np.zeros((1, 6, 7, 4), np.complex64), T, "complex64.*floating"),
    (COMPUTING, "inputs", [[1.0]], T, "list.*array"),
    (COMPUTING, "inputs", None, T, "NoneType.*array"),
    (GUIDED, "guide", np.zeros((1, 6, 7, 3), np.uint8), T, "uint8.*floating"),
    (GUIDED, "guide", "image", T, "str.*array"),
    (CONVOLVING, "kernel", np.zeros((3, 3, 4, 6), np.float16), T, "float16.*inputs float32.*same"),
    (CONVOLVING, "bias", np.zeros(6, np.float16), T, "float16.*inputs float32.*same"),
    (POOLING, "weights", np.zeros((3, 3), np.int32), T, "int32.*floating"),
    (GIVEN, "affinity", np.zeros((1, 6, 7, 3, 3), np.int32), T, "int32.*floating"),
    (GIVEN, "affinity", pac_jax.Gaussian(), T, "Gaussian.*array"),
    ([*COMPUTING, "propagate_mask"], "mask", np.zeros((1, 6, 7, 1), np.complex64), T, "complex64"),
    (["propagate_mask"], "mask", None, T, "NoneType.*array"),
    (["propagate_mask"], "mask", "holes", T, "str.*array"),
    # numbers
    (ALL, "strides", 0, V, "0.*positive"),
    (ALL, "strides", (1, -1), V, r"\(1, -1\).*positive"),
    (ALL, "strides", (1, 1, 1), V, r"\(1, 1, 1\).*each of the 2"),
    (ALL, "strides", 1.0, T, r"1\.0.*integer"),
    (ALL, "strides", "2", T, "'2'.*integer"),
    (ALL, "strides", np.array([1.0, 1.0]), T, "integer"),
    (ALL, "kernel_dilation", 0, V, "0.*positive"),
    (ALL, "kernel_dilation", (2,), V, r"\(2,\).*each of the 2"),
    (ALL, "kernel_dilation", None, T, "None.*integer"),
    (ALL, "padding", "same", V, "'same'.*'SAME'"),
    (ALL, "padding", ((1, 1),), V, r"\(\(1, 1\),\).*\(low, high\)"),
    (ALL, "padding", ((1, 1, 1), (1, 1, 1)), V, r"\(low, high\)"),
    (ALL, "padding", ((1.0, 1), (1, 1)), T, r"1\.0.*\(low, high\)"),
    (ALL, "padding", None, T, r"None.*\(low, high\)"),
    (ALL, "padding", ((-20, 0), (0, 0)), V, r"-20"),
    (GUIDED[1:2] + GIVEN[1:2], "padding", "SAME_LOWER", V, "'SAME_LOWER'.*'SAME'"),
    (CONVOLVING, "feature_group_count", 3, V, "3.*divide.*4"),
    (CONVOLVING, "feature_group_count", 0, V, "0.*positive"),
    (CONVOLVING, "feature_group_count", 2.0, T, r"2\.0.*integer"),
    # names and flags
    (COMPUTING, "implementation", "fastest", V, "'fastest'.*'taps'.*'patches'"),
    (COMPUTING, "implementation", 3, (V, T), "3.*'taps'"),
    (COMPUTING, "implementation", ["taps"], (V, T), r"\['taps'\].*'taps'"),
    ([*COMPUTING, "pac_affinity"], "normalize", 1, T, "1.*True or False"),
    ([*POOLING, "pac_affinity"], "channel_wise", "yes", T, "'yes'.*True or False"),
    (["propagate_mask"], "transposed", None, T, "None.*True or False"),
    (COMPUTING, "precision", "exact", (V, T), "'exact'.*'highest'"),
    (COMPUTING, "precision", {}, (V, T), "{}.*'highest'"),
    (CONVOLVING, "preferred_element_type", np.int32, T, "int32.*floating"),
    (CONVOLVING, "preferred_element_type", "banana", T, "banana.*floating"),
    # affinities
    ([*GUIDED, "pac_affinity"], "affinity", pac_jax.Gaussian, T, r"Gaussian.*Gaussian\(\.\.\.\)"),
    ([*GUIDED, "pac_affinity"], "affinity", None, T, r"None.*Gaussian\(\)"),
    ([*GUIDED, "pac_affinity"], "affinity", "gaussian", T, r"'gaussian'.*Gaussian\(\)"),
]
BAD = [
    pytest.param(operator, {name: value}, error, f"{name}.*{message}", id=f"{operator}-{name}-{i}")
    for i, (operators, name, value, error, message) in enumerate(TABLE)
    for operator in operators
]


@pytest.mark.parametrize("traced", [False, True], ids=["eager", "traced"])
@pytest.mark.parametrize(("operator", "changes", "error", "message"), BAD)
def test_bad_argument(operator, changes, error, message, traced):
    (name,) = changes
    if name == "kernel":  # "the kernel's window"
        message = message.replace("kernel", "(kernel|window)", 1)
    with pytest.raises(error, match=re.compile(message, re.DOTALL)):
        call(operator, traced, changes)


PAIRS = [
    ("pac_pool", {"channel_wise": True}, V, "guide has 3 channels.*4"),
    ("pac_pool_with_affinity", {"channel_wise": True}, V, r"affinity.*\(1, 6, 7, 3, 3, 4\)"),
    (
        "pac_conv",
        {"kernel": zeros(3, 3, 1, 6), "feature_group_count": 4},
        V,
        "6 output features.*4",
    ),
    ("pac_conv", {"inputs": zeros(1, 6, 7, 0), "kernel": zeros(3, 3, 0, 6)}, V, "channel|features"),
    ("pac_conv", {"kernel": zeros(3, 3, 4, 0)}, V, "kernel"),
    ("pac_conv", {"affinity": lambda f, m: f * m}, V, "affinity.*shape"),
    ("pac_conv", {"affinity": lambda f, m: (f * m).sum(-1, keepdims=True)}, V, "affinity.*shape"),
    ("pac_conv", {"affinity": lambda f, m: 1.0}, (V, T), "affinity"),
    ("pac_affinity", {"affinity": lambda f, m: f * m}, V, "affinity.*shape"),
    ("pac_affinity", {"affinity": lambda f, m: 1.0}, (V, T), "affinity"),
    ("pac_affinity", {"affinity": pac_jax.Inverse(zeros(7), 1.0)}, V, r"alpha.*\(7,\)"),
    ("pac_conv", {"affinity": pac_jax.Inverse(0.1, zeros(1))}, V, r"exponent.*\(1,\)"),
    ("pac_affinity", {"affinity": pac_jax.Gaussian(zeros(3))}, V, "smoothing.*1.*2"),
    ("pac_conv", {"affinity": pac_jax.Gaussian(zeros(3, 3, 3))}, V, "smoothing.*3.*2"),
]


@pytest.mark.parametrize("traced", [False, True], ids=["eager", "traced"])
@pytest.mark.parametrize(("operator", "changes", "error", "message"), PAIRS)
def test_arguments_that_do_not_fit_together(operator, changes, error, message, traced):
    with pytest.raises(error, match=re.compile(message, re.DOTALL)):
        call(operator, traced, changes)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: pac_jax.Gaussian("mean"), V, "smoothing is 'mean'.*'gaussian'"),
        (lambda: pac_jax.Gaussian(zeros(2, 3)), V, r"smoothing has shape \(2, 3\).*odd"),
        (lambda: pac_jax.Gaussian(3), V, r"smoothing has shape \(\).*odd"),
        (lambda: pac_jax.Inverse(0.1, 1.0, smoothing=zeros(4)), V, r"smoothing.*\(4,\).*odd"),
        (lambda: pac_jax.Inverse(0.1, 1.0, asymmetric=1), T, "asymmetric is 1.*True or False"),
        (lambda: pac_jax.Inverse("a", 1.0), T, "alpha is 'a'"),
        (lambda: pac_jax.Inverse(0.1, None), T, "exponent is None"),
    ],
)
def test_bad_affinity(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_traced_setting_says_what_keeps_it():
    with pytest.raises(
        TypeError, match=r"strides is traced; .* static_argnames='strides' of jax.jit"
    ):
        jax.jit(pac_jax.pac_conv)(INPUTS, GUIDE, KERNEL, strides=2)


def test_arrays_come_first_and_everything_else_by_name():
    with pytest.raises(TypeError, match="positional"):
        pac_jax.pac_conv(INPUTS, GUIDE, KERNEL, None, 1)
    with pytest.raises(TypeError, match="positional"):
        pac_jax.pac_pool(INPUTS, GUIDE, (3, 3), None)


# --------------------------------------------------------------------- implementations with limits


def limited(reason: str | None) -> types.ModuleType:
    """An implementation that always gives 7 and the bias, where it runs at all."""
    module = types.ModuleType("limited")
    module.limitation = lambda problem, operands: reason

    def contract(problem, operands):
        size = operands.inputs.shape[0], *problem.geometry.output_size
        sevens = jnp.full((*size, operands.kernel.shape[-1]), 7.0)
        if operands.bias is not None:
            sevens += operands.bias.reshape((1,) * (sevens.ndim - 1) + (-1,))
        return sevens, None

    module.contract = contract
    return module


def test_an_explicit_implementation_says_why_it_cannot_run(monkeypatch):
    monkeypatch.setitem(IMPLEMENTATIONS, "dummy", limited("it needs a unicorn"))
    for traced in (False, True):
        with pytest.raises(NotImplementedError, match=r"'dummy'.*it needs a unicorn"):
            call("pac_conv", traced, {"implementation": "dummy"})


def test_none_passes_over_what_cannot_run_and_takes_the_first_that_can(monkeypatch):
    others = dict(IMPLEMENTATIONS)
    for reason, expected in (("it needs a unicorn", 0), (None, 7)):
        monkeypatch.setattr(
            "pac_jax.functional.implementations.IMPLEMENTATIONS",
            {"dummy": limited(reason), **others},
        )
        np.testing.assert_array_equal(call("pac_conv", False, {}), expected)
        if reason is None:
            explicit = call("pac_conv", False, {"implementation": "dummy"})
            np.testing.assert_array_equal(explicit, expected)


def test_a_new_implementation_is_one_line_in_the_registry(monkeypatch):
    monkeypatch.setitem(IMPLEMENTATIONS, "dummy", limited(None))
    result = call("pac_conv", False, {"implementation": "dummy", "bias": np.ones(6, np.float32)})
    np.testing.assert_array_equal(result, 8)
    with pytest.raises(ValueError, match="'dummy'"):
        call("pac_conv", False, {"implementation": "unknown"})
