"""The fully connected CRF as a method: exact (ours), or approximate (pydensecrf2, if installed).

    python -m experiments.segmentation.full_crf --run runs/small_camvid --data ../shared/data/camvid

searches the settings on images of the training split; `experiments.segmentation.benchmark` measures
those found. pydensecrf2 is the extra `peers` of this package.
"""

import argparse
import dataclasses
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.progress import track
from scipy.special import log_softmax

from experiments.joint_upsampling.tables import aligned
from experiments.segmentation.label_sets import LabelSet
from experiments.segmentation.methods import of_run
from experiments.segmentation.metrics import confusion, mean_iou, pixel_accuracy
from experiments.segmentation.saved_runs import from_run
from experiments.segmentation.training_data import Labelled, training_set
from experiments.training.errors import RunError, existing_folder, one_line_errors
from experiments.training.loop import report
from experiments.training.run_folder import write_atomically
from pac_jax import crf

Refine = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Settings:
    """Of the two Gaussian kernels; as published by DeepLab for VOC by default.

    Attributes:
        near_deviation: of the spatial kernel, in pixels.
        near_weight: of the spatial kernel.
        far_deviation: of the positions of the bilateral kernel, in pixels.
        color_deviation: of its colours, of 255.
        far_weight: of the bilateral kernel.
        steps: of mean field.
    """

    near_deviation: float = 3.0
    near_weight: float = 3.0
    far_deviation: float = 67.0
    color_deviation: float = 5.0
    far_weight: float = 4.0
    steps: int = 5


def approximate(settings: Settings) -> Refine:
    """The CRF by filtering on a permutohedral lattice: pydensecrf2's (scores, image) -> scores.

    Raises:
        RunError: pydensecrf2 is not installed.
    """
    try:
        from pydensecrf import densecrf
    except ImportError:
        raise RunError(
            "pydensecrf2 is not installed; pip install pydensecrf2 (it is compiled on your machine)"
        ) from None

    def refine(scores: np.ndarray, image: np.ndarray) -> np.ndarray:
        height, width, classes = scores.shape
        model = densecrf.DenseCRF2D(width, height, classes)
        energies = -log_softmax(scores.astype(np.float64), axis=-1)
        model.setUnaryEnergy(
            np.ascontiguousarray(energies.reshape(-1, classes).T.astype(np.float32))
        )
        model.addPairwiseGaussian(sxy=settings.near_deviation, compat=settings.near_weight)
        model.addPairwiseBilateral(
            sxy=settings.far_deviation,
            srgb=settings.color_deviation,
            rgbim=np.array(image),  # a copy that may be written to, which it insists on
            compat=settings.far_weight,
        )
        found = np.asarray(model.inference(settings.steps))
        return np.log(np.maximum(found, 1e-12)).T.reshape(scores.shape)

    return refine


