"""Train a network that says of every pixel what it shows, and measure it.

    python -m experiments.segmentation --config small_camvid --data ../shared/data/camvid

A run that was interrupted goes on from its last checkpoint when the same command is given again.
The folder of the run holds `config.json`, `checkpoints/`, `log.csv`, `events/` (TensorBoard),
`curves.png` and `validation.png`, and at the end what `experiments.segmentation.benchmark` writes.
"""

import argparse
import time
from functools import partial
from pathlib import Path

from rich.console import Console

from experiments.segmentation.config import CONFIGS, Config
from experiments.segmentation.evaluate import evaluate
from experiments.segmentation.methods import of_run
from experiments.segmentation.train import train
from experiments.segmentation.training_data import validation_set
from experiments.training.errors import existing_folder, one_line_errors
from experiments.training.loop import report
from experiments.training.plan import add_overrides, with_overrides


def main(arguments: list[str] | None = None) -> None:
    """Run one configuration from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.segmentation", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--config",
        choices=CONFIGS,
        default="small_scenes",
        metavar="NAME",
        help=f"default: small_scenes; one of {', '.join(CONFIGS)}",
    )
    parser.add_argument("--out", type=Path, help="folder of the run (default: runs/CONFIG)")
    parser.add_argument(
        "--data", type=Path, help="folder of the data set, see experiments.datasets"
    )
    parser.add_argument("--train-only", action="store_true", help="do not measure at the end")
    add_overrides(parser, Config)
    given = parser.parse_args(arguments)
    try:
        config = with_overrides(CONFIGS[given.config], given)
    except ValueError as error:
        parser.error(str(error))
    folder = given.out or Path("runs") / given.config
    with one_line_errors():
        existing_folder(given.data, holds=f"the data set {config.dataset}")
        console = Console()
        start = time.perf_counter()
        train(config, folder, given.data, console)
        console.print(f"trained in {time.perf_counter() - start:.0f} s")
        if not given.train_only:
            pairs = validation_set(config, given.data, folder.parent / "scenes")
            methods = [of_run(folder, partial(report, console))]
            evaluate(methods, pairs, config.label_set, folder, console, pictures=8)
            report(console, (folder / "scores.md").read_text())


if __name__ == "__main__":
    main()
