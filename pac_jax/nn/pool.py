"""The pixel-adaptive pooling layer."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from flax.nnx.nn.dtypes import promote_dtype
from jax import lax
from jax.nn.initializers import Initializer, ones
from jax.typing import ArrayLike, DTypeLike

from pac_jax.functional import arguments
from pac_jax.functional.affinity import Affinity, Gaussian
from pac_jax.functional.geometry import Padding, conv_geometry
from pac_jax.functional.pool import pac_pool, pac_pool_with_affinity
from pac_jax.nn.batch import batch_shape, flatten_batch, restore_batch
from pac_jax.nn.held import check_one_source, hashable_padding, held_affinity
from pac_jax.nn.masks import propagated


class PacPool(nnx.Module):
    r"""Pixel-adaptive pooling layer, with a learned spatial filter if wanted.

    $$ y_i = \sum_{t} k(f_j, m_i)\, w_t\, x_j, \qquad j = i s - p + t d, $$

    see `pac_jax.pac_pool`. Called as `layer(inputs, guide, mask=None)` or, with the affinity
    computed before, as `layer(inputs, affinity=affinity)`.

    Args:
        window_shape: odd sizes, one per spatial dimension; an int means one dimension.
        strides: step between outputs, an int or one per spatial dimension.
        padding: 'SAME', 'SAME_LOWER', 'VALID', an int, or one (low, high) per spatial dimension.
        kernel_dilation: distance between taps, an int or one per spatial dimension.
        affinity: k, see `PacConv`.
        channel_wise: whether each input channel has its own affinity, from the guide's channel of
            the same number.
        normalize: whether to divide k (not w) by its sum over the taps inside the image.
        use_weights: whether w is a parameter; ones if not.
        dtype: of the computation; inferred from inputs and parameters if None. The affinity and all
            sums have at least 32 bits in any case.
        param_dtype: of the parameter.
        precision: of the sums' products, as in `jax.lax`.
        weights_init: initializer of w.
        implementation: 'pallas', 'pallas_tpu', 'taps', 'shifts', 'patches', or None for the fastest
            that can run (see `explain_implementation`).
        rngs: of which `params` is drawn; needed with `use_weights`.

    Attributes:
        weights: `nnx.Param`, (*window), or None.

    Raises:
        ValueError: an argument does not fit; the message says which.
        TypeError: an argument's type does not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> from pac_jax.nn import PacPool
        >>> layer = PacPool((3, 3), strides=2, padding="SAME", normalize=True)
        >>> layer(jnp.ones((2, 8, 9, 4)), guide=jnp.ones((2, 8, 9, 3))).shape
        (2, 4, 5, 4)

    Reference:
        Su et al., "Pixel-Adaptive Convolutional Neural Networks", CVPR 2019, section 3.
    """

    def __init__(
        self,
        window_shape: int | Sequence[int],
        *,
        strides: int | Sequence[int] = 1,
        padding: Padding = "VALID",
        kernel_dilation: int | Sequence[int] = 1,
        affinity: Affinity = Gaussian(),
        channel_wise: bool = False,
        normalize: bool = False,
        use_weights: bool = False,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        precision: lax.PrecisionLike = None,
        weights_init: Initializer = ones,
        implementation: str | None = None,
        rngs: nnx.Rngs | None = None,
    ):
        if isinstance(window_shape, int):
            window_shape = (window_shape,)
        window = arguments.window_shape(tuple(window_shape), "window_shape")
        self.window_shape = window
        self.strides = arguments.per_dimension(strides, len(window), "strides")
        self.kernel_dilation = arguments.per_dimension(
            kernel_dilation, len(window), "kernel_dilation"
        )
        self.padding = hashable_padding(padding)
        # Any size will do to have the padding checked here and not at the first call.
        conv_geometry(window, window, self.strides, self.padding, self.kernel_dilation)
        for value, name in (
            (channel_wise, "channel_wise"),
            (normalize, "normalize"),
            (use_weights, "use_weights"),
        ):
            arguments.check_flag(value, name)
        self.affinity = held_affinity(affinity)
        self.channel_wise = channel_wise
        self.normalize = normalize
        self.use_weights = use_weights
        self.dtype = dtype
        self.param_dtype = param_dtype
        self.precision = arguments.hashable_precision(precision)
        self.implementation = implementation
        self.weights: nnx.Param | None
        if use_weights:
            if rngs is None:
                raise ValueError("rngs is None; use_weights needs random keys for weights_init")
            self.weights = nnx.Param(weights_init(rngs.params(), window, param_dtype))
        else:
            self.weights = nnx.data(None)

    def __call__(
        self,
        inputs: ArrayLike,
        guide: ArrayLike | None = None,
        *,
        affinity: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> jax.Array:
        """Apply the layer.

        Args:
            inputs: (*batch, *spatial, C), any number of batch dimensions.
            guide: (*batch, *spatial, G), of its own type; G = C with `channel_wise`.
            affinity: instead of a guide, the affinity itself, (*batch, *output_size, *window), with
                a last axis C with `channel_wise`. The layer normalises it and applies the mask as
                it does with its own.
            mask: (*batch, *spatial, 1), how much each input counts. See `propagate_mask` for the
                mask that goes with the result.

        Returns:
            (*batch, *output_size, C).

        Raises:
            ValueError: neither or both of guide and affinity are given, or a shape does not fit.
            TypeError: a dtype does not fit.
        """
        check_one_source(guide, affinity)
        weights = None if self.weights is None else self.weights[...]
        inputs, weights = promote_dtype((jnp.asarray(inputs), weights), dtype=self.dtype)
        batch = batch_shape(inputs, len(self.window_shape))
        options: dict[str, Any] = {
            "weights": weights,
            "strides": self.strides,
            "padding": self.padding,
            "kernel_dilation": self.kernel_dilation,
            "channel_wise": self.channel_wise,
            "normalize": self.normalize,
            "mask": None if mask is None else flatten_batch(mask, "mask", batch),
            "precision": self.precision,
            "implementation": self.implementation,
        }
        inputs = flatten_batch(inputs, "inputs", batch)
        if guide is not None:
            guide = flatten_batch(guide, "guide", batch)
            outputs = pac_pool(inputs, guide, self.window_shape, affinity=self.affinity, **options)
        else:
            given = flatten_batch(affinity, "affinity", batch)  # type: ignore[arg-type]
            outputs = pac_pool_with_affinity(inputs, given, self.window_shape, **options)
        return restore_batch(outputs, batch)

    def propagate_mask(self, mask: ArrayLike) -> jax.Array:
        """Give the mask that goes with the layer's result.

        Args:
            mask: (*batch, *spatial, 1), as the layer was called with.

        Returns:
            (*batch, *output_size, 1) of the mask's type: 1 where any input counted, else 0.

        Raises:
            ValueError: the mask's shape does not fit.
            TypeError: its type does not fit.
        """
        return propagated(
            mask,
            self.window_shape,
            strides=self.strides,
            padding=self.padding,
            kernel_dilation=self.kernel_dilation,
        )