def exact(settings: Settings, reduce: int = 1) -> Refine:
    """The CRF over all pairs of pixels: (scores, image) -> scores.

    Args:
        settings: of the kernels, in pixels of the image.
        reduce: scores and image are averaged over blocks of this many pixels first, and deviations
            shortened alike; what the CRF adds to the scores is interpolated back. Time falls with
            the fourth power.
    """

    @jax.jit
    def refine(scores: jax.Array, image: jax.Array) -> jax.Array:
        size = scores.shape[1:3]
        small = tuple(-(-n // reduce) for n in size)
        resize = partial(jax.image.resize, method="linear")
        coarse = resize(scores, (1, *small, scores.shape[-1]))
        colors = resize(image, (1, *small, 3))
        guides = [
            crf.position_and_color(colors, settings.near_deviation / reduce),
            crf.position_and_color(
                colors, settings.far_deviation / reduce, settings.color_deviation
            ),
        ]
        weights = [settings.near_weight, settings.far_weight]
        found = crf.full_mean_field(coarse, guides, weights, steps=settings.steps).logits
        return scores + resize(found - coarse, scores.shape)

    def whole(scores: np.ndarray, image: np.ndarray) -> np.ndarray:
        inputs = jnp.asarray(scores, jnp.float32)[None], jnp.asarray(image, jnp.float32)[None]
        return np.asarray(refine(*inputs))[0]

    return whole


def candidates() -> Iterator[Settings]:
    """The settings that are searched, DeepLab's first."""
    yield Settings()
    for near, deviation, color, far in itertools.product(
        (1.0, 3.0), (30.0, 67.0), (3.0, 5.0, 9.0), (1.0, 2.5, 5.0)
    ):
        yield Settings(
            near_weight=near, far_deviation=deviation, color_deviation=color, far_weight=far
        )


def search(
    scores: Callable[[np.ndarray], np.ndarray],
    pairs: Labelled,
    labels: LabelSet,
    count: int,
    console: Console,
) -> list[tuple[Settings | None, float, float]]:
    """Mean IoU and pixel accuracy of every candidate on some images; None is no CRF.

    Args:
        scores: of an image, what the CRF begins with.
        pairs: labelled images that nothing is measured on later.
        labels: their classes.
        count: number of images.
        console: for the progress bar.
    """
    chosen = np.linspace(0, len(pairs) - 1, min(count, len(pairs))).round().astype(int)
    known = [(pairs[int(i)], scores(pairs[int(i)].guide)) for i in chosen]
    found: list[tuple[Settings | None, float, float]] = []
    for settings in track([None, *candidates()], "searching", console=console, transient=True):
        refine = approximate(settings) if settings else None
        total = np.zeros((labels.classes, labels.classes), np.int64)
        for pair, before in known:
            after = refine(before, pair.guide) if refine else before
            truth = pair.target[..., 0].astype(np.int64)
            total += confusion(truth, np.argmax(after, -1), labels.classes, void=labels.void)
        found.append((settings, mean_iou(total), pixel_accuracy(total)))
    return found


def main(arguments: list[str] | None = None) -> None:
    """Search from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.segmentation.full_crf", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--run", type=Path, required=True, help="whose scores it begins with")
    parser.add_argument("--data", type=Path, help="folder of the run's data set")
    parser.add_argument("--count", type=int, default=24, help="images of train (default: 24)")
    parser.add_argument(
        "--out", type=Path, default=Path("full_crf"), help="writes OUT.md, OUT.json"
    )
    given = parser.parse_args(arguments)
    with one_line_errors():
        console = Console()
        config = from_run(given.run, partial(report, console)).config
        existing_folder(given.data, holds=f"the data set {config.dataset}")
        pairs = training_set(config, given.data, given.run.parent / "scenes")
        method = of_run(given.run, partial(report, console))
        found = search(method.scores, pairs, config.label_set, given.count, console)
        best = max(found[1:], key=lambda row: row[1])[0]
        write_atomically(
            given.out.with_suffix(".json"),
            json.dumps(dataclasses.asdict(best or Settings()), indent=1) + "\n",
        )
        text = _markdown(found)
        write_atomically(given.out.with_suffix(".md"), text)
        report(console, text)


def read_settings(path: Path) -> Settings:
    """The settings that a search has found.

    Raises:
        RunError: the file is no such thing.
    """
    try:
        return Settings(**json.loads(path.read_text()))
    except (TypeError, ValueError) as error:
        raise RunError(f"{path} holds no settings of a search: {error}") from error


def _markdown(found: list[tuple[Settings | None, float, float]]) -> str:
    names = [field.name for field in dataclasses.fields(Settings)]
    lines = [[*(name.replace("_", " ") for name in names), "mean IoU", "pixels"]]
    for settings, overlap, pixels in sorted(found, key=lambda row: -row[1]):
        values = [f"{getattr(settings, name):g}" if settings else "" for name in names]
        lines.append([*values, f"{100 * overlap:.2f}", f"{100 * pixels:.2f}"])
    return aligned(lines, texts=0) + "\n"


if __name__ == "__main__":
    main()
