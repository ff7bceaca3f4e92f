"""Draws the picture of `pac_jax.refine` in the documentation.

    python -m experiments.segmentation.refinement_picture --out docs/refine.png

The photograph is scikit-image's coffee (CC0). The scores are simulated, as a network of stride 16
might give them, from a rough outline drawn here: ellipses and a line.
"""

import argparse
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image, ImageDraw

import pac_jax
from experiments.segmentation.simulated_scores import Errors, simulated_scores
from pac_jax.cli.pictures import overlay, panels, save

_CLASSES = 21
_TABLE, _CHINA, _RIM, _COFFEE, _SPOON = 0, 1, 3, 5, 9
# Boxes of the ellipses, in the order of drawing.
_ELLIPSES = ((_CHINA, (78, 64, 480, 388)), (_RIM, (173, 19, 408, 207)), (_COFFEE, (205, 95, 370, 194)),
             (_SPOON, (326, 236, 406, 326)))  # fmt: skip
_HANDLE = (380, 240, 414, 72)


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/refine.png"))
    save(draw(), parser.parse_args().out)


def draw() -> Image.Image:
    """Photograph, labels by the scores alone, labels refined."""
    photograph = skimage.data.coffee()
    labels = _outlines(photograph.shape[:2])
    errors = Errors(stride=16, severity=0.5)
    scores = simulated_scores(labels, _CLASSES, errors, np.random.default_rng(0))
    before, after = (
        np.asarray(pac_jax.refine(scores, photograph, alignment="corners", strength=strength))
        for strength in (0.0, 1.0)
    )
    height, width, _ = scores.shape
    return panels(
        [
            ("photograph", photograph),
            (f"scores of {height} x {width}, interpolated", overlay(photograph, before)),
            ("pac_jax.refine", overlay(photograph, after)),
        ]
    )


def _outlines(size: tuple[int, int]) -> np.ndarray:
    image = Image.new("L", (size[1], size[0]), _TABLE)
    canvas = ImageDraw.Draw(image)
    for label, box in _ELLIPSES:
        canvas.ellipse(box, fill=label)
    canvas.line(_HANDLE, fill=_SPOON, width=14)
    return np.asarray(image)


if __name__ == "__main__":
    main()
