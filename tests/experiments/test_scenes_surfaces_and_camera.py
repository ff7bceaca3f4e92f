"""Tests of what scenes are made of: photographs, patterns, steps, focus, and compression."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data
from scipy import fft, ndimage

from experiments.scenes import OBJECT_KINDS, SceneConfig
from experiments.scenes.blur import blur, defocus
from experiments.scenes.compression import compress
from experiments.scenes.content import draw_content
from experiments.scenes.draws import Dice
from experiments.scenes.outlines import inside_function
from experiments.scenes.patterns import evaluate_patterns
from experiments.scenes.photo_atlas import (
    PHOTOGRAPHS,
    Pictures,
    draw_pictures,
    load_atlas,
    look_up,
)
from experiments.scenes.surfaces import cell_unit
from experiments.scenes.textures import texture_colour

# What the photographs' docstrings say of their terms; the stereo pair's says something else.
FREE = re.compile(r"CC0|Creative Commons CC0|released in(to)? the\s+public domain")


@pytest.fixture(scope="module")
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def picture_of(name: str, level: int) -> Pictures:
    atlas, number = load_atlas(), PHOTOGRAPHS.index(name)
    size = jnp.asarray(atlas.size[number, level], jnp.float32)
    return Pictures(jnp.asarray(atlas.start[number, level]), size, jnp.zeros(2))


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs_are_free_by_their_own_statement(name: str) -> None:
    assert FREE.search(getattr(skimage.data, name).__doc__)
    assert not FREE.search(skimage.data.stereo_motorcycle.__doc__)


@pytest.mark.parametrize("name", ["coffee", "brick"])
def test_look_up_is_linear_interpolation_of_the_mirrored_photograph(
    name: str, rng: np.random.Generator
) -> None:
    photo = getattr(skimage.data, name)() / 255.0
    photo = photo if photo.ndim == 3 else np.stack([photo] * 3, axis=-1)
    u, v = rng.uniform(-1500.0, 1500.0, (2, 300)).astype(np.float32)
    ours = look_up(jnp.asarray(u), jnp.asarray(v), picture_of(name, 0))
    expected = [
        ndimage.map_coordinates(photo[::-1, ::-1, channel], [v, u], order=1, mode="mirror")
        for channel in range(3)
    ]
    np.testing.assert_allclose(ours, expected, atol=2e-3)


def test_pyramid_holds_means_of_blocks() -> None:
    photo = skimage.data.rocket()[:424, :640] / 255.0
    expected = photo.reshape(53, 8, 80, 8, 3).mean(axis=(1, 3))
    v, u = np.mgrid[:53, :80].astype(np.float32)
    ours = look_up(jnp.asarray(u), jnp.asarray(v), picture_of("rocket", 3))
    np.testing.assert_allclose(np.moveaxis(ours, 0, -1)[::-1, ::-1], expected, atol=2e-3)


def test_pieces_of_photographs_are_as_frequent_and_as_fine_as_asked() -> None:
    count, scale = 2000, 3.0
    dice = Dice(jax.random.key(0), (count,))
    pictures, magnification = draw_pictures(dice, jnp.full(count, 0.3), jnp.full(count, scale))
    shown = np.asarray(pictures.size[:, 0] > 0)
    assert shown.mean() == pytest.approx(0.3, abs=0.04)
    # Three pixels per pixel: the level of half the size, of which there are one and a half.
    np.testing.assert_allclose(magnification, 1.5)
    sizes = {tuple(size) for size in np.asarray(pictures.size)[shown].astype(int).tolist()}
    photos = [getattr(skimage.data, name)() for name in PHOTOGRAPHS]
    assert sizes == {(photo.shape[0] // 2, photo.shape[1] // 2) for photo in photos}


def test_photograph_lies_on_its_layer_in_its_own_colours() -> None:
    config = SceneConfig(size=(32, 32), photo_prob=1.0, camouflage_prob=0.0)
    layers, _ = draw_content(jax.random.key(1), config)
    table = layers.textures
    chosen = int(np.flatnonzero(table.picture.size[:, 0] > 0)[0])
    texture = jax.tree.map(lambda leaf: leaf[chosen], table)
    identity = jnp.concatenate([jnp.eye(3), jnp.zeros((1, 3))])
    bare = texture._replace(
        axes=jnp.array([1.0, 0.0]),
        stretch=jnp.float32(1.0),
        ink=jnp.float32(0.0),
        mosaic=jnp.float32(0.0),
        grain=jnp.float32(0.0),
        ramp=jnp.zeros(2),
        colours=identity[:, :, None, None],
        picture=picture_of("chelsea", 0),
    )
    y, x = jnp.meshgrid(jnp.arange(20.0), jnp.arange(30.0), indexing="ij")
    colour = np.moveaxis(texture_colour(x, y, bare), 0, -1)
    expected = skimage.data.chelsea()[::-1, ::-1][:20, :30] / 255.0
    np.testing.assert_allclose(colour, expected, atol=2e-3)


def test_camouflaged_layers_wear_the_background_or_another_layer() -> None:
    layers, _ = draw_content(jax.random.key(0), SceneConfig(size=(32, 32), camouflage_prob=1.0))
    original, _ = draw_content(jax.random.key(0), SceneConfig(size=(32, 32), camouflage_prob=0.0))
    worn, own = np.asarray(layers.textures.seed), np.asarray(original.textures.seed)
    assert set(worn.tolist()) <= set(own.tolist())
    assert (worn == own[0]).mean() > 0.25
    assert ((worn != own) & (worn != own[0])).mean() > 0.25


def test_patterns_are_drawn_in_their_cells(rng: np.random.Generator) -> None:
    u, v = rng.uniform(-9.0, 9.0, (2, 500)).astype(np.float32)
    noise = rng.uniform(0.0, 1.0, 500).astype(np.float32)

    def draw(choice: int) -> tuple[np.ndarray, np.ndarray]:
        fill = (jnp.full(500, choice), jnp.full(500, 0.5), jnp.full(500, 9, jnp.uint32))
        pattern, tints = evaluate_patterns(jnp.asarray(u), jnp.asarray(v), noise, *fill)
        assert pattern.min() >= 0.0
        assert pattern.max() <= 1.0
        return np.asarray(pattern), np.asarray(tints)

    nothing, stripes, checks, mosaic, spots, letters, grating, scribble = map(draw, range(8))
    assert not nothing[0].any()
    np.testing.assert_array_equal(stripes[0], u % 1.0 < 0.5)
    np.testing.assert_array_equal(checks[0], (np.floor(u) + np.floor(v)) % 2 == 0)
    np.testing.assert_allclose(grating[0], np.sin(np.pi * (u % 1.0)) ** 2, atol=0.07)
    np.testing.assert_array_equal(scribble[0], np.abs(noise - 0.5) < 0.02)
    cells = {tuple(cell) for cell in zip(np.floor(u), np.floor(v), *mosaic[1], strict=True)}
    assert len(cells) == len({cell[:2] for cell in cells})
    # Two of six rows of a line are blank.
    assert not letters[0][(2.0 * v) % 1.0 > 0.67].any()
    assert 0.15 < letters[0].mean() < 0.4
    assert 0.05 < spots[0].mean() < 0.3


def test_cells_differ_from_their_neighbours_and_are_flat() -> None:
    cells = jnp.array([3.0, 2.0, 0.3])
    t, s = jnp.meshgrid(jnp.linspace(-0.99, 0.99, 80), jnp.linspace(-0.99, 0.99, 90), indexing="ij")
    unit = np.asarray(cell_unit(s, t, cells))
    number = np.asarray(10 * jnp.floor(3.0 * s) + jnp.floor(2.0 * t))
    assert len(np.unique(unit)) == len(np.unique(number)) == 24
    for one in np.unique(number):
        assert np.ptp(unit[number == one]) == 0.0
    for axis in (0, 1):
        step, border = np.diff(unit, axis=axis), np.diff(number, axis=axis) != 0
        assert np.abs(step[border]).min() > 0.2


@pytest.mark.parametrize("kind", ["shelves", "leaves"])
def test_things_of_one_layer_cover_a_part_of_its_box(kind: str) -> None:
    config = SceneConfig(size=(64, 64))
    inside = inside_function(1 + OBJECT_KINDS.index(kind), config)
    t, s = jnp.meshgrid(jnp.linspace(-1.5, 1.5, 150), jnp.linspace(-1.5, 1.5, 150), indexing="ij")
    knobs = jax.random.uniform(jax.random.key(0), (30, 10))
    covered = np.stack([inside(s, t, jnp.array([40.0, 30.0]), knob) for knob in knobs])
    assert not covered[:, (np.abs(s) > 1.0) | (np.abs(t) > 1.0)].any()
    share = covered.mean(axis=(1, 2)) * 9.0 / 4.0
    assert share.min() > 0.05
    assert share.max() < 0.95
    pieces = [ndimage.label(one)[1] for one in covered]
    assert max(pieces) > 4


@pytest.mark.parametrize("spacing", [1, 2])
def test_blur_weighs_five_pixels(spacing: int, rng: np.random.Generator) -> None:
    image = rng.uniform(0.0, 1.0, (3, 20, 24)).astype(np.float32)
    taps = np.zeros(4 * spacing + 1)
    taps[::spacing] = np.exp(-0.5 * (np.arange(-2, 3) / 0.8) ** 2)
    expected = image
    for axis in (1, 2):
        expected = ndimage.correlate1d(expected, taps / taps.sum(), axis=axis, mode="nearest")
    ours = blur(jnp.asarray(image), jnp.float32(0.8), spacing)
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_defocus_grows_with_the_distance_from_the_depth_in_focus(
    rng: np.random.Generator,
) -> None:
    image = jnp.asarray(rng.uniform(0.0, 1.0, (3, 24, 60)), jnp.float32)
    depth = jnp.broadcast_to(jnp.repeat(jnp.array([0.3, 0.6, 2.0]), 20), (24, 60))
    np.testing.assert_array_equal(defocus(image, depth, depth[0, 0], jnp.float32(0.0)), image)
    seen = np.asarray(defocus(image, depth, depth[0, 0], jnp.float32(1.0)))
    np.testing.assert_array_equal(seen[..., :20], image[..., :20])
    contrast = [seen[..., start : start + 20].std() for start in (0, 20, 40)]
    assert contrast[0] > 1.3 * contrast[1] > 1.3 * 1.3 * contrast[2]


def test_compression_rounds_cosine_coefficients(rng: np.random.Generator) -> None:
    step = 0.03
    image = rng.uniform(0.0, 1.0, (3, 16, 24)).astype(np.float32)
    squeezed = np.asarray(compress(jnp.asarray(image), jnp.float32(step)))
    # Grey values of every block are whole multiples of the steps.
    luma = np.tensordot([0.299, 0.587, 0.114], squeezed, axes=1)
    blocks = luma.reshape(2, 8, 3, 8).transpose(0, 2, 1, 3)
    waves = fft.dctn(blocks, axes=(2, 3), norm="ortho")
    u, v = np.mgrid[:8, :8]
    steps = 2.0 * step * (1.0 + 6.0 * (u + v) / 14.0)
    whole = waves / steps
    np.testing.assert_allclose(whole, np.round(whole), atol=1e-3)
    assert np.abs(whole).max() > 3.0
    original = np.tensordot([0.299, 0.587, 0.114], image, axes=1).reshape(2, 8, 3, 8)
    before = fft.dctn(original.transpose(0, 2, 1, 3), axes=(2, 3), norm="ortho")
    assert (np.abs(before - waves) <= 0.501 * steps).all()


def test_compression_keeps_size_and_vanishes_with_its_step(rng: np.random.Generator) -> None:
    image = rng.uniform(0.0, 1.0, (3, 13, 21)).astype(np.float32)
    fine = compress(jnp.asarray(image), jnp.float32(1e-6))
    np.testing.assert_allclose(fine, image, atol=1e-4)
    coarse = np.asarray(compress(jnp.asarray(image), jnp.float32(0.05)))
    assert coarse.shape == image.shape
    assert 0.01 < np.abs(coarse - image).mean() < 0.2
