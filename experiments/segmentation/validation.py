"""The metric during a run: mean IoU on images that are not trained on, and a picture of some."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from experiments.segmentation.config import Config
from experiments.segmentation.metrics import confusion, mean_iou, pixel_accuracy
from experiments.segmentation.pictures import label_rows
from experiments.segmentation.training_data import validation_set
from experiments.training.recorder import Validated, Validation

_SHOWN = 4


def validation(
    config: Config, graph: nnx.GraphDef, rest: nnx.State, data: Path | None, scenes: Path
) -> Validation:
    """Measure a network on the first images of the validation set, whole, one by one.

    Args:
        config: of the run.
        graph: of the network.
        rest: what of the network is not trained.
        data: folder of the data set.
        scenes: folder in which rendered scenes are kept.
    """
    pairs = validation_set(config, data, scenes)
    chosen = np.linspace(0, len(pairs) - 1, min(config.measured, len(pairs))).round().astype(int)
    shown = [pairs[int(index)] for index in chosen[:_SHOWN]]
    label_set = config.label_set

    @jax.jit
    def predict(parameters: nnx.State, image: jax.Array) -> jax.Array:
        return jnp.argmax(nnx.merge(graph, parameters, rest)(image), axis=-1)

    def predicted(parameters: nnx.State, image: np.ndarray) -> np.ndarray:
        return np.asarray(predict(parameters, image[None].astype(np.float32) / 255))[0]

    def measure(parameters: nnx.State) -> Validated:
        total = np.zeros((label_set.classes, label_set.classes), np.int64)
        for index in chosen:
            image, target, _ = pairs[int(index)]
            found = predicted(parameters, image)
            labels = target[..., 0].astype(np.int64)
            total += confusion(labels, found, label_set.classes, void=label_set.void)
        metrics = {"mean_iou": float(mean_iou(total)), "pixels": float(pixel_accuracy(total))}
        results = [(pair, predicted(parameters, pair.guide)) for pair in shown]
        return Validated(metrics, label_rows(results, label_set))

    return Validation(("mean_iou", "pixels"), measure)
