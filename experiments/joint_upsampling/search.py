"""Which scales of joint bilateral upsampling are best: a grid, on generated scenes and real images.

    python -m experiments.joint_upsampling.search --data ../shared/data --out results/joint_bilateral

The table shows what is best on each set of images, what that reaches on the others, and what the
scales of the benchmark's tables (`baselines.SCALES`) reach. The figure of merit is RMSE over that of
bicubic, averaged over images, factors and protocols.
"""

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.progress import track

from experiments.benchmarks.report import describe_commit
from experiments.joint_upsampling.baselines import SCALES, Scales, bicubic, joint_bilateral
from experiments.joint_upsampling.benchmark import DEFAULT_PROTOCOLS, KINDS
from experiments.joint_upsampling.fitting import Task, fit
from experiments.joint_upsampling.metrics import CONVENTIONS
from experiments.joint_upsampling.real_pairs import DATA, RealPair, real_pairs
from experiments.joint_upsampling.tables import aligned, shortened, write_report
from experiments.scenes import SceneConfig, render_batch
from experiments.training.errors import existing_folder, one_line_errors

GRID = tuple(
    Scales(*values)
    for values in product((1, 2), (2.5, 5.0, 10.0, 20.0, 40.0), (0.5, 1.0, 2.0, 4.0))
)
_FACTORS = (4, 8, 16)
# Neither that of a training (0) nor that of the validation.
_SEED = 731_094_226


def main(arguments: list[str] | None = None) -> None:
    """Search from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.joint_upsampling.search", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--kind", choices=KINDS, default="depth", help="default: depth")
    parser.add_argument("--data", type=Path, help="folder with further real images")
    parser.add_argument("--scenes", type=int, default=16, help="generated ones (default: 16)")
    parser.add_argument("--size", type=int, default=192, help="of a scene (default: 192)")
    parser.add_argument("--factors", nargs="+", type=int, default=_FACTORS, help="default: 4 8 16")
    parser.add_argument("--out", type=Path, help="write NAME.md and NAME.json (default: print)")
    given = parser.parse_args(arguments)
    console = Console()
    with one_line_errors():
        existing_folder(given.data, holds=DATA)
        real = real_pairs(given.kind, given.data, lambda text: console.print(text, markup=False))
        sets = {"generated": generated(given.kind, given.scenes, given.size)}
        for pair in real:
            sets.setdefault(pair.data, []).append(pair)
        merits = {
            name: search(pairs, given.factors, DEFAULT_PROTOCOLS[given.kind], console, name)
            for name, pairs in sets.items()
        }
        text = report(merits, given)
        if given.out:
            record = {
                "commit": describe_commit(),
                "kind": given.kind,
                "factors": list(given.factors),
                "seed": _SEED,
                "merits": {
                    name: [{**scales._asdict(), "merit": merit} for scales, merit in found.items()]
                    for name, found in merits.items()
                },
            }
            write_report(given.out, text, record)
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def generated(kind: str, count: int, size: int) -> list[RealPair]:
    """Scenes as if they were photographs with a measured target."""
    scenes = render_batch(jax.random.key(_SEED), count, SceneConfig(size=(size, size)))
    targets = np.asarray(scenes.flow if kind == "flow" else scenes.depth)
    guides, valid = np.asarray(scenes.image), np.ones((size, size), bool)
    return [
        RealPair(f"{n}", "generated", kind, "of a scene", guide[None], target[None], valid, 1.0)
        for n, (guide, target) in enumerate(zip(guides, targets, strict=True))
    ]


def search(
    pairs: Sequence[RealPair],
    factors: Sequence[int],
    protocols: Sequence[str],
    console: Console,
    name: str,
    grid: Sequence[Scales] = GRID,
) -> dict[Scales, float]:
    """Error over that of bicubic for every point of the grid, the best first.

    Args:
        pairs: images, over which the mean is taken.
        factors: of upsampling.
        protocols: of the low-resolution targets.
        console: for the progress bar.
        name: of the images.
        grid: what to try.
    """
    ratios: dict[Scales, list[float]] = {scales: [] for scales in grid}
    cases = list(product(protocols, factors, pairs))
    for protocol, factor, pair in track(cases, name, console=console, transient=True):
        task = fit(pair, factor, protocol)
        low, guide = jnp.asarray(task.target_low), jnp.asarray(task.guide)
        reference = _error(task, bicubic(low, factor, protocol))
        for scales in grid:
            error = _error(task, _filtered(low, guide, factor, protocol, scales))
            ratios[scales].append(error / reference)
    means = {scales: float(np.mean(values)) for scales, values in ratios.items()}
    return dict(sorted(means.items(), key=lambda item: item[1]))


def _filtered(
    low: jax.Array, guide: jax.Array, factor: int, protocol: str, scales: Scales
) -> jax.Array:
    """Compiled once for all scales, which but the reach are traced."""
    return _compiled(
        low, guide, scales.color_scale, scales.space_scale, factor, protocol, scales.reach
    )


def _joint_bilateral(low, guide, color_scale, space_scale, factor, protocol, reach):
    return joint_bilateral(low, guide, factor, protocol, Scales(reach, color_scale, space_scale))


_compiled = jax.jit(_joint_bilateral, static_argnums=(4, 5, 6))


def _error(task: Task, result: jax.Array) -> float:
    convention = CONVENTIONS[task.pair.kind][0]
    return convention.measure(task.at_measured_size(np.asarray(result)), task.pair)


def report(merits: dict[str, dict[Scales, float]], given: argparse.Namespace) -> str:
    """Markdown: the best scales of every set, and what they reach on the others."""
    convention = CONVENTIONS[given.kind][0]
    head = ["scales", "reach", "colour", "space", *(f"on {name}" for name in merits)]
    chosen = {f"best on {name}": next(iter(found)) for name, found in merits.items()}
    chosen["in the tables"] = SCALES
    lines = [head]
    for name, scales in chosen.items():
        cells = [f"{value:g}" for value in scales]
        reached = [f"{found[scales]:.3f}" if scales in found else "" for found in merits.values()]
        lines.append([name, *cells, *reached])
    caption = (
        f"**Joint bilateral upsampling, {given.kind}**: {convention.metric} ({convention.text}) over "
        f"that of bicubic, averaged over images, factors {', '.join(map(str, given.factors))} and "
        f"protocols {', '.join(DEFAULT_PROTOCOLS[given.kind])}; {given.scenes} generated scenes of "
        f"{given.size} pixels, seed {_SEED}; the best of {len(GRID)}. Commit "
        f"{shortened(describe_commit())}."
    )
    return f"{caption}\n\n{aligned(lines)}\n"


if __name__ == "__main__":
    main()
