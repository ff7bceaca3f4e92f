"""Side-by-side pictures of what the methods make of a coarse target."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from experiments.joint_upsampling.real_pair import RealPair

_GAP = 6
_TITLE = 26
# Dark blue, teal, green, yellow, near white: rising in lightness, so it also reads in grey.
_COLOURS = np.array(
    [[24, 16, 64], [33, 64, 140], [26, 122, 150], [72, 176, 104], [222, 212, 66], [255, 250, 222]]
)


def colour_map(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Colours for values (H, W) in low ... high: (H, W, 3) uint8."""
    position = np.clip((values - low) / (high - low), 0, 1) * (len(_COLOURS) - 1)
    stops = np.arange(len(_COLOURS))
    channels = [np.interp(position, stops, _COLOURS[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def comparison(
    pair: RealPair,
    target_low: np.ndarray,
    results: dict[str, np.ndarray],
    scores: dict[str, float],
) -> Image.Image:
    """Two rows: whole images, and a detail of each at three times the size.

    Args:
        pair: photograph and measured target.
        target_low: (h, w) the coarse target.
        results: (H, W) by method.
        scores: RMSE by method.

    Returns:
        The picture.
    """
    truth = pair.target[0, ..., 0]
    low, high = np.percentile(truth[pair.valid], [0.5, 99.5])
    photo = (255 * pair.guide[0]).round().astype(np.uint8)
    factor = truth.shape[0] // target_low.shape[0]
    coarse = target_low.repeat(factor, axis=0).repeat(factor, axis=1)
    measured = np.where(pair.valid[..., None], colour_map(truth, low, high), 90).astype(np.uint8)
    panels = [
        ("photograph", photo),
        (f"given: 1/{factor} of the size", colour_map(coarse, low, high)),
    ]
    panels += [
        (f"{name}: {scores[name]:.2f}", colour_map(r, low, high)) for name, r in results.items()
    ]
    panels += [("measured (grey: unknown)", measured)]
    window = detail_window(truth, pair.valid)
    width = 280
    top = [_titled(title, _scaled(image, width, whole=True)) for title, image in panels]
    bottom = [_scaled(image[window], width, whole=False) for _, image in panels]
    return _stack([_row(top), _row(bottom)])


def detail_window(truth: np.ndarray, valid: np.ndarray, size: int = 120) -> tuple[slice, slice]:
    """The square with the most measured steps in the target."""
    step = (np.abs(np.diff(truth, axis=1, prepend=truth[:, :1])) > 2) & valid
    best, window = -1.0, (slice(0, size), slice(0, size))
    for y in range(0, truth.shape[0] - size + 1, size // 4):
        for x in range(0, truth.shape[1] - size + 1, size // 4):
            square = (slice(y, y + size), slice(x, x + size))
            score = step[square].mean()
            if score > best:
                best, window = score, square
    return window


def _scaled(image: np.ndarray, width: int, *, whole: bool) -> Image.Image:
    picture = Image.fromarray(image)
    height = round(width * image.shape[0] / image.shape[1])
    return picture.resize(
        (width, height), Image.Resampling.LANCZOS if whole else Image.Resampling.NEAREST
    )


def _titled(title: str, picture: Image.Image) -> Image.Image:
    titled = Image.new("RGB", (picture.width, picture.height + _TITLE), "white")
    titled.paste(picture, (0, _TITLE))
    font = ImageFont.load_default(size=16)
    ImageDraw.Draw(titled).text((2, 3), title, fill="black", font=font)
    return titled


def _row(pictures: list[Image.Image]) -> Image.Image:
    width = sum(p.width for p in pictures) + _GAP * (len(pictures) - 1)
    row = Image.new("RGB", (width, max(p.height for p in pictures)), "white")
    x = 0
    for picture in pictures:
        row.paste(picture, (x, 0))
        x += picture.width + _GAP
    return row


def _stack(rows: list[Image.Image]) -> Image.Image:
    height = sum(r.height for r in rows) + _GAP * (len(rows) - 1)
    page = Image.new("RGB", (max(r.width for r in rows), height), "white")
    y = 0
    for row in rows:
        page.paste(row, (0, y))
        y += row.height + _GAP
    return page
