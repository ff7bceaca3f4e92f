import numpy as np
import pytest

from pac_jax.files.palette import voc_palette

# As the development kit's documentation shows them, in the order of the classes.
OF_21_CLASSES = """
    000000 800000 008000 808000 000080 800080 008080 808080 400000 c00000 408000 c08000
    400080 c00080 408080 c08080 004000 804000 00c000 80c000 004080
"""


def test_colours_of_the_21_classes():
    wanted = [list(bytes.fromhex(color)) for color in OF_21_CLASSES.split()]
    assert voc_palette(21).tolist() == wanted
    assert voc_palette()[255].tolist() == [224, 224, 192]  # the cream of void


def test_every_colour_by_the_loop_over_bits():
    for number, color in enumerate(voc_palette()):
        wanted, rest = [0, 0, 0], number
        for shift in range(7, -1, -1):
            for channel in range(3):
                wanted[channel] |= (rest >> channel & 1) << shift
            rest >>= 3
        assert color.tolist() == wanted


def test_type_and_number_of_colours():
    palette = voc_palette()
    assert palette.dtype == np.uint8
    assert palette.shape == (256, 3)
    assert len(np.unique(palette, axis=0)) == 256
    assert (voc_palette(7) == palette[:7]).all()


@pytest.mark.parametrize("colors", [0, 257])
def test_too_few_or_many_colours(colors):
    with pytest.raises(ValueError, match=f"colors is {colors}; the palette has 1 to 256"):
        voc_palette(colors)
