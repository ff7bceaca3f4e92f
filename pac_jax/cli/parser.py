"""The options, and a help that teaches."""

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

import pac_jax

__all__ = ["ALIGNMENTS", "KINDS", "PROTOCOLS", "build_parser"]

# As pac_jax.pretrained.KINDS and pac_jax.models.protocols.PROTOCOLS, which would import JAX.
KINDS = ("depth", "flow", "labels")
PROTOCOLS = ("bicubic", "bilinear-antialias", "center", "first", "last")
# As pac_jax.refinement.resizing.ALIGNMENTS.
ALIGNMENTS = ("centers", "corners")

_OUTPUT = "the file to write; of folders the folder (made if missing)"
_ABOUT = (
    "Make coarse depth maps, optical flow and label maps as large and sharp as a photograph, and the\n"
    "class scores of a segmentation network a label map that follows its edges."
)

_EXAMPLES = """\
examples:
  pac-jax demo
        see at once what it does: writes a picture from a scene in the package
  pac-jax upsample depth.png photo.jpg -o sharp.png
        a coarse depth map (a phone's or a ToF sensor's) and a photograph of the same view
  pac-jax upsample depths/ photos/ -o sharp/
        whole folders, paired by name: depths/0001.png with photos/0001.jpg
  pac-jax refine scores.npy photo.jpg -o labels.png
        a segmentation network's class scores: a label map whose borders are the photograph's
  pac-jax models
        the networks in the package; `pac-jax models depth_x8` prints one's card

`pac-jax COMMAND --help` tells more. In Python: pac_jax.upsample(depth, photo).
"""

_UPSAMPLE = """\
Upsample a coarse map along the edges of a photograph of the same view.

The factor follows from the sizes: any, whole or not, and the sizes need not divide. Holes of the
map (depth 0, NaN, or a mask) are filled along the edges of the photograph. Images of any size:
large ones are computed in tiles, with the same result.
"""

_UPSAMPLE_EXAMPLES = """\
examples:
  pac-jax upsample depth.png photo.jpg -o sharp.png --preview
        also writes sharp_preview.png: photograph, map and result side by side
  pac-jax upsample depth.npy photo.jpg -o sharp.png --scale 1000
        metres in, millimetres in a 16-bit PNG out; .npy, .exr and .pfm keep floats as they are
  pac-jax upsample flow.flo frame.png -o sharp.flo --kind flow
        vectors keep their length: scale a flow that counts coarse pixels beforehand
  pac-jax upsample depth.png photo.jpg -o sharp.exr --mask trusted.png --keep-holes
        reads only where trusted.png is not black; the rest is NaN in the result
  pac-jax upsample classes.png photo.jpg -o sharp.png --kind labels
        class numbers (grey or palette) stay class numbers
  pac-jax upsample depths/ photos/ -o sharp/ --suffix .exr
        a folder of pairs, with progress

files read:     depth .png .npy .npz .exr .pfm .tif .pgm, flow .flo .png (KITTI) .npy .npz .exr
                .pfm, labels .png .npy .npz, photographs whatever Pillow reads
files written:  depth .png (16 bit) .npy .exr .pfm, flow .flo .png (KITTI) .npy .exr .pfm,
                labels .png .npy; what edges overshoot is clipped to what a PNG holds, 1 to 65535
                (0 is a hole)
exit codes:     0 done, 2 wrong input (one line says what), 130 interrupted; files are written whole
                or not at all

Compiled programs are kept in the user's cache folder, so that the second call of a size starts at
once; --no-cache keeps none, and JAX_COMPILATION_CACHE_DIR names another folder.
"""

_REFINE = """\
Turn class scores of any segmentation network into a label map that follows the photograph.

Every pixel listens to pixels of like colour near and far (mean-field inference in a CRF); nothing
is trained. Scores are floats (h, w, classes), logits or probabilities, as large as the photograph
or smaller by the network's stride.
"""

_REFINE_EXAMPLES = """\
examples:
  pac-jax refine scores.npy photo.jpg -o labels.png --preview
        also writes labels_preview.png: photograph, labels by the scores alone, and refined
  pac-jax refine logits.npz photo.jpg -o labels.png --alignment corners
        small scores of a network whose corner pixels lie on those of the photograph (DeepLab)
  pac-jax refine scores.npy photo.jpg -o labels.png --mask valid.png --void-label 255
        pixels where valid.png is black say nothing, and are 255 in the result
  pac-jax refine scores/ photos/ -o labels/
        whole folders, paired by name: scores/0001.npy with photos/0001.jpg
  pac-jax refine scores.npy photo.jpg -o labels.png --strength 0.5 --steps 3
        where thin things get lost: the photograph has less to say

files read:     scores .npy .npz (one array, or named scores, logits or probabilities), photographs
                and masks whatever Pillow reads
files written:  labels .png (a palette, the colours of Pascal VOC; pixels are class numbers) .npy
exit codes:     0 done, 2 wrong input (one line says what), 130 interrupted; files are written whole
                or not at all

Scores with classes first, as PyTorch has them: np.save("scores.npy", np.moveaxis(scores, 0, -1)).
In Python: pac_jax.refine(scores, photo).
"""

