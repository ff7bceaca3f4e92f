"""Train a network on generated scenes and test it on a real photograph.

    python -m experiments.joint_upsampling --config lite_x4 --out runs/lite_x4

A run that was interrupted goes on from its last checkpoint when the same command is given again.
"""

import argparse
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from experiments.joint_upsampling.config import CONFIGS, Config, add_overrides, with_overrides
from experiments.joint_upsampling.errors import one_line_errors
from experiments.joint_upsampling.evaluate import evaluate
from experiments.joint_upsampling.real_pair import motorcycle
from experiments.joint_upsampling.run_folder import remember
from experiments.joint_upsampling.train import train


def main(arguments: list[str] | None = None) -> None:
    """Run one configuration from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.joint_upsampling", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--config", choices=CONFIGS, default="lite_x4", help="default: lite_x4")
    parser.add_argument("--out", type=Path, help="folder of the run (default: runs/CONFIG)")
    add_overrides(parser)
    given = parser.parse_args(arguments)
    try:
        config = with_overrides(CONFIGS[given.config], given)
    except ValueError as error:
        parser.error(str(error))
    folder = given.out or Path("runs") / given.config
    with one_line_errors():
        remember(config, folder)
        run(config, folder, Console())


def run(config: Config, folder: Path, console: Console) -> None:
    """Train, test on the real pair, and say what came out."""
    start = time.perf_counter()
    model = train(config, folder, console)
    console.print(f"trained in {time.perf_counter() - start:.0f} s")
    pair = motorcycle(config.factor)
    scores = evaluate(config, model, pair, folder)
    title = f"{pair.name}, x{config.factor}, protocol center, RMSE in {pair.unit}"
    table = Table("method", "RMSE", title=title)
    for name, score in scores.items():
        table.add_row(name, f"{score:.3f}")
    console.print(table)
    console.print(f"picture: {folder / pair.name}.png")


if __name__ == "__main__":
    main()
