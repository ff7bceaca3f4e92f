"""Colours of layers: clouds, stripes, checks, mosaics, spots, print, and plain paint.

A texture mixes four colours by two fields in [0, 1]: `cloud`, warped fractal noise that is soft
or has hard contours, and `pattern`, a regular drawing. Each layer draws all numbers, and each
image point evaluates only the texture of the layer it sees.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from experiments.scenes.config import SceneConfig
from experiments.scenes.draws import Dice
from experiments.scenes.lattice_noise import fractal_noise, hash_unit, hash_units, value_noise

_PLAIN_CONTRAST = 0.06
_CAMOUFLAGE_DIFFERENCE = 0.04
_NO_PATTERN, _STRIPES, _CHECKS, _MOSAIC, _SPOTS, _PRINT = range(6)
_PATTERN_WEIGHTS = (0.3, 0.14, 0.1, 0.18, 0.12, 0.16)


class Textures(NamedTuple):
    """Textures of L layers.

    Attributes:
        axes: (L, 2) cosine and sine of the texture's rotation over its scale (1 / pixels).
        stretch: (L,) factor on the frequency along the second axis.
        seed: (L,) uint32 seed of all noise of the layer.
        warp: (L,) displacement of the clouds by other noise, in cells.
        roughness: (L,) amplitude of an octave of the clouds over that of the next coarser one.
        sharpness: (L,) slope of the contours of clouds; one is soft.
        pattern: (L,) int32 number of the pattern.
        pattern_scale: (L,) cells of the pattern per cell of the clouds.
        mosaic: (L,) size of random colour differences between the pattern's cells.
        grain: (L,) size of fine brightness noise, that fades over about a pixel.
        ramp: (L, 2) change of brightness per pixel along x and y.
        colours: (L, 4, 3) the colours that the fields mix.
    """

    axes: jax.Array
    stretch: jax.Array
    seed: jax.Array
    warp: jax.Array
    roughness: jax.Array
    sharpness: jax.Array
    pattern: jax.Array
    pattern_scale: jax.Array
    mosaic: jax.Array
    grain: jax.Array
    ramp: jax.Array
    colours: jax.Array


def draw_textures(each: Dice, config: SceneConfig) -> Textures:
    """Draw the textures of all layers.

    Args:
        each: Random numbers of L layers.
        config: Scene settings.

    Returns:
        Textures; some layers wear the background's texture (camouflage).
    """
    scale = each.log_uniform(config.texture_scale)
    angle = each.uniform((-jnp.pi, jnp.pi))
    # Half of the patterns are upright, as books, windows, and writing in rooms are.
    angle = jnp.where(each.chance(0.5), 0.03 * angle, angle)
    plain = jnp.where(each.chance(config.plain_prob), _PLAIN_CONTRAST, 1.0)
    contrast = each.uniform(config.contrast) * plain
    textures = Textures(
        axes=jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1) / scale[:, None],
        stretch=each.log_uniform((0.5, 2.5)),
        seed=each.uniform((0.0, 2.0**24)).astype(jnp.uint32) << 8,
        warp=each.sometimes(0.5, (0.3, 2.0)),
        roughness=each.uniform((0.35, 0.8)),
        sharpness=each.log_uniform((1.2, 20.0)),
        pattern=_draw_patterns(each),
        pattern_scale=each.log_uniform((0.8, 3.0)),
        mosaic=each.sometimes(0.5, (0.1, 1.0)) * contrast,
        grain=each.sometimes(0.6, (0.02, 0.25)) * contrast,
        ramp=each.uniform((-1.0, 1.0), (2,)) * (0.3 / max(config.size)),
        colours=_draw_palettes(each, contrast),
    )
    return _camouflage(each, config, textures)


def _draw_patterns(each: Dice) -> jax.Array:
    """Draw (L,) int32 pattern numbers by their weights."""
    edges = jnp.cumsum(jnp.array(_PATTERN_WEIGHTS[:-1]))
    return (each.uniform((0.0, 1.0), (1,)) >= edges).sum(axis=-1, dtype=jnp.int32)


def _draw_palettes(each: Dice, contrast: jax.Array) -> jax.Array:
    """Draw (L, 4, 3) colours whose distance to the first one grows with (L,) contrast."""
    light = each.uniform((0.04, 0.98), (4, 1))
    hue = each.uniform((-0.5, 0.5), (4, 3))
    # The square makes greyish colours frequent, as they are in photographs.
    chroma = 1.6 * each.uniform((0.0, 1.0), (4, 1)) ** 2
    colours = jnp.clip(light + chroma * (hue - hue.mean(-1, keepdims=True)), 0.0, 1.0)
    return colours[:, :1] + contrast[:, None, None] * (colours - colours[:, :1])


def _camouflage(each: Dice, config: SceneConfig, textures: Textures) -> Textures:
    """Give some layers the background's texture in nearly its colours."""
    flag = each.chance(config.camouflage_prob)
    largest = _CAMOUFLAGE_DIFFERENCE
    background = jax.tree.map(lambda leaf: leaf[:1], textures)
    shifted = background.colours + each.uniform((-largest, largest), (1, 3))
    background = background._replace(colours=shifted)

    def choose(copy: jax.Array, own: jax.Array) -> jax.Array:
        return jnp.where(flag.reshape(-1, *(1,) * (own.ndim - 1)), copy, own)

    return jax.tree.map(choose, background, textures)


