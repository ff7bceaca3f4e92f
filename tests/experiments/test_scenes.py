"""Tests of the random training scenes."""

from __future__ import annotations

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from experiments.scenes import (
    OBJECT_KINDS,
    Scene,
    SceneConfig,
    render_batch,
    render_pair,
)
from experiments.scenes.contact_sheet import draw_sheet
from experiments.scenes.content import draw_content
from experiments.scenes.motion import CameraMotion, ObjectMotions, move_points
from experiments.scenes.shapes import layer_kinds
from experiments.scenes.visibility import Visible, find_visible

HEIGHT, WIDTH = 40, 56
# Few kinds of layers compile fast. Points keep their brightness when they move, as there is no
# light, shadow, blur, or noise that belongs to pixels.
QUIET = SceneConfig(
    size=(HEIGHT, WIDTH),
    sheets=1,
    boxes=2,
    ellipses=2,
    polygons=0,
    bars=0,
    frames=0,
    fences=0,
    blobs=0,
    shelves=0,
    leaves=0,
    presence=(0.3, 1.0),
    zoom=(1.0, 2.0),
    supersampling=1,
    texture_scale=(10.0, 30.0),
    vignette=(0.0, 0.0),
    defocus_prob=0.0,
    halo_prob=0.0,
    jpeg_prob=0.0,
    cast_shadow=(0.0, 0.0),
    blotch_shadow=(0.0, 0.0),
    illumination=0.0,
    blur=(0.0, 0.0),
    noise=(0.0, 0.0),
)
# Each layer has one colour, so every image edge is a layer's outline.
FLAT = dataclasses.replace(
    QUIET, contrast=(0.0, 0.0), lambert=0.0, camouflage_prob=0.0, photo_prob=0.0
)
ALL_KINDS = SceneConfig(size=(HEIGHT, WIDTH))


@pytest.fixture(scope="module")
def scenes() -> Scene:
    return jax.tree.map(np.asarray, render_batch(jax.random.key(0), 6, QUIET))


@pytest.fixture(scope="module")
def pairs() -> list[tuple[Scene, Scene]]:
    """Both frames of each scene of the other fixture, made one by one."""
    render = jax.jit(lambda key: render_pair(key, QUIET))
    keys = jax.random.split(jax.random.key(0), 6)
    return [jax.tree.map(np.asarray, render(key)) for key in keys]


def test_shapes_dtypes_and_ranges(scenes: Scene) -> None:
    chex.assert_shape(scenes.image, (6, HEIGHT, WIDTH, 3))
    chex.assert_shape(scenes.depth, (6, HEIGHT, WIDTH, 1))
    chex.assert_shape(scenes.flow, (6, HEIGHT, WIDTH, 2))
    chex.assert_shape(scenes.labels, (6, HEIGHT, WIDTH))
    chex.assert_type([scenes.image, scenes.depth, scenes.flow], np.float32)
    chex.assert_type(scenes.labels, np.int32)
    chex.assert_tree_all_finite(scenes)
    assert scenes.image.min() >= 0.0
    assert scenes.image.max() <= 1.0
    assert scenes.image.std(axis=(1, 2)).min() > 0.01
    assert scenes.depth.min() > 0.0
    used = {0} | {1 + OBJECT_KINDS.index(k) for k in OBJECT_KINDS if getattr(QUIET, k) > 0}
    assert set(np.unique(scenes.labels)) == used


def test_same_key_gives_same_scenes_and_other_key_does_not(scenes: Scene) -> None:
    again = jax.tree.map(np.asarray, render_batch(jax.random.key(0), 6, QUIET))
    chex.assert_trees_all_equal(scenes, again)
    other = jax.tree.map(np.asarray, render_batch(jax.random.key(1), 6, QUIET))
    for ours, theirs in zip(scenes, other, strict=True):
        assert (ours != theirs).mean() > 0.1
    for leaf in scenes:
        assert (leaf[0] != leaf[1]).mean() > 0.1


def test_batch_entry_equals_single_scene(scenes: Scene, pairs: list[tuple[Scene, Scene]]) -> None:
    for n, (first, _) in enumerate(pairs):
        # Rounding differs between the two programs, which may flip a pixel on an outline.
        for batched, alone in zip(scenes, first, strict=True):
            assert np.isclose(batched[n], alone, atol=1e-3).mean() > 0.995


def test_nearest_layer_wins_and_sheets_lie_on_the_background() -> None:
    config, kinds = ALL_KINDS, layer_kinds(ALL_KINDS)
    layers, camera = jax.jit(draw_content, static_argnames="config")(jax.random.key(5), config)

    def look(present: jax.Array) -> Visible:
        shapes = layers.shapes._replace(present=present)
        shown = layers._replace(shapes=shapes)
        return find_visible(jnp.zeros((1, 2)), shown, camera, config, second=False)

    # Row k: the background with layer k alone; last row: all layers.
    present = np.concatenate([np.eye(len(kinds), dtype=bool), np.ones((1, len(kinds)), bool)])
    present[:, 0] = True
    seen = jax.tree.map(np.asarray, jax.jit(jax.vmap(look))(jnp.asarray(present)))
    alone, together = seen.depth[:-1], seen.depth[-1]
    np.testing.assert_array_equal(together, alone.max(axis=0))
    np.testing.assert_array_equal(
        together, np.take_along_axis(alone, seen.layer[-1][None], axis=0)[0]
    )
    for index, label in enumerate(kinds):
        mine = seen.layer[index] == index
        assert mine.any()
        if label == 1:
            np.testing.assert_array_equal(alone[index], alone[0])
        elif label > 1:
            assert (alone[index][mine] > alone[0][mine]).all()
            np.testing.assert_array_equal(alone[index][~mine], alone[0][~mine])


