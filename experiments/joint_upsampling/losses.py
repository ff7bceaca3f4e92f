"""What the training makes small."""

import jax
import jax.numpy as jnp
from flax import nnx

from experiments.joint_upsampling.config import Config
from experiments.joint_upsampling.training_data import Batch, Setting
from pac_jax.models import TargetRange, target_range
from pac_jax.models.protocols import downsample, interpolate

# Of squares in units of a crop's range: they keep the root's derivative finite, and crops without
# any edge from counting much.
_SMALLEST_SQUARE = 1e-6
_SMALLEST_REFERENCE = 2e-4


def relative_error(model: nnx.Module, batch: Batch, setting: Setting, config: Config) -> jax.Array:
    """Root mean square error of every crop over that of bicubic interpolation, averaged.

    So every crop counts alike; with squares alone, the few with the largest steps would be all that
    counts, and the gradients noise.

    Args:
        model: called as `model(target_low, guide)`.
        batch: crops.
        setting: factor and protocol.
        config: of the run.

    Returns:
        A scalar.
    """
    factor, protocol = setting
    low = downsample(batch.target, factor, protocol)
    crop_range = target_range(low)
    values = _within(crop_range, batch.contrast, batch.level)
    answer = values.restore(model(values.normalize(low), batch.guide))
    reference = interpolate(low, factor, protocol, "cubic")
    inner = slice(config.border, config.crop - config.border)

    def mean_square(result: jax.Array) -> jax.Array:
        error = (result - batch.target) / crop_range.scale
        return jnp.mean(jnp.square(error[:, inner, inner]), axis=(1, 2, 3))

    ours = mean_square(answer) + _SMALLEST_SQUARE
    return jnp.mean(jnp.sqrt(ours / (mean_square(reference) + _SMALLEST_REFERENCE)))


def _within(crop: TargetRange, contrast: jax.Array, level: jax.Array) -> TargetRange:
    """The range of an image of which the crop has the part `contrast`, at the place `level`."""
    contrast, level = (part[:, None, None, None] for part in (contrast, level))
    scale = crop.scale / contrast
    return TargetRange(crop.offset - (1 - contrast) * level * scale, scale)
