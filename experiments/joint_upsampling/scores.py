"""Measuring all methods on all images, and the results as JSON."""

import dataclasses
import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.benchmarks.report import describe_commit, describe_machine
from experiments.joint_upsampling.fitting import RULES, Task, fit
from experiments.joint_upsampling.methods import Method
from experiments.joint_upsampling.metrics import CONVENTIONS
from experiments.joint_upsampling.real_pairs import RealPair
from experiments.training.errors import RunError
from experiments.training.run_folder import write_atomically


@dataclasses.dataclass(frozen=True)
class Score:
    """One number: a method's error on one image.

    Attributes:
        method: its name.
        parameters: of the method, if it is trained.
        seed: of the method's training, where there is one.
        kind: `depth` or `flow`.
        data: the set of the image.
        image: its name.
        protocol: by which the target was made coarse.
        factor: of upsampling.
        metric: `RMSE` or `EPE`.
        convention: see `metrics.CONVENTIONS`.
        unit: of the value.
        value: the error.
    """

    method: str
    parameters: int | None
    seed: int | None
    kind: str
    data: str
    image: str
    protocol: str
    factor: int
    metric: str
    convention: str
    unit: str
    value: float


class Measured(NamedTuple):
    """What all methods made of one image.

    Attributes:
        task: what they were given.
        factor: of upsampling.
        protocol: of the low-resolution target.
        results: (H, W, C) by method.
        scores: by every method and convention.
    """

    task: Task
    factor: int
    protocol: str
    results: dict[str, np.ndarray]
    scores: list[Score]


def measure(pair: RealPair, factor: int, protocol: str, methods: Sequence[Method]) -> Measured:
    """Run methods on one image; those that do not know the factor are left out."""
    task = fit(pair, factor, protocol)
    measured = Measured(task, factor, protocol, {}, [])
    for method in methods:
        if method.factors is None or factor in method.factors:
            result = task.at_measured_size(method.run(task, factor, protocol))
            measured.results[method.name] = result
            measured.scores.extend(_scores(measured, method, result))
    return measured


def _scores(measured: Measured, method: Method, result: np.ndarray) -> list[Score]:
    pair = measured.task.pair
    return [
        Score(
            method=method.name,
            parameters=method.parameters,
            seed=method.seed,
            kind=pair.kind,
            data=pair.data,
            image=pair.name,
            protocol=measured.protocol,
            factor=measured.factor,
            metric=convention.metric,
            convention=convention.name,
            unit=convention.unit(pair),
            value=convention.measure(result, pair),
        )
        for convention in CONVENTIONS[pair.kind]
    ]


def to_json(scores: Sequence[Score]) -> dict[str, Any]:
    """All scores with all that is needed to know how they came about."""
    return {
        "commit": describe_commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "sizes": {kind: RULES[kind] for kind in sorted({score.kind for score in scores})},
        "scores": [dataclasses.asdict(score) for score in scores],
    }


def write(scores: Sequence[Score], path: Path) -> None:
    """Write the scores as JSON, whole or not at all."""
    write_atomically(path, json.dumps(to_json(scores), indent=1) + "\n")


def read(path: Path) -> tuple[list[Score], str]:
    """The scores of a file, and the commit that they were measured at.

    Raises:
        RunError: the file is missing or something else.
    """
    try:
        record = json.loads(path.read_text())
        return [Score(**score) for score in record["scores"]], record["commit"]
    except FileNotFoundError:
        raise RunError(f"there is no {path}; the benchmark or a finished run writes it") from None
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise RunError(f"{path} holds no scores ({error})") from error
