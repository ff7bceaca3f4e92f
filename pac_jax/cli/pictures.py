"""Draws maps beside the photograph they belong to."""

import colorsys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pac_jax.files.atomic import replacing
from pac_jax.files.palette import voc_palette

__all__ = ["Colours", "overlay", "panels", "rows", "save"]

_WIDTH, _TITLE, _GAP = 480, 24, 6
_UNKNOWN = 128
_LABELS = 0.65  # share of their colours over a photograph
# Dark blue, teal, green, yellow, near white: rising in lightness, so it also reads in grey.
_STOPS = np.array(
    [[24, 16, 64], [33, 64, 140], [26, 122, 150], [72, 176, 104], [222, 212, 66], [255, 250, 222]]
)
_WHEEL = np.array([colorsys.hsv_to_rgb(hue, 1, 1) for hue in np.linspace(0, 1, 37)])
# Hues a golden angle apart: neighbouring class numbers look unlike.
_CLASSES = np.array(
    [colorsys.hsv_to_rgb(0.618034 * n % 1, 0.5 + 0.4 * (n % 2), 0.95 - 0.3 * (n % 3) / 2)
     for n in range(256)]
)  # fmt: skip


class Colours:
    """Colours by one scale for all versions of one map.

    Args:
        values: (H, W), or (H, W, 2) of a flow; sets the scale by its known pixels.
        kind: 'depth', 'flow' or 'labels'.
    """

    def __init__(self, values: np.ndarray, kind: str):
        self.kind = kind
        known = self._length(values)[self._known(values)]
        scale = np.percentile(known, [0.5, 99.5]) if known.size else (0.0, 1.0)
        self.low, self.high = map(float, scale)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8; grey where unknown."""
        if self.kind == "labels":
            return (
                (255 * _CLASSES[values.astype(np.int64) % len(_CLASSES)]).round().astype(np.uint8)
            )
        known = self._known(values)
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        if self.kind == "flow":
            colours = self._of_flow(values)
        else:
            position = np.clip((values - self.low) / (self.high - self.low or 1), 0, 1)
            colours = _between(position, _STOPS)
        return np.where(known[..., None], colours, _UNKNOWN).round().astype(np.uint8)

    def _of_flow(self, flow: np.ndarray) -> np.ndarray:
        """The direction as hue, rest as white."""
        direction = (np.arctan2(flow[..., 1], flow[..., 0]) / (2 * np.pi)) % 1
        strength = np.clip(self._length(flow) / (self.high or 1), 0, 1)[..., None]
        return 255 * (1 - strength * (1 - _between(direction, _WHEEL)))

    def _known(self, values: np.ndarray) -> np.ndarray:
        if self.kind == "flow":
            return np.isfinite(values).all(-1)
        return np.isfinite(values) & (values != 0) if self.kind == "depth" else values >= 0

    def _length(self, values: np.ndarray) -> np.ndarray:
        return np.hypot(values[..., 0], values[..., 1]) if self.kind == "flow" else values


def _between(position: np.ndarray, stops: np.ndarray) -> np.ndarray:
    places = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(position, places, stops[:, c]) for c in range(3)], axis=-1)


def overlay(photograph: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Labels 0 to 255 in VOC's colours over the photograph: (H, W, 3) uint8."""
    colours = _LABELS * voc_palette()[labels] + (1 - _LABELS) * photograph
    return colours.round().astype(np.uint8)


def panels(images: Sequence[tuple[str, np.ndarray]], width: int = _WIDTH) -> Image.Image:
    """Images (H, W, 3) uint8 side by side, each under its title, as high as the first.

    Args:
        images: title and image; smaller ones are enlarged pixel by pixel.
        width: of each.
    """
    height = max(1, round(width * images[0][1].shape[0] / images[0][1].shape[1]))
    top = _TITLE if any(title for title, _ in images) else 0
    page = Image.new("RGB", ((width + _GAP) * len(images) - _GAP, height + top), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=15)
    for number, (title, image) in enumerate(images):
        grows = image.shape[1] < width
        method = Image.Resampling.NEAREST if grows else Image.Resampling.LANCZOS
        x = number * (width + _GAP)
        draw.text((x + 2, 3), title, fill="black", font=font)
        page.paste(Image.fromarray(image).resize((width, height), method), (x, top))
    return page


def rows(*pictures: Image.Image) -> Image.Image:
    """Pictures one below the other."""
    height = sum(picture.height + _GAP for picture in pictures) - _GAP
    page = Image.new("RGB", (max(picture.width for picture in pictures), height), "white")
    y = 0
    for picture in pictures:
        page.paste(picture, (0, y))
        y += picture.height + _GAP
    return page


def save(picture: Image.Image, path: Path) -> None:
    """Write a PNG whole or not at all."""
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG", optimize=True)
