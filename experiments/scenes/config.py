"""What a random scene may contain: counts, sizes, depths, colours, motions, and sensor."""

from __future__ import annotations

import dataclasses

Range = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class SceneConfig:
    """Settings of the scene generator; frozen and hashable, so usable as a static jit argument.

    A pair of floats is a range (low, high) to draw from. "Prob." fields are probabilities. Depth
    means inverse depth everywhere (larger is nearer), see `experiments.scenes.render.Scene`.

    Attributes:
        size: Image height and width in pixels.
        sheets: Number of sheets lying flat on the background: texture edges without depth edges.
        boxes: Number of rounded rectangles, some of them tapered to trapezoids and cones.
        ellipses: Number of ellipses, some of them cut to domes.
        polygons: Number of convex polygons of three to five corners.
        bars: Number of thin bars, poles, and bent wires.
        frames: Number of rings and window frames with holes.
        fences: Number of fences and lattices.
        blobs: Number of irregular shapes made by thresholded noise.
        shelves: Number of rows of books or boxes, each of its own height and depth.
        leaves: Number of heaps of foliage, each leaf at its own depth.
        presence: Probability of each layer to be in the scene, drawn once per scene.
        zoom: Factor on all object sizes, drawn once per scene.
        object_size: Half the length of an object, as a part of the shorter image side.
        bar_width: Half the width of a bar in pixels.
        fence_period: Distance between two pickets in pixels.
        far_depth: Inverse depth of the background at the image centre.
        near_ratio: Inverse depth of the nearest allowed object over that of the background.
        slant: Largest relative change of inverse depth by slant, from an object's centre to its
            border (objects shorter than half the image get less, in proportion).
        flat_prob: Probability of an object to have no slant at all.
        ranks_prob: Probability of a scene to have its objects at four depths at most.
        fold_prob: Probability of a surface to be folded once (a corner, an open book).
        bulge: Relative change of inverse depth from the border to the centre of curved objects.
        bulge_prob: Probability of an object to be curved.
        swell: Relative change of inverse depth by smooth waves.
        swell_prob: Probability of a surface to have waves.
        step: Relative change of inverse depth between the things on a shelf, or between leaves.
        cell_tint: Largest relative difference of brightness between these things.
        texture_scale: Length of the largest texture elements in pixels.
        contrast: Colour distance inside one texture, in [0, 1].
        plain_prob: Probability of a layer to have nearly no texture.
        camouflage_prob: Probability of an object to wear the colours of the background or of
            another object.
        photo_prob: Mean probability of a layer to wear a piece of a photograph.
        photo_scale: Pixels of the photograph per pixel of the image.
        lambert: Strength of the shading by surface slope.
        illumination: Largest relative change of the light over the image.
        cast_shadow: Part of light taken by shadows that objects throw on what lies behind.
        shadow_offset: Distance in pixels between an object and its shadow.
        blotch_shadow: Part of light taken by shadows of things outside the image.
        vignette: Part of light missing in the corners.
        soft_shadow_prob: Probability of cast shadows to have soft borders.
        blur: Standard deviation of the lens blur in pixels.
        defocus_prob: Probability of a scene to be sharp at one depth only.
        halo: Overshoot at edges by the camera's sharpening.
        halo_prob: Probability of such sharpening.
        noise: Standard deviation of the sensor noise, of a full scale of one.
        jpeg_prob: Probability of the image to have been compressed in blocks of 8 x 8.
        jpeg_step: Coarseness of the compression, of a full scale of one.
        gamma: Exponent of the tone curve.
        brightness: Factor on the image.
        colour_cast: Largest relative change of one colour channel.
        supersampling: Image samples per pixel and axis (depth and labels take one, at the centre).
        camera_shift: Largest displacement in pixels by sideways camera motion, of a point at
            inverse depth one.
        camera_forward: Largest camera motion along the view axis, in units of depth.
        camera_roll: Largest camera rotation about the view axis in radians.
        camera_pan: Largest displacement of the whole image in pixels.
        object_motion_prob: Probability of an object to move by itself.
        object_shift: Largest displacement of a moving object in pixels.
        object_turn: Largest rotation of a moving object in radians.
        object_stretch: Largest relative change of a moving object's lengths, and its largest
            shear.

    Raises:
        ValueError: If a setting lies outside its meaningful range.
    """

    size: tuple[int, int] = (128, 128)
    sheets: int = 3
    boxes: int = 4
    ellipses: int = 2
    polygons: int = 4
    bars: int = 3
    frames: int = 1
    fences: int = 1
    blobs: int = 2
    shelves: int = 1
    leaves: int = 2
    presence: Range = (0.05, 0.7)
    zoom: Range = (0.8, 6.0)
    object_size: Range = (0.08, 0.35)
    bar_width: Range = (0.7, 4.0)
    fence_period: Range = (6.0, 30.0)
    far_depth: Range = (0.08, 0.35)
    near_ratio: Range = (1.5, 6.0)
    slant: float = 0.35
    flat_prob: float = 0.3
    ranks_prob: float = 0.4
    fold_prob: float = 0.3
    bulge: Range = (0.03, 0.25)
    bulge_prob: float = 0.4
    swell: Range = (0.03, 0.3)
    swell_prob: float = 0.25
    step: Range = (0.02, 0.4)
    cell_tint: float = 0.5
    texture_scale: Range = (2.0, 50.0)
    contrast: Range = (0.1, 0.9)
    plain_prob: float = 0.25
    camouflage_prob: float = 0.2
    photo_prob: float = 0.5
    photo_scale: Range = (0.6, 4.0)
    lambert: float = 1.0
    illumination: float = 0.35
    cast_shadow: Range = (0.0, 0.6)
    shadow_offset: Range = (1.0, 8.0)
    blotch_shadow: Range = (0.0, 0.4)
    vignette: Range = (0.0, 0.35)
    soft_shadow_prob: float = 0.5
    blur: Range = (0.2, 0.9)
    defocus_prob: float = 0.25
    halo: Range = (0.1, 0.9)
    halo_prob: float = 0.3
    noise: Range = (0.0, 0.025)
    jpeg_prob: float = 0.35
    jpeg_step: Range = (0.004, 0.03)
    gamma: Range = (0.75, 1.4)
    brightness: Range = (0.85, 1.5)
    colour_cast: float = 0.12
    supersampling: int = 2
    camera_shift: float = 14.0
    camera_forward: float = 0.1
    camera_roll: float = 0.05
    camera_pan: float = 10.0
    object_motion_prob: float = 0.5
    object_shift: float = 16.0
    object_turn: float = 0.2
    object_stretch: float = 0.12

    def __post_init__(self) -> None:
        """Check every setting once, so that no drawing code has to."""
        if len(self.size) != 2 or min(self.size) < 8:
            raise ValueError(f"size must be (height, width) of at least 8 pixels, got {self.size}.")
        if self.supersampling < 1:
            raise ValueError(f"supersampling must be at least 1, got {self.supersampling}.")
        for name, count in zip(OBJECT_KINDS, self.object_counts, strict=True):
            if count < 0:
                raise ValueError(f"The number of {name} must not be negative, got {count}.")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name != "size" and isinstance(value, tuple):
                _check_range(field.name, value)
            elif field.name.endswith("_prob") and not 0.0 <= value <= 1.0:
                raise ValueError(f"{field.name} must lie in [0, 1], got {value}.")
            elif isinstance(value, float) and value < 0.0:
                raise ValueError(f"{field.name} must not be negative, got {value}.")
        for name in _POSITIVE_RANGES:
            if getattr(self, name)[0] <= 0.0:
                raise ValueError(f"{name} must be above zero, got {getattr(self, name)}.")
        if self.near_ratio[0] < 1.0:
            raise ValueError(
                f"near_ratio must be at least 1 (objects stand before the background), "
                f"got {self.near_ratio}."
            )
        for name in ("presence", "vignette", "cast_shadow", "blotch_shadow"):
            if getattr(self, name)[1] > 1.0:
                raise ValueError(f"{name} must be at most 1, got {getattr(self, name)}.")

    @property
    def object_counts(self) -> tuple[int, ...]:
        """Number of layers of each kind, in the order of `OBJECT_KINDS`."""
        return tuple(getattr(self, name) for name in OBJECT_KINDS)


OBJECT_KINDS = (
    "sheets",
    "boxes",
    "ellipses",
    "polygons",
    "bars",
    "frames",
    "fences",
    "blobs",
    "shelves",
    "leaves",
)
"""Kinds of layers; label 0 is the background, label `i + 1` is `OBJECT_KINDS[i]`."""

_POSITIVE_RANGES = (
    "zoom",
    "object_size",
    "bar_width",
    "fence_period",
    "far_depth",
    "texture_scale",
    "photo_scale",
    "jpeg_step",
    "gamma",
    "brightness",
)


def _check_range(name: str, value: tuple[float, ...]) -> None:
    """Raise ValueError unless `value` is (low, high) with 0 <= low <= high."""
    if len(value) != 2 or not 0.0 <= value[0] <= value[1]:
        raise ValueError(f"{name} must be (low, high) with 0 <= low <= high, got {value}.")
