"""Measure methods on the real images at hand, and write scores, tables and pictures to a folder."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

from rich.console import Console
from rich.progress import track

from experiments.benchmarks.report import describe_commit
from experiments.joint_upsampling.methods import Method
from experiments.joint_upsampling.pictures import comparison
from experiments.joint_upsampling.real_pairs import RealPair
from experiments.joint_upsampling.scores import Score, measure, write
from experiments.joint_upsampling.tables import markdown
from experiments.training.layout import save_picture
from experiments.training.run_folder import write_atomically


def evaluate(
    methods: Sequence[Method],
    pairs: Sequence[RealPair],
    factors: Sequence[int],
    protocols: Sequence[str],
    folder: Path,
    console: Console,
    *,
    pictures: bool,
) -> list[Score]:
    """Measure; write `scores.json`, `scores.md` and, if wanted, a picture of every result.

    Args:
        methods: rows of the tables.
        pairs: images, all of one kind.
        factors: of upsampling.
        protocols: of the low-resolution targets.
        folder: to write to; made if needed.
        console: for the progress bar.
        pictures: whether to draw `IMAGE_PROTOCOL_xFACTOR.png`.

    Returns:
        All scores.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scores: list[Score] = []
    settings = list(product(protocols, factors, pairs))
    for protocol, factor, pair in track(settings, "measuring", console=console, transient=True):
        measured = measure(pair, factor, protocol, methods)
        scores.extend(measured.scores)
        if pictures:
            save_picture(comparison(measured), folder / f"{pair.name}_{protocol}_x{factor}.png")
    write(scores, folder / "scores.json")
    write_atomically(folder / "scores.md", markdown(scores, describe_commit()))
    return scores
