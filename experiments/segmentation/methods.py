"""Ways to a label map, by names: networks of runs, and CRFs on their scores."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from flax import nnx

from experiments.segmentation.saved_runs import from_run


class Method(NamedTuple):
    """A way from an image to class scores.

    Attributes:
        name: for tables.
        scores: (H, W, 3) uint8 -> (H, W, L) float32, whose largest is the label.
        parameters: how many it has; None if it is not trained.
        seed: of its training; None if not known.
    """

    name: str
    scores: Callable[[np.ndarray], np.ndarray]
    parameters: int | None
    seed: int | None


def of_run(folder: Path, report: Callable[[str], None]) -> Method:
    """The network of a run; see `from_run`."""
    saved = from_run(folder, report)
    graph, state = nnx.split(saved.model)
    predict = jax.jit(lambda state, image: nnx.merge(graph, state)(image))

    def scores(image: np.ndarray) -> np.ndarray:
        return np.asarray(predict(state, image[None].astype(np.float32) / 255))[0]

    leaves = jax.tree.leaves(nnx.state(saved.model, nnx.Param))
    parameters = sum(int(np.prod(leaf.shape)) for leaf in leaves)
    return Method(folder.name, scores, parameters, saved.config.seed)


def then(
    method: Method, name: str, refine: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Method:
    """A method whose scores are refined.

    Args:
        method: gives the scores.
        name: of the whole.
        refine: (scores, image) -> scores.
    """
    return method._replace(name=name, scores=lambda image: refine(method.scores(image), image))
