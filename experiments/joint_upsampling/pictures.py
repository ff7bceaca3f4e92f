"""Side-by-side pictures of what the methods make of a coarse target."""

import numpy as np
from PIL import Image

from experiments.joint_upsampling.colours import Palette
from experiments.joint_upsampling.scores import Measured
from experiments.training.layout import row, scaled, stack, titled

_UNKNOWN = 90
_WIDTH = 280
# Part of the range by which a target changes at an edge from one pixel to the next.
_STEP = 0.04


def comparison(measured: Measured) -> Image.Image:
    """Two rows: whole images, and a detail of each enlarged.

    Args:
        measured: what the methods made of one image; titles bear the first convention's errors.

    Returns:
        The picture.
    """
    pair, target_low = measured.task.pair, measured.task.target_low[0]
    truth = pair.target[0]
    palette = Palette(truth, pair.valid)
    errors = {score.method: score.value for score in reversed(measured.scores)}
    photo = (255 * pair.guide[0]).round().astype(np.uint8)
    known = np.where(pair.valid[..., None], palette(truth), _UNKNOWN).astype(np.uint8)
    factor = measured.factor
    coarse = enlarged(target_low, factor)[: truth.shape[0], : truth.shape[1]]
    panels = [("photograph", photo), (f"given: 1/{factor} of the size", palette(coarse))]
    panels += [(f"{name}: {errors[name]:.2f}", palette(r)) for name, r in measured.results.items()]
    panels += [("measured" + ("" if pair.valid.all() else " (grey: unknown)"), known)]
    window = detail_window(truth, pair.valid)
    top = [titled(title, scaled(image, _WIDTH, whole=True)) for title, image in panels]
    bottom = [scaled(image[window], _WIDTH, whole=False) for _, image in panels]
    return stack([row(top), row(bottom)])


def scene_rows(
    guide: np.ndarray,
    target_low: np.ndarray,
    bicubic: np.ndarray,
    result: np.ndarray,
    target: np.ndarray,
) -> np.ndarray:
    """Held-out scenes, one a row.

    Args:
        guide: (N, H, W, 3) in [0, 1].
        target_low: (N, h, w, C) what is given.
        bicubic: (N, H, W, C) interpolated.
        result: (N, H, W, C) the network's.
        target: (N, H, W, C) the truth.

    Returns:
        (height, width, 3) uint8.
    """
    rows: list[Image.Image] = []
    factor = target.shape[1] // target_low.shape[1]
    for number, truth in enumerate(target):
        palette = Palette(truth)
        photo = (255 * guide[number].clip(0, 1)).round().astype(np.uint8)
        maps = (enlarged(target_low[number], factor), bicubic[number], result[number], truth)
        images = [photo, *map(palette, maps)]
        pictures = [scaled(image, 192, whole=False) for image in images]
        if not rows:
            names = ("guide", "given", "bicubic", "network", "truth")
            pictures = [titled(n, p) for n, p in zip(names, pictures, strict=True)]
        rows.append(row(pictures))
    return np.asarray(stack(rows))


def enlarged(target_low: np.ndarray, factor: int) -> np.ndarray:
    """(h, w, C) as squares of factor x factor pixels."""
    return target_low.repeat(factor, axis=0).repeat(factor, axis=1)


def detail_window(truth: np.ndarray, valid: np.ndarray, size: int = 120) -> tuple[slice, slice]:
    """The square with the most measured steps in the target.

    Args:
        truth: (H, W, C).
        valid: (H, W) booleans.
        size: of the square in pixels.
    """
    change = np.abs(np.diff(truth, axis=1, prepend=truth[:, :1])).max(axis=-1)
    step = (change > _STEP * np.ptp(truth[valid])) & valid
    best, window = -1.0, (slice(0, size), slice(0, size))
    for y in range(0, truth.shape[0] - size + 1, size // 4):
        for x in range(0, truth.shape[1] - size + 1, size // 4):
            square = (slice(y, y + size), slice(x, x + size))
            score = step[square].mean()
            if score > best:
                best, window = score, square
    return window
