"""The pixel-adaptive convolution layers."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from flax.nnx.nn.dtypes import promote_dtype
from jax import lax
from jax.nn.initializers import Initializer
from jax.typing import ArrayLike, DTypeLike

from pac_jax.functional import arguments, conv
from pac_jax.functional.affinity import Affinity, Gaussian
from pac_jax.functional.geometry import Padding, conv_geometry, transpose_geometry
from pac_jax.nn.batch import batch_shape, flatten_batch, restore_batch
from pac_jax.nn.held import check_one_source, hashable_padding, held_affinity
from pac_jax.nn.initializers import uniform_bias, uniform_kernel
from pac_jax.nn.masks import propagated


class _PacLayer(nnx.Module):
    """What the plain and the transposed layer share: everything but the operator."""

    _transposed: ClassVar[bool]

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        *,
        padding: Padding = "SAME",
        kernel_dilation: int | Sequence[int] = 1,
        feature_group_count: int = 1,
        use_bias: bool = True,
        shared_filter: bool = False,
        affinity: Affinity = Gaussian(),
        normalize: bool = False,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        precision: lax.PrecisionLike = None,
        preferred_element_type: DTypeLike | None = None,
        kernel_init: Initializer = uniform_kernel,
        bias_init: Initializer | None = None,
        implementation: str | None = None,
        rngs: nnx.Rngs,
    ):
        if isinstance(kernel_size, int):
            kernel_size = (kernel_size,)
        self.kernel_size = arguments.window_shape(tuple(kernel_size), "kernel_size")
        ndim = len(self.kernel_size)
        self.strides = arguments.per_dimension(strides, ndim, "strides")
        self.kernel_dilation = arguments.per_dimension(kernel_dilation, ndim, "kernel_dilation")
        self.padding = hashable_padding(padding)
        # Any size will do to have the padding checked here and not at the first call.
        geometry_of = transpose_geometry if self._transposed else conv_geometry
        geometry_of(
            self.kernel_size, self.kernel_size, self.strides, self.padding, self.kernel_dilation
        )
        for value, name in (
            (use_bias, "use_bias"),
            (shared_filter, "shared_filter"),
            (normalize, "normalize"),
        ):
            arguments.check_flag(value, name)
        _check_features(in_features, out_features, feature_group_count, shared_filter)
        self.in_features = in_features
        self.out_features = out_features
        self.feature_group_count = feature_group_count
        self.use_bias = use_bias
        self.shared_filter = shared_filter
        self.affinity = held_affinity(affinity)
        self.normalize = normalize
        self.dtype = dtype
        self.param_dtype = param_dtype
        self.precision = arguments.hashable_precision(precision)
        self.preferred_element_type = preferred_element_type
        self.implementation = implementation

        features = (1, 1) if shared_filter else (in_features // feature_group_count, out_features)
        shape = (*self.kernel_size, *features)
        self.kernel = nnx.Param(kernel_init(rngs.params(), shape, param_dtype))
        self.bias: nnx.Param | None
        if use_bias:
            draw_bias = uniform_bias(shape) if bias_init is None else bias_init
            self.bias = nnx.Param(draw_bias(rngs.params(), (out_features,), param_dtype))
        else:
            self.bias = nnx.data(None)

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
            inputs: (*batch, *spatial, in_features), any number of batch dimensions.
            guide: (*batch, *guide_size, G), where guide_size is the inputs' spatial size, or for
                the transposed layer the output's. It keeps its own type.
            affinity: instead of a guide, the affinity itself, (*batch, *output_size, *window). The
                layer normalises it and applies the mask as it does with its own.
            mask: (*batch, *spatial, 1), how much each input counts. See `propagate_mask` for the
                mask that goes with the result.

        Returns:
            (*batch, *output_size, out_features).

        Raises:
            ValueError: neither or both of guide and affinity are given, or a shape does not fit.
            TypeError: a dtype does not fit.
        """
        check_one_source(guide, affinity)
        kernel = self.kernel[...]
        bias = None if self.bias is None else self.bias[...]
        inputs, kernel, bias = promote_dtype((jnp.asarray(inputs), kernel, bias), dtype=self.dtype)
        batch = batch_shape(inputs, len(self.kernel_size))
        if inputs.shape[-1] != self.in_features:
            raise ValueError(
                f"inputs have shape {inputs.shape}, {inputs.shape[-1]} channels; this layer needs "
                f"its in_features, {self.in_features}"
            )
        groups = self.feature_group_count
        if self.shared_filter:
            groups = self.in_features
            kernel = jnp.broadcast_to(kernel, (*self.kernel_size, 1, groups))
        options: dict[str, Any] = {
            "strides": self.strides,
            "padding": self.padding,
            "kernel_dilation": self.kernel_dilation,
            "feature_group_count": groups,
            "normalize": self.normalize,
            "mask": None if mask is None else flatten_batch(mask, "mask", batch),
            "precision": self.precision,
            "preferred_element_type": self.preferred_element_type,
            "implementation": self.implementation,
        }
        inputs = flatten_batch(inputs, "inputs", batch)
        if guide is not None:
            guide = flatten_batch(guide, "guide", batch)
            operator = conv.pac_conv_transpose if self._transposed else conv.pac_conv
            outputs = operator(inputs, guide, kernel, bias, affinity=self.affinity, **options)
        else:
            weights = flatten_batch(affinity, "affinity", batch)  # type: ignore[arg-type]
            with_affinity = (
                conv.pac_conv_transpose_with_affinity
                if self._transposed
                else conv.pac_conv_with_affinity
            )
            outputs = with_affinity(inputs, weights, kernel, bias, **options)
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
            self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            kernel_dilation=self.kernel_dilation,
            transposed=self._transposed,
        )


