"""Class scores as a coarse network gives them, simulated from true label maps.

A segmentation network's scores are small (its stride), smooth, certain within objects, displaced at
borders, blind to thin things, and wrong in blobs. `simulated_scores` makes such scores from a label
map; `severity_for` finds how wrong they have to be for a given part of the pixels to be right.
Nothing here was fitted to any network's scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pac_jax.refinement.resizing import resized

__all__ = ["Errors", "severity_for", "simulated_scores"]

_BISECTIONS = 8


@dataclass(frozen=True)
class Errors:
    """What simulated scores look like.

    Attributes:
        stride: pixels between two scores.
        smoothing: standard deviation that labels are smoothed by, in strides.
        shift: displacement of borders, standard deviation in strides.
        blobs: mean number of places where a wrong class is favoured.
        margin: logit of the right class inside an object, above the others'.
        noise: of logits, standard deviation.
        severity: multiplies `shift`, `noise` and the strength of the blobs.
    """

    stride: int = 12
    smoothing: float = 0.6
    shift: float = 0.8
    blobs: float = 4.0
    margin: float = 9.0
    noise: float = 0.7
    severity: float = 1.0


def simulated_scores(
    labels: np.ndarray, classes: int, errors: Errors, generator: np.random.Generator
) -> np.ndarray:
    """Logits of a coarse network for one label map.

    Args:
        labels: (H, W) integers, 0 ... classes - 1; others (void) are nobody's.
        classes: L.
        errors: what they look like.
        generator: the randomness.

    Returns:
        (ceil(H / stride) + 1, ceil(W / stride) + 1, L) float32, its corners those of the image.
    """
    size = labels.shape
    stride, severity = errors.stride, errors.severity
    small = tuple(-(-n // stride) + 1 for n in size)
    moved = _displaced(labels, severity * errors.shift * stride, 2 * stride, generator)
    rows, columns = (np.linspace(0, n - 1, s) for n, s in zip(size, small, strict=True))
    grid = np.meshgrid(rows, columns, indexing="ij")
    scores = np.zeros((*small, classes), np.float32)
    for label in np.unique(moved):
        if 0 <= label < classes:
            share = ndimage.gaussian_filter(
                (moved == label).astype(np.float32), errors.smoothing * stride, mode="nearest"
            )
            scores[..., label] = ndimage.map_coordinates(share, grid, order=1)
    scores *= errors.margin
    scores += severity * errors.noise * _smooth_noise((*small, classes), (1.0, 1.0, 0), generator)
    present = np.unique(labels)
    present = present[(present >= 0) & (present < classes)]
    for _ in range(generator.poisson(errors.blobs)):
        # Mostly one of the classes that are there, sometimes any.
        favoured = int(generator.choice(present if generator.uniform() < 0.7 else classes))
        strength = severity * errors.margin * generator.uniform(0.3, 1.2)
        scores[..., favoured] += strength * _bump(small, generator)
    return scores


def severity_for(
    accuracy: float,
    maps: Sequence[np.ndarray],
    classes: int,
    errors: Errors,
    seed: int,
) -> tuple[Errors, float]:
    """Errors of the severity at which this part of all pixels is right, and the part reached.

    Args:
        accuracy: part of the pixels, in (0, 1).
        maps: label maps.
        classes: L.
        errors: all else.
        seed: of the scores; map number n takes `default_rng((seed, n))`.
    """
    low, high = 0.0, 4.0
    for _ in range(_BISECTIONS):
        severity = (low + high) / 2
        tried = Errors(**{**vars(errors), "severity": severity})
        reached = _accuracy(maps, classes, tried, seed)
        low, high = (severity, high) if reached > accuracy else (low, severity)
    return tried, reached


def _accuracy(maps: Sequence[np.ndarray], classes: int, errors: Errors, seed: int) -> float:
    right = counted = 0
    for number, labels in enumerate(maps):
        scores = simulated_scores(labels, classes, errors, np.random.default_rng((seed, number)))
        valid = (labels >= 0) & (labels < classes)
        found = resized(scores, labels.shape, "corners").argmax(-1)
        right += int(np.count_nonzero((found == labels) & valid))
        counted += int(np.count_nonzero(valid))
    return right / counted


def _displaced(
    labels: np.ndarray, deviation: float, length: float, generator: np.random.Generator
) -> np.ndarray:
    """The labels of places that lie smoothly varying distances away."""
    shift = deviation * _smooth_noise((2, *labels.shape), (0, length, length), generator)
    places = np.indices(labels.shape) + shift
    limits = np.array(labels.shape).reshape(2, 1, 1) - 1
    rows, columns = np.clip(np.rint(places), 0, limits).astype(np.intp)
    return labels[rows, columns]


def _smooth_noise(
    shape: tuple[int, ...], lengths: tuple[float, ...], generator: np.random.Generator
) -> np.ndarray:
    """Normal noise smoothed along the axes, of standard deviation 1."""
    noise = ndimage.gaussian_filter(generator.standard_normal(shape), lengths, mode="wrap")
    return (noise / noise.std()).astype(np.float32)


def _bump(size: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """A Gaussian at a random place, of random widths of one and a half to five pixels."""
    values = np.ones(size, np.float32)
    for axis, n in enumerate(size):
        distance = np.arange(n) - generator.uniform(0, n - 1)
        bump = np.exp(-0.5 * np.square(distance / generator.uniform(1.5, 5)))
        values = values * bump.reshape([-1 if a == axis else 1 for a in range(len(size))])
    return values
