"""Unknown pixels of a coarse target: found, and filled along the edges of the image.

A hole is filled from its rim inwards by normalised, masked PAC, whose guide is the image at the
target's size. In every step the window reaches one ring further, and the pixels whose surroundings
agree best in colour with what is known come first: a hole that spans two objects is filled from both
sides, up to the edge between them. Measured pixels never change.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pac_jax.filters import with_positions
from pac_jax.functional.affinity_map import pac_affinity
from pac_jax.functional.mask import propagate_mask
from pac_jax.functional.pool import pac_pool_with_affinity
from pac_jax.upsampling.resizing import shrink

__all__ = ["fill", "measured_pixels"]

_WINDOW = (5, 5)
# Colours in [0, 1] that differ by a fifth, and neighbours two pixels away, have exp(-1/2); the least
# affinity of the window, between black and white, is exp(-37.5 - 1) and no underflow.
_COLOR_SCALE, _SPACE_SCALE = 5.0, 0.5
# A pixel is filled once the affinities to what is known add up to this; where no pixel is, to ever
# less.
_CONFIDENCE, _PATIENCE = 1.0, 0.1
# Beyond it files of flow mean unknown; files of depth write float32's largest number for that, which
# no sum would survive.
_LARGEST = {"flow": 1e7, "depth": 1e30}


def measured_pixels(targets: np.ndarray, masks: np.ndarray | None, kind: str) -> np.ndarray:
    """Tell holes from measurements.

    Args:
        targets: (N, h, w, C), float32 or integers.
        masks: (N, h, w, 1) booleans, true where measured, instead of the rule that a depth of 0 is a
            hole; or None.
        kind: 'depth', 'flow' or 'labels'.

    Returns:
        (N, h, w, 1) booleans.

    Raises:
        ValueError: of one target nothing at all is measured.
    """
    measured = np.isfinite(targets)
    if kind in _LARGEST:
        measured &= np.abs(np.where(measured, targets, 0)) <= _LARGEST[kind]
    if masks is not None:
        measured &= masks
    elif kind == "depth":
        measured &= targets != 0
    measured = measured.all(-1, keepdims=True)
    if not measured.any((1, 2, 3)).all():
        unknown = {"depth": "0 or not finite", "flow": "not finite or beyond 1e7"}.get(
            kind, "masked"
        )
        reason = "masked or not finite" if masks is not None else unknown
        raise ValueError(f"target_low has no measured pixel: all of them are {reason}")
    return measured


def fill(target: np.ndarray, measured: np.ndarray, guide: np.ndarray) -> np.ndarray:
    """Fill the holes of a target.

    Args:
        target: (h, w, C) float32.
        measured: (h, w, 1) booleans, at least one true.
        guide: (H, W, 3) of any size, float32 in [0, 1] or uint8.

    Returns:
        (h, w, C) float32, finite; the target itself where it is measured.
    """
    if measured.all():
        return target
    known = measured.astype(np.float32)
    small = shrink(guide, target.shape[:2])
    return np.asarray(_march(target[None], known[None], small[None]))[0]


@jax.jit
def _march(values: jax.Array, known: jax.Array, guide: jax.Array) -> jax.Array:
    """Fill (1, h, w, C) step by step until all pixels are known."""
    features = with_positions(guide, _COLOR_SCALE, _SPACE_SCALE)
    affinity = pac_affinity(features, _WINDOW)
    pool = partial(pac_pool_with_affinity, affinity=affinity, window_shape=_WINDOW, padding="SAME")
    State = tuple[jax.Array, jax.Array, jax.Array]

    def unfinished(state: State) -> jax.Array:
        return jnp.any(state[1] == 0)

    def step(state: State) -> State:
        values, known, confidence = state
        reached = (propagate_mask(known, _WINDOW) > 0) & (known == 0)
        new = reached & (pool(known) >= confidence)
        values = jnp.where(new, pool(values, mask=known, normalize=True), values)
        confidence = jnp.where(jnp.any(new), _CONFIDENCE, _PATIENCE * confidence)
        return values, jnp.where(new, jnp.ones_like(known), known), confidence

    start = values, known, jnp.float32(_CONFIDENCE)
    return lax.while_loop(unfinished, step, start)[0]
