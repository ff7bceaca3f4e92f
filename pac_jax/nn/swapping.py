"""Hot-swapping: convolutions of a finished model become pixel-adaptive, with their weights."""

import fnmatch
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import ArrayLike

from pac_jax.functional.affinity import Affinity, Gaussian
from pac_jax.nn.conv import PacConv, PacConvTranspose

__all__ = ["HotSwapped", "Swap", "hot_swap"]

Select = Sequence[str] | Callable[[str, nnx.Module], bool]
Guide = str | Callable[..., ArrayLike]
Path = tuple[Any, ...]  # names and numbers

_FROM_ARGUMENTS = "the model's arguments"
# JAX's names of the paddings that are not zeros.
_PADDING_MODES = {"CIRCULAR": "wrap", "REFLECT": "reflect"}


class Swap(NamedTuple):
    """One swapped layer.

    Attributes:
        path: of the layer in the model, joined by dots.
        kind: 'Conv' or 'ConvTranspose'.
        kernel_shape: of its kernel, which it keeps.
        guide: where its guide comes from.
    """

    path: str
    kind: str
    kernel_shape: tuple[int, ...]
    guide: str


def hot_swap(
    model: nnx.Module,
    select: Select,
    *,
    guide: Guide,
    scale: float = 1e-4,
    learn_scale: bool = False,
    affinity: Affinity = Gaussian(),
    normalize: bool = False,
    implementation: str | None = None,
) -> "HotSwapped":
    r"""Turn chosen convolutions of a model into pixel-adaptive ones that keep their weights.

    $$ y_i = b + \sum_t W_t^\top x_j \quad\longrightarrow\quad
       y_i = b + \sum_t k(s f_j, s f_i)\, W_t^\top x_j. $$

    With a small scale s the affinity k is nearly 1 everywhere: the model computes nearly what it
    did, and fine-tuning goes on from there.

    Args:
        model: any NNX module; it is copied and stays as it is.
        select: the layers: their paths, such as 'encoder.conv1' or with wildcards 'blocks.*.conv2',
            or a function (path, layer) -> bool that is asked for every `nnx.Conv` and
            `nnx.ConvTranspose`.
        guide: where f comes from: the path of a module of the model, whose output it is (an earlier
            activation); or a function of the model's arguments, such as `lambda image: image`, or
            an `nnx.Module` (a branch that is trained as well). It is resized bilinearly to the size
            that a layer needs.
        scale: s, of the guide.
        learn_scale: whether every layer learns its own scale.
        affinity: k, see `pac_jax.Affinity`.
        normalize: whether k is normalised; then the weights no longer fit at the borders.
        implementation: 'pallas', 'pallas_tpu', 'taps', 'shifts', 'patches', or None for the fastest
            that can run (see `explain_implementation`).

    Returns:
        The model with its layers swapped, called as the model is; `report` lists them.

    Raises:
        ValueError: nothing is selected, a path does not exist, or is no convolution.
        NotImplementedError: a selected layer cannot be swapped; the message says why.
        TypeError: an argument's type does not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> import pac_jax
        >>> rngs = nnx.Rngs(0)
        >>> model = nnx.Sequential(
        ...     nnx.Conv(3, 8, (3, 3), rngs=rngs), nnx.relu, nnx.Conv(8, 4, (3, 3), rngs=rngs))
        >>> swapped = pac_jax.hot_swap(model, ["layers.2"], guide=lambda image: image)
        >>> swapped(jnp.ones((1, 6, 8, 3))).shape, swapped.report[0].path
        ((1, 6, 8, 4), 'layers.2')

    Reference:
        Su et al., "Pixel-Adaptive Convolutional Neural Networks", CVPR 2019, section 6.
    """
    if not isinstance(model, nnx.Module):
        raise TypeError(f"model is a {type(model).__name__}; it needs an nnx.Module")
    if not isinstance(guide, str) and not callable(guide):
        raise TypeError(f"guide is a {type(guide).__name__}; it needs a path or a function")
    model = nnx.clone(model)
    modules = {_name(path): (path, module) for path, module in nnx.iter_modules(model)}
    chosen = _selected(modules, select)
    source = guide if isinstance(guide, str) else _FROM_ARGUMENTS
    if isinstance(guide, str):
        if guide not in modules or not guide:
            raise ValueError(
                f"guide is {guide!r}, which is no module; there are {_some_of(modules)}"
            )
        if guide in chosen:
            raise ValueError(f"guide is {guide!r}, a layer to be swapped; give an earlier one")
    report = []
    for name in chosen:
        path, layer = modules[name]
        _check_swappable(name, layer)
        swapped = _SwappedConv(
            name, layer, source, scale, learn_scale, affinity, normalize, implementation
        )
        _replace(model, path, swapped)
        shape = tuple(layer.kernel.shape)  # type: ignore[attr-defined]
        report.append(Swap(name, type(layer).__name__, shape, source))
    if isinstance(guide, str):
        path, module = modules[guide]
        _replace(model, path, _Tap(guide, module))
    _check_none_left(model, [modules[name][1] for name in chosen])
    return HotSwapped(model, None if isinstance(guide, str) else guide, tuple(report))


