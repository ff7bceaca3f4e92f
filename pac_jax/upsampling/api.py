"""The function that does everything around a network."""

from collections.abc import Callable
from functools import partial

import jax
import numpy as np
from jax.typing import ArrayLike

from pac_jax.inputs import Source
from pac_jax.upsampling.composition import chain, ratio
from pac_jax.upsampling.given import given, in_form_of
from pac_jax.upsampling.holes import fill, measured_pixels
from pac_jax.upsampling.image import through
from pac_jax.upsampling.networks import Model, networks_for
from pac_jax.upsampling.resizing import at_scale
from pac_jax.upsampling.sampling import takes_single_pixels

__all__ = ["upsample"]

Upsampler = Callable[[np.ndarray, np.ndarray], np.ndarray]

_KINDS = ("depth", "flow", "labels")


def upsample(
    target_low: Source,
    guide: Source,
    factor: float | None = None,
    *,
    kind: str = "depth",
    mask: ArrayLike | None = None,
    model: Model | None = None,
    protocol: str | None = None,
    tile: int | None = None,
    keep_holes: bool = False,
) -> np.ndarray | jax.Array:
    """Make a coarse depth map, flow field or label map as large and as sharp as a photograph.

    The networks that ship with the package do it, or one of your own. Holes of the target are first
    filled along the edges of the photograph, by normalised PAC that reads measured pixels only, and
    without changing any of these. Images of any size: those that would take much memory are cut into
    overlapping tiles, which changes nothing in the result but its rounding. Any factor: between
    those of the networks the photograph is enlarged to the next and the result brought back, beyond
    them two networks follow each other. Programs are compiled once for each shape and network.

    Args:
        target_low: (h, w), (h, w, C) or (N, h, w, C), NumPy or JAX, integers or floats, or the path
            of a file that `pac_jax.files` reads. For flow C is 2; its values are not scaled, so a
            flow that counts low-resolution pixels has to be multiplied by the factor beforehand or
            afterwards. Labels are integers, (h, w) or (N, h, w, 1).
        guide: photograph of the same view, larger: (H, W, 3), (H, W, 1) or (H, W), or a batch
            (N, H, W, 3) or (N, H, W, 1) if the target is one; uint8, or floats in [0, 1]; or the
            path of an image.
        factor: guide's size over the target's, any number above 1; if None the sizes tell. They need
            not divide: a target may have been rounded, and its shape differ by up to 5 %.
        kind: 'depth' (also disparity and other maps of one quantity), 'flow', or 'labels' (every
            class on its own, and the likeliest is taken; time grows with the number of classes).
        mask: (h, w) or (N, h, w), nonzero where the target was measured. Values that are not finite
            are holes in any case, as are depth beyond 1e30 and flow beyond 1e7. If None, so are zeros
            of depth; where 0 is a measurement, pass a mask of ones.
        model: name in `pac_jax.pretrained.list()`, path of a .safetensors file, or a
            `flax.nnx.Module` that is called as `model(target_low, guide)` and has a `factor`; if
            None the best that ship for the kind. A network that has `receptive_field` and
            `alignment` (pixels of the guide) is cut into tiles; images are continued at their borders
            by its `margin`, pixels of the target, or 4 if it has none.
        protocol: how the target came about: 'bicubic' or 'bilinear-antialias' where each value is a
            mean over its surroundings, as sensors and good resizing give it; 'center', 'first' or
            'last' where it is that of one pixel of its block, in the middle, at the start (nearest
            neighbour of OpenCV and PyTorch, `depth[::8, ::8]`) or at the end. If None what the
            network was stored with, or 'center' for labels, and for a depth map whose edges are steps
            between neighbours, as single pixels give them. Only networks that tell them apart take it.
        tile: largest side of the tiles in pixels of the guide; if None chosen so that a tile takes a
            few hundred megabytes at most.
        keep_holes: whether pixels that lie in holes are NaN in the result, not filled.

    Returns:
        (H, W), (H, W, C) or (N, H, W, C), with as many dimensions as the target; float32, or labels
        of the target's type. NumPy, or JAX if the target is a JAX array. Depth stays between the
        smallest and the largest measurement; a channel that has one value everywhere keeps it.

    Raises:
        ValueError: shapes, values, sizes or names do not fit; the message says what would.
        TypeError: a dtype or a type does not fit.
        FileNotFoundError: there is no such file.
        FileFormatError: a file is damaged, or holds something else; a `ValueError`.

    Example:
        >>> import numpy as np, pac_jax
        >>> depth = np.linspace(1, 2, 48, dtype=np.float32).reshape(6, 8)
        >>> photo = np.zeros((48, 64, 3), np.uint8)
        >>> pac_jax.upsample(depth, photo).shape
        (48, 64)
    """
    if kind not in _KINDS:
        raise ValueError(f"kind is {kind!r}; it needs one of {', '.join(_KINDS)}")
    if keep_holes and kind == "labels":
        raise ValueError("keep_holes is True, but labels have no NaN; leave it out for labels")
    _check_tile(tile)
    batch = given(target_low, guide, mask, kind)
    sizes = batch.targets.shape[1:3], batch.guides.shape[1:3]
    measured = measured_pixels(batch.targets, batch.masks, kind)
    factors = chain(*sizes, ratio(*sizes, factor), networks_for(model, kind, protocol))
    # One image after another: a batch takes no more memory than its largest tile.
    results = []
    for target, guide_image, known in zip(batch.targets, batch.guides, measured, strict=True):
        # Networks for flow know means alone. A class either is there or not, as in a single pixel.
        # Depths tell.
        single_pixels = kind == "labels" or (kind == "depth" and takes_single_pixels(target, known))
        networks = networks_for(model, kind, protocol, single_pixels=single_pixels)
        up = partial(through, factors, networks, tile=tile)
        if kind == "labels":
            results.append(_labels(up, target, guide_image, known))
        else:
            results.append(_values(up, target, guide_image, known, kind, keep_holes))
    return in_form_of(batch, np.stack(results))


def _values(
    up: Upsampler,
    target: np.ndarray,
    guide: np.ndarray,
    measured: np.ndarray,
    kind: str,
    keep_holes: bool,
) -> np.ndarray:
    """One depth map or flow field: (H, W, C)."""
    result = up(fill(target, measured, guide), guide)
    if kind == "depth":  # where edges overshoot, up to values that were measured nowhere
        known = target[measured[..., 0]]
        result = np.clip(result, known.min(0), known.max(0))
    if keep_holes:
        pixels = (
            np.round(at_scale(np.arange(to), n, to)).astype(np.intp)
            for n, to in zip(measured.shape, guide.shape[:2], strict=False)
        )
        result[~measured[np.ix_(*pixels)][..., 0]] = np.nan
    return result


def _labels(
    up: Upsampler, target: np.ndarray, guide: np.ndarray, measured: np.ndarray
) -> np.ndarray:
    """One label map: (H, W, 1). Every class by its one-hot scores, the largest one wins."""
    labels = np.unique(target[measured])
    scores = fill((target == labels).astype(np.float32), measured, guide)
    best = np.full((*guide.shape[:2], 1), -np.inf, np.float32)
    result = np.full(best.shape, labels[0])
    for number, label in enumerate(labels):
        score = up(scores[..., number : number + 1], guide)
        result[score > best] = label
        best = np.maximum(best, score)
    return result


def _check_tile(tile: int | None) -> None:
    whole = isinstance(tile, int | np.integer) and not isinstance(tile, bool)
    if tile is not None and not (whole and tile >= 1):
        raise ValueError(f"tile is {tile!r}; it needs a positive number of pixels, or None")
