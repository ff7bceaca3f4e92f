"""Pairwise terms in one word, as the names of the original's models have them, and more."""

import re
from typing import NamedTuple

from pac_jax.crf import PairwiseTerm

_TERM = re.compile(r"(4d|2d|0d)(s?)(\d+)_(\d+)_(\d+)(?:w(\d*\.?\d+))?(?:c(\d*\.?\d+))?")
_MIXINGS = {"4d": "full", "2d": "matrix", "0d": "potts"}
# The paper's: 30 of 255.
ORIGINAL_DEVIATION = 30 / 255


class GuidedTerm(NamedTuple):
    """A pairwise term and how its guide sees colours.

    Attributes:
        pairwise: the term.
        color_deviation: distance of colours, in [0, 1] each, at which pixels speak with exp(-1/2), as
            training begins.
    """

    pairwise: PairwiseTerm
    color_deviation: float


def read_terms(text: str) -> tuple[GuidedTerm, ...]:
    """Pairwise terms of a word.

    Args:
        text: terms joined by p: mixing (4d full, 2d matrix, 0d Potts), s if 2d or 0d have a spatial
            filter, then window, dilation and blur joined by _; then, if need be, w and the weight of
            the messages as they start (else 1), c and the deviation of colours as it starts (else
            30 / 255). Nothing for no terms.

    Raises:
        ValueError: it is something else.

    Example:
        >>> from experiments.segmentation.crf_terms import read_terms
        >>> full, potts = read_terms("4d5_16_1p0ds3_1_2w0.5c0.1")
        >>> full.pairwise.mixing, full.pairwise.dilation, potts.pairwise.blur, potts.color_deviation
        ('full', 16, 2, 0.1)
    """
    return tuple(_term(word) for word in text.split("p")) if text else ()


def _term(word: str) -> GuidedTerm:
    found = _TERM.fullmatch(word)
    if not found:
        raise ValueError(
            f"crf has the term {word!r}; it needs 4d, 2d, 2ds, 0d or 0ds and then "
            "WINDOW_DILATION_BLUR, such as 4d5_16_1"
        )
    mixing, spatial = _MIXINGS[found[1]], bool(found[2]) or found[1] == "4d"
    window, dilation, blur = (int(number) for number in found.groups()[2:5])
    term = PairwiseTerm(
        window,
        dilation,
        blur,
        mixing,
        spatial_filter=spatial,
        weight=float(found[6] or 1),
        learn_weight=mixing == "potts",
    )
    return GuidedTerm(term, float(found[7] or ORIGINAL_DEVIATION))
