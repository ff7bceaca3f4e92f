"""What is trained and how: one frozen configuration per row of results.

    python -m experiments.joint_upsampling --config depth_x4 --out runs/depth_x4

Every field can be overridden on the command line, `--steps 200 --batch-size 4 --factors 4,8`.
`python -m experiments.joint_upsampling --help` lists the configurations. Trained on one core, two at a
time: `depth_*`, `djif_x8_longer` and the published form on a fast AMD EPYC, the others on a slower one
or an Intel Xeon at 2.1 to 2.5 GHz, which take two to four times as long (scores: on the images of the
results in `docs/results`, RMSE over that of bicubic on Middlebury 2001/2003 under `bicubic`, end-point
error over that of bilinear on FlyingChairs):

    configuration                minutes  score
    depth_x8_first, depth_x8     14 + 23  0.49
    depth_x4, after it           18       0.44
    depth_x16, after it          10       0.59
    flow_x4                      51       0.30
    flow_x8                      6        0.41
    flow_x16_first, flow_x16     5 + 14   0.57
    flow_lite_x4, _x8, _x16      3, 3, 3  0.64, 0.68, 0.95
    lite_x4, lite_x8, lite_x16   4, 3, 5  0.82, 0.77, 0.87
    pac_x8                       6        0.76
    djif_x8                      16       1.05
    lite_x8_longer               23       0.73
    pac_x8_longer                34       0.72
    djif_x8_longer               21       0.99
    lite_x8_longer_published     8        0.86
    pac_x8_longer_published      20       0.82

The model cards, `pac_jax/pretrained/weights`, have more.
"""

import dataclasses
from dataclasses import dataclass

from experiments.training.plan import Plan
from pac_jax.models.protocols import check_protocol

NETWORKS = ("pac_upsampler", "pac_net", "pac_net_lite", "djif")
TASKS = ("depth", "flow")


