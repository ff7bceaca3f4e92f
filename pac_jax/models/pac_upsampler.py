"""PacUpsampler: a network says what interpolation misses, learned filters sharpen, the data stay."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import ArrayLike, DTypeLike

from pac_jax.functional.pool import pac_pool
from pac_jax.models.guide_network import BLOCK, GuideNetwork, Head, space_to_depth
from pac_jax.models.protocols import (
    check_protocol,
    downsample,
    interpolate,
    mirror_shift,
    takes_pixels,
)
from pac_jax.models.sizes import check_images, full_size, resize
from pac_jax.models.views import VIEWS

_FACTORS = (4, 8, 16)
_NUMBERS_OF_VIEWS = (1, 2, 4, 8)
_OF_ONE_SHAPE = sum(not view.transposed for view in VIEWS)  # which come first
_WINDOW = (3, 3)
# How far, in samples, statistics, interpolation and back-projection carry by more than rounding.
# tests/upsampling compares tiles with the whole image.
_REACH_IN_SAMPLES = 9

# Before training: colours in [0, 1] that differ by 1/15, or targets that differ by 2/3 of their
# local deviation, have an affinity of exp(-1/2), and filters move a pixel by an eighth of the way.
_COLOR_SCALE = 15.0
_TARGET_SCALE = 1.5
_GATE = -2.0
# Local mean and deviation of the target: over 7 x 7 low-resolution pixels; a deviation below this
# (targets are normalised to 0 ... 1) counts as flat.
_LOCAL_WINDOW = 7
_SMALLEST_DEVIATION = 0.05


class PacUpsampler(nnx.Module):
    r"""Upsample a target by a network and pixel-adaptive filters that stay true to the samples.

    A network that sees the image and the interpolated target U y_low, in blocks of 4 x 4 pixels,
    says what interpolation misses: r. Filters follow,

    $$ y \leftarrow U y_\mathrm{low} + \sigma r, \qquad
       y \leftarrow y + g \left(\frac{\sum_t K(f_i, f_{i+t}) \, y_{i+t}}{\sum_t K(f_i, f_{i+t})}
       - y\right), $$

    normalised PACs whose guide f is the image's colours, the present target, and features from
    the network, each scaled by learned numbers; sigma is the target's local deviation. The gates g
    in [0, 1], one per pixel and filter, are the network's, too. After every step what the samples
    contradict is put back,

    $$ y \leftarrow y + U(y_\mathrm{low} - D y), $$

    where D is the downsampling of the `protocol`. The parameters do not depend on the factor.

    Args:
        factor: 4, 8 or 16: the size of the guide over that of the target.
        protocol: how the low-resolution target came about, one of
            `pac_jax.models.protocols.PROTOCOLS`; the parameters do not depend on it.
        target_features: number of channels of the target, which are filtered with one affinity
            (1 for depth, 2 for flow).
        guide_features: number of channels of the guide.
        features: channels of the network.
        blocks: number of its residual blocks.
        deep_features: number of learned channels that the filters' guide has besides the image's.
        dilations: of the filters, one after another; () for none. They need to reach as far as
            interpolation blurs an edge, about a low-resolution sample.
        back_projection: whether the samples are put back.
        views: 1, 2, 4 or 8: over how many looks at the images what the network finds missing is
            averaged: as they are, turned by half a turn, mirrored, and transposed. The network takes
            as many times longer.
        dtype: of the network's computation, as in flax; inferred from inputs and parameters if
            None.
        param_dtype: of the parameters.
        precision: of all convolutions, as in `jax.lax`.
        implementation: of the filters, see `pac_jax.pac_conv`.
        rngs: of which `params` is drawn.

    Raises:
        ValueError: an argument does not fit; the message says which.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from flax import nnx
        >>> from pac_jax.models import PacUpsampler
        >>> model = PacUpsampler(4, rngs=nnx.Rngs(0))
        >>> model(jnp.ones((1, 6, 8, 1)), jnp.ones((1, 24, 32, 3))).shape
        (1, 24, 32, 1)
    """

    def __init__(
        self,
        factor: int,
        *,
        protocol: str = "bicubic",
        target_features: int = 1,
        guide_features: int = 3,
        features: int = 48,
        blocks: int = 9,
        deep_features: int = 4,
        dilations: tuple[int, ...] = (8, 4, 2, 1, 4, 2, 1),
        back_projection: bool = True,
        views: int = 1,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        precision: lax.PrecisionLike = None,
        implementation: str | None = None,
        rngs: nnx.Rngs,
    ):
        if factor not in _FACTORS:
            raise ValueError(f"factor is {factor!r}; it needs to be one of {_FACTORS}")
        if views not in _NUMBERS_OF_VIEWS:
            raise ValueError(f"views is {views!r}; it needs to be one of {_NUMBERS_OF_VIEWS}")
        check_protocol(protocol)
        self.factor = factor
        self.protocol = protocol
        self.target_features = target_features
        self.guide_features = guide_features
        self.dilations = tuple(dilations)
        self.back_projection = back_projection
        self.views = views
        self.implementation = implementation
        channels = guide_features + target_features
        options: dict[str, Any] = {
            "dtype": dtype,
            "param_dtype": param_dtype,
            "precision": precision,
            "rngs": rngs,
        }
        self.guide_network = GuideNetwork(BLOCK * BLOCK * channels + 2, features, blocks, **options)
        self.missing = Head(features, target_features, from_zero=True, **options)
        # What steers the filters: how far each moves a pixel, what they compare besides the images,
        # and how much each makes of which channel.
        filters = len(self.dilations)
        self.gates = self.deep = self.scale = nnx.data(None)
        if filters:
            self.gates = Head(features, filters, from_zero=True, **options)
            self.scale = nnx.Param(jnp.ones((filters, channels + deep_features), param_dtype))
        if filters and deep_features:
            self.deep = Head(features, deep_features, from_zero=False, **options)

    @property
    def alignment(self) -> int:
        """Stride of the network in pixels of the guide; pieces of images start at multiples."""
        return BLOCK

    @property
    def margin(self) -> int:
        """Samples by which `pac_jax.upsample` continues images at their borders.

        None: what it adds is small beside the interpolated target, and continued images, whose texture
        is drawn out into stripes, are unlike those it was trained on.
        """
        return 0

    @property
    def receptive_field(self) -> int:
        """Pixels of the guide to each side on which an output depends by more than rounding.

        In exact arithmetic it sees further: what the samples contradict is spread over their
        neighbours again and again. But each time a small part of it gets so far.
        """
        filters = sum(self.dilations)
        return self.guide_network.reach + filters + _REACH_IN_SAMPLES * self.factor

    def __call__(self, target_low: ArrayLike, guide: ArrayLike) -> jax.Array:
        """Upsample the target to the guide's size.

        Args:
            target_low: (N, h, w, target_features), normalised to 0 ... 1, see `target_range`.
            guide: (N, H, W, guide_features) in [0, 1] with H = factor h, W = factor w. Where h and
                w are H / factor and W / factor rounded up instead, the network works on the guide
                resized bilinearly to (factor h, factor w), and its result is resized back.

        Returns:
            (N, H, W, target_features).

        Raises:
            ValueError: the shapes do not go together; the message says what would.
            TypeError: a dtype does not fit.
        """
        target_low, guide = check_images(target_low, guide, self.guide_features)
        if target_low.shape[-1] != self.target_features:
            raise ValueError(
                f"target_low has {target_low.shape[-1]} channels; this model needs its "
                f"target_features, {self.target_features}"
            )
        size = guide.shape[1:3]
        guide = resize(guide, full_size(target_low.shape[1:3], size, self.factor))
        return resize(self._upsample(target_low, guide - 0.5), size)

    def _upsample(self, target_low: jax.Array, guide: jax.Array) -> jax.Array:
        mean, deviation = (
            interpolate(part, self.factor, self.protocol, "linear")
            for part in local_statistics(target_low)
        )
        target = interpolate(target_low, self.factor, self.protocol, "cubic")
        missing, features = self._from_network((target - mean) / deviation, guide)
        target = self._put_back(target + deviation * missing, target_low)
        if self.gates is None or self.scale is None:
            return target
        gates = nnx.sigmoid(self.gates(features) + _GATE)
        deep = [] if self.deep is None else [self.deep(features)]
        for number, dilation in enumerate(self.dilations):
            relative = _TARGET_SCALE * (target - mean) / deviation
            seen = jnp.concatenate([_COLOR_SCALE * guide, relative, *deep], axis=-1)
            seen = seen * self.scale[...][number, None, None, None]
            filtered = _filtered(target, seen, dilation, self.implementation)
            gate = gates[..., number : number + 1]
            target = self._put_back(target + gate * (filtered - target), target_low)
        return target

    def _from_network(self, relative: jax.Array, guide: jax.Array) -> tuple[jax.Array, jax.Array]:
        """What is missing, averaged over the views, and the network's features of the first.

        Those are not averaged: of features, only differences within one view have a meaning.
        """
        images = jnp.concatenate([2 * guide, relative], axis=-1)
        shift = mirror_shift(self.factor, self.protocol)
        views = VIEWS[: self.views]
        # As one batch those of one shape.
        groups = [group for group in (views[:_OF_ONE_SHAPE], views[_OF_ONE_SHAPE:]) if group]
        features, missing = [], []
        for group in groups:
            seen = jnp.concatenate([view.of(images, shift) for view in group])
            features.append(self.guide_network(self._network_input(seen)))
            said = jnp.split(self.missing(features[-1]), len(group))
            missing += [view.back(one, shift) for view, one in zip(group, said, strict=True)]
        return sum(missing[1:], missing[0]) / self.views, features[0][: len(images)]

    def _network_input(self, images: jax.Array) -> jax.Array:
        """Image and target in blocks, and what the task is."""
        blocks = space_to_depth(images, BLOCK)
        plane = jnp.ones_like(blocks[..., :1])
        kind = plane if takes_pixels(self.protocol) else -plane
        return jnp.concatenate([blocks, kind, plane * (self.factor.bit_length() - 4)], axis=-1)

    def _put_back(self, target: jax.Array, target_low: jax.Array) -> jax.Array:
        """Add what the samples contradict."""
        if not self.back_projection:
            return target
        missing = target_low - downsample(target, self.factor, self.protocol)
        return target + interpolate(missing, self.factor, self.protocol, "linear")


# A program of its own, so that filters of one dilation are traced once.
@partial(jax.jit, static_argnums=(2, 3))
def _filtered(
    target: jax.Array, guide: jax.Array, dilation: int, implementation: str | None
) -> jax.Array:
    return pac_pool(
        target,
        guide,
        _WINDOW,
        kernel_dilation=dilation,
        padding="SAME",
        normalize=True,
        implementation=implementation,
    )


def local_statistics(target_low: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean of every channel, and one deviation of all, in 7 x 7 windows.

    Args:
        target_low: (N, h, w, T).

    Returns:
        Mean (N, h, w, T), and deviation (N, h, w, 1), at least that of a flat target.
    """
    mean = _window_mean(target_low)
    variance = jnp.maximum(_window_mean(target_low * target_low) - mean * mean, 0)
    variance = jnp.mean(variance, axis=-1, keepdims=True)
    return mean, jnp.sqrt(variance + _SMALLEST_DEVIATION**2)


def _window_mean(images: jax.Array) -> jax.Array:
    reach = _LOCAL_WINDOW // 2
    sums: Any = jnp.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    for axis in (1, 2):
        size = images.shape[axis]
        parts = [lax.slice_in_dim(sums, n, n + size, axis=axis) for n in range(_LOCAL_WINDOW)]
        sums = sum(parts[1:], parts[0]) / _LOCAL_WINDOW
    return sums
