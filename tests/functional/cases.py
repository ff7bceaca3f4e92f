"""Random arguments of every operator, each with the oracle's answer.

A case is made by a seed. What matters most (number of dimensions, kind of padding, groups, mask and
normalisation) goes round with the seed instead of being drawn, so that a range of seeds is a grid.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import pac_jax
from tests.oracle import pac

CONV_PADDINGS = ("SAME", "SAME_LOWER", "VALID", "int", "pairs", "negative", "wide")
TRANSPOSE_PADDINGS = ("SAME", "VALID", "int", "pairs", "negative", "wide", "torch")
MASKS = ("none", "hard", "soft")
SMOOTHINGS = ("none", "gaussian", "array")
AFFINITIES = ("gaussian", "inverse", "asymmetric", "user")


# The implementations that have no limits: what they compute for any case is compared. (Those that have
# limits take the tests that run for every implementation.)
UNLIMITED = ("taps", "shifts", "patches")


@dataclass(frozen=True)
class Kernel:
    """One affinity for both sides: the library's object and the oracle's function."""

    name: str = "gaussian"
    alpha: Any = 0.3
    exponent: Any = 0.8
    smoothing: Any = None

    def library(self):
        """The affinity that the library is given."""
        if self.name == "user":
            return UserAffinity(self.alpha, self.smoothing)
        if self.name == "gaussian":
            return pac_jax.Gaussian(self.smoothing)
        return pac_jax.Inverse(
            self.alpha,
            self.exponent,
            asymmetric=self.name == "asymmetric",
            smoothing=self.smoothing,
        )

    def oracle(self):
        """The oracle's function of two guide vectors."""
        if self.name == "user":
            return lambda f, m: float(self.alpha + (1.5 * f[0] - 0.5 * m[0]) ** 2 + f @ m)
        if self.name == "gaussian":
            return pac.gaussian
        return pac.inverse(self.alpha, self.exponent, self.name == "asymmetric")


@jax.tree_util.register_pytree_node_class
@dataclass(frozen=True)
class UserAffinity:
    """What a user could write: a pytree, neither symmetric nor positive definite, never 1."""

    alpha: Any
    smoothing: Any = None

    def __call__(self, neighbour, centre):
        lopsided = 1.5 * neighbour[..., 0] - 0.5 * centre[..., 0]
        return jnp.asarray(self.alpha, neighbour.dtype) + lopsided**2 + (neighbour * centre).sum(-1)

    def tree_flatten(self):
        if isinstance(self.smoothing, str | None):
            return (self.alpha,), self.smoothing
        return (self.alpha, self.smoothing), "an array"

    @classmethod
    def tree_unflatten(cls, smoothing, leaves):
        return cls(*leaves) if len(leaves) == 2 else cls(*leaves, smoothing)


@dataclass(frozen=True)
class Case:
    """One call of one operator.

    Attributes:
        operator: 'conv', 'conv_transpose' or 'pool'.
        window: of the kernel.
        arrays: inputs, guide, and any of kernel, bias, weights, mask.
        geometry: strides, padding, dilation, in the oracle's names.
        options: feature_group_count, normalize, channel_wise, where the operator has them.
        kernel: the affinity.
    """

    operator: str
    window: tuple[int, ...]
    arrays: dict[str, np.ndarray]
    geometry: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)
    kernel: Kernel = Kernel()

    @property
    def library_geometry(self) -> dict[str, Any]:
        """The geometry in the library's names."""
        return {
            "strides": self.geometry["strides"],
            "padding": self.geometry["padding"],
            "kernel_dilation": self.geometry["dilation"],
        }

    def with_(self, **changes) -> "Case":
        """A case with some fields replaced."""
        return replace(self, **changes)

    def call(self, arrays: dict, affinity=None, implementation: str | None = None, **more):
        """The library's operator on these arrays."""
        arrays = dict(arrays)
        options = {**self.library_geometry, **self.options, "implementation": implementation}
        options |= {"affinity": self.kernel.library() if affinity is None else affinity, **more}
        options["mask"] = arrays.pop("mask", None)
        inputs, guide = arrays.pop("inputs"), arrays.pop("guide")
        if self.operator == "pool":
            return pac_jax.pac_pool(inputs, guide, self.window, **arrays, **options)
        operator = getattr(pac_jax, f"pac_{self.operator}")
        return operator(inputs, guide, **arrays, **options)

    def evaluate(self, implementation: str | None) -> jax.Array:
        """The library's answer, compiled as a whole, the affinity's numbers being arguments too."""
        run = jax.jit(lambda arrays, affinity: self.call(arrays, affinity, implementation))
        return run(self.arrays, self.kernel.library())

    def expected(self) -> np.ndarray:
        """The oracle's answer."""
        arrays, options = dict(self.arrays), dict(self.options)
        if "feature_group_count" in options:
            options["groups"] = options.pop("feature_group_count")
        inputs, guide = arrays.pop("inputs"), arrays.pop("guide")
        options |= {"affinity": self.kernel.oracle(), "smoothing": self.kernel.smoothing}
        if self.operator == "pool":
            return pac.pool(inputs, guide, self.window, **arrays, **options, **self.geometry)
        operator = getattr(pac, self.operator)
        return operator(inputs, guide, **arrays, **options, **self.geometry)

    @property
    def label(self) -> str:
        """What this case is, in a few words."""
        properties = {**self.geometry, **self.options, "window": self.window}
        return f"{self.operator} {properties} {self.kernel.name} mask={'mask' in self.arrays}"


