"""Train a network on generated scenes and test it on a real photograph.

    python -m experiments.joint_upsampling --config lite_x4 --out runs/lite_x4

A run that was interrupted goes on from its last checkpoint when the same command is given again.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from experiments.joint_upsampling.config import CONFIGS, Config, add_overrides, with_overrides
from experiments.joint_upsampling.evaluate import evaluate
from experiments.joint_upsampling.real_pair import motorcycle
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
        folder = given.out or Path("runs") / given.config
        remember(config, folder)
    except ValueError as error:
        parser.error(str(error))
    console = Console()
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


def remember(config: Config, folder: Path) -> None:
    """Write the configuration beside the run, and refuse a folder that holds another's."""
    path = folder / "config.json"
    text = json.dumps(dataclasses.asdict(config), indent=2) + "\n"
    if path.exists() and path.read_text() != text:
        raise ValueError(
            f"{folder} holds a run with another configuration; give another --out, or delete it"
        )
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    main()
