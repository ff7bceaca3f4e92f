"""Affinities: how alike two pixels' guide features are, and how much one weighs for the other.

An affinity is any callable that takes the neighbour's guide features and the centre's, both of shape
(..., G), and gives the weights (...). `Gaussian` and `Inverse` are the two of the paper.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike, DTypeLike

from pac_jax.functional.geometry import Ints, channels_last, pad_spatially

Smoothing = None | str | jax.Array


@runtime_checkable
class Affinity(Protocol):
    r"""What an affinity must be: a function of the neighbour's and the centre's guide features.

    Any callable with this signature can be passed as `affinity=`: a lambda, a `functools.partial`, a
    pytree with learned numbers in it, an `nnx.Module`. It is called with floating-point arrays of at
    least 32 bits, once per tap of the window, and must work on any leading dimensions:

    * neighbour: (..., G), the guide at the tap, zeros where the tap lies outside the image;
    * centre: (..., G), the guide (smoothed, if the affinity asks for it) at the window's centre;
    * returns: weights (...), finite where both arguments are.

    An attribute `smoothing` (None, 'gaussian', or an array of weights with one odd-sized dimension
    per spatial dimension) asks for a smoothed centre; an affinity without it gets the guide itself.
    For channel-wise pooling G is 1 and the channel is one of the leading dimensions.

    A method `resolved()` gives the affinity that this one stands for, which is used in its place: so
    a module that holds a `Gaussian`'s or an `Inverse`'s numbers is as fast as these.

    Hashing decides what is compiled anew: a callable that is no pytree is a static argument, so a
    lambda written inside a loop compiles once per iteration. Define it once outside.

    Example:
        >>> import jax, jax.numpy as jnp, pac_jax
        >>> def dot_product(neighbour, centre):
        ...     return jax.nn.sigmoid(jnp.sum(neighbour * centre, axis=-1))
        >>> guide = jnp.ones((1, 6, 6, 2))
        >>> pac_jax.pac_affinity(guide, (3, 3), affinity=dot_product).shape
        (1, 6, 6, 3, 3)
    """

    def __call__(self, neighbour: jax.Array, centre: jax.Array, /) -> jax.Array:
        """Weights (...) for features (..., G)."""
        ...


class _SmoothedAffinity:
    """Pytree plumbing: numbers are leaves (so they may be learned), names are structure."""

    def _numbers_and_names(self) -> tuple[tuple, tuple]:
        fields = tuple(getattr(self, name) for name in self.__dataclass_fields__)  # type: ignore
        is_name = tuple(isinstance(field, str | bool | None) for field in fields)
        numbers = tuple(f for f, name in zip(fields, is_name, strict=True) if not name)
        names = tuple(f if name else _NUMBER for f, name in zip(fields, is_name, strict=True))
        return numbers, names

    @classmethod
    def _from_numbers_and_names(cls, names: tuple, numbers: tuple):
        remaining = iter(numbers)
        affinity = object.__new__(cls)  # leaves may be placeholders, which no check would pass
        for field, name in zip(cls.__dataclass_fields__, names, strict=True):  # type: ignore
            object.__setattr__(affinity, field, next(remaining) if name == _NUMBER else name)
        return affinity

    def __init_subclass__(cls) -> None:
        jax.tree_util.register_pytree_node(cls, cls._numbers_and_names, cls._from_numbers_and_names)


_NUMBER = "a number"


@dataclass(frozen=True)
class Gaussian(_SmoothedAffinity):
    r"""Gaussian affinity $k = \exp(-\lVert f_j - m_i \rVert^2 / 2)$.

    It has no bandwidth of its own: the scale of the guide carries it. Symmetric in its arguments, 1
    for equal features.

    Args:
        smoothing: what the centre is compared through: None for the guide itself, 'gaussian' for
            [1/4, 1/2, 1/4] along every axis, or an array of weights with one odd-sized dimension per
            spatial dimension (it may be traced and learned). Applied to the undilated guide, zero
            padded, the same for every channel.

    Example:
        >>> import jax.numpy as jnp, pac_jax
        >>> k = pac_jax.Gaussian()(jnp.array([1.0, 2.0]), jnp.array([1.0, 0.0]))
        >>> print(f"{k:.4f}")
        0.1353

    Reference:
        Su et al., "Pixel-Adaptive Convolutional Neural Networks", CVPR 2019, section 3.
    """

    smoothing: Smoothing = None

    def __post_init__(self) -> None:
        _check_smoothing(self.smoothing)

    def __call__(self, neighbour: jax.Array, centre: jax.Array, /) -> jax.Array:
        """Weights (...) for features (..., G)."""
        return self.of_squared(squared_norm(self.of_difference(neighbour - centre)))

    def of_difference(self, difference: jax.Array) -> jax.Array:
        """What counts of a difference of features: all of it."""
        return difference

    def of_squared(self, distance: jax.Array) -> jax.Array:
        """Weights for squared distances."""
        return jnp.exp(-0.5 * distance)


@dataclass(frozen=True)
class Inverse(_SmoothedAffinity):
    r"""Inverse affinity $k = \alpha + (\lVert f_j - m_i \rVert^2 + 10^{-4})^{\lambda/2}$.

    The kernel of detail-preserving pooling: with a positive exponent, pixels that differ from the
    centre weigh more. With `asymmetric`, each channel's difference is first clipped at zero from
    below, so that only neighbours above the centre count as different.

    Args:
        alpha: the constant share, a number or a traced scalar.
        exponent: $\lambda$, a number or a traced scalar.
        asymmetric: whether to clip the differences.
        smoothing: as in `Gaussian`.

    Example:
        >>> import jax.numpy as jnp, pac_jax
        >>> k = pac_jax.Inverse(0.5, 1.0)(jnp.array([3.0]), jnp.array([0.0]))
        >>> print(f"{k:.3f}")
        3.500

    Reference:
        Saeedan et al., "Detail-Preserving Pooling in Deep Networks", CVPR 2018.
    """

    alpha: ArrayLike
    exponent: ArrayLike
    asymmetric: bool = False
    smoothing: Smoothing = None

    def __post_init__(self) -> None:
        _check_number(self.alpha, "alpha")
        _check_number(self.exponent, "exponent")
        if not isinstance(self.asymmetric, bool):
            raise TypeError(f"asymmetric is {self.asymmetric!r}; it needs True or False")
        _check_smoothing(self.smoothing)

    def __call__(self, neighbour: jax.Array, centre: jax.Array, /) -> jax.Array:
        """Weights (...) for features (..., G)."""
        return self.of_squared(squared_norm(self.of_difference(neighbour - centre)))

    def of_difference(self, difference: jax.Array) -> jax.Array:
        """What counts of a difference of features: with `asymmetric` only where it is positive."""
        return jnp.maximum(difference, 0) if self.asymmetric else difference

    def of_squared(self, distance: jax.Array) -> jax.Array:
        """Weights for squared norms of what counts."""
        squared = distance + 1e-4  # keeps every derivative finite at equal features
        alpha = _number(self.alpha, "alpha", squared.dtype)
        exponent = _number(self.exponent, "exponent", squared.dtype)
        return alpha + squared ** (exponent / 2)


# Those that are functions of a squared distance: they have `of_difference` and `of_squared`.
OF_DISTANCE = (Gaussian, Inverse)


def evaluate_affinity(
    affinity: Affinity,
    neighbour: jax.Array,
    centre: jax.Array,
    *,
    channel_wise: bool,
    dtype: DTypeLike,
) -> jax.Array:
    """Call an affinity, which the user may have written, and check what it gives.

    Args:
        affinity: to call.
        neighbour: (..., G).
        centre: (..., G).
        channel_wise: whether every channel has an affinity of its own.
        dtype: of the weights.

    Returns:
        (..., 1), or (..., G) if channel-wise.
    """
    if channel_wise:
        neighbour, centre = neighbour[..., None], centre[..., None]
    weights = affinity(neighbour, centre)
    if jnp.shape(weights) != neighbour.shape[:-1]:
        raise ValueError(
            f"affinity gave weights of shape {jnp.shape(weights)} for features of shape "
            f"{neighbour.shape}; it needs {neighbour.shape[:-1]}, one weight per feature vector"
        )
    weights = jnp.asarray(weights).astype(dtype)
    return weights if channel_wise else weights[..., None]


def squared_norm(difference: jax.Array) -> jax.Array:
    """Sum of squares over the last axis, (..., G) -> (...), as a product with a vector of ones.

    XLA's CPU backend runs a reduction over a short last axis an order of magnitude slower than the
    same sum as a matrix product, and the transpose of the product is a plain broadcast.
    """
    square = difference * difference
    if square.shape[-1] == 1:
        return square[..., 0]
    ones = jnp.ones(square.shape[-1:], square.dtype)
    return lax.dot_general(
        square, ones, (((square.ndim - 1,), (0,)), ((), ())), precision=lax.Precision.HIGHEST
    )


def centre_features(
    guide: jax.Array, affinity: object, first: Ints, strides: Ints, size: Ints
) -> jax.Array:
    """The guide, smoothed as the affinity asks, at the centre of every output's window.

    Args:
        guide: (N, *guide_size, G).
        affinity: whose attribute `smoothing` is followed.
        first: position of output 0's centre on the guide, negative where it lies outside.
        strides: from one output's centre to the next.
        size: number of outputs.

    Returns:
        (N, *size, G); the guide is 0 outside the image, and a smoothed centre out there still sees
        the part of the image that its filter reaches.
    """
    if 0 in size:
        return jnp.zeros((guide.shape[0], *size, guide.shape[-1]), guide.dtype)
    weights = smoothing_weights(affinity, len(size), guide.dtype)
    window = (1,) * len(size) if weights is None else weights.shape
    low = [(n - 1) // 2 - c for n, c in zip(window, first, strict=True)]
    high = [
        (out - 1) * s + n - extent - lo
        for out, s, n, extent, lo in zip(size, strides, window, guide.shape[1:-1], low, strict=True)
    ]
    if weights is None:
        return lax.slice(
            pad_spatially(guide, low, high),
            (0,) * guide.ndim,
            (
                guide.shape[0],
                *((n - 1) * s + 1 for n, s in zip(size, strides, strict=True)),
                guide.shape[-1],
            ),
            (1, *strides, 1),
        )
    # Channels are independent images here: one filter serves them all.
    images = jnp.moveaxis(guide, -1, 1).reshape(-1, *guide.shape[1:-1], 1)
    smooth = lax.conv_general_dilated(
        images,
        weights[..., None, None],
        strides,
        list(zip(low, high, strict=True)),
        dimension_numbers=channels_last(len(size)),
        precision=lax.Precision.HIGHEST,
    )
    return jnp.moveaxis(smooth.reshape(guide.shape[0], guide.shape[-1], *size), 1, -1)


def smoothing_weights(affinity: object, ndim: int, dtype: jnp.dtype) -> jax.Array | None:
    """The affinity's smoothing filter as an array of weights, or None."""
    smoothing = getattr(affinity, "smoothing", None)
    if smoothing is None:
        return None
    if isinstance(smoothing, str):
        _check_smoothing(smoothing)
        line = jnp.array([0.25, 0.5, 0.25], dtype)
        weights = line
        for _ in range(ndim - 1):
            weights = weights[..., None] * line.reshape((1,) * weights.ndim + (3,))
        return weights
    weights = jnp.asarray(smoothing, dtype)
    if weights.ndim != ndim:
        raise ValueError(
            f"smoothing has {weights.ndim} dimensions; the guide has {ndim} spatial dimensions, and "
            "the smoothing weights need one for each"
        )
    return weights


def _number(value: ArrayLike, name: str, dtype: DTypeLike) -> jax.Array:
    # Not before it is used: under vmap an array of numbers becomes one number only here.
    if jnp.shape(value) != ():
        raise ValueError(f"{name} has shape {jnp.shape(value)}; it needs a single number")
    return jnp.asarray(value, dtype)


def _check_number(value: ArrayLike, name: str) -> None:
    if value is None or isinstance(value, str):
        raise TypeError(f"{name} is {value!r}; it needs a number")


def _check_smoothing(smoothing: Smoothing) -> None:
    if smoothing is None:
        return
    if isinstance(smoothing, str):
        if smoothing != "gaussian":
            raise ValueError(
                f"smoothing is {smoothing!r}; pass None, 'gaussian', or an array of weights"
            )
        return
    shape = jnp.shape(smoothing)
    if not shape or any(n % 2 == 0 for n in shape):
        raise ValueError(
            f"smoothing has shape {shape}; its window needs one odd size per spatial dimension"
        )
