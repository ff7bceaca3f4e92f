"""Draws the picture that explains pixel-adaptive convolution: docs/affinity.png.

python -m experiments.figures --out docs/affinity.png
"""

import argparse
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import skimage.data
from PIL import Image, ImageDraw, ImageFont

import pac_jax

_WINDOW = 31
_ZOOM = 6
_GAP = 12
_TITLE = 30
_COLOR_SCALE = 8.0
_SPACE_SCALE = 1 / 8
# Pixels (row, column) of the cropped photograph: on an edge, inside a dark part, on a thin line.
_POINTS = ((96, 196), (210, 120), (60, 60))


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/affinity.png"))
    draw().save(parser.parse_args().out)


def draw() -> Image.Image:
    """A photograph with three windows; per window its pixels, its affinity, the adapted kernel."""
    photo = skimage.data.coffee()[:300, 120:480]
    image = jnp.asarray(photo[None] / 255, jnp.float32)
    half = _WINDOW // 2
    affinity = np.asarray(
        pac_jax.pac_affinity(
            jnp.stack(
                [image[0, y - half : y + half + 1, x - half : x + half + 1] for y, x in _POINTS]
            )
            * _COLOR_SCALE,
            (_WINDOW, _WINDOW),
            padding="VALID",
        )
    )[:, 0, 0]
    offsets = np.arange(_WINDOW) - half
    line = np.exp(-0.5 * (_SPACE_SCALE * offsets) ** 2)
    kernel = np.outer(line, line)
    filtered = pac_jax.filters.bilateral_filter(
        image, window_size=_WINDOW, color_scale=_COLOR_SCALE, space_scale=_SPACE_SCALE
    )
    blurred = pac_jax.filters.joint_bilateral_filter(
        image,
        jnp.zeros_like(image[..., :1]),
        window_size=_WINDOW,
        color_scale=1.0,
        space_scale=_SPACE_SCALE,
    )
    rows = []
    for (y, x), k in zip(_POINTS, affinity, strict=True):
        pixels = photo[y - half : y + half + 1, x - half : x + half + 1]
        cells = (pixels, _grey(k), _grey(kernel), _grey(k * kernel))
        rows.append([Image.fromarray(c).resize((_WINDOW * _ZOOM,) * 2, 0) for c in cells])
    titles = ("window", "affinity K", "kernel W", "K times W: what is used")
    page = _page(_marked(photo), rows, titles)
    results = [("W alone: a blur", blurred), ("K W, normalised: pixel-adaptive", filtered)]
    return _with_results(page, [(t, np.asarray(r)[0]) for t, r in results])


def _grey(weights: np.ndarray) -> np.ndarray:
    return (255 * weights / weights.max()).round().astype(np.uint8)[..., None].repeat(3, axis=-1)


def _marked(photo: np.ndarray) -> Image.Image:
    picture = Image.fromarray(photo)
    pen = ImageDraw.Draw(picture)
    for number, (y, x) in enumerate(_POINTS):
        half = _WINDOW // 2
        pen.rectangle((x - half, y - half, x + half, y + half), outline="white", width=2)
        pen.text((x + half + 4, y - half), str(number + 1), fill="white", font=_font())
    return picture


def _page(
    photo: Image.Image, rows: list[list[Image.Image]], titles: tuple[str, ...]
) -> Image.Image:
    cell = _WINDOW * _ZOOM
    left = photo.width + 2 * _GAP + 20
    width = left + len(titles) * (cell + _GAP)
    page = Image.new("RGB", (width, _TITLE + len(rows) * (cell + _GAP)), "white")
    pen = ImageDraw.Draw(page)
    pen.text((_GAP, 6), "photograph, three windows", fill="black", font=_font())
    page.paste(photo, (_GAP, _TITLE))
    for column, title in enumerate(titles):
        pen.text((left + column * (cell + _GAP), 6), title, fill="black", font=_font())
    for number, row in enumerate(rows):
        y = _TITLE + number * (cell + _GAP)
        pen.text((left - 18, y + cell // 2), str(number + 1), fill="black", font=_font())
        for column, picture in enumerate(row):
            page.paste(picture, (left + column * (cell + _GAP), y))
    return page


def _with_results(page: Image.Image, results: list[tuple[str, np.ndarray]]) -> Image.Image:
    height = _TITLE + results[0][1].shape[0] + _GAP
    whole = Image.new("RGB", (page.width, page.height + height), "white")
    whole.paste(page, (0, 0))
    x = _GAP
    for title, values in results:
        ImageDraw.Draw(whole).text((x, page.height + 6), title, fill="black", font=_font())
        picture = Image.fromarray((255 * values.clip(0, 1)).round().astype(np.uint8))
        whole.paste(picture, (x, page.height + _TITLE))
        x += picture.width + _GAP
    return whole


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=16)


if __name__ == "__main__":
    main()
