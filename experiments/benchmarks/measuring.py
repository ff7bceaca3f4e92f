"""Races of competitors on a workload, in both modes."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from experiments.benchmarks.competitors import MODES, list_competitors
from experiments.benchmarks.report import Result
from experiments.benchmarks.timing import Contender, race
from experiments.benchmarks.workloads import Workload, make_operands


def measure(
    workload: Workload, competitors: Sequence[str], dtype: str, runs: int, budget_seconds: float
) -> tuple[list[Result], dict[str, str]]:
    """Race the competitors on one workload, in both modes.

    Args:
        workload: the shapes.
        competitors: their names.
        dtype: of the operands.
        runs: turns per competitor.
        budget_seconds: see `timing.race`.

    Returns:
        The results, and by 'workload dtype competitor' the reasons of those that could not run.
    """
    operands, cotangent = make_operands(workload, dtype=dtype)
    prepare = list_competitors()
    results: list[Result] = []
    skipped: dict[str, str] = {}
    for mode in MODES:
        contenders: dict[str, Contender] = {}
        for name in competitors:
            label = f"{workload.name} {dtype} {name}"
            if label in skipped:
                continue
            _progress(f"{label}: preparing {mode}")
            try:
                contenders[name] = prepare[name](workload, operands, cotangent, mode)
            except NotImplementedError as reason:
                skipped[label] = str(reason)
                _progress(f"{label}: skipped, {reason}")
        _progress(f"{workload.name}: timing {mode}")
        for name, measurement in race(contenders, runs, budget_seconds).items():
            data = workload.data_bytes(dtype)
            results.append(Result(workload.name, dtype, name, mode, data, measurement))
    return results, skipped


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
