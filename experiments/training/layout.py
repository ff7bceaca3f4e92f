"""Pictures in rows with titles."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from experiments.training.run_folder import write_atomically

_GAP = 6
_TITLE = 26


def scaled(image: np.ndarray, width: int, *, whole: bool) -> Image.Image:
    """A (H, W, 3) uint8 image at this width: smooth if it is a whole image, else every pixel."""
    picture = Image.fromarray(image)
    height = round(width * image.shape[0] / image.shape[1])
    return picture.resize(
        (width, height), Image.Resampling.LANCZOS if whole else Image.Resampling.NEAREST
    )


def titled(title: str, picture: Image.Image) -> Image.Image:
    """The picture under its title."""
    result = Image.new("RGB", (picture.width, picture.height + _TITLE), "white")
    result.paste(picture, (0, _TITLE))
    font = ImageFont.load_default(size=16)
    ImageDraw.Draw(result).text((2, 3), title, fill="black", font=font)
    return result


def row(pictures: list[Image.Image]) -> Image.Image:
    """Pictures side by side."""
    width = sum(p.width for p in pictures) + _GAP * (len(pictures) - 1)
    page = Image.new("RGB", (width, max(p.height for p in pictures)), "white")
    x = 0
    for picture in pictures:
        page.paste(picture, (x, 0))
        x += picture.width + _GAP
    return page


def stack(rows: list[Image.Image]) -> Image.Image:
    """Pictures below one another."""
    height = sum(r.height for r in rows) + _GAP * (len(rows) - 1)
    page = Image.new("RGB", (max(r.width for r in rows), height), "white")
    y = 0
    for picture in rows:
        page.paste(picture, (0, y))
        y += picture.height + _GAP
    return page


def save_picture(picture: Image.Image | np.ndarray, path: Path) -> None:
    """Write a picture or (H, W, 3) uint8 as PNG, whole or not at all."""
    data = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(data, format="png")
    write_atomically(path, data.getvalue())
