"""Conditional random fields: class scores and an image give cleaner label maps."""

from pac_jax.crf.full import full_mean_field, position_and_color
from pac_jax.crf.inference import Inference
from pac_jax.crf.layers import Fixed, PacCRF
from pac_jax.crf.mean_field import mean_field
from pac_jax.crf.terms import PairwiseTerm, TermWeights, Weights, initial_weights

__all__ = [
    "Fixed",
    "Inference",
    "PacCRF",
    "PairwiseTerm",
    "TermWeights",
    "Weights",
    "full_mean_field",
    "initial_weights",
    "mean_field",
    "position_and_color",
]