def texture_colour(x: jax.Array, y: jax.Array, texture: Textures) -> jax.Array:
    """Evaluate textures at points of their surfaces.

    Args:
        x: (...) horizontal positions on the surface in pixels.
        y: (...) vertical positions.
        texture: One texture per point: leaves (...), (2, ...), and (4, 3, ...).

    Returns:
        (3, ...) colour, nearly always in [0, 1].
    """
    u = texture.axes[0] * x + texture.axes[1] * y
    v = (texture.axes[0] * y - texture.axes[1] * x) * texture.stretch
    cloud = _cloud(u, v, texture)
    pattern, tint = _pattern(u * texture.pattern_scale, v * texture.pattern_scale, texture)
    grain = value_noise(0.8 * x, 0.8 * y, texture.seed + jnp.uint32(7)) - 0.5
    light = texture.grain * grain + texture.ramp[0] * x + texture.ramp[1] * y
    # Without the barrier XLA fuses the fields into the mixing and computes them once per channel.
    cloud, pattern, tint, light = jax.lax.optimization_barrier((cloud, pattern, tint, light))
    a, b, c, d = texture.colours
    plain = a + (b - a) * cloud
    drawn = c + (d - c) * cloud
    return plain + (drawn - plain) * pattern + light + texture.mosaic * (tint - 0.5)


def _cloud(u: jax.Array, v: jax.Array, texture: Textures) -> jax.Array:
    """Warped fractal noise in [0, 1], from soft clouds to patches with hard contours."""
    warp_u = value_noise(0.7 * u, 0.7 * v, texture.seed + jnp.uint32(5)) - 0.5
    warp_v = value_noise(0.7 * u, 0.7 * v, texture.seed + jnp.uint32(6)) - 0.5
    u, v = u + texture.warp * warp_u, v + texture.warp * warp_v
    noise = fractal_noise(u, v, texture.seed, octaves=3, roughness=texture.roughness)
    return jnp.clip((noise - 0.5) * texture.sharpness + 0.5, 0.0, 1.0)


def _pattern(u: jax.Array, v: jax.Array, texture: Textures) -> tuple[jax.Array, jax.Array]:
    """Draw the regular pattern of each point's texture.

    Args:
        u: (...) positions in cells of the pattern.
        v: (...) positions in cells of the pattern.
        texture: One texture per point.

    Returns:
        The pattern, (...) in [0, 1], and the random tints of its cells, (3, ...) in [0, 1), which
        are one half where the pattern has no cells.
    """
    seed = texture.seed + jnp.uint32(8)
    i, j = jnp.floor(u), jnp.floor(v)
    du, dv = u - i, v - j
    tints = hash_units(i, j, seed)
    # A stripe's width differs from row to row by its tint.
    stripes = du < 0.3 + 0.4 * texture.roughness
    checks = (i + j) * 0.5 == jnp.floor((i + j) * 0.5)
    tiles = tints[0] < 0.5
    offset_u, offset_v = du - 0.3 - 0.4 * tints[1], dv - 0.3 - 0.4 * tints[2]
    spots = offset_u * offset_u + offset_v * offset_v < 0.02 + 0.07 * tints[0]
    # Words: rows of strokes, four per cell and row, two rows per cell.
    row = jnp.floor(2.0 * v)
    stroke = hash_unit(jnp.floor(4.0 * u + 0.5 * row), row, seed) < 0.65
    print_ = stroke & (2.0 * v - row < 0.55)
    choice = texture.pattern
    drawn = jnp.where(choice == _STRIPES, stripes, False)
    drawn = jnp.where(choice == _CHECKS, checks, drawn)
    drawn = jnp.where(choice == _MOSAIC, tiles, drawn)
    drawn = jnp.where(choice == _SPOTS, spots, drawn)
    drawn = jnp.where(choice == _PRINT, print_, drawn)
    has_cells = choice == _MOSAIC
    return drawn.astype(jnp.float32), jnp.where(has_cells, jnp.stack(tints), 0.5)
