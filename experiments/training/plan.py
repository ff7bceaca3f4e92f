"""How long and how fast a network is trained; every configuration is one, and more."""

import argparse
import dataclasses
import inspect
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

_POSITIVE = ("steps", "batch_size", "checkpoint_every", "log_every")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and how fast a network is trained.

    Attributes:
        steps: number of updates.
        batch_size: crops per update.
        learning_rate: peak of the schedule (a short warm-up, then a cosine to zero).
        warmup_steps: of the schedule.
        gradient_clip: largest global norm of a gradient.
        seed: of everything random.
        checkpoint_every: updates between two checkpoints.
        log_every: updates between two lines of the log.

    Raises:
        ValueError: a field does not fit; the message says which.
    """

    steps: int = 600
    batch_size: int = 2
    learning_rate: float = 2e-3
    warmup_steps: int = 50
    gradient_clip: float = 1.0
    seed: int = 0
    checkpoint_every: int = 250
    log_every: int = 50

    def __post_init__(self) -> None:
        """Check every field once."""
        self.check_positive(*_POSITIVE)
        for name in ("learning_rate", "gradient_clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(
                    f"{name} is {getattr(self, name)}; it needs to be above 0 and finite"
                )
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; it needs to be 0 or more")
        if not 0 <= self.warmup_steps < self.steps:
            raise ValueError(
                f"warmup_steps is {self.warmup_steps}; {self.steps} steps need it from 0 to "
                f"{self.steps - 1}"
            )

    def check_positive(self, *names: str) -> None:
        """Raise ValueError unless these fields are 1 or more."""
        for name in names:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it needs to be positive")

    def check_choice(self, name: str, choices: Iterable[str]) -> None:
        """Raise ValueError unless this field is one of the choices."""
        value = getattr(self, name)
        if value not in choices:
            raise ValueError(f"{name} is {value!r}; it needs one of {', '.join(choices)}")


Config = TypeVar("Config", bound=Plan)


def add_overrides(parser: argparse.ArgumentParser, form: type[Plan]) -> None:
    """Add one option per field of a configuration, absent unless given, and shorten the usage."""
    parser.usage = "%(prog)s [--config NAME] [--FIELD VALUE ...] [option ...]; see --help"
    explained = _explanations(form)
    fields = parser.add_argument_group("fields of the configuration, in place of its own")
    for field in dataclasses.fields(form):
        fields.add_argument(
            "--" + field.name.replace("_", "-"),
            type=_reader(field.default),
            default=argparse.SUPPRESS,
            metavar=_describe(field.default),
            help=explained[field.name].replace("%", "%%"),
        )


def with_overrides(config: Config, arguments: argparse.Namespace) -> Config:
    """The configuration with the fields that the command line names."""
    names = {field.name for field in dataclasses.fields(config)}
    given = {name: value for name, value in vars(arguments).items() if name in names}
    return dataclasses.replace(config, **given)


def _explanations(form: type[Plan]) -> dict[str, str]:
    """What the docstrings of a configuration's classes say of its fields."""
    texts: dict[str, str] = {}
    for owner in form.__mro__:
        section = inspect.cleandoc(owner.__doc__ or "").partition("Attributes:\n")[2]
        for name, text in re.findall(r"^    (\w+): (.*(?:\n {8,}.*)*)", section, re.MULTILINE):
            texts.setdefault(name, " ".join(text.split()))
    return texts


def _reader(default):
    if isinstance(default, tuple):
        return lambda text: _items(text, type(default[0]))
    return _boolean if isinstance(default, bool) else type(default)


def _items(text: str, kind: type) -> tuple:
    try:
        return tuple(kind(part) for part in text.split(",") if text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}; it needs {kind.__name__},...") from None


def _describe(default: object) -> str:
    if isinstance(default, tuple):
        kind = type(default[0]).__name__
        return f"{kind},{kind},..."
    return type(default).__name__


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r}; it needs true or false")
    return text == "true"