# ------------------------------------------------------------------------------------------ drawing


def _ints(rng: np.random.Generator, low: int, high: int, n: int) -> tuple[int, ...]:
    return tuple(int(v) for v in rng.integers(low, high, n, endpoint=True))


def _window(rng: np.random.Generator, n: int) -> tuple[int, ...]:
    sizes = {1: (1, 3, 5), 2: (1, 3, 3, 5), 3: (1, 3)}[n]
    window = tuple(int(k) for k in rng.choice(sizes, n))
    return window if max(window) > 1 else (3,) * n


def _scalar_if_equal(rng: np.random.Generator, values: tuple[int, ...]) -> int | tuple[int, ...]:
    """Sometimes an int for all dimensions, as users write it."""
    return values[0] if len(set(values)) == 1 and rng.random() < 0.7 else values


def draw_smoothing(rng: np.random.Generator, kind: str, n: int):
    """None, 'gaussian', or weights that no flip and no transposition leaves as they are."""
    if kind == "array":
        return rng.standard_normal(tuple(int(k) for k in rng.choice([1, 3, 5], n))) / 3**n
    return None if kind == "none" else kind


def draw_mask(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """No mask, zeros and ones, or numbers between them of which many are exactly zero."""
    if kind == "none":
        return {}
    holes = rng.random(shape) < 0.4
    soft = rng.uniform(0.1, 1, shape) if kind == "soft" else np.ones(shape)
    return {"mask": np.where(holes, 0.0, soft)}


def draw_kernel(rng: np.random.Generator, n: int) -> Kernel:
    """An affinity, with or without smoothing."""
    smoothing = draw_smoothing(rng, str(rng.choice(SMOOTHINGS)), n)
    alpha, exponent = float(rng.uniform(0.1, 1)), float(rng.uniform(-1, 2))
    return Kernel(str(rng.choice(AFFINITIES)), alpha, exponent, smoothing)


def conv_padding(rng: np.random.Generator, kind: str, reach: tuple[int, ...]):
    """A padding of this kind for a window of this reach."""
    if kind == "int":
        return int(rng.integers(0, 3))
    if kind == "pairs":
        return tuple((int(rng.integers(0, r + 1)), int(rng.integers(0, r + 1))) for r in reach)
    if kind == "negative":
        return tuple((-1, int(rng.integers(-2, 3))) for _ in reach)
    if kind == "wide":
        return tuple((r + int(rng.integers(0, 2)), int(rng.integers(0, r + 2))) for r in reach)
    return kind


def transpose_padding(
    rng: np.random.Generator, kind: str, reach: tuple[int, ...], strides: tuple[int, ...]
):
    """A padding of the spread input of this kind."""
    if kind == "torch":  # padding p and output padding q of PyTorch
        p, q = int(rng.integers(0, 2)), int(rng.integers(0, 2))
        return tuple((r - 1 - p, r - 1 - p + q) for r in reach)
    if kind == "negative":
        return tuple((-1, r + int(rng.integers(0, 3))) for r in reach)
    if kind == "int":
        return max(reach) // 2 + int(rng.integers(0, 2))
    return conv_padding(rng, kind, reach)


def draw_conv(seed: int, operator: str = "conv") -> Case:
    """A convolution or a pooling."""
    rng = np.random.default_rng([seed, len(operator)])
    kind = CONV_PADDINGS[seed % len(CONV_PADDINGS)]
    n = 1 + seed // len(CONV_PADDINGS) % 3
    window = _window(rng, n)
    strides, dilation = _ints(rng, 1, 3, n), _ints(rng, 1, 2 if n == 3 else 3, n)
    reach = tuple((k - 1) * d + 1 for k, d in zip(window, dilation, strict=True))
    padding = conv_padding(rng, kind, reach)
    size = _ints(rng, 1, 4 if n == 3 else 6, n)
    if kind in ("VALID", "int", "negative"):  # enough of them for an output
        more = 2 if kind == "negative" else -1
        size = tuple(s + r + more for s, r in zip(size, reach, strict=True))
    batch = 1 + (n < 3)
    geometry = {
        "strides": _scalar_if_equal(rng, strides),
        "padding": padding,
        "dilation": _scalar_if_equal(rng, dilation),
    }
    return _fill(rng, seed, operator, window, (batch, *size), (batch, *size), geometry)


def draw_transpose(seed: int) -> Case:
    """A transposed convolution."""
    rng = np.random.default_rng([seed, 99])
    kind = TRANSPOSE_PADDINGS[seed % len(TRANSPOSE_PADDINGS)]
    n = 1 + seed // len(TRANSPOSE_PADDINGS) % 3
    window = _window(rng, n)
    strides = _ints(rng, 1, 4 if n < 3 else 2, n)
    dilation = _ints(rng, 1, 4 if n == 1 else 2, n)
    reach = tuple((k - 1) * d + 1 for k, d in zip(window, dilation, strict=True))
    geometry = {
        "strides": _scalar_if_equal(rng, strides),
        "padding": transpose_padding(rng, kind, reach, strides),
        "dilation": _scalar_if_equal(rng, dilation),
    }
    size = _ints(rng, 2, {1: 5, 2: 4, 3: 2}[n], n)
    out = pac.conv_transpose_output_size(size, window, **geometry)
    while 0 in out:  # enough of them for an output
        size = tuple(s + 1 for s in size)
        out = pac.conv_transpose_output_size(size, window, **geometry)
    batch = 1 + (n == 1)
    return _fill(rng, seed, "conv_transpose", window, (batch, *size), (batch, *out), geometry)


def _fill(
    rng: np.random.Generator,
    seed: int,
    operator: str,
    window: tuple[int, ...],
    inputs: tuple[int, ...],
    guide: tuple[int, ...],
    geometry: dict[str, Any],
) -> Case:
    n = len(window)
    mask = draw_mask(rng, MASKS[seed % 3], (*inputs, 1))
    options: dict[str, Any] = {"normalize": seed // 3 % 2 == 1}
    features = int(rng.integers(1, 4))
    if operator == "pool":
        channels = int(rng.integers(1, 4))
        options["channel_wise"] = seed // 2 % 2 == 1
        features = channels if options["channel_wise"] else features
        own = {"weights": rng.standard_normal(window)} if seed % 4 > 1 else {}
    else:
        # One group; two groups; depthwise; depthwise with two features for each channel.
        channels, groups, out = ((3, 1, 2), (4, 2, 6), (3, 3, 3), (2, 2, 4))[seed % 4]
        options["feature_group_count"] = groups
        own = {"kernel": rng.standard_normal((*window, channels // groups, out))}
        if seed % 5:
            own["bias"] = rng.standard_normal(out)
    arrays = {
        "inputs": rng.standard_normal((*inputs, channels)),
        "guide": 0.7 * rng.standard_normal((*guide, features)),
        **own,
        **mask,
    }
    return Case(operator, window, arrays, geometry, options, draw_kernel(rng, n))


def draw(operator: str, seed: int) -> Case:
    """The case of this operator and seed."""
    return draw_transpose(seed) if operator == "conv_transpose" else draw_conv(seed, operator)
