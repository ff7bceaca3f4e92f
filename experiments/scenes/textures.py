"""Colours of layers: clouds, drawn patterns, plain paint, and photographs.

A procedural texture mixes four colours by two fields in [0, 1]: `cloud`, warped fractal noise that
is soft or has hard contours, and `pattern`, a regular drawing. A photograph passes through a
linear change of colour, and may have a pattern printed on it. Each layer draws all numbers, and
each image point evaluates only the texture of the layer it sees.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from experiments.scenes.config import SceneConfig
from experiments.scenes.draws import Dice
from experiments.scenes.lattice_noise import fractal_noise, value_noise
from experiments.scenes.patterns import draw_patterns, evaluate_patterns
from experiments.scenes.photo_atlas import Pictures, draw_pictures, look_up

_PLAIN_CONTRAST = 0.06
_CAMOUFLAGE_DIFFERENCE = 0.04
_OVERPRINT_PROB = 0.25


class Textures(NamedTuple):
    """Textures of L layers.

    Attributes:
        axes: (L, 2) cosine and sine of the texture's rotation over its scale (1 / pixels); the
            scale is a cell of the clouds, or a pixel of the photograph.
        stretch: (L,) factor on the frequency along the second axis; below zero it mirrors.
        seed: (L,) uint32 seed of all noise of the layer.
        warp: (L,) displacement of the clouds by other noise, in cells.
        roughness: (L,) amplitude of an octave of the clouds over that of the next coarser one.
        sharpness: (L,) slope of the contours of clouds; one is soft.
        pattern: (L,) int32 number of the pattern.
        pattern_scale: (L,) cells of the pattern per unit of `axes`.
        mosaic: (L,) size of random colour differences between the pattern's cells.
        ink: (L,) brightness that a pattern adds to a photograph.
        grain: (L,) size of fine brightness noise, that fades over about a pixel.
        ramp: (L, 2) change of brightness per pixel along x and y.
        colours: (L, 4, 3) the colours that the fields mix; with a photograph, what its three
            channels give, and what is added.
        picture: The photographs.
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
    ink: jax.Array
    grain: jax.Array
    ramp: jax.Array
    colours: jax.Array
    picture: Pictures


def draw_textures(scene: Dice, each: Dice, config: SceneConfig) -> Textures:
    """Draw the textures of all layers.

    Args:
        scene: Random numbers of the whole scene.
        each: Random numbers of L layers.
        config: Scene settings.

    Returns:
        Textures; some layers wear another layer's texture (camouflage).
    """
    cell = each.log_uniform(config.texture_scale)
    # Scenes differ: some have photographs all over, some none.
    share = jnp.clip(config.photo_prob * scene.uniform((0.0, 2.0)), 0.0, 1.0)
    picture, magnification = draw_pictures(each, share, each.log_uniform(config.photo_scale))
    is_photo = picture.size[:, 0] > 0.0
    frequency = jnp.where(is_photo, magnification, 1.0 / cell)
    angle = each.uniform((-jnp.pi, jnp.pi))
    # Half of the patterns are upright, as books, windows, and writing in rooms are.
    angle = jnp.where(each.chance(0.5), 0.03 * angle, angle)
    plain = jnp.where(each.chance(config.plain_prob), _PLAIN_CONTRAST, 1.0)
    contrast = each.uniform(config.contrast) * plain
    aspect = jnp.where(is_photo, each.log_uniform((0.75, 1.33)), each.log_uniform((0.4, 2.5)))
    mirror = jnp.where(is_photo & each.chance(0.5), -1.0, 1.0)
    pattern = draw_patterns(each)
    printed = each.chance(jnp.where(is_photo, _OVERPRINT_PROB, 1.0))
    palettes, tones = _draw_palettes(each, contrast), _draw_tones(each)
    textures = Textures(
        axes=jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1) * frequency[:, None],
        stretch=aspect * mirror,
        seed=each.uniform((0.0, 2.0**24)).astype(jnp.uint32) << 8,
        warp=each.sometimes(0.5, (0.3, 2.0)),
        roughness=each.uniform((0.35, 0.9)),
        sharpness=each.log_uniform((1.2, 20.0)),
        pattern=jnp.where(printed, pattern, 0),
        pattern_scale=each.log_uniform((0.8, 3.0)) / (cell * frequency),
        mosaic=each.sometimes(0.5, (0.1, 1.0)) * contrast,
        ink=each.uniform((-0.7, 0.7)),
        grain=each.sometimes(0.6, (0.02, 0.3)) * contrast,
        ramp=each.uniform((-1.0, 1.0), (2,)) * (0.3 / max(config.size)),
        colours=jnp.where(is_photo[:, None, None], tones, palettes),
        picture=picture,
    )
    return _camouflage(each, config, textures)


