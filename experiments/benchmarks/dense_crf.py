"""The full CRF by pydensecrf2 and exactly: how fast, and how far apart.

    python -m experiments.benchmarks.dense_crf

prints how far pydensecrf2's probabilities, computed on a permutohedral lattice, are from exact ones
on scikit-image's photographs scaled down, after one step and after five. A step's differences grow
where two classes are nearly equal, and the next step starts from them. pydensecrf2 is in the extra
`peers`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.report import align_table
from pac_jax import crf

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee")


@dataclass(frozen=True)
class Setting:
    """Two Gaussian terms: on positions, and on positions and colours of 0 to 255.

    Attributes:
        smooth_deviation: of positions in the first, in pixels.
        smooth_weight: of the first.
        position_deviation: of positions in the second.
        color_deviation: of colours in the second.
        weight: of the second.
    """

    smooth_deviation: float
    smooth_weight: float
    position_deviation: float
    color_deviation: float
    weight: float

    def infer_exactly(self, scores: jax.Array, image: jax.Array, steps: int) -> crf.Inference:
        """All pairs: scores (N, H, W, L) and an image of 0 to 255, (N, H, W, 3)."""
        guides = [
            crf.position_and_color(image, self.smooth_deviation),
            crf.position_and_color(image, self.position_deviation, self.color_deviation),
        ]
        return crf.full_mean_field(scores, guides, [self.smooth_weight, self.weight], steps=steps)


DEEPLAB = Setting(3, 3, 67, 5, 4)
SETTINGS = {
    "DeepLab's: 3 w 3; 67, 5 w 4": DEEPLAB,
    "smoothness alone: 3 w 3": Setting(3, 3, 67, 5, 0),
    "colour alone: 67, 5 w 4": Setting(3, 0, 67, 5, 4),
    "small and wide: 2 w 1; 10, 20 w 2": Setting(2, 1, 10, 20, 2),
    "the library's example: 3 w 3; 80, 13 w 10": Setting(3, 3, 80, 13, 10),
}


def infer_by_pydensecrf2(
    log_probabilities: np.ndarray, image: np.ndarray, setting: Setting, steps: int
) -> np.ndarray:
    """Probabilities after so many steps, (H, W, L).

    Args:
        log_probabilities: (H, W, L).
        image: (H, W, 3) uint8.
        setting: of the two terms; one of weight 0 is left out.
        steps: number of steps.

    Raises:
        ModuleNotFoundError: pydensecrf2 is not installed.
    """
    from pydensecrf import densecrf

    height, width, classes = log_probabilities.shape
    dense = densecrf.DenseCRF2D(width, height, classes)
    unary = -log_probabilities.reshape(-1, classes).T
    dense.setUnaryEnergy(np.ascontiguousarray(unary, np.float32))
    if setting.smooth_weight:
        dense.addPairwiseGaussian(sxy=setting.smooth_deviation, compat=setting.smooth_weight)
    if setting.weight:
        dense.addPairwiseBilateral(
            sxy=setting.position_deviation,
            srgb=setting.color_deviation,
            rgbim=np.ascontiguousarray(image),
            compat=setting.weight,
        )
    probabilities = np.array(dense.inference(steps))
    return probabilities.reshape(classes, height, width).transpose(1, 2, 0)


def photograph(name: str, size: tuple[int, int]) -> np.ndarray:
    """One of scikit-image's photographs in another size, (*size, 3) uint8."""
    from skimage import data, transform

    resized = transform.resize(getattr(data, name)(), size, anti_aliasing=True)
    return np.round(255 * resized).astype(np.uint8)


def noisy_log_probabilities(image: np.ndarray, classes: int) -> np.ndarray:
    """What an unsure classifier of colours might say, (H, W, L): worse where noise has it."""
    random = np.random.default_rng(0)
    centres = random.uniform(0, 255, size=(classes, 3))
    distance = np.linalg.norm(image[:, :, None] - centres, axis=-1)
    scores = -distance / 60 + random.normal(size=distance.shape)
    return np.asarray(jax.nn.log_softmax(jnp.asarray(scores, jnp.float32)))


def differences(image: np.ndarray, classes: int, setting: Setting, steps: int = 5) -> np.ndarray:
    """How far pydensecrf2's probabilities are from exact ones, (H, W, L), signed."""
    scores = noisy_log_probabilities(image, classes)
    colours = jnp.asarray(image[None], jnp.float32)
    exact = setting.infer_exactly(jnp.asarray(scores[None]), colours, steps)
    approximate = infer_by_pydensecrf2(scores, image, setting, steps)
    return approximate - np.asarray(jax.nn.softmax(exact.logits[0]))


def table(size: tuple[int, int], classes: int) -> str:
    """Largest and mean difference after one and five steps, by setting and photograph."""
    header = ["setting", "photograph"]
    header += [
        f"{kind} |dQ|, {steps}" for steps in ("1 step", "5 steps") for kind in ("max", "mean")
    ]
    rows = [header]
    for title, setting in SETTINGS.items():
        for name in PHOTOGRAPHS:
            row = [title, name]
            for steps in (1, 5):
                error = np.abs(differences(photograph(name, size), classes, setting, steps))
                row += [f"{error.max():.3f}", f"{error.mean():.4f}"]
            rows.append(row)
    return align_table(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.benchmarks.dense_crf", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), default=(48, 64))
    parser.add_argument("--classes", type=int, default=5)
    given = parser.parse_args(arguments)
    if min(given.size) < 1:
        parser.error(f"--size is {given.size}; it needs at least 1 x 1")
    if given.classes < 2:
        parser.error(f"--classes is {given.classes}; it needs at least 2")
    try:
        print(table(tuple(given.size), given.classes))
    except ModuleNotFoundError as error:
        parser.error(f"{error}; pip install 'pac_jax[peers]'")


if __name__ == "__main__":
    main()
