"""The CRF that refines: which pixels speak to each other, and how much the colours count."""

from typing import NamedTuple

from pac_jax.crf.terms import PairwiseTerm

__all__ = ["STEPS", "TERMS", "RefinementTerm"]


class RefinementTerm(NamedTuple):
    """A pairwise term and the scale of its guide, the image.

    Attributes:
        pairwise: window, dilation, blur and weight; mixing 'potts': equal labels attract.
        color_deviation: distance of colours, in [0, 1] each, at which pixels speak with exp(-1/2).
    """

    pairwise: PairwiseTerm
    color_deviation: float


def potts(
    window: int, dilation: int, blur: int, color_deviation: float, weight: float
) -> RefinementTerm:
    """A term with equal labels attracting; all distances are of the blurred image."""
    pairwise = PairwiseTerm(window, dilation=dilation, blur=blur, mixing="potts", weight=weight)
    return RefinementTerm(pairwise, color_deviation)


# Found by `python -m experiments.segmentation.search`; see docs/segmentation.md. Both terms are
# blurred, which makes them a quarter and a sixteenth of the work; the scores stay as fine as they are.
TERMS = (
    potts(5, dilation=2, blur=2, color_deviation=0.042, weight=2.4),  # 8 pixels to all sides
    potts(7, dilation=6, blur=4, color_deviation=0.013, weight=2.6),  # 72 pixels
)
STEPS = 5