def _draw_palettes(each: Dice, contrast: jax.Array) -> jax.Array:
    """Draw (L, 4, 3) colours whose distance to the first one grows with (L,) contrast."""
    light = each.uniform((0.04, 0.98), (4, 1))
    hue = each.uniform((-0.5, 0.5), (4, 3))
    # The square makes greyish colours frequent, as they are in photographs.
    chroma = 1.3 * each.uniform((0.0, 1.0), (4, 1)) ** 2
    colours = jnp.clip(light + chroma * (hue - hue.mean(-1, keepdims=True)), 0.0, 1.0)
    return colours[:, :1] + contrast[:, None, None] * (colours - colours[:, :1])


def _draw_tones(each: Dice) -> jax.Array:
    """Draw (L, 4, 3) linear changes of a photograph's colours.

    They turn the hue, change saturation, contrast, and brightness, and tint; sometimes they
    invert. The last row is chosen so that middle grey stays near the middle.
    """
    angle = each.sometimes(0.35, (-jnp.pi, jnp.pi))
    saturation = each.uniform((0.1, 1.3))
    turned = angle[:, None] + jnp.array([0.0, 2.0, -2.0]) * (jnp.pi / 3.0)
    # Entry n of a circulant: a turn about the grey axis, grey itself unchanged.
    kept = 2.0 / 3.0 * saturation[:, None] * jnp.cos(turned) + 1.0 / 3.0
    rows = jnp.stack([jnp.roll(kept, n, axis=1) for n in range(3)], axis=1)
    gain = each.log_uniform((0.45, 1.4)) * jnp.where(each.chance(0.1), -1.0, 1.0)
    tint = 1.0 + each.sometimes(0.4, (-0.3, 0.3), (3,))
    rows = rows * (gain[:, None] * tint)[:, None, :]
    middle = each.uniform((0.35, 0.7))[:, None] * tint
    return jnp.concatenate([rows, (middle - 0.45 * rows.sum(axis=1))[:, None]], axis=1)


def _camouflage(each: Dice, config: SceneConfig, textures: Textures) -> Textures:
    """Give some layers the texture of the background or of another layer in nearly its colours."""
    count = each.shape[0]
    model = jnp.where(each.chance(0.5), 0.0, each.uniform((0.0, float(count)))).astype(jnp.int32)
    hidden = each.chance(config.camouflage_prob)
    index = jnp.where(hidden, model, jnp.arange(count))
    copied = jax.tree.map(lambda leaf: leaf[index], textures)
    largest = _CAMOUFLAGE_DIFFERENCE
    shift = each.uniform((-largest, largest), (1, 3)) * hidden[:, None, None]
    # The last colour is not part of the first two, so that photographs are shifted but once.
    is_photo = copied.picture.size[:, 0] > 0.0
    rows = jnp.where(is_photo[:, None], jnp.array([0.0, 0.0, 0.0, 1.0]), 1.0)
    return copied._replace(colours=copied.colours + shift * rows[:, :, None])


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
    is_photo = texture.picture.size[0] > 0.0
    # On photographs only scribble uses the noise, and it has the pattern's scale.
    cells = jnp.where(is_photo, texture.pattern_scale, 1.0)
    noise = _cloud_noise(u * cells, v * cells, texture)
    cloud = jnp.clip((noise - 0.5) * texture.sharpness + 0.5, 0.0, 1.0)
    pattern, tint = evaluate_patterns(
        u * texture.pattern_scale,
        v * texture.pattern_scale,
        noise,
        texture.pattern,
        texture.roughness,
        texture.seed + jnp.uint32(8),
    )
    grain = value_noise(0.8 * x, 0.8 * y, texture.seed + jnp.uint32(7)) - 0.5
    light = texture.grain * grain + texture.ramp[0] * x + texture.ramp[1] * y
    photo = look_up(u, v, texture.picture)
    # Without the barrier XLA fuses the fields into the mixing and computes them once per channel.
    fields = (cloud, pattern, tint, light, photo)
    cloud, pattern, tint, light, photo = jax.lax.optimization_barrier(fields)
    a, b, c, d = texture.colours
    plain = a + (b - a) * cloud
    drawn = c + (d - c) * cloud
    painted = plain + (drawn - plain) * pattern
    toned = photo[0] * a + photo[1] * b + photo[2] * c + d + texture.ink * pattern
    colour = jnp.where(is_photo, toned, painted)
    return colour + light + texture.mosaic * (tint - 0.5)


def _cloud_noise(u: jax.Array, v: jax.Array, texture: Textures) -> jax.Array:
    """Warped fractal noise in [0, 1]."""
    warp_u = value_noise(0.7 * u, 0.7 * v, texture.seed + jnp.uint32(5)) - 0.5
    warp_v = value_noise(0.7 * u, 0.7 * v, texture.seed + jnp.uint32(6)) - 0.5
    u, v = u + texture.warp * warp_u, v + texture.warp * warp_v
    return fractal_noise(u, v, texture.seed, octaves=3, roughness=texture.roughness)
