"""Pairwise terms in one word, as the names of the original's models have them."""

import re

from pac_jax.crf import PairwiseTerm

_TERM = re.compile(r"(4d|2d|0d)(s?)(\d+)_(\d+)_(\d+)")
_MIXINGS = {"4d": "full", "2d": "matrix", "0d": "potts"}


def read_terms(text: str) -> tuple[PairwiseTerm, ...]:
    """Pairwise terms of a word.

    Args:
        text: terms joined by p: mixing (4d full, 2d matrix, 0d Potts), s if 2d or 0d have a spatial
            filter, then window, dilation and blur joined by _; nothing for no terms.

    Raises:
        ValueError: it is something else.

    Example:
        >>> from experiments.segmentation.crf_terms import read_terms
        >>> [(term.mixing, term.window, term.dilation) for term in read_terms("4d5_16_1p0ds3_1_1")]
        [('full', 5, 16), ('potts', 3, 1)]
    """
    return tuple(_term(word) for word in text.split("p")) if text else ()


def _term(word: str) -> PairwiseTerm:
    found = _TERM.fullmatch(word)
    if not found:
        raise ValueError(
            f"crf has the term {word!r}; it needs 4d, 2d, 2ds, 0d or 0ds and then "
            "WINDOW_DILATION_BLUR, such as 4d5_16_1"
        )
    mixing, spatial = _MIXINGS[found[1]], bool(found[2]) or found[1] == "4d"
    window, dilation, blur = (int(number) for number in found.groups()[2:])
    return PairwiseTerm(
        window,
        dilation,
        blur,
        mixing,
        spatial_filter=spatial,
        learn_weight=mixing == "potts",
    )
