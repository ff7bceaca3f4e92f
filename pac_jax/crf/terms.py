"""What a CRF's pairwise terms look like, and the weights that they start with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

MIXINGS = ("full", "matrix", "potts", "plain")

_SHARED = ("matrix", "potts")  # one spatial filter for every class


@dataclass(frozen=True)
class PairwiseTerm:
    """One pairwise term of a CRF: which pixels speak to each other, and how classes mix.

    Attributes:
        window: taps per dimension, an odd int for all of them or one per spatial dimension.
        dilation: distance between taps, in (blurred) pixels.
        blur: class probabilities and guide are averaged over blocks of this many pixels, and the
            messages interpolated back.
        mixing: 'full': a filter of its own for every pair of classes (`pac_conv`); 'matrix': one
            filter for all classes (`pac_pool`), then a matrix; 'potts': one filter, and equal
            labels attract; 'plain': as 'full', but without an affinity.
        spatial_filter: whether 'matrix' and 'potts' have a filter that falls with distance (a
            Gaussian); otherwise all taps but the centre count alike, and are not learned.
        weight: of the term's messages, as it starts.
        learn_weight: whether `PacCRF` learns the weight.

    Raises:
        ValueError: a setting does not fit; the message says which.
    """

    window: int | tuple[int, ...] = 5
    dilation: int = 1
    blur: int = 1
    mixing: str = "full"
    spatial_filter: bool = True
    weight: float = 1.0
    learn_weight: bool = False

    def __post_init__(self) -> None:
        """Check every setting once."""
        sizes = (self.window,) if isinstance(self.window, int) else self.window
        if not sizes or any(size < 1 or size % 2 == 0 for size in sizes):
            raise ValueError(f"window is {self.window}; it needs odd sizes, 1, 3, 5 ...")
        for name in ("dilation", "blur"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it needs to be 1 or more")
        if self.mixing not in MIXINGS:
            raise ValueError(f"mixing is {self.mixing!r}; it needs one of {', '.join(MIXINGS)}")
        if not self.spatial_filter and not self.shares_filter:
            raise ValueError(
                f"spatial_filter is False, but mixing {self.mixing!r} is a filter for every pair of "
                "classes; use 'matrix' or 'potts'"
            )

    @property
    def shares_filter(self) -> bool:
        """Whether one spatial filter serves every class."""
        return self.mixing in _SHARED

    @property
    def has_affinity(self) -> bool:
        """Whether messages depend on the guide."""
        return self.mixing != "plain"

    def window_shape(self, ndim: int) -> tuple[int, ...]:
        """The window in `ndim` spatial dimensions.

        Raises:
            ValueError: `window` has another number of dimensions.
        """
        sizes = (self.window,) * ndim if isinstance(self.window, int) else self.window
        if len(sizes) != ndim:
            raise ValueError(
                f"window is {sizes}; scores with {ndim} spatial dimensions need {ndim} sizes"
            )
        return sizes


class TermWeights(NamedTuple):
    """Weights of one term.

    Attributes:
        filter: (*window, L, L) from class to class for 'full' and 'plain', else (*window).
        mixing: (L, L) from class to class for 'matrix', else None.
        weight: () of the messages.
    """

    filter: jax.Array
    mixing: jax.Array | None
    weight: jax.Array


class Weights(NamedTuple):
    """Weights of a CRF; with one set per step, every leaf leads with an axis of steps.

    Attributes:
        unary: () of the scores.
        terms: of the pairwise terms, in their order.
    """

    unary: jax.Array
    terms: tuple[TermWeights, ...]


def initial_weights(
    terms: Sequence[PairwiseTerm],
    classes: int,
    ndim: int = 2,
    *,
    unary_weight: float = 1.0,
    noise: float = 0.0,
    key: jax.Array | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Weights:
    r"""The weights that a CRF starts with.

    Filters are Gaussians of sigma = window / 4 that sum to the number of taps, then lose their
    centre; classes mix by 1 - I: every other class speaks against a label alike.

    Args:
        terms: the pairwise terms.
        classes: L.
        ndim: number of spatial dimensions.
        unary_weight: of the scores.
        noise: uniform noise of at most this size on filters and matrices that are learned
            (the original's option is 5e-4); 0 for none.
        key: for the noise.
        dtype: of the weights.

    Returns:
        Weights of one step.

    Raises:
        ValueError: there is noise but no key, or a window has another number of dimensions.

    Example:
        >>> from pac_jax import crf
        >>> weights = crf.initial_weights([crf.PairwiseTerm(3, mixing="matrix")], classes=4)
        >>> weights.terms[0].filter.shape, weights.terms[0].mixing.shape
        ((3, 3), (4, 4))

    Reference:
        Su et al., "Pixel-Adaptive Convolutional Neural Networks", CVPR 2019, section 5.
    """
    if noise and key is None:
        raise ValueError(f"noise is {noise}; it needs a key")
    others = 1 - jnp.eye(classes, dtype=dtype)

    def term_weights(number: int, term: PairwiseTerm) -> TermWeights:
        spatial = jnp.asarray(_spatial_filter(term, ndim), dtype)
        weight = jnp.asarray(term.weight, dtype)

        def shaken(values: jax.Array, part: int) -> jax.Array:
            if key is None or not noise:
                return values
            own = jax.random.fold_in(jax.random.fold_in(key, number), part)
            return values + jax.random.uniform(own, values.shape, dtype, -noise, noise)

        if not term.shares_filter:
            pairs = spatial[..., None, None] * others[(None,) * ndim]
            return TermWeights(shaken(pairs, 0), None, weight)
        mixing = shaken(others, 1) if term.mixing == "matrix" else None
        return TermWeights(shaken(spatial, 0) if term.spatial_filter else spatial, mixing, weight)

    return Weights(
        jnp.asarray(unary_weight, dtype),
        tuple(term_weights(number, term) for number, term in enumerate(terms)),
    )


def _spatial_filter(term: PairwiseTerm, ndim: int) -> np.ndarray:
    window = term.window_shape(ndim)
    values = np.ones(window)
    if term.spatial_filter:
        for axis, size in enumerate(window):
            offsets = np.arange(size) - size // 2
            gaussian = np.exp(-0.5 * np.square(offsets / (size / 4)))
            values = values * gaussian.reshape([-1 if a == axis else 1 for a in range(ndim)])
        values *= values.size / values.sum()
    values[tuple(size // 2 for size in window)] = 0
    return values
