"""Side-by-side pictures of what the methods make of a coarse target."""

import numpy as np
from PIL import Image

from experiments.joint_upsampling.colours import Palette
from experiments.joint_upsampling.layout import row, scaled, stack, titled
from experiments.joint_upsampling.real_pair import RealPair

_UNKNOWN = 90


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
    truth = pair.target[0]
    palette = Palette(truth, pair.valid)
    photo = (255 * pair.guide[0]).round().astype(np.uint8)
    factor = truth.shape[0] // target_low.shape[0]
    measured = np.where(pair.valid[..., None], palette(truth), _UNKNOWN).astype(np.uint8)
    panels = [
        ("photograph", photo),
        (f"given: 1/{factor} of the size", palette(enlarged(target_low[..., None], factor))),
    ]
    panels += [
        (f"{name}: {scores[name]:.2f}", palette(r[..., None])) for name, r in results.items()
    ]
    panels += [("measured (grey: unknown)", measured)]
    window = detail_window(truth[..., 0], pair.valid)
    width = 280
    top = [titled(title, scaled(image, width, whole=True)) for title, image in panels]
    bottom = [scaled(image[window], width, whole=False) for _, image in panels]
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