class HotSwapped(nnx.Module):
    """A model with swapped layers; called as the model is. Made by `hot_swap`.

    Attributes:
        model: the model, with `pac_jax.nn` layers in the chosen places.
        guide: the function or branch that computes the guide from the arguments, or None.
        report: what was swapped, a `Swap` for each layer.
    """

    def __init__(
        self, model: nnx.Module, guide: Callable[..., ArrayLike] | None, report: tuple[Swap, ...]
    ):
        self.model = model
        self.guide = nnx.data(guide) if isinstance(guide, nnx.Module) else guide
        self.report = report

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the model; swapped layers find the guide that belongs to this call.

        Args:
            arguments: of the model; a function for the guide gets the positional ones.
            named: of the model.

        Returns:
            What the model returns.

        Raises:
            ValueError: a guide does not fit, or is computed later than a layer needs it.
        """
        with _guides_of_a_call() as guides:
            if self.guide is not None:
                guides[_FROM_ARGUMENTS] = jnp.asarray(self.guide(*arguments))
            return self.model(*arguments, **named)


_GUIDES: ContextVar[dict[str, jax.Array] | None] = ContextVar("guides", default=None)


@contextmanager
def _guides_of_a_call() -> Iterator[dict[str, jax.Array]]:
    """Guides by their source, for the layers that are called meanwhile."""
    guides: dict[str, jax.Array] = {}
    token = _GUIDES.set(guides)
    try:
        yield guides
    finally:
        _GUIDES.reset(token)


class _Tap(nnx.Module):
    """A module whose output is a guide."""

    def __init__(self, name: str, module: nnx.Module):
        self.name = name
        self.module = module

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        output = self.module(*arguments, **named)
        guides = _GUIDES.get()
        if guides is not None:
            guides[self.name] = output
        return output


class _SwappedConv(nnx.Module):
    """A convolution of the model as a pixel-adaptive one, with the same weights.

    Args:
        name: of the layer in the model.
        layer: `nnx.Conv` or `nnx.ConvTranspose`.
        source: of the guide.
        scale: of the guide.
        learn_scale: whether it is learned.
        affinity: see `hot_swap`.
        normalize: see `hot_swap`.
        implementation: see `hot_swap`.
    """

    def __init__(
        self,
        name: str,
        layer: Any,
        source: str,
        scale: float,
        learn_scale: bool,
        affinity: Affinity,
        normalize: bool,
        implementation: str | None,
    ):
        self.name = name
        self.source = source
        self.scale = nnx.Param(jnp.asarray(scale, jnp.float32)) if learn_scale else scale
        ndim = len(layer.kernel_size)
        self.mode = _padding_mode(layer)
        options: dict[str, Any] = {
            "strides": _per_dimension(layer.strides, ndim),
            "padding": "VALID" if self.mode else _zero_padding(layer.padding),
            "kernel_dilation": _per_dimension(layer.kernel_dilation, ndim),
            "use_bias": layer.bias is not None,
            "affinity": affinity,
            "normalize": normalize,
            "dtype": layer.dtype,
            "param_dtype": layer.param_dtype,
            "precision": layer.precision,
            "preferred_element_type": layer.preferred_element_type,
            "kernel_init": nnx.initializers.zeros,
            "bias_init": nnx.initializers.zeros,
            "implementation": implementation,
            "rngs": nnx.Rngs(0),
        }
        if isinstance(layer, nnx.Conv):
            options["feature_group_count"] = layer.feature_group_count
        kind = PacConv if isinstance(layer, nnx.Conv) else PacConvTranspose
        self.pac = kind(layer.in_features, layer.out_features, layer.kernel_size, **options)
        self.pac.kernel = layer.kernel
        if layer.bias is not None:
            self.pac.bias = layer.bias

    def __call__(self, inputs: ArrayLike) -> jax.Array:
        """Convolve with the guide of this call."""
        guides = _GUIDES.get()
        if guides is None:
            raise ValueError(
                f"{self.name} was swapped and needs a guide, which calling the whole model provides; "
                "call what hot_swap returned, not a part of it"
            )
        if self.source not in guides:
            raise ValueError(
                f"guide {self.source!r} is not there yet when {self.name} runs; give one that the "
                "model computes earlier"
            )
        inputs = jnp.asarray(inputs)
        guide = self._fitted(guides[self.source], inputs)
        if self.mode:
            inputs, guide = (self._padded(array) for array in (inputs, guide))
        return self.pac(inputs, guide)

    def _fitted(self, guide: jax.Array, inputs: jax.Array) -> jax.Array:
        """The guide, resized to what the layer needs, and scaled."""
        ndim = len(self.pac.kernel_size)
        size = inputs.shape[-ndim - 1 : -1]
        if isinstance(self.pac, PacConvTranspose):
            output = jax.eval_shape(
                lambda x: lax.conv_transpose(
                    x.reshape(-1, *x.shape[-ndim - 1 :]),
                    self.pac.kernel[...].astype(x.dtype),
                    self.pac.strides,
                    self._lax_padding(),
                    rhs_dilation=self.pac.kernel_dilation,
                ),
                inputs,
            )
            size = output.shape[1:-1]
        batch = inputs.shape[: -ndim - 1]
        if guide.ndim != inputs.ndim or guide.shape[: -ndim - 1] != batch:
            raise ValueError(
                f"guide has shape {guide.shape}; {self.name}, whose inputs have shape "
                f"{inputs.shape}, needs {(*batch, *['size'] * ndim, 'channels')}"
            )
        if not jnp.issubdtype(guide.dtype, jnp.floating):
            raise TypeError(f"guide has dtype {guide.dtype}; it needs a floating-point type")
        if guide.shape[-ndim - 1 : -1] != size:
            shape = (*batch, *size, guide.shape[-1])
            guide = jax.image.resize(guide, shape, "linear", antialias=False)
        scale = self.scale[...] if isinstance(self.scale, nnx.Param) else self.scale
        return guide * jnp.asarray(scale, guide.dtype)

    def _lax_padding(self) -> Any:
        """The padding as `jax.lax.conv_transpose` takes it."""
        padding = self.pac.padding
        ndim = len(self.pac.kernel_size)
        return [(padding, padding)] * ndim if isinstance(padding, int) else padding

    def _padded(self, array: jax.Array) -> jax.Array:
        ndim = len(self.pac.kernel_size)
        reach = [
            (size - 1) * dilation
            for size, dilation in zip(self.pac.kernel_size, self.pac.kernel_dilation, strict=True)
        ]
        causal = self.mode == "CAUSAL"
        pads = [(r, 0) if causal else (r // 2, r - r // 2) for r in reach]
        pads = [(0, 0)] * (array.ndim - ndim - 1) + pads + [(0, 0)]
        if causal:
            return jnp.pad(array, pads)
        return jnp.pad(array, pads, mode=_PADDING_MODES[self.mode])


def _selected(modules: dict[str, tuple[Path, nnx.Module]], select: Select) -> list[str]:
    """Names of the layers, in the model's order."""
    convolutions = {name for name, (_, module) in modules.items() if isinstance(module, _SWAPPABLE)}
    if callable(select):
        chosen = [
            name for name in modules if name in convolutions and select(name, modules[name][1])
        ]
        if not chosen:
            raise ValueError(f"select chooses none of {_some_of(sorted(convolutions))}")
        return chosen
    if isinstance(select, str):
        raise TypeError(f"select is {select!r}; it needs a sequence, [{select!r}]")
    found: set[str] = set()
    for pattern in select:
        matching = set(fnmatch.filter(modules, pattern))
        if not matching:
            raise ValueError(
                f"select has {pattern!r}, which is no module; there are {_some_of(modules)}"
            )
        if not matching & convolutions:
            kind = type(modules[min(matching)][1]).__name__
            raise ValueError(
                f"select has {pattern!r}, a {kind}; it needs nnx.Conv or nnx.ConvTranspose, which "
                f"are {_some_of(sorted(convolutions))}"
            )
        found |= matching & convolutions
    if not found:
        raise ValueError(f"select is empty; there are {_some_of(sorted(convolutions))}")
    return [name for name in modules if name in found]


