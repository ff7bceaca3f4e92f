"""Random scenes: photograph, inverse depth, motion, and labels, all in JAX.

A scene is a background (a wall, often with a corner and a floor) and layers of random outline,
each on its own slanted, folded, or curved surface. Per sample point the nearest layer wins (a
z-buffer), and only the texture of the layer that wins is evaluated. Image pixels average several
samples, so image edges are antialiased; depth, motion, and labels take one sample at the pixel's
centre, so they are sharp and never mix two surfaces.

Speed of `render_batch` on two CPU cores, fastest of eight calls: 230 scenes/s of 64 x 64 (batches
of 64) and 54 scenes/s of 128 x 128 (batches of 16), at 8.3 and 35 ms of CPU time per scene. The
first batch takes 7 to 9 s, nearly all of it compilation. Other work on the cores lowered this to
85 and 20 scenes/s, and 25 s for the first batch. Measure with

    python -m experiments.scenes.contact_sheet --benchmark

Frames and layers: position (0, 0) is the image centre, x points right and y down; pixel centres of
an image W pixels wide have x = column - (W - 1) / 2.
"""

from __future__ import annotations

import functools
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from experiments.scenes.config import SceneConfig
from experiments.scenes.draws import Dice
from experiments.scenes.motion import (
    CameraMotion,
    ObjectMotions,
    draw_camera_motion,
    draw_object_motions,
    find_sources,
    move_points,
)
from experiments.scenes.photograph import draw_light, expose
from experiments.scenes.shapes import (
    SHEET_LABEL,
    Frames,
    InsideFunction,
    Shapes,
    draw_shapes,
    inside_function,
    layer_kinds,
    to_layer_frame,
)
from experiments.scenes.surfaces import Surfaces, draw_surfaces, surface_depth
from experiments.scenes.textures import Textures, draw_textures, texture_colour

# A shadow falls only on what lies clearly behind: else slanted surfaces would shade themselves.
_SHADOW_MARGIN = 1.1
_SLOPE_GAIN = 12.0


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


class Bodies(NamedTuple):
    """Where layers are in space and how they move; leaves lead with L layers."""

    frames: Frames
    surfaces: Surfaces
    motions: ObjectMotions


class Layers(NamedTuple):
    """The content of a scene; leaves lead with L layers, in the order of `layer_kinds`."""

    bodies: Bodies
    shapes: Shapes
    textures: Textures


Table = TypeVar("Table", Bodies, Textures)


class Visible(NamedTuple):
    """What sample points see.

    Attributes:
        layer: (...) int32 index of the visible layer.
        depth: (...) its inverse depth.
    """

    layer: jax.Array
    depth: jax.Array


def draw_content(key: jax.Array, config: SceneConfig) -> tuple[Layers, CameraMotion]:
    """Draw the content of a scene and the camera's motion.

    Args:
        key: Random key.
        config: Scene settings.

    Returns:
        Layers, in the order of `layer_kinds`, and the camera's motion.
    """
    scene_key, layer_key = jax.random.split(key)
    scene, each = Dice(scene_key), Dice(layer_key, layer_kinds(config).shape)
    frames, shapes = draw_shapes(scene, each, config)
    surfaces = draw_surfaces(scene, each, config, shapes)
    bodies = Bodies(frames, surfaces, draw_object_motions(each, config))
    layers = Layers(bodies, shapes, draw_textures(each, config))
    return layers, draw_camera_motion(scene, config)


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
    x, y = _pixel_centres(config)
    offsets = sample_offsets(config, shadow_offset)
    seen = find_visible(offsets, layers, camera, config, second)

    shaded = config.supersampling**2
    centre = Visible(seen.layer[shaded], seen.depth[shaded])
    colour = _shade(
        *_sample_points(config, offsets[:shaded]),
        Visible(seen.layer[:shaded], seen.depth[:shaded]),
        layers,
        camera,
        to_light,
        config,
        second,
    )
    shadow = seen.depth[shaded + 1] > _SHADOW_MARGIN * centre.depth
    light = draw_light(scene, config, x, y)
    light = light * (1.0 - scene.uniform(config.cast_shadow) * shadow)
    image = expose(noise_key, scene, config, colour.mean(axis=1) * light)
    return Scene(
        image=jnp.moveaxis(image, 0, -1),
        depth=centre.depth[..., None],
        flow=_flow(x, y, centre, layers, camera, config, second),
        labels=jnp.asarray(layer_kinds(config))[centre.layer],
    )


def _pixel_centres(config: SceneConfig) -> tuple[jax.Array, jax.Array]:
    """Positions (H, W) of pixel centres from the image centre."""
    height, width = config.size
    y, x = jnp.meshgrid(jnp.arange(height) * 1.0, jnp.arange(width) * 1.0, indexing="ij")
    return x - 0.5 * (width - 1), y - 0.5 * (height - 1)


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


