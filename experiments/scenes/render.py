"""Random scenes: photograph, inverse depth, motion, and labels, all in JAX.

A scene is a background (a wall, often with a corner and a floor) and layers of random outline,
each on its own slanted, folded, curved, swelling, or stepped surface. Per sample point the nearest
layer wins (a z-buffer), and only the texture of the layer that wins is evaluated. Image pixels
average several samples, so image edges are antialiased; depth, motion, and labels take one sample
at the pixel's centre, so they are sharp and never mix two surfaces.

Half of the layers wear pieces of free photographs (`photo_atlas`), the others procedural textures
(`textures`, `patterns`). Then light (`light`), a lens, a sensor, and a file format (`photograph`)
do to the image what they do to real ones; depth, motion, and labels stay exact.

Cost of `render_batch`, on two CPU cores shared with other work: 18 ms of CPU time per scene of
64 x 64 (batches of 64), and 66 to 71 ms per scene of 128 x 128 (batches of 16), which two cores of
its own would make some 30 scenes/s. With seven jobs on the two cores 53 and 9 scenes/s were measured.
The first batch takes 30 to 40 s under that load, nearly all of it compilation. Measure with

    python -m experiments.scenes.contact_sheet --benchmark

Frames and layers: position (0, 0) is the image centre, x points right and y down; pixel centres of
an image W pixels wide have x = column - (W - 1) / 2.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from experiments.scenes.blur import blur
from experiments.scenes.config import SceneConfig
from experiments.scenes.content import Layers, draw_content
from experiments.scenes.draws import Dice
from experiments.scenes.light import draw_light
from experiments.scenes.motion import CameraMotion, move_points
from experiments.scenes.photograph import expose
from experiments.scenes.shapes import layer_kinds, to_layer_frame
from experiments.scenes.surfaces import cell_unit, surface_depth
from experiments.scenes.textures import texture_colour
from experiments.scenes.visibility import (
    Visible,
    find_visible,
    pixel_centres,
    sample_points,
    source_in_layer,
    take_bodies,
    take_layers,
)

# A shadow falls only on what lies clearly behind: else slanted surfaces would shade themselves.
_SHADOW_MARGIN = 1.1
_SLOPE_GAIN = 12.0
_CELL_SHIFT = 61.0


class Scene(NamedTuple):
    """What a camera sees, or a batch of it with leading axes.

    Attributes:
        image: (H, W, 3) float32 colour in [0, 1].
        depth: (H, W, 1) float32 inverse depth above zero: larger is nearer, and planes in space
            are affine in pixel position. One unit displaces a point by `camera_shift` pixels at
            most when the camera moves sideways, so depth is a stereo disparity up to a factor.
        flow: (H, W, 2) float32 displacement x, y in pixels between this frame and the other.
        labels: (H, W) int32 kind of the visible layer: 0 is the background, `i + 1` is
            `OBJECT_KINDS[i]`.
    """

    image: jax.Array
    depth: jax.Array
    flow: jax.Array
    labels: jax.Array


def render_scene(key: jax.Array, config: SceneConfig) -> Scene:
    """Render a random scene.

    Args:
        key: Random key; the same key gives the same scene.
        config: Scene settings.

    Returns:
        Scene whose flow leads from this frame to the next one.
    """
    content_key, photo_key = jax.random.split(key)
    layers, camera = draw_content(content_key, config)
    return _render_frame(photo_key, layers, camera, config, second=False)


def render_pair(key: jax.Array, config: SceneConfig) -> tuple[Scene, Scene]:
    """Render a random scene before and after its motion.

    Args:
        key: Random key; the first frame is `render_scene(key, config)`.
        config: Scene settings.

    Returns:
        The two frames. The second frame's flow is the motion that brought each of its points
        there from the first frame, and its depth is the inverse depth before the motion. Shadows
        fall anew, while light and sensor noise belong to pixels and stay.
    """
    content_key, photo_key = jax.random.split(key)
    layers, camera = draw_content(content_key, config)
    return (
        _render_frame(photo_key, layers, camera, config, second=False),
        _render_frame(photo_key, layers, camera, config, second=True),
    )


@functools.partial(jax.jit, static_argnames=("batch_size", "config"))
def render_batch(key: jax.Array, batch_size: int, config: SceneConfig) -> Scene:
    """Render a batch of random scenes.

    Args:
        key: Random key.
        batch_size: Number of scenes.
        config: Scene settings.

    Returns:
        Scene whose leaves lead with a batch axis; entry i is that of
        `render_scene(jax.random.split(key, batch_size)[i], config)`.
    """
    return jax.vmap(lambda one: render_scene(one, config))(jax.random.split(key, batch_size))


def _render_frame(
    key: jax.Array, layers: Layers, camera: CameraMotion, config: SceneConfig, second: bool
) -> Scene:
    """Photograph the first or the second frame of a scene; `key` is for light and camera."""
    scene_key, noise_key = jax.random.split(key)
    scene = Dice(scene_key)
    angle = scene.uniform((-jnp.pi, jnp.pi))
    to_light = jnp.stack([jnp.cos(angle), jnp.sin(angle)])
    shadow_offset = to_light * scene.uniform(config.shadow_offset)
    x, y = pixel_centres(config)
    offsets = sample_offsets(config, shadow_offset)
    seen = find_visible(offsets, layers, camera, config, second)

    shaded = config.supersampling**2
    centre = Visible(seen.layer[shaded], seen.depth[shaded])
    colour = _shade(
        *sample_points(config, offsets[:shaded]),
        Visible(seen.layer[:shaded], seen.depth[:shaded]),
        layers,
        camera,
        to_light,
        config,
        second,
    )
    shadow = (seen.depth[shaded + 1] > _SHADOW_MARGIN * centre.depth).astype(jnp.float32)
    soft_shadow = blur(blur(shadow[None], 1.0), 1.0, spacing=2)[0]
    shadow = jnp.where(scene.chance(config.soft_shadow_prob), soft_shadow, shadow)
    light = draw_light(scene, config, x, y)
    light = light * (1.0 - scene.uniform(config.cast_shadow) * shadow)
    image = expose(noise_key, scene, config, colour.mean(axis=1) * light, centre.depth)
    return Scene(
        image=jnp.moveaxis(image, 0, -1),
        depth=centre.depth[..., None],
        flow=_flow(x, y, centre, layers, camera, config, second),
        labels=jnp.asarray(layer_kinds(config))[centre.layer],
    )


def sample_offsets(config: SceneConfig, shadow_offset: jax.Array) -> jax.Array:
    """List where around its centre a pixel takes samples.

    Args:
        config: Scene settings.
        shadow_offset: (2,) distance x, y in pixels between an object and its shadow.

    Returns:
        (K, 2) offsets x, y in pixels: those of the image, the pixel's centre, and where something
        would have to be to throw its shadow on the pixel.
    """
    n = config.supersampling
    steps = [(k + 0.5) / n - 0.5 for k in range(n)]
    offsets = [(dx, dy) for dy in steps for dx in steps] + [(0.0, 0.0)]
    return jnp.concatenate([jnp.array(offsets), shadow_offset[None]])


def _shade(
    x: jax.Array,
    y: jax.Array,
    seen: Visible,
    layers: Layers,
    camera: CameraMotion,
    to_light: jax.Array,
    config: SceneConfig,
    second: bool,
) -> jax.Array:
    """Evaluate the visible textures and the shading by slope at sample points.

    Args:
        x: (K, H, W) sample points.
        y: (K, H, W) sample points.
        seen: What they see.
        layers: All layers.
        camera: Motion of the camera.
        to_light: (2,) direction of the light in the image.
        config: Scene settings.
        second: Whether the sample points lie in the second frame.

    Returns:
        (3, K, H, W) colour.
    """
    body = take_bodies(layers, seen.layer, config)
    x, y, depth = source_in_layer(x, y, body, camera, second)
    s, t = to_layer_frame(x + to_light[0], y + to_light[1], body.frames)
    slope = surface_depth(s, t, body.surfaces) / depth - 1.0
    shading = jnp.exp(config.lambert * jnp.tanh(_SLOPE_GAIN * slope))
    # Dividing by inverse depth puts the texture on the surface in perspective.
    magnification = body.surfaces.level / depth
    # Each thing on a shelf, and each leaf, has its own piece of the texture and brightness.
    s, t = to_layer_frame(x, y, body.frames)
    is_cell = body.surfaces.steps > 0.0
    unit = jnp.where(is_cell, cell_unit(s, t, body.surfaces.cells) - 0.5, 0.0)
    shading = shading * (1.0 + config.cell_tint * unit)
    colour = texture_colour(
        x * magnification - body.frames.centre[0] + _CELL_SHIFT * unit,
        y * magnification - body.frames.centre[1],
        take_layers(layers.textures, seen.layer),
    )
    return colour * shading


def _flow(
    x: jax.Array,
    y: jax.Array,
    seen: Visible,
    layers: Layers,
    camera: CameraMotion,
    config: SceneConfig,
    second: bool,
) -> jax.Array:
    """Displacement (H, W, 2) between the frames at (H, W) pixels."""
    body = take_bodies(layers, seen.layer, config)
    source_x, source_y, depth = source_in_layer(x, y, body, camera, second)
    moved_x, moved_y = move_points(
        source_x, source_y, depth, body.frames.centre, body.motions, camera
    )
    return jnp.stack([moved_x - source_x, moved_y - source_y], axis=-1)