_SWAPPABLE = (nnx.Conv, nnx.ConvTranspose)


def _check_swappable(name: str, layer: Any) -> None:
    """Raise NotImplementedError, with the reason, if there is no PAC form of a layer."""
    ndim = len(layer.kernel_size)
    reason = None
    if any(size % 2 == 0 for size in layer.kernel_size):
        reason = f"its window {layer.kernel_size} has an even size, so no pixel is its centre"
    elif not 1 <= ndim <= 3:
        reason = f"it has {ndim} spatial dimensions, not one to three"
    elif layer.mask is not None:
        reason = "its kernel has a mask"
    elif isinstance(layer, nnx.Conv):
        if _per_dimension(layer.input_dilation, ndim) != (1,) * ndim:
            reason = f"it has an input_dilation, {layer.input_dilation}"
        elif layer.conv_general_dilated is not lax.conv_general_dilated:
            reason = "it has a conv_general_dilated of its own"
    elif layer.transpose_kernel:
        reason = "it has transpose_kernel"
    elif isinstance(layer.padding, str) and layer.padding.upper() in ("CIRCULAR", "CAUSAL"):
        reason = f"it has padding {layer.padding!r}"
    if reason:
        raise NotImplementedError(f"{name} cannot be swapped: {reason}; leave it out of select")