class PacConv(_PacLayer):
    r"""Pixel-adaptive convolution layer: `nnx.Conv` whose kernel a guide re-weights at every pixel.

    $$ y_i = b + \sum_{t} k(f_j, m_i)\, W_t^\top x_j, \qquad j = i s - p + t d, $$

    see `pac_jax.pac_conv`. Called as `layer(inputs, guide, mask=None)` or, with the affinity
    computed before, as `layer(inputs, affinity=affinity)`.

    Args:
        in_features: C, number of input channels.
        out_features: D, number of output channels.
        kernel_size: odd sizes, one per spatial dimension; an int means one dimension, as in flax.
        strides: step between outputs, an int or one per spatial dimension.
        padding: 'SAME', 'SAME_LOWER', 'VALID', an int, or one (low, high) per spatial dimension.
        kernel_dilation: distance between taps, an int or one per spatial dimension.
        feature_group_count: number of groups that the features are split into.
        use_bias: whether to add a bias.
        shared_filter: whether one spatial filter serves every channel separately; then in_features
            and out_features are equal and the kernel is (*window, 1, 1).
        affinity: k: `pac_jax.Gaussian`, `pac_jax.Inverse`, one with parameters (`GaussianAffinity`,
            `InverseAffinity`, your own `nnx.Module`), or any function; see `pac_jax.Affinity`.
        normalize: whether to divide k by its sum over the taps inside the image.
        dtype: of the computation; inferred from inputs and parameters if None. The affinity and all
            sums have at least 32 bits in any case.
        param_dtype: of the parameters.
        precision: of the product with the kernel, as in `jax.lax`.
        preferred_element_type: the output's type, that of the computation if None.
        kernel_init: initializer of the kernel; uniform in +-1 / sqrt(fan-in) by default.
        bias_init: initializer of the bias; None is uniform within the kernel's default bounds.
        implementation: 'pallas', 'pallas_tpu', 'taps', 'shifts', 'patches', or None for the fastest
            that can run (see `explain_implementation`).
        rngs: of which `params` is drawn.

    Attributes:
        kernel: `nnx.Param`, (*window, C / feature_group_count, D), or (*window, 1, 1).
        bias: `nnx.Param`, (D,), or None.

    Raises:
        ValueError: an argument does not fit; the message says which.
        TypeError: an argument's type does not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from pac_jax.nn import PacConv
        >>> layer = PacConv(4, 8, (5, 5), rngs=nnx.Rngs(0))
        >>> layer(jnp.ones((2, 24, 32, 4)), guide=jnp.ones((2, 24, 32, 3))).shape
        (2, 24, 32, 8)

    Reference:
        Su et al., "Pixel-Adaptive Convolutional Neural Networks", CVPR 2019, equation 3.
    """

    _transposed = False


