"""What Pillow reads and writes: photographs as they look, and integers or floats as they stand."""

import struct
from typing import Any

import numpy as np
from PIL import Image, ImageFile, ImageOps

from pac_jax.files.errors import FileFormatError, Path, reading

__all__ = ["read_image", "read_stored", "write_grey", "write_indices"]

_PHOTOGRAPH = "an image such as PNG, JPEG or TIFF"
_PNG_HEADER = struct.Struct(">8s4x4sIIBB")  # signature, name, width, height, bit depth, colour type
_PNG_GREY, _PNG_COLORS = 0, 2
_TIFF_SAMPLE_FORMAT = 339


def read_image(path: Path) -> np.ndarray:
    """Read a photograph as colours in [0, 1].

    Anything that Pillow opens: grey and palette images become colours, an alpha channel is dropped,
    of an animation the first frame is taken, the camera's orientation (EXIF) is applied. Grey images
    keep their 16 bits; Pillow reads 16-bit colours to 8 bits.

    Args:
        path: of the file.

    Returns:
        Of shape (H, W, 3), float32 in [0, 1].

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: it is no image, it is damaged, or its values have no known range.

    Example:
        >>> from pac_jax.files import read_image
        >>> read_image("photo.jpg").shape  # doctest: +SKIP
        (480, 640, 3)
    """
    with reading(path, _PHOTOGRAPH), Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith(("I", "F")):
            return _colors_of_grey(path, np.asarray(upright, np.float64), upright.mode)
        if "transparency" in upright.info:  # which RGB alone would drop with a warning
            upright = upright.convert("RGBA")
        return np.asarray(upright.convert("RGB"), np.float32) / np.float32(255)


def _colors_of_grey(path: Path, values: np.ndarray, mode: str) -> np.ndarray:
    """Grey of 16 bits, or floats that are in [0, 1] already, as three equal channels."""
    largest = 1.0 if mode == "F" else 65535.0
    if not (values.min() >= 0 and values.max() <= largest):  # false for NaN, too
        raise FileFormatError(
            path,
            f"its values span [{values.min():g}, {values.max():g}]",
            f"values in [0, {largest:g}]",
        )
    return np.repeat((values / largest).astype(np.float32)[..., None], 3, axis=-1)


def read_stored(path: Path, expected: str, *, palette: bool = False) -> np.ndarray:
    """Read the numbers that stand in a file: grey levels, palette indices, or floats.

    Args:
        path: of a PNG, PGM or TIFF.
        expected: for the line of the error.
        palette: whether the indices of a palette are wanted; otherwise they mean colours.

    Returns:
        Of shape (H, W); uint8, uint16, int32 or float32.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: it is damaged, or has several channels that are not equal.
    """
    with reading(path, expected), Image.open(path) as image:
        if image.format == "PPM":
            _check_unscaled(path, image, expected)
        if image.format == "TIFF":
            _check_sample_format(path, image, expected)
        if image.mode == "P" and not palette:
            raise FileFormatError(path, "it has a palette of colours", expected)
        values = np.asarray(image)
        if values.dtype == np.bool_:
            values = values.astype(np.uint8)
        elif image.format == "PNG":
            bits, color = _bits_and_color_type(path)
            if color == _PNG_GREY and bits < 8:
                values = values // (255 // (2**bits - 1))  # Pillow stretches levels to 8 bits
            if color == _PNG_COLORS and bits == 8 and (values == values[..., :1]).all():
                values = values[..., 0]  # grey that some program saved as colours
        if values.ndim != 2:
            raise FileFormatError(path, f"it has the channels {image.mode}", expected)
        return values.astype(values.dtype.newbyteorder("="), copy=False)


def _bits_and_color_type(path: Path) -> tuple[int, int]:
    """What the header of a PNG says; Pillow keeps it to itself."""
    with open(path, "rb") as file:
        *_, bits, color = _PNG_HEADER.unpack(file.read(_PNG_HEADER.size))
    return bits, color


def _check_unscaled(path: Path, image: ImageFile.ImageFile, expected: str) -> None:
    """Refuse PGM whose maximum makes Pillow rescale the values."""
    maximum = image.tile[0].args
    maximum = maximum[-1] if isinstance(maximum, tuple) else maximum
    if isinstance(maximum, int) and maximum not in (0, 1, 255, 65535):
        raise FileFormatError(
            path, f"its maximum is {maximum}", f"{expected}, maximum 255 or 65535"
        )


def _check_sample_format(path: Path, image: Any, expected: str) -> None:
    """Refuse TIFF whose 32 bits may be integers or, where its end is lost, floats."""
    if image.mode == "I" and _TIFF_SAMPLE_FORMAT not in image.tag_v2:
        raise FileFormatError(path, "it has 32 bits and no sample format", expected)


def write_grey(path: str, values: np.ndarray) -> None:
    """Write (H, W) uint8 or uint16 as a grey PNG."""
    Image.fromarray(values).save(path, format="PNG")


def write_indices(path: str, values: np.ndarray, palette: np.ndarray) -> None:
    """Write (H, W) uint8 as the indices of a palette (n, 3) uint8 in a PNG."""
    image = Image.fromarray(values).convert("L")
    image.putpalette(palette.tobytes())
    image.save(path, format="PNG")