def _check_none_left(model: nnx.Module, layers: list[nnx.Module]) -> None:
    left = {id(module) for _, module in nnx.iter_modules(model)} & {id(layer) for layer in layers}
    if left:
        raise NotImplementedError(
            "a selected layer is used in several places of the model; it cannot be swapped in one"
        )


def _padding_mode(layer: Any) -> str:
    """The padding's mode, if it is not zeros in equal or given parts; else nothing."""
    if isinstance(layer, nnx.Conv) and isinstance(layer.padding, str):
        name = layer.padding.upper()
        return name if name in (*_PADDING_MODES, "CAUSAL") else ""
    return ""


def _zero_padding(padding: Any) -> Any:
    """Flax's padding as ours: names, numbers, or a pair per dimension."""
    if isinstance(padding, str):
        return padding.upper()
    if isinstance(padding, int):
        return padding
    return tuple((p, p) if isinstance(p, int) else tuple(p) for p in padding)


def _per_dimension(value: Any, ndim: int) -> tuple[int, ...]:
    if value is None:
        return (1,) * ndim
    return (value,) * ndim if isinstance(value, int) else tuple(value)


def _replace(model: nnx.Module, path: Path, new: nnx.Module) -> None:
    """Put a module in another's place."""
    parent: Any = model
    for key in path[:-1]:
        parent = parent[key] if isinstance(key, int) else _child(parent, key)
    key = path[-1]
    if isinstance(parent, tuple):
        raise NotImplementedError(
            f"{_name(path)} is in a tuple, which cannot be changed; make it an nnx.List"
        )
    if isinstance(parent, nnx.Module) and isinstance(key, str):
        setattr(parent, key, new)
    else:
        parent[key] = new


def _child(parent: Any, key: str) -> Any:
    return getattr(parent, key) if hasattr(parent, key) else parent[key]


def _name(path: Path) -> str:
    return ".".join(str(key) for key in path)


def _some_of(names: Any, most: int = 12) -> str:
    listed = [name for name in names if name]
    shown = ", ".join(listed[:most])
    return f"{shown}, and {len(listed) - most} more" if len(listed) > most else shown