@dataclass(frozen=True, kw_only=True)
class Config(Plan):
    """One training run; the fields of a `Plan`, and these.

    Attributes:
        network: `pac_upsampler`, `pac_net`, `pac_net_lite` or `djif`.
        task: `depth` or `flow`.
        factors: of upsampling, taken in turn; only `pac_upsampler` and `djif` have parameters that
            serve several. The first is that of the validation; one that stands here twice is
            trained twice as often.
        protocols: how the low-resolution targets are made, taken in turn.
        normalize: whether the affinities of `pac_net` and `pac_net_lite` are normalised (as
            published they are not).
        back_projection: whether `pac_upsampler` puts the samples back after every step.
        deep_features: learned channels of `pac_upsampler`'s guides besides the image's.
        dilations: of the filters of `pac_upsampler`; empty for none.
        views: of `pac_upsampler` when it is used; it is trained with one.
        start_from: whose parameters this run begins with: the name of a finished run beside it, or
            of a network that ships; of a `pac_upsampler` with other filters, all but the filters'.
        crop: height and width of the crops in pixels, a multiple of the factors.
        scenes: number of generated scenes, rendered once, that the crops are taken from.
        margin: pixels that a scene is larger than a crop.
        smallest_contrast: of a crop's targets, as a part of the range that they are normalised by;
            drawn from here to 1, since a crop of a large image has but a part of its range.
        ends: probability of a crop's targets to reach the lower or the upper end of that range, as the
            background and the nearest thing of an image do.
        rounded: probability of a crop's depths to be rounded to between 6 and 60 levels, as
            disparities in whole pixels are.
        misaligned: probability of a crop's photograph to lie up to `largest_shift` off its target, as
            those of real cameras and depth sensors do.
        largest_shift: in pixels, in both directions.
        border: pixels at every side that the loss leaves out, as the metric does.
    """

    network: str = "pac_net_lite"
    task: str = "depth"
    factors: tuple[int, ...] = (4,)
    protocols: tuple[str, ...] = ("bicubic", "center")
    normalize: bool = True
    back_projection: bool = True
    deep_features: int = 4
    dilations: tuple[int, ...] = (8, 4, 2, 1, 4, 2, 1)
    views: int = 2
    start_from: str = ""
    crop: int = 128
    scenes: int = 2560
    margin: int = 48
    smallest_contrast: float = 0.25
    ends: float = 0.0
    rounded: float = 0.25
    misaligned: float = 0.0
    largest_shift: float = 1.5
    border: int = 6

    def __post_init__(self) -> None:
        """Check every field once."""
        super().__post_init__()
        self.check_positive("crop", "scenes")
        self.check_choice("network", NETWORKS)
        self.check_choice("task", TASKS)
        if not self.factors or not self.protocols:
            raise ValueError("factors or protocols is empty; each needs at least one")
        for protocol in self.protocols:
            check_protocol(protocol)
        for factor in self.factors:
            if factor < 2 or self.crop % factor:
                raise ValueError(f"crop is {self.crop}; factor {factor} needs to divide it")
        if len(self.factors) > 1 and self.network in ("pac_net", "pac_net_lite"):
            raise ValueError(
                f"factors is {self.factors}; {self.network} has other parameters for each: give one"
            )
        for name in ("margin", "deep_features"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it needs to be 0 or more")
        if min(self.dilations, default=1) < 1:
            raise ValueError(f"dilations are {self.dilations}; each needs to be positive")
        if not 0 < self.smallest_contrast <= 1:
            raise ValueError(
                f"smallest_contrast is {self.smallest_contrast}; it needs to lie above 0, at most 1"
            )
        for name in ("ends", "rounded", "misaligned"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it needs to lie in [0, 1]")
        if not 0 <= self.largest_shift <= self.border:
            raise ValueError(
                f"largest_shift is {self.largest_shift}; it needs to lie from 0 to the border of "
                f"{self.border}"
            )
        if not 0 <= self.border < self.crop // 2:
            raise ValueError(f"border is {self.border}; crops of {self.crop} need it below half")

    @property
    def factor(self) -> int:
        """The factor of the validation, the first."""
        return self.factors[0]

    @property
    def protocol(self) -> str:
        """The protocol of the validation, the first."""
        return self.protocols[0]

    @property
    def target_features(self) -> int:
        """Number of channels of the target."""
        return 2 if self.task == "flow" else 1


_FLOW = Config(task="flow", protocols=("bilinear-antialias",))
_LONGER = Config(
    factors=(8,),
    steps=16_000,
    batch_size=1,
    learning_rate=1e-3,
    warmup_steps=100,
    checkpoint_every=1000,
    crop=96,
    margin=80,
    ends=0.6,
    misaligned=0.5,
)
_OURS = Config(
    network="pac_upsampler",
    steps=9000,
    batch_size=4,
    learning_rate=1e-3,
    warmup_steps=100,
    checkpoint_every=1000,
    misaligned=0.5,
)
_ABLATION = dataclasses.replace(_OURS, factors=(8,), steps=500)
_OUR_FLOW = dataclasses.replace(
    _OURS, task="flow", protocols=_FLOW.protocols, steps=4000, misaligned=0.0
)

CONFIGS = {
    # Our network.
    # With few and weak filters, the network has to learn more itself; and it learns edges from
    # photographs that lie on their targets. Then all filters, other photographs, other scenes.
    "depth_x8_first": dataclasses.replace(
        _OURS, factors=(8,), dilations=(2, 1), misaligned=0.0, steps=8000
    ),
    "depth_x8": dataclasses.replace(
        _OURS, factors=(8,), start_from="depth_x8_first", steps=8000, learning_rate=8e-4, seed=1
    ),
    "depth_x4": dataclasses.replace(_OURS, start_from="depth_x8", steps=6000, learning_rate=8e-4),
    "depth_x16": dataclasses.replace(
        _OURS, factors=(16,), start_from="depth_x8", steps=3300, learning_rate=8e-4
    ),
    "flow_x4": _OUR_FLOW,
    "flow_x8": dataclasses.replace(_OUR_FLOW, factors=(8,), start_from="flow_x4", steps=1500),
    "flow_x16_first": dataclasses.replace(
        _OUR_FLOW, factors=(16,), start_from="flow_x8", steps=1000
    ),
    "flow_x16": dataclasses.replace(
        _OUR_FLOW, factors=(16,), start_from="flow_x16_first", steps=2200, learning_rate=7e-4
    ),
    # Lite PAC-Net, normalised.
    **{f"lite_x{n}": Config(factors=(n,)) for n in (4, 8, 16)},
    **{
        f"flow_lite_x{n}": dataclasses.replace(
            _FLOW, factors=(n,), start_from=f"lite_x{n}", steps=300
        )
        for n in (4, 8, 16)
    },
    # The others of the comparison, and the published form of the PAC-Nets.
    **{f"pac_x{n}": Config(network="pac_net", factors=(n,)) for n in (4, 8, 16)},
    **{f"djif_x{n}": Config(network="djif", factors=(n,), learning_rate=1e-3) for n in (4, 8, 16)},
    **{f"lite_x{n}_published": Config(factors=(n,), normalize=False) for n in (4, 8, 16)},
    **{
        f"pac_x{n}_published": Config(network="pac_net", factors=(n,), normalize=False)
        for n in (4, 8, 16)
    },
    # The comparison with many more updates.
    "lite_x8_longer": _LONGER,
    "pac_x8_longer": dataclasses.replace(_LONGER, network="pac_net"),
    "djif_x8_longer": dataclasses.replace(_LONGER, network="djif"),
    "lite_x8_longer_published": dataclasses.replace(_LONGER, normalize=False),
    "pac_x8_longer_published": dataclasses.replace(_LONGER, network="pac_net", normalize=False),
    # What each part of our network brings, in short runs.
    "ablation": _ABLATION,
    "ablation_without_deep_features": dataclasses.replace(_ABLATION, deep_features=0),
    "ablation_two_filters": dataclasses.replace(_ABLATION, dilations=(2, 1)),
    "ablation_without_filters": dataclasses.replace(_ABLATION, deep_features=0, dilations=()),
    "ablation_without_back_projection": dataclasses.replace(_ABLATION, back_projection=False),
    "ablation_network_alone": dataclasses.replace(
        _ABLATION, deep_features=0, dilations=(), back_projection=False
    ),
    "smoke": Config(
        network="pac_net_lite",
        steps=12,
        batch_size=2,
        crop=32,
        scenes=16,
        margin=8,
        warmup_steps=2,
        checkpoint_every=5,
        log_every=4,
    ),
}