class PacConvTranspose(_PacLayer):
    r"""Transposed pixel-adaptive convolution layer: `nnx.ConvTranspose` with a guide.

    The guide has the output's size; see `pac_jax.pac_conv_transpose`. Called as
    `layer(inputs, guide, mask=None)` or as `layer(inputs, affinity=affinity)`.

    Args:
        in_features: C, number of input channels.
        out_features: D, number of output channels.
        kernel_size: odd sizes, one per spatial dimension; an int means one dimension, as in flax.
        strides: factor of upsampling, an int or one per spatial dimension.
        padding: 'SAME' or 'VALID' as `jax.lax.conv_transpose` means them, or an int or (low, high)
            pairs for the spread input. PyTorch's padding p and output padding q are the pairs
            ((w - 1) d - p, (w - 1) d - p + q).
        kernel_dilation: distance between taps on the output's grid.
        feature_group_count: as in `PacConv`, like every argument below.
        use_bias: see `PacConv`.
        shared_filter: see `PacConv`.
        affinity: see `PacConv`.
        normalize: whether to divide the affinity by its sum over the taps that meet a real sample.
        dtype: see `PacConv`.
        param_dtype: see `PacConv`.
        precision: see `PacConv`.
        preferred_element_type: see `PacConv`.
        kernel_init: see `PacConv`; `linear_interpolation` starts the layer as linear interpolation.
        bias_init: see `PacConv`.
        implementation: see `PacConv`.
        rngs: see `PacConv`.

    Attributes:
        kernel: `nnx.Param`, (*window, C / feature_group_count, D), or (*window, 1, 1).
        bias: `nnx.Param`, (D,), or None.

    Raises:
        ValueError: an argument does not fit; the message says which.
        TypeError: an argument's type does not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from pac_jax.nn import PacConvTranspose
        >>> layer = PacConvTranspose(4, 8, (5, 5), strides=2, rngs=nnx.Rngs(0))
        >>> layer(jnp.ones((2, 12, 16, 4)), guide=jnp.ones((2, 24, 32, 3))).shape
        (2, 24, 32, 8)

    Reference:
        Su et al., "Pixel-Adaptive Convolutional Neural Networks", CVPR 2019, section 4.1.
    """

    _transposed = True


def _check_features(
    in_features: int, out_features: int, feature_group_count: int, shared_filter: bool
) -> None:
    for value, name in (
        (in_features, "in_features"),
        (out_features, "out_features"),
        (feature_group_count, "feature_group_count"),
    ):
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} is {value!r}; it needs an int")
        if value < 1:
            raise ValueError(f"{name} is {value}; it needs to be positive")
    if in_features % feature_group_count or out_features % feature_group_count:
        raise ValueError(
            f"feature_group_count is {feature_group_count}; it needs to divide in_features, "
            f"{in_features}, and out_features, {out_features}"
        )
    if shared_filter and in_features != out_features:
        raise ValueError(
            f"in_features is {in_features} and out_features {out_features}; shared_filter applies "
            "one filter to every channel separately and needs them to be equal"
        )
    if shared_filter and feature_group_count != 1:
        raise ValueError(
            f"feature_group_count is {feature_group_count}; with shared_filter, which treats every "
            "channel separately already, it needs to be 1"
        )
