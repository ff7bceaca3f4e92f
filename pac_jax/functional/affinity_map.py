"""The affinity of every tap of every window, as an array to be used more than once."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from pac_jax.functional import arguments, operators
from pac_jax.functional.affinity import Affinity, Gaussian, evaluate_affinity
from pac_jax.functional.geometry import Geometry, Padding, conv_geometry, pad_spatially
from pac_jax.functional.implementations.shifts import Place, over_window
from pac_jax.functional.problem import GuideFeatures, divide_or_zero, mask_renormalisation

OfSamples = Callable[[jax.Array], jax.Array]
# function(samples at the tap) for every tap, stacked along a new first axis
ForEveryTap = Callable[[Geometry, OfSamples, jax.Array], jax.Array]


def pac_affinity(
    guide: ArrayLike,
    window_shape: Sequence[int],
    *,
    strides: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    kernel_dilation: int | Sequence[int] = 1,
    affinity: Affinity = Gaussian(),
    channel_wise: bool = False,
    normalize: bool = False,
    mask: ArrayLike | None = None,
    implementation: str | None = None,
) -> jax.Array:
    r"""Compute the affinity between every window's centre and its taps.

    $$ K_{i,t} = k(f_j, m_i), \qquad j = i s - p + t d, $$

    with f = 0 outside the image. `normalize` and `mask` (M; V is 1 inside the image) change it to

    * normalize: $K V / \sum_t K V$, or with a mask $K M / \sum_t K M$;
    * mask alone: $K M / (\sum_t M / \sum_t V)$;

    and to 0 where a denominator is 0.

    Args:
        guide: (N, *spatial, G) with one to three spatial dimensions, floating point.
        window_shape: odd sizes, one per spatial dimension.
        strides: as in `pac_conv`, like every argument below.
        padding: see `pac_conv`.
        kernel_dilation: see `pac_conv`.
        affinity: see `Affinity`.
        channel_wise: whether to give one affinity per guide channel, as `pac_pool` can use.
        normalize: see above.
        mask: (N, *spatial, 1), see above.
        implementation: 'taps', a loop over the taps; 'shifts', all taps written out, for images cut
            over several devices; or None for the fastest.

    Returns:
        (N, *output_size, *window), with a last axis G if `channel_wise`, of the guide's type but with
        at least 32 bits.

    Raises:
        ValueError: a shape, a size, a stride or a name does not fit; the message says which.
        TypeError: a dtype or a type does not fit.

    Example:
        >>> import jax.numpy as jnp, pac_jax
        >>> affinity = pac_jax.pac_affinity(jnp.zeros((1, 8, 9, 3)), (3, 3), normalize=True)
        >>> print(affinity.shape, float(affinity[0, 0, 0, 1, 1]))
        (1, 8, 9, 3, 3) 0.25

    Reference:
        Su et al., "Pixel-Adaptive Convolutional Neural Networks", CVPR 2019, section 3.
    """
    guide = arguments.as_array(guide, "guide")
    guide = guide.astype(arguments.at_least_float32(guide.dtype))
    window = arguments.window_shape(window_shape, "window_shape")
    arguments.check_rank(guide, "guide", len(window), "window_shape")
    arguments.check_flag(normalize, "normalize")
    arguments.check_flag(channel_wise, "channel_wise")
    if mask is not None:
        mask = arguments.as_mask(mask, guide.dtype)
        arguments.check_mask(mask, guide.shape, "guides")
    geometry = conv_geometry(
        guide.shape[1:-1],
        window,
        arguments.per_dimension(strides, len(window), "strides"),
        padding,
        arguments.per_dimension(kernel_dilation, len(window), "kernel_dilation"),
    )
    arguments.check_guide(guide, guide.shape, geometry, on_outputs=False)
    affinity = operators.callable_pytree(affinity)
    reading = operators.on_inputs(geometry)
    features = operators.guide_operands(guide, affinity, mask, geometry, reading)
    for_every_tap = _select(implementation)
    return _affinity_map(geometry, channel_wise, normalize, features, mask, for_every_tap)


@partial(jax.jit, static_argnames=("geometry", "channel_wise", "normalize", "for_every_tap"))
def _affinity_map(
    geometry: Geometry,
    channel_wise: bool,
    normalize: bool,
    features: GuideFeatures,
    mask: jax.Array | None,
    for_every_tap: ForEveryTap,
) -> jax.Array:
    affinity, neighbours, centres = features

    def weight(neighbour: jax.Array) -> jax.Array:
        return evaluate_affinity(
            affinity, neighbour, centres, channel_wise=channel_wise, dtype=neighbours.dtype
        )

    weights = for_every_tap(geometry, weight, neighbours)
    if normalize or mask is not None:
        ones = jnp.ones((1, *neighbours.shape[1:-1], 1), neighbours.dtype)
        samples = ones if mask is None else mask
        weights = weights * for_every_tap(geometry, lambda sample: sample, samples)
    if normalize:
        weights = divide_or_zero(weights, jnp.sum(weights, axis=0, keepdims=True))
    elif mask is not None:
        weights = weights * mask_renormalisation(mask, geometry)[None]
    weights = weights.reshape(*geometry.window, *weights.shape[1:])
    n = geometry.ndim
    weights = jnp.moveaxis(weights, range(n), range(1 + n, 1 + 2 * n))
    return weights if channel_wise else weights[..., 0]


def _select(implementation: str | None) -> ForEveryTap:
    if implementation in (None, "taps"):
        return _by_taps
    if implementation == "shifts":
        return _by_shifts
    raise ValueError(
        f"implementation is {implementation!r}; pass one of 'taps', 'shifts', or None for the fastest"
    )


def _by_shifts(geometry: Geometry, function: OfSamples, samples: jax.Array) -> jax.Array:
    """See `ForEveryTap`; taps that meet no sample are given zeros."""

    def at_places(shifted: jax.Array, places: Iterable[Place]) -> dict[int, jax.Array]:
        return {place.tap: function(shifted) for place in places}

    found = over_window(geometry, samples, at_places)
    nothing = jnp.zeros((samples.shape[0], *geometry.output_size, samples.shape[-1]), samples.dtype)
    each = [found[tap] if tap in found else function(nothing) for tap in range(geometry.num_taps)]
    return jnp.stack(each)


def _by_taps(geometry: Geometry, function: OfSamples, samples: jax.Array) -> jax.Array:
    """See `ForEveryTap`."""
    size, strides = geometry.output_size, geometry.strides
    low = [low for low, _ in geometry.padding]
    span = [max(o - 1, 0) * s + 1 for o, s in zip(size, strides, strict=True)]
    high = [
        b + r - 1 - n - lo
        for b, r, n, lo in zip(span, geometry.reach, samples.shape[1:-1], low, strict=True)
    ]
    padded = pad_spatially(samples, low, high)
    limits = [1 if o else 0 for o in size]  # an empty output reads nothing

    def at(offset: jax.Array) -> jax.Array:
        starts = [jnp.zeros((), jnp.int32), *offset, jnp.zeros((), jnp.int32)]
        block = lax.dynamic_slice(padded, starts, (padded.shape[0], *span, padded.shape[-1]))
        stop = [b * limit for b, limit in zip(span, limits, strict=True)]
        block = lax.slice(
            block,
            (0,) * block.ndim,
            (block.shape[0], *stop, block.shape[-1]),
            (1, *strides, 1),
        )
        return function(block)

    offsets = np.array(list(np.ndindex(geometry.window))) * np.array(geometry.kernel_dilation)
    return lax.map(jax.checkpoint(at), jnp.asarray(offsets, jnp.int32))
