"""Which networks for which sizes."""

import pytest

from pac_jax.upsampling.composition import chain, ratio

AVAILABLE = (4, 8, 16)


@pytest.mark.parametrize(
    ("target", "guide", "factor", "expected"),
    [
        ((60, 80), (480, 640), None, (8,)),
        ((60, 80), (480, 640), 8, (8,)),
        ((61, 81), (483, 641), None, (8,)),  # rounded up
        ((60, 80), (483, 641), None, (8,)),  # cut off
        ((61, 80), (485, 640), 8, (8,)),
        ((240, 320), (480, 640), None, (4,)),  # factor 2: enlarged for the next
        ((160, 214), (480, 640), None, (4,)),  # 3
        ((96, 128), (480, 640), None, (8,)),  # 5
        ((180, 240), (1080, 1440), None, (8,)),  # 6
        ((171, 224), (480, 640), None, (4,)),  # 2.8, not quite the same shape
        ((40, 53), (480, 640), None, (16,)),  # 12
        ((30, 40), (480, 640), None, (16,)),
        ((15, 20), (480, 640), None, (8, 4)),  # 32: two in a row
        ((8, 10), (480, 640), None, (16, 4)),  # 64, rounded
        ((24, 32), (480, 640), None, (8, 4)),  # 20: enlarged for 32
        ((2, 3), (2048, 3072), None, (16, 16, 4)),
        ((100, 100), (110, 110), None, (4,)),
        ((171, 229), (480, 640), 2.8, (4,)),
    ],
)
def test_chain(target, guide, factor, expected):
    assert chain(target, guide, ratio(target, guide, factor), AVAILABLE) == expected


@pytest.mark.parametrize(
    ("guide", "expected"), [((48, 64), (8,)), ((24, 32), (8,)), ((300, 400), (8, 8))]
)
def test_one_network_alone_is_used_as_often_as_needed(guide, expected):
    assert chain((6, 8), guide, ratio((6, 8), guide, None), (8,)) == expected


@pytest.mark.parametrize(
    ("target", "guide", "factor", "message"),
    [
        ((60, 80), (640, 480), None, "10.67 times higher but 6.00 times wider"),
        ((60, 80), (480, 720), None, "need to show the same view: crop or turn one of them"),
        ((60, 80), (60, 80), None, "the guide needs to be the larger one"),
        ((60, 80), (30, 40), None, "the guide needs to be the larger one"),
        ((60, 80), (480, 640), 4, r"factor is 4, but .* needs a target of \(120, 160\)"),
        ((60, 80), (489, 640), 8, r"factor is 8, but .* needs a target of \(62, 80\)"),
        ((60, 80), (480, 640), 1, "factor is 1; it needs a number above 1"),
        ((60, 80), (480, 640), float("nan"), "factor is nan; it needs a number above 1"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(target, guide, factor, message):
    with pytest.raises(ValueError, match=message):
        ratio(target, guide, factor)


def test_a_factor_that_no_chain_reaches_is_refused():
    with pytest.raises(ValueError, match=r"networks of factors \(2,\) reach 16"):
        chain((1, 1), (64, 64), 64.0, (2,))
