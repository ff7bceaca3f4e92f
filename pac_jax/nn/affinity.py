"""Affinities with parameters of their own.

They are called as `pac_jax.Gaussian` and `pac_jax.Inverse` are, and go wherever an affinity goes.
What is learned is an `nnx.Param`, and what is fixed is not: `nnx.state(layer, nnx.Param)` tells.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike, DTypeLike

from pac_jax.functional.affinity import Gaussian, Inverse
from pac_jax.nn.held import Constant


class GaussianAffinity(nnx.Module):
    r"""Gaussian affinity with a learned smoothing of the centre.

    $$ k = \exp(-\lVert f_j - m_i \rVert^2 / 2), \qquad m = a * f, $$

    where the filter a is the parameter. The Gaussian has nothing else to learn (the guide's own
    scale carries its bandwidth); without a learned filter use `pac_jax.Gaussian`.

    Args:
        smoothing: the filter to start from, one odd-sized dimension per spatial dimension.
        param_dtype: of the parameter.

    Attributes:
        smoothing: `nnx.Param`, the filter.

    Raises:
        ValueError: the filter's shape does not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from pac_jax.nn import GaussianAffinity, PacConv
        >>> affinity = GaussianAffinity(jnp.full((3, 3), 1 / 9))
        >>> layer = PacConv(4, 8, (5, 5), affinity=affinity, rngs=nnx.Rngs(0))
        >>> sorted(nnx.state(layer, nnx.Param))
        ['affinity', 'bias', 'kernel']
    """

    def __init__(self, smoothing: ArrayLike, *, param_dtype: DTypeLike = jnp.float32):
        self.smoothing = nnx.Param(_starting_filter(smoothing, param_dtype))

    def __call__(self, neighbour: jax.Array, centre: jax.Array, /) -> jax.Array:
        """Weigh a neighbour's guide features (..., G) against a centre's: (...)."""
        return self.resolved()(neighbour, centre)

    def resolved(self) -> Gaussian:
        """The affinity with today's filter."""
        return Gaussian(self.smoothing[...])


class InverseAffinity(nnx.Module):
    r"""Inverse affinity whose numbers are learned or fixed, one by one.

    $$ k = \alpha + (\lVert f_j - m_i \rVert^2 + 10^{-4})^{\lambda/2}, \qquad m = a * f. $$

    Args:
        alpha: the constant share; where it starts, if it is learned.
        exponent: $\lambda$; where it starts, if it is learned.
        asymmetric: whether to clip each channel's difference at zero from below.
        smoothing: a, as in `pac_jax.Inverse`: None, 'gaussian', or a filter (to start from).
        learned: the names of the numbers that are parameters, of 'alpha', 'exponent', 'smoothing'.
        param_dtype: of the parameters.

    Attributes:
        alpha: `nnx.Param` where learned, else the number.
        exponent: `nnx.Param` where learned, else the number.
        smoothing: `nnx.Param` where learned, else as given.

    Raises:
        ValueError: a name in `learned` is unknown, or names a smoothing that is no filter; a
            filter's shape does not fit.

    Example:
        >>> from flax import nnx
        >>> from pac_jax.nn import InverseAffinity, PacPool
        >>> affinity = InverseAffinity(0.1, 0.5, learned=("exponent",))
        >>> layer = PacPool((3, 3), affinity=affinity)
        >>> print(list(nnx.state(layer, nnx.Param)["affinity"]))
        ['exponent']

    Reference:
        Saeedan et al., "Detail-Preserving Pooling in Deep Networks", CVPR 2018.
    """

    def __init__(
        self,
        alpha: float | jax.Array,
        exponent: float | jax.Array,
        *,
        asymmetric: bool = False,
        smoothing: str | ArrayLike | None = None,
        learned: Sequence[str] = ("alpha", "exponent"),
        param_dtype: DTypeLike = jnp.float32,
    ):
        checked: Any = Inverse
        checked(alpha, exponent, asymmetric, smoothing)
        unknown = sorted(set(learned) - {"alpha", "exponent", "smoothing"})
        if isinstance(learned, str) or unknown:
            raise ValueError(
                f"learned is {learned!r}; it needs a sequence of 'alpha', 'exponent', 'smoothing'"
            )
        self.alpha = _number(alpha, "alpha" in learned, param_dtype)
        self.exponent = _number(exponent, "exponent" in learned, param_dtype)
        self.asymmetric = asymmetric
        self.smoothing: str | nnx.Variable | None
        if "smoothing" in learned:
            self.smoothing = nnx.Param(_starting_filter(smoothing, param_dtype))
        elif smoothing is None or isinstance(smoothing, str):
            self.smoothing = smoothing
        else:
            self.smoothing = Constant(jnp.asarray(smoothing))

    def __call__(self, neighbour: jax.Array, centre: jax.Array, /) -> jax.Array:
        """Weigh a neighbour's guide features (..., G) against a centre's: (...)."""
        return self.resolved()(neighbour, centre)

    def resolved(self) -> Inverse:
        """The affinity with today's numbers."""
        alpha, exponent, smoothing = map(_value, (self.alpha, self.exponent, self.smoothing))
        return Inverse(alpha, exponent, self.asymmetric, smoothing)


def _starting_filter(smoothing: str | ArrayLike | None, dtype: DTypeLike) -> jax.Array:
    if smoothing is None or isinstance(smoothing, str):
        raise ValueError(
            f"smoothing is {smoothing!r}; to be learned it needs a filter to start from, for "
            "example jnp.full((3, 3), 1 / 9)"
        )
    weights = jnp.asarray(smoothing, dtype)
    Gaussian(weights)  # its check of the shape
    return weights


def _number(value: float | jax.Array, learned: bool, dtype: DTypeLike) -> Any:
    if learned:
        return nnx.Param(jnp.asarray(value, dtype))
    return value if isinstance(value, int | float) else Constant(jnp.asarray(value))


def _value(number: Any) -> Any:
    return number[...] if isinstance(number, nnx.Variable) else number
