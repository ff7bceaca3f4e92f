"""The CRF as a layer."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import ArrayLike, DTypeLike

from pac_jax.crf.mean_field import guide_of_each, mean_field
from pac_jax.crf.terms import PairwiseTerm, TermWeights, Weights, initial_weights
from pac_jax.functional.affinity import Affinity, Gaussian
from pac_jax.nn.held import held_affinity


class Fixed(nnx.Variable):
    """A weight that is not learned; an `nnx.Param` is."""


class PacCRF(nnx.Module):
    r"""Mean-field inference whose weights are learned; see `pac_jax.crf.mean_field`.

    Learned (`nnx.Param`) are the filters and matrices of the terms, but those without a spatial
    filter; the scales of the guide; and what is asked for: the weights of terms with
    `learn_weight`, and that of the scores with `learn_unary_weight`. All else is `Fixed`.

    Args:
        classes: L.
        terms: the pairwise terms.
        ndim: number of spatial dimensions.
        guide_features: G: every term gets a learned scale per channel of its guide, which starts at
            one. None for no scales.
        steps: number of steps, at most if a call gives a tolerance.
        per_step: whether every step has weights of its own.
        unary_weight: of the scores, as it starts.
        learn_unary_weight: whether it is learned.
        noise: see `initial_weights`.
        affinity: see `mean_field`.
        remat: see `mean_field`.
        param_dtype: of the weights.
        precision: as in `jax.lax`.
        implementation: as in `mean_field`.
        rngs: of which `params` is drawn, for the noise; may be None without it.

    Raises:
        ValueError: an argument does not fit; the message says which.

    Example:
        >>> import jax.numpy as jnp
        >>> from pac_jax import crf
        >>> layer = crf.PacCRF(21, [crf.PairwiseTerm(5, 16), crf.PairwiseTerm(5, 64)], guide_features=3)
        >>> layer(jnp.zeros((1, 24, 32, 21)), jnp.zeros((1, 24, 32, 3))).shape
        (1, 24, 32, 21)

    Reference:
        Su et al., "Pixel-Adaptive Convolutional Neural Networks", CVPR 2019, section 5.
    """

    def __init__(
        self,
        classes: int,
        terms: Sequence[PairwiseTerm],
        *,
        ndim: int = 2,
        guide_features: int | None = None,
        steps: int = 5,
        per_step: bool = False,
        unary_weight: float = 1.0,
        learn_unary_weight: bool = False,
        noise: float = 0.0,
        affinity: Affinity = Gaussian(),
        remat: bool = False,
        param_dtype: DTypeLike = jnp.float32,
        precision: lax.PrecisionLike = None,
        implementation: str | None = None,
        rngs: nnx.Rngs | None = None,
    ):
        if noise and rngs is None:
            raise ValueError(f"noise is {noise}; it needs rngs")
        self.classes = classes
        self.ndim = ndim
        self.terms = tuple(terms)
        self.steps = steps
        self.per_step = per_step
        self.affinity = held_affinity(affinity)
        self.remat = remat
        self.precision = precision
        self.implementation = implementation
        sets = [
            initial_weights(
                self.terms,
                classes,
                ndim,
                unary_weight=unary_weight,
                noise=noise,
                key=rngs.params() if noise and rngs is not None else None,
                dtype=param_dtype,
            )
            for _ in range(steps if per_step else 1)
        ]
        weights = jax.tree.map(lambda *leaves: jnp.stack(leaves), *sets) if per_step else sets[0]
        self.unary_weight = _held(weights.unary, learn_unary_weight)
        self.pairwise = nnx.List(
            [
                PairwiseWeights(term, own, guide_features if term.has_affinity else None)
                for term, own in zip(self.terms, weights.terms, strict=True)
            ]
        )

    def __call__(
        self,
        scores: ArrayLike,
        guides: ArrayLike | Sequence[ArrayLike | None],
        *,
        probabilities: bool = False,
        mask: ArrayLike | None = None,
        tolerance: float | None = None,
    ) -> jax.Array:
        """Infer.

        Args:
            scores: (N, *spatial, L), logits, or probabilities if `probabilities`.
            guides: (N, *spatial, G), for all terms or a sequence of one for each.
            probabilities: whether the scores are probabilities.
            mask: (N, *spatial, 1), 0 for void pixels.
            tolerance: see `mean_field`.

        Returns:
            (N, *spatial, L) logits.

        Raises:
            ValueError: a shape does not fit; the message says which.
            TypeError: a dtype does not fit.
        """
        shape = jnp.shape(scores)
        if len(shape) != self.ndim + 2 or shape[-1] != self.classes:
            raise ValueError(
                f"scores have shape {shape}; this layer needs (N, *spatial, classes) with "
                f"{self.ndim} spatial dimensions and its {self.classes} classes"
            )
        each = guide_of_each(guides, len(self.terms))
        scaled = [own.scaled(guide) for own, guide in zip(self.pairwise, each, strict=True)]
        weights = Weights(self.unary_weight[...], tuple(own.values() for own in self.pairwise))
        return mean_field(
            scores,
            scaled,
            weights,
            self.terms,
            steps=self.steps,
            per_step=self.per_step,
            probabilities=probabilities,
            mask=mask,
            tolerance=tolerance,
            affinity=self.affinity,
            remat=self.remat,
            precision=self.precision,
            implementation=self.implementation,
        ).logits


class PairwiseWeights(nnx.Module):
    """Weights of one term.

    Args:
        term: what they belong to.
        weights: as they start.
        guide_features: number of channels whose scales are learned, or None.

    Attributes:
        filter: see `TermWeights`; learned, but without a spatial filter.
        mixing: see `TermWeights`; learned, or None.
        weight: see `TermWeights`; learned if the term says so.
        scale: (G,) of the guide's channels, learned, or None.
    """

    def __init__(self, term: PairwiseTerm, weights: TermWeights, guide_features: int | None):
        self.filter = _held(weights.filter, term.spatial_filter)
        self.mixing = nnx.data(None if weights.mixing is None else nnx.Param(weights.mixing))
        self.weight = _held(weights.weight, term.learn_weight)
        ones = None if guide_features is None else jnp.ones(guide_features, weights.filter.dtype)
        self.scale = nnx.data(None if ones is None else nnx.Param(ones))

    def scaled(self, guide: ArrayLike | None) -> ArrayLike | None:
        """The guide as the affinity sees it."""
        if self.scale is None or guide is None:
            return guide
        scale = self.scale[...]
        if jnp.shape(guide)[-1:] != scale.shape:  # one channel would be multiplied to several
            raise ValueError(
                f"a guide has shape {jnp.shape(guide)}; this layer needs its guide_features, "
                f"{len(scale)} channels"
            )
        return jnp.asarray(guide) * scale.reshape((1,) * (jnp.ndim(guide) - 1) + scale.shape)

    def values(self) -> TermWeights:
        """The weights as arrays."""
        mixing = None if self.mixing is None else self.mixing[...]
        return TermWeights(self.filter[...], mixing, self.weight[...])


def _held(value: jax.Array, learned: bool) -> nnx.Variable:
    return nnx.Param(value) if learned else Fixed(value)