_CONVERT_EXAMPLES = """\
examples:
  pac-jax convert pacnet_x8.pth -o pacnet_x8.safetensors
  pac-jax convert djif.pth -o djif_x8.safetensors --factor 8
  pac-jax upsample depth.png photo.jpg -o sharp.png --model pacnet_x8.safetensors

Reading .pth needs PyTorch (pip install torch); nothing in the file is executed.
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")

    # The signature of argparse has overloads and Any.
    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse what it does not know here: the main parser would, and name its own help."""
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return known, unknown


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command."""
    parser = _Parser(
        prog="pac-jax",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"pac-jax {pac_jax.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, summary: str, epilog: str, description: str | None = None) -> _Parser:
        return commands.add_parser(
            name,
            help=summary,
            description=description or f"{summary[0].upper()}{summary[1:]}.",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    _upsample(add("upsample", "upsample files or folders", _UPSAMPLE_EXAMPLES, _UPSAMPLE))
    _refine(add("refine", "refine a segmentation's class scores", _REFINE_EXAMPLES, _REFINE))
    _demo(add("demo", "upsample a scene in the package and draw it", "takes less than a minute"))
    _models(add("models", "list the networks in the package, or print one's card", ""))
    _convert(
        add("convert", "turn a checkpoint of the original's PyTorch code into a file for --model",
            _CONVERT_EXAMPLES)
    )  # fmt: skip
    return parser


def _upsample(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("target", help="the coarse map: a file, or a folder of files")
    add("guide", help="the photograph, or a folder of photographs of the same names")
    add("-o", "--output", required=True, help=_OUTPUT)
    add("--kind", choices=KINDS, default="depth", help="what the map holds; default: depth")
    add("--factor", type=_above(float, 1), metavar="F", help="default: from the sizes")
    add("--model", metavar="NAME|FILE", help="a network of `pac-jax models` or a .safetensors file")
    add(
        "--protocol",
        choices=PROTOCOLS,
        help="how the map came about: means over its surroundings (bicubic, bilinear-antialias) or "
        "single pixels of their blocks (center; first, OpenCV's and PyTorch's nearest; last); "
        "default: told from the edges of a depth map; center for labels; the network's for flow",
    )
    add("--mask", metavar="FILE|FOLDER", help="images as large as the maps, black where unmeasured")
    add(
        "--zeros-are-measured",
        action="store_true",
        help="a depth of 0 is a measurement and no hole (not finite values still are)",
    )
    add("--keep-holes", action="store_true", help="NaN (0 in a PNG) where the map has holes")
    add(
        "--scale",
        type=_above(float, 0),
        default=1.0,
        metavar="S",
        help="write depth times S; 1000: metres to a PNG of millimetres",
    )
    add("--suffix", metavar=".EXT", help="format of a folder's results; default: the maps' own")
    add("--preview", action="store_true", help="also write NAME_preview.png")
    add("--tile", type=_above(int, 0), metavar="PIXELS", help="largest tile; default: chosen")
    add("--no-cache", action="store_true", help="keep no compiled programs")
    add("--verbose", action="store_true", help="tell times and the peak of memory")


def _refine(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("scores", help="class scores: a file, or a folder of files")
    add("image", help="the photograph, or a folder of photographs of the same names")
    add("-o", "--output", required=True, help=_OUTPUT)
    add("--alignment", choices=ALIGNMENTS, default="centers",
        help="what coincides in small scores and photograph: the images' borders (centers), or the "
        "centres of the corner pixels (corners); default: centers")  # fmt: skip
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--probabilities",
        action="store_true",
        help="the scores are probabilities (as is seen by sums of one)",
    )
    kind.add_argument(
        "--logits", action="store_true", help="they are logits; default: seen by sums"
    )
    add(
        "--mask", metavar="FILE|FOLDER", help="images as large as the photographs, black where void"
    )
    add(
        "--void-label",
        type=_at_least(int, 0),
        metavar="N",
        help="label of void pixels; needs --mask",
    )
    add("--steps", type=_at_least(int, 1), default=5, metavar="N", help="of inference; default: 5")
    add("--strength", type=_at_least(float, 0), default=1.0, metavar="S",
        help="of the photograph's say; 0: none; default: 1")  # fmt: skip
    add("--suffix", metavar=".EXT", help="format of a folder's results: .png (default) or .npy")
    add("--preview", action="store_true", help="also write NAME_preview.png")
    add("--no-cache", action="store_true", help="keep no compiled programs")
    add("--verbose", action="store_true", help="tell times and the peak of memory")


def _demo(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-o", "--output", default="pac_jax_demo.png", help="default: pac_jax_demo.png")
    add("--factor", type=int, choices=(4, 8, 16), default=8, help="default: 8")
    add("--model", metavar="NAME|FILE", help="default: the best for this factor")
    add("--no-cache", action="store_true", help="keep no compiled programs")


def _models(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="whose card to print")


def _convert(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("checkpoint", help="the .pth file")
    add("-o", "--output", required=True, help="the .safetensors file to write")
    add("--kind", choices=KINDS, default="depth", help="what it upsamples; default: depth")
    add(
        "--factor",
        type=_above(int, 0),
        metavar="F",
        help="of a DJIF, whose file does not tell; that of a PacNet follows from the file",
    )


def _above(number: Callable[[str], float], limit: float) -> Callable[[str], float]:
    return _checked(number, lambda value: limit < value < float("inf"), f"above {limit:g}")


def _at_least(number: Callable[[str], float], limit: float) -> Callable[[str], float]:
    return _checked(number, lambda value: limit <= value < float("inf"), f"of {limit:g} or more")


def _checked(
    number: Callable[[str], float], fits: Callable[[float], bool], needed: str
) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = number(text)
        except ValueError:
            value = float("nan")
        if not fits(value):
            kind = "a whole number" if number is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r}; it needs {kind} {needed}")
        return value

    return parse
