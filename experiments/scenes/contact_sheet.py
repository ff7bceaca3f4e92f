"""Look at random scenes, or measure how fast they are made.

    python -m experiments.scenes.contact_sheet --out sheet.png --seed 0
    python -m experiments.scenes.contact_sheet --benchmark

The picture in the documentation is made by

    python -m experiments.scenes.contact_sheet --seed 21 --palette --out docs/scenes.png

Each scene is shown as photograph, inverse depth (near is bright), flow (hue is direction), and
labels.
"""

from __future__ import annotations

import argparse
import time

import jax
import numpy as np
from PIL import Image

from experiments.scenes.config import OBJECT_KINDS, SceneConfig
from experiments.scenes.render import Scene, render_batch

_GAP = 4
_DEPTH_STOPS = np.array(
    [(20, 20, 60), (60, 40, 150), (30, 130, 190), (60, 190, 110), (240, 220, 60), (255, 255, 235)]
)


def colour_depth(depth: np.ndarray) -> np.ndarray:
    """Paint inverse depth: near is bright, each scene over its own range.

    Args:
        depth: (H, W, 1) inverse depth.

    Returns:
        (H, W, 3) uint8.
    """
    low, high = depth.min(), depth.max()
    part = (depth[..., 0] - low) / max(high - low, 1e-6)
    stops = np.linspace(0.0, 1.0, len(_DEPTH_STOPS))
    channels = [np.interp(part, stops, _DEPTH_STOPS[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def colour_flow(flow: np.ndarray) -> np.ndarray:
    """Paint motion: direction is hue, length is saturation, each scene up to its longest.

    Args:
        flow: (H, W, 2) displacement in pixels.

    Returns:
        (H, W, 3) uint8.
    """
    length = np.hypot(flow[..., 0], flow[..., 1])
    hue = (np.arctan2(flow[..., 1], flow[..., 0]) / (2.0 * np.pi)) % 1.0
    saturation = length / max(length.max(), 1e-6)
    hsv = np.stack([hue, saturation, np.ones_like(hue)], axis=-1)
    return np.asarray(Image.fromarray((255.0 * hsv).astype(np.uint8), "HSV").convert("RGB"))


def colour_labels(labels: np.ndarray) -> np.ndarray:
    """Paint labels: the background is dark grey, each kind of layer has a hue.

    Args:
        labels: (H, W) labels.

    Returns:
        (H, W, 3) uint8.
    """
    hue = labels / (1.0 + len(OBJECT_KINDS))
    is_object = (labels > 0).astype(float)
    hsv = np.stack([hue, 0.75 * is_object, 0.25 + 0.7 * is_object], axis=-1)
    return np.asarray(Image.fromarray((255.0 * hsv).astype(np.uint8), "HSV").convert("RGB"))


def draw_sheet(scenes: Scene, columns: int) -> np.ndarray:
    """Arrange image, depth, flow, and labels of each scene side by side.

    Args:
        scenes: Batch of N scenes.
        columns: Scenes per row.

    Returns:
        (H', W', 3) uint8 picture.
    """
    scenes = jax.tree.map(np.asarray, scenes)
    cells = []
    for image, depth, flow, labels in zip(*scenes, strict=True):
        photo = np.round(255.0 * image).astype(np.uint8)
        parts = [photo, colour_depth(depth), colour_flow(flow), colour_labels(labels)]
        cell = np.concatenate(parts, axis=1)
        cells.append(np.pad(cell, ((0, _GAP), (0, _GAP), (0, 0)), constant_values=255))
    while len(cells) % columns:
        cells.append(np.full_like(cells[0], 255))
    rows = [np.concatenate(cells[n : n + columns], axis=1) for n in range(0, len(cells), columns)]
    return np.concatenate(rows, axis=0)


def to_palette(sheet: np.ndarray) -> Image.Image:
    """Reduce a picture to its 256 most fitting colours, so that its file is a third as large.

    Args:
        sheet: (H, W, 3) uint8.

    Returns:
        Picture with a palette.
    """
    picture = Image.fromarray(sheet)
    # Only with a palette given does Pillow spread the error over neighbours.
    palette = picture.quantize(256)
    return picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)


def benchmark(side: int, batch_size: int, repeats: int) -> tuple[float, float, float]:
    """Measure compile time and speed of `render_batch`.

    Args:
        side: Height and width of the images in pixels.
        batch_size: Scenes per call.
        repeats: Number of timed calls.

    Returns:
        Seconds until the first batch is there; scenes per second after that in the fastest call,
        the one that other work on the machine disturbed least; and the least CPU time per scene in
        seconds, which other work hardly changes.
    """
    config = SceneConfig(size=(side, side))
    start = time.perf_counter()
    jax.block_until_ready(render_batch(jax.random.key(0), batch_size, config))
    first = time.perf_counter() - start
    seconds, cpu_seconds = [], []
    for seed in range(repeats):
        start, cpu_start = time.perf_counter(), time.process_time()
        jax.block_until_ready(render_batch(jax.random.key(seed), batch_size, config))
        seconds.append(time.perf_counter() - start)
        cpu_seconds.append(time.process_time() - cpu_start)
    return first, batch_size / min(seconds), min(cpu_seconds) / batch_size


def main() -> None:
    """Write a contact sheet, or print measured speeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="sheet.png", help="file to write the picture to")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first scene")
    parser.add_argument("--scenes", type=int, default=16, help="number of scenes")
    parser.add_argument("--columns", type=int, default=2, help="scenes per row")
    parser.add_argument("--side", type=int, default=128, help="image height and width in pixels")
    parser.add_argument("--palette", action="store_true", help="256 colours, for a smaller file")
    parser.add_argument("--benchmark", action="store_true", help="measure speed instead")
    arguments = parser.parse_args()
    if arguments.benchmark:
        for side, batch_size in ((64, 64), (128, 16)):
            first, rate, cpu = benchmark(side, batch_size, repeats=7)
            print(
                f"{side} x {side}: {rate:.0f} scenes/s, {1e3 * cpu:.1f} ms of CPU time per scene, "
                f"first batch after {first:.1f} s"
            )
        return
    config = SceneConfig(size=(arguments.side, arguments.side))
    scenes = render_batch(jax.random.key(arguments.seed), arguments.scenes, config)
    sheet = draw_sheet(scenes, arguments.columns)
    picture = to_palette(sheet) if arguments.palette else Image.fromarray(sheet)
    picture.save(arguments.out, optimize=True)


if __name__ == "__main__":
    main()
