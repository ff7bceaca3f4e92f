"""`pac-jax demo`: a scene in the package, made coarse and sharp again, measured and drawn.

The scene is generated: `experiments.scenes`, as of commit b00b7d3, the sixth of
`render_batch(jax.random.key(100), 6, SceneConfig(size=(360, 480)))`, inverse depth times 20,000.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from pac_jax import files
from pac_jax.cli.cache import keep_programs
from pac_jax.cli.clock import Clock
from pac_jax.cli.pictures import Colours, panels, rows, save

_SCENE = Path(__file__).parent / "scene"
_DETAIL = slice(80, 200), slice(130, 290)  # leaves, and a board in front of them
_BORDER = 6  # pixels that the error leaves out at every side


def run(options: argparse.Namespace) -> int:
    """Upsample the scene's coarse depth by interpolation and by the network; draw and measure both."""
    clock = Clock()
    output = Path(options.output)
    if output.suffix.lower() != ".png":
        raise ValueError(f"--output is {output}; it needs to end in .png")
    if not output.parent.is_dir():
        raise FileNotFoundError(
            f"{output}: there is no folder {str(output.parent)!r} to write it into"
        )
    photo = np.asarray(Image.open(_SCENE / "photo.jpg"))
    depth = files.read_depth(_SCENE / "depth.png")
    coarse = _resized(depth, depth.shape[0] // options.factor, depth.shape[1] // options.factor)
    if not options.no_cache:
        keep_programs()
    import pac_jax

    print(f"depth of {coarse.shape[0]} x {coarse.shape[1]} to {depth.shape[0]} x {depth.shape[1]}")
    sharp = np.asarray(pac_jax.upsample(coarse, photo, options.factor, model=options.model))
    results = {"bicubic": _resized(coarse, *depth.shape), "pac_jax": sharp}
    errors = {name: _error(result, depth) for name, result in results.items()}
    for name, error in errors.items():
        print(f"  {name:8} error {error:7.1f}  ({error / errors['bicubic']:.2f} of bicubic's)")
    save(_picture(photo, depth, coarse, results, errors), output)
    print(f"{output}: photograph, coarse map and results; {clock.elapsed():.1f} s")
    return 0


def _resized(depth: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pillow's bicubic, both ways: the protocol `bicubic`."""
    image = Image.fromarray(depth.astype(np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def _error(result: np.ndarray, truth: np.ndarray) -> float:
    """Root mean square, in the unit of the map."""
    inner = (slice(_BORDER, -_BORDER),) * 2
    return float(np.sqrt(np.mean(np.square(result[inner] - truth[inner], dtype=np.float64))))


def _picture(
    photo: np.ndarray,
    depth: np.ndarray,
    coarse: np.ndarray,
    results: dict[str, np.ndarray],
    errors: dict[str, float],
) -> Image.Image:
    """Whole images, and below a detail of each."""
    colours = Colours(depth, "depth")
    factor = depth.shape[0] // coarse.shape[0]
    images = [("photograph", photo), (f"given: 1/{factor}", _enlarged(colours(coarse), factor))]
    images += [(f"{name}: error {errors[name]:.0f}", colours(r)) for name, r in results.items()]
    images.append(("truth", colours(depth)))
    details = [("", image[_DETAIL]) for _, image in images]
    return rows(panels(images, 320), panels(details, 320))


def _enlarged(image: np.ndarray, factor: int) -> np.ndarray:
    return image.repeat(factor, axis=0).repeat(factor, axis=1)