def _sample_points(config: SceneConfig, offsets: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Compute (K, H, W) sample points from (K, 2) offsets."""
    x, y = _pixel_centres(config)
    return x + offsets[:, 0, None, None], y + offsets[:, 1, None, None]


def _take_layers(table: Table, index: jax.Array) -> Table:
    """Look up layers per point: leaves (L, ...) and index (P...) to leaves (..., P...)."""

    def take(leaf: jax.Array) -> jax.Array:
        # Indices come from the z-buffer, so they are in bounds; checking them costs time.
        return jnp.moveaxis(leaf, 0, -1).at[..., index].get(mode="promise_in_bounds")

    # Look-ups fused into the arithmetic that follows would keep it from being vectorised.
    return jax.lax.optimization_barrier(jax.tree.map(take, table))


def _source_in_layer(
    x: jax.Array, y: jax.Array, body: Bodies, camera: CameraMotion, second: bool
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Find what point of a layer in the first frame a sample point would see.

    Args:
        x: (...) sample points.
        y: (...) sample points.
        body: One layer's body, or one per point.
        camera: Motion of the camera.
        second: Whether the sample points lie in the second frame.

    Returns:
        Position `(x, y)` in the first frame and inverse depth there, each (...).
    """

    def depth_at(x: jax.Array, y: jax.Array) -> jax.Array:
        return surface_depth(*to_layer_frame(x, y, body.frames), body.surfaces)

    def move(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        return move_points(x, y, depth_at(x, y), body.frames.centre, body.motions, camera)

    if second:
        x, y = find_sources(x, y, move)
    return x, y, depth_at(x, y)


def find_visible(
    offsets: jax.Array,
    layers: Layers,
    camera: CameraMotion,
    config: SceneConfig,
    second: bool,
) -> Visible:
    """Find the nearest layer at all sample points.

    Args:
        offsets: (K, 2) sample points from pixel centres in pixels.
        layers: All layers.
        camera: Motion of the camera.
        config: Scene settings.
        second: Whether the sample points lie in the second frame.

    Returns:
        What the (K, H, W) sample points see.
    """
    kinds = layer_kinds(config)
    x, y = _sample_points(config, offsets)
    wall = jax.tree.map(lambda leaf: leaf[0], layers.bodies)
    wall_x, wall_y, wall_depth = _source_in_layer(x, y, wall, camera, second)
    nearest = Visible(jnp.zeros(x.shape, jnp.int32), wall_depth)
    for label in np.unique(kinds[1:]).tolist():
        inside = inside_function(label, config)

        def add_layer(
            seen: Visible, index: jax.Array, label: int = label, inside: InsideFunction = inside
        ) -> tuple[Visible, None]:
            # Computed anew in each step: reading them from memory would take longer.
            x, y = _sample_points(config, offsets)
            body, shape = jax.tree.map(lambda leaf: leaf[index], (layers.bodies, layers.shapes))
            if label == SHEET_LABEL:
                # A sheet is a part of the wall: same depth and same motion, another texture.
                at_x, at_y, depth = wall_x, wall_y, seen.depth
            else:
                at_x, at_y, depth = _source_in_layer(x, y, body, camera, second)
            s, t = to_layer_frame(at_x, at_y, body.frames)
            wins = inside(s, t, shape.half, shape.knobs) & shape.present
            if label != SHEET_LABEL:
                wins &= depth > seen.depth
            layer_index = jnp.where(wins, index, seen.layer)
            return Visible(layer_index, jnp.where(wins, depth, seen.depth)), None

        nearest, _ = jax.lax.scan(add_layer, nearest, jnp.asarray(np.flatnonzero(kinds == label)))
    return nearest


def _take_bodies(layers: Layers, layer: jax.Array, config: SceneConfig) -> Bodies:
    """Look up per point the body of the visible layer: the wall's for sheets."""
    last_sheet = config.object_counts[SHEET_LABEL - 1]
    return _take_layers(layers.bodies, jnp.where(layer <= last_sheet, 0, layer))


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
    body = _take_bodies(layers, seen.layer, config)
    x, y, depth = _source_in_layer(x, y, body, camera, second)
    s, t = to_layer_frame(x + to_light[0], y + to_light[1], body.frames)
    slope = surface_depth(s, t, body.surfaces) / depth - 1.0
    shading = jnp.exp(config.lambert * jnp.tanh(_SLOPE_GAIN * slope))
    # Dividing by inverse depth puts the texture on the surface in perspective.
    magnification = body.surfaces.level / depth
    colour = texture_colour(
        x * magnification - body.frames.centre[0],
        y * magnification - body.frames.centre[1],
        _take_layers(layers.textures, seen.layer),
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
    body = _take_bodies(layers, seen.layer, config)
    source_x, source_y, depth = _source_in_layer(x, y, body, camera, second)
    moved_x, moved_y = move_points(
        source_x, source_y, depth, body.frames.centre, body.motions, camera
    )
    return jnp.stack([moved_x - source_x, moved_y - source_y], axis=-1)
