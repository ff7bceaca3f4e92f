"""What is trained and how: one frozen configuration per row of results.

    python -m experiments.joint_upsampling --config lite_x4

trains lite PAC-Net x4 on generated scenes, in 477 s on two shared CPU cores, and upsamples the real
stereo pair that ships with scikit-image: RMSE 1.422 pixels (bicubic 1.948, joint bilateral 1.603).
Every field can be overridden on the command line, `--steps 200 --batch-size 4`.
"""

import argparse
import dataclasses
from dataclasses import dataclass

NETWORKS = ("pac_net", "pac_net_lite", "djif")


@dataclass(frozen=True)
class Config:
    """One training run.

    Attributes:
        network: `pac_net`, `pac_net_lite` or `djif`.
        factor: of upsampling.
        normalize: whether the affinities of `pac_net` and `pac_net_lite` are normalised (as
            published they are not).
        steps: number of updates.
        batch_size: scenes per update.
        crop: height and width of the scenes in pixels, a multiple of the factor.
        border: pixels at every side that the loss leaves out, as the metric does.
        learning_rate: peak of the schedule (a short warm-up, then a cosine to zero).
        warmup_steps: of the schedule.
        gradient_clip: largest global norm of a gradient.
        seed: of the parameters and of the scenes.
        checkpoint_every: updates between two checkpoints.
        log_every: updates between two lines of the log.
    """

    network: str = "pac_net_lite"
    factor: int = 4
    normalize: bool = True
    steps: int = 1500
    batch_size: int = 4
    crop: int = 96
    border: int = 6
    learning_rate: float = 4e-3
    warmup_steps: int = 50
    gradient_clip: float = 1.0
    seed: int = 0
    checkpoint_every: int = 250
    log_every: int = 50

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise ValueError(f"network is {self.network!r}; it needs one of {', '.join(NETWORKS)}")
        for name in ("factor", "steps", "batch_size", "crop", "checkpoint_every", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it needs to be positive")
        if not 0 <= self.border < self.crop // 2:
            raise ValueError(f"border is {self.border}; crops of {self.crop} need it below half")
        if self.crop % self.factor:
            raise ValueError(f"crop is {self.crop}; factor {self.factor} needs to divide it")
        if not 0 <= self.warmup_steps < self.steps:
            raise ValueError(
                f"warmup_steps is {self.warmup_steps}; {self.steps} steps need it from 0 to "
                f"{self.steps - 1}"
            )


CONFIGS = {
    "lite_x4": Config(),
    "pac_x4": Config(network="pac_net"),
    "djif_x4": Config(network="djif"),
    "smoke": Config(
        steps=12, batch_size=2, crop=32, warmup_steps=2, checkpoint_every=5, log_every=4
    ),
}


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Add one option per field, absent unless given."""
    for field in dataclasses.fields(Config):
        parser.add_argument(
            "--" + field.name.replace("_", "-"),
            type=_boolean if isinstance(field.default, bool) else type(field.default),
            default=argparse.SUPPRESS,
            metavar=type(field.default).__name__,
        )


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r}; it needs true or false")
    return text == "true"


def with_overrides(config: Config, arguments: argparse.Namespace) -> Config:
    """The configuration with the fields that the command line names."""
    names = {field.name for field in dataclasses.fields(Config)}
    given = {name: value for name, value in vars(arguments).items() if name in names}
    return dataclasses.replace(config, **given)
