"""PacUpsampler: joint upsampling from coarse to fine by learned filters that keep the data."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import ArrayLike, DTypeLike

from pac_jax.functional.pool import pac_pool
from pac_jax.models.guide_network import GuideNetwork, space_to_depth
from pac_jax.models.protocols import (
    check_protocol,
    downsample,
    interpolate,
    pixels_of_level,
    protocol_between_levels,
    takes_pixels,
)
from pac_jax.models.sizes import check_images, full_size, resize

_FACTORS = (4, 8, 16)
_STRIDES = (8, 4, 2, 1)  # of the levels, coarse to fine
_DILATIONS = (2, 1, 2, 1)  # of the filters of every level
_WINDOW = (3, 3)
_ALIGNMENT = 16  # coarsest stride of the guide network, in pixels of the guide
# How far an answer sees. tests/upsampling compares tiles with the whole image at x8; at x4 and x16 the
# same numbers are an estimate.
_REACH_OF_GUIDE_NETWORK, _REACH_IN_SAMPLES = 160, 12

# Before training: colours in [0, 1] that differ by 1/15, or targets that differ by 2/3 of their
# local deviation, have an affinity of exp(-1/2).
_COLOR_SCALE = 15.0
_TARGET_SCALE = 1.5
_CORRECTION_FEATURES = 16
# Local mean and deviation of the target: over 7 x 7 low-resolution pixels; a deviation below this
# (targets are normalised to 0 ... 1) counts as flat.
_LOCAL_WINDOW = 7
_SMALLEST_DEVIATION = 0.05


class PacUpsampler(nnx.Module):
    r"""Upsample a target coarse to fine by pixel-adaptive filters that stay true to the samples.

    The target's size is doubled until it is that of the guide. At every size it is filtered four
    times,

    $$ y \leftarrow \frac{\sum_t K(f_i, f_{i+t}) \, y_{i+t}}{\sum_t K(f_i, f_{i+t})},
       \qquad y \leftarrow y + \beta \, U(y_\mathrm{low} - D y), $$

    by a normalised PAC whose guide f is the image's colours, the present target, and features from
    a small U-Net, each scaled by learned numbers; after each filter what the samples contradict is
    put back (D is the downsampling of the `protocol`, U interpolation). Before training it is an
    iterated joint bilateral filter; training adds the features, the scales, and a correction of the
    target at every size. The parameters do not depend on the factor.

    Args:
        factor: 4, 8 or 16: the size of the guide over that of the target.
        protocol: how the low-resolution target came about, one of
            `pac_jax.models.protocols.PROTOCOLS`; the parameters do not depend on it.
        target_features: number of channels of the target, which are filtered with one affinity
            (1 for depth, 2 for flow).
        guide_features: number of channels of the guide.
        features: channels of the U-Net at 1/4, 1/8 and 1/16 of the size.
        deep_features: number of learned channels that every level's guide has besides the image's.
        back_projection: whether the samples are put back; without, the filters are all there is.
        dtype: of the U-Net's computation, as in flax; inferred from inputs and parameters if None.
        param_dtype: of the parameters.
        precision: of all convolutions, as in `jax.lax`.
        implementation: of the filters: 'taps', 'patches', or None for the fastest.
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
        features: tuple[int, int, int] = (48, 56, 56),
        deep_features: int = 4,
        back_projection: bool = True,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        precision: lax.PrecisionLike = None,
        implementation: str | None = None,
        rngs: nnx.Rngs,
    ):
        if factor not in _FACTORS:
            raise ValueError(f"factor is {factor!r}; it needs to be one of {_FACTORS}")
        check_protocol(protocol)
        self.factor = factor
        self.protocol = protocol
        self.target_features = target_features
        self.guide_features = guide_features
        self.guide_network = GuideNetwork(
            inputs=16 * guide_features + target_features + 2,
            # Corrections of the guide, further channels, where to put samples back, corrections
            # of the target.
            outputs=guide_features + deep_features + 1 + target_features,
            features=features,
            dtype=dtype,
            param_dtype=param_dtype,
            precision=precision,
            rngs=rngs,
        )
        self.levels: nnx.List[Level] = nnx.List(
            Level(
                protocol,
                target_features,
                guide_features,
                deep_features,
                back_projection=back_projection,
                implementation=implementation,
                dtype=dtype,
                param_dtype=param_dtype,
                precision=precision,
                rngs=rngs,
            )
            for _ in _STRIDES
        )

    @property
    def alignment(self) -> int:
        """Coarsest stride of the network in pixels of the guide; pieces of images start there."""
        return _ALIGNMENT

    @property
    def receptive_field(self) -> int:
        """Pixels of the guide to each side on which an output depends by more than rounding.

        In exact arithmetic it sees further: what the samples contradict is spread over their
        neighbours again and again. But each time a small part of it gets so far.
        """
        return max(_REACH_OF_GUIDE_NETWORK, _REACH_IN_SAMPLES * self.factor)

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
        working_size = full_size(target_low.shape[1:3], size, self.factor)
        guide = resize(guide, working_size)
        target_low, guide = self._to_alignment(target_low, guide)
        result = self._upsample(target_low, guide - 0.5)
        return resize(result[:, : working_size[0], : working_size[1]], size)

    def _to_alignment(self, target_low: jax.Array, guide: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Continue both by their last pixels to multiples of the alignment."""
        missing = [-n % _ALIGNMENT for n in guide.shape[1:3]]
        if not any(missing):
            return target_low, guide
        wider = ((0, 0), *((0, n) for n in missing), (0, 0))
        wider_low = ((0, 0), *((0, n // self.factor) for n in missing), (0, 0))
        return jnp.pad(target_low, wider_low, mode="edge"), jnp.pad(guide, wider, mode="edge")

    def _upsample(self, target_low: jax.Array, guide: jax.Array) -> jax.Array:
        mean, deviation = local_statistics(target_low)
        features = self.guide_network(self._network_input(target_low, guide, mean, deviation))
        target = target_low
        for stride, level in zip(_STRIDES, self.levels, strict=True):
            factor = self.factor // stride  # between the samples and this level
            if factor < 2:
                continue
            between = self.protocol if factor == 2 else protocol_between_levels(self.protocol)
            target = interpolate(target, 2, between, "cubic")
            target = level(
                target,
                target_low,
                pixels_of_level(guide, stride, self.protocol),
                features[stride],
                interpolate(mean, factor, self.protocol, "linear"),
                interpolate(deviation, factor, self.protocol, "linear"),
            )
        return target

    def _network_input(
        self, target_low: jax.Array, guide: jax.Array, mean: jax.Array, deviation: jax.Array
    ) -> jax.Array:
        """The image in blocks, the target in units of its deviation, and what the task is."""

        def at_quarter(images: jax.Array, method: str) -> jax.Array:
            images = interpolate(images, self.factor, self.protocol, method)
            return pixels_of_level(images, 4, "bicubic")

        target = at_quarter(target_low, "cubic") - at_quarter(mean, "linear")
        target = target / at_quarter(deviation, "linear")
        plane = jnp.ones_like(target[..., :1])
        return jnp.concatenate(
            [
                2 * space_to_depth(guide, 4),
                target,
                plane if takes_pixels(self.protocol) else -plane,
                plane * (self.factor.bit_length() - 4),
            ],
            axis=-1,
        )


class Level(nnx.Module):
    """The filters at one size of the target.

    Args:
        protocol: of the low-resolution target.
        target_features: channels of the target.
        guide_features: channels of the image.
        deep_features: channels of the guide besides.
        back_projection: whether the samples are put back.
        implementation: of the filters.
        options: of `nnx.Conv`: dtype, param_dtype, precision, rngs.
    """

    def __init__(
        self,
        protocol: str,
        target_features: int,
        guide_features: int,
        deep_features: int,
        *,
        back_projection: bool,
        implementation: str | None,
        param_dtype: DTypeLike,
        **options: Any,
    ):
        self.protocol = protocol
        self.back_projection = back_projection
        self.implementation = implementation
        self.split = (guide_features, guide_features + deep_features)
        steps = len(_DILATIONS)
        channels = guide_features + deep_features + target_features
        self.scale = nnx.Param(jnp.ones((steps, channels), param_dtype))
        if back_projection:
            self.step = nnx.Param(jnp.ones(steps + 1, param_dtype))
        self.correction = Correction(channels, target_features, param_dtype=param_dtype, **options)

    def __call__(
        self,
        target: jax.Array,
        target_low: jax.Array,
        guide: jax.Array,
        features: jax.Array,
        mean: jax.Array,
        deviation: jax.Array,
    ) -> jax.Array:
        """Filter the target.

        Args:
            target: (N, H, W, T) at this size.
            target_low: (N, h, w, T) the samples.
            guide: (N, H, W, G) the image at this size.
            features: (N, H, W, G + deep_features + 1 + T) from the guide network.
            mean: (N, H, W, T) local mean of the samples.
            deviation: (N, H, W, 1) their local deviation.

        Returns:
            (N, H, W, T).
        """
        colours, deep, rest = jnp.split(features, self.split, axis=-1)
        guide = jnp.concatenate([_COLOR_SCALE * guide + colours, deep], axis=-1)
        where = 2 * nnx.sigmoid(rest[..., :1])
        target = self._put_back(target + deviation * rest[..., 1:], target_low, where, 0)

        def with_target(target: jax.Array) -> jax.Array:
            relative = _TARGET_SCALE * (target - mean) / deviation
            return jnp.concatenate([guide, relative], axis=-1)

        for number, dilation in enumerate(_DILATIONS):
            target = pac_pool(
                target,
                with_target(target) * self.scale[number][None, None, None],
                _WINDOW,
                kernel_dilation=dilation,
                padding="SAME",
                normalize=True,
                implementation=self.implementation,
            )
            target = self._put_back(target, target_low, where, number)
        target = target + deviation * self.correction(with_target(target))
        return self._put_back(target, target_low, where, len(_DILATIONS))

    def _put_back(
        self, target: jax.Array, target_low: jax.Array, where: jax.Array, number: int
    ) -> jax.Array:
        """Add what the samples contradict."""
        if not self.back_projection:
            return target
        factor = target.shape[1] // target_low.shape[1]
        missing = target_low - downsample(target, factor, self.protocol)
        spread = interpolate(missing, factor, self.protocol, "linear")
        return target + self.step[number] * where * spread


class Correction(nnx.Module):
    """Three convolutions that see what the filters saw, for what averaging cannot mend.

    The last begins at zero: before training there is no correction.

    Args:
        inputs: channels of the guide.
        outputs: channels of the target.
        options: of `nnx.Conv`: dtype, param_dtype, precision, rngs.
    """

    def __init__(self, inputs: int, outputs: int, **options: Any):
        window = (3, 3)
        self.first = nnx.Conv(inputs, _CORRECTION_FEATURES, window, **options)
        self.second = nnx.Conv(_CORRECTION_FEATURES, _CORRECTION_FEATURES, window, **options)
        zeros = nnx.initializers.zeros
        self.last = nnx.Conv(_CORRECTION_FEATURES, outputs, window, kernel_init=zeros, **options)

    def __call__(self, guide: jax.Array) -> jax.Array:
        """(N, H, W, inputs) -> (N, H, W, outputs)."""
        return self.last(nnx.relu(self.second(nnx.relu(self.first(guide)))))


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