def test_image_edges_lie_exactly_on_outlines() -> None:
    scenes = jax.tree.map(np.asarray, render_batch(jax.random.key(2), 6, FLAT))
    step = np.abs(np.diff(scenes.image, axis=2)).max(axis=-1)
    jump = np.abs(np.diff(np.log(scenes.depth[..., 0]), axis=2))
    outline = (np.diff(scenes.labels, axis=2) != 0) | (jump > 0.1)
    assert 0.005 < outline.mean() < 0.3
    assert (jump > 0.1).any(axis=(1, 2)).mean() > 0.7
    # Two layers of one kind at one depth are the only image edges that this outline misses.
    assert (step[~outline] < 0.03).mean() > 0.995
    assert (step[outline] > 0.03).mean() > 0.8


def test_second_frame_shows_first_frame_moved_by_flow(pairs: list[tuple[Scene, Scene]]) -> None:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    visible_part, errors, errors_still, flow_errors = [], [], [], []
    for first, second in pairs:
        target = np.stack([rows + first.flow[..., 1], columns + first.flow[..., 0]])
        limit = np.array([HEIGHT - 1, WIDTH - 1])[:, None, None]
        within = ((target >= 0) & (target <= limit)).all(axis=0)
        nearest = tuple(np.clip(np.round(target), 0, limit).astype(int))
        same_depth = np.isclose(second.depth[nearest], first.depth, rtol=0.05)[..., 0]
        visible = within & same_depth & (second.labels[nearest] == first.labels)
        visible = ndimage.binary_erosion(visible)
        moved = [ndimage.map_coordinates(second.image[..., c], target, order=1) for c in range(3)]
        difference = np.abs(np.stack(moved, axis=-1) - first.image)[visible]
        visible_part.append(visible.mean())
        # The median leaves out hard contours of textures, which interpolation blurs.
        errors.append(np.median(difference))
        errors_still.append(np.median(np.abs(second.image - first.image)[visible]))
        back = np.abs(second.flow[nearest] - first.flow)[visible]
        flow_errors.append(np.quantile(back, 0.9))
    assert np.mean(visible_part) > 0.4
    assert np.mean([np.abs(first.flow).max() for first, _ in pairs]) > 2.0
    assert np.mean(errors) < 0.005
    assert np.mean(errors) < 0.25 * np.mean(errors_still)
    assert np.mean(flow_errors) < 0.1


def test_camera_motion_is_that_of_a_pinhole_camera() -> None:
    rng = np.random.default_rng(0)
    focal, move, angle, pan = 100.0, np.array([0.04, -0.03, 0.05]), 0.1, np.array([2.0, -1.0])
    point = rng.uniform(-1.0, 1.0, (20, 3)) + np.array([0.0, 0.0, 3.0])
    before = focal * point[:, :2] / point[:, 2:]
    # The camera moves by `move`; points move the other way, and the image is turned and shifted.
    relative = point - move
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    after = (focal * relative[:, :2] / relative[:, 2:]) @ turn.T + pan
    camera = CameraMotion(
        sideways=-focal * move[:2], forward=move[2], roll=jnp.float32(angle), pan=pan
    )
    still = ObjectMotions(linear=jnp.eye(2), shift=jnp.zeros(2))
    x, y = move_points(before[:, 0], before[:, 1], 1.0 / point[:, 2], jnp.zeros(2), still, camera)
    np.testing.assert_allclose(np.stack([x, y], axis=-1), after, rtol=1e-4, atol=1e-3)


def test_contact_sheet_holds_all_scenes(scenes: Scene) -> None:
    sheet = draw_sheet(jax.tree.map(lambda leaf: leaf[:3], scenes), columns=2)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (2 * (HEIGHT + 4), 2 * (4 * WIDTH + 4), 3)
    photo = np.round(255.0 * scenes.image[1]).astype(np.uint8)
    start = 4 * WIDTH + 4
    np.testing.assert_array_equal(sheet[:HEIGHT, start : start + WIDTH], photo)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", (4, 64)),
        ("boxes", -1),
        ("supersampling", 0),
        ("noise", (0.2, 0.1)),
        ("far_depth", (0.0, 0.1)),
        ("near_ratio", (0.5, 2.0)),
        ("presence", (0.5, 1.5)),
        ("vignette", (0.0, 1.5)),
        ("photo_prob", 1.5),
        ("photo_scale", (0.0, 1.0)),
        ("fold_prob", 1.5),
        ("object_turn", -0.1),
    ],
)
def test_config_names_the_wrong_setting(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        SceneConfig(**{field: value})
