"""Train a network on generated scenes and test it on real photographs.

    python -m experiments.joint_upsampling --config lite_x4 --out runs/lite_x4

A run that was interrupted goes on from its last checkpoint when the same command is given again.
The folder of the run holds `config.json`, `checkpoints/`, `log.csv`, `events/` (TensorBoard),
`curves.png`, `validation.png`, and at the end `scores.json`, `scores.md` and a picture.
"""

import argparse
import time
from pathlib import Path

from rich.console import Console

from experiments.joint_upsampling.config import CONFIGS, Config
from experiments.joint_upsampling.evaluate import evaluate
from experiments.joint_upsampling.methods import baselines, network
from experiments.joint_upsampling.pictures import comparison
from experiments.joint_upsampling.real_pairs import DATA, real_pairs
from experiments.joint_upsampling.saved_networks import from_run
from experiments.joint_upsampling.scores import measure
from experiments.joint_upsampling.train import train
from experiments.training.errors import existing_folder, one_line_errors
from experiments.training.layout import save_picture
from experiments.training.plan import add_overrides, with_overrides


def main(arguments: list[str] | None = None) -> None:
    """Run one configuration from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.joint_upsampling", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--config",
        choices=CONFIGS,
        default="lite_x4",
        metavar="NAME",
        help=f"default: lite_x4; one of {', '.join(CONFIGS)}",
    )
    parser.add_argument("--out", type=Path, help="folder of the run (default: runs/CONFIG)")
    parser.add_argument("--data", type=Path, help="folder of further real images, see benchmark")
    parser.add_argument("--train-only", action="store_true", help="leave out the real images")
    add_overrides(parser, Config)
    given = parser.parse_args(arguments)
    try:
        config = with_overrides(CONFIGS[given.config], given)
    except ValueError as error:
        parser.error(str(error))
    folder = given.out or Path("runs") / given.config
    with one_line_errors():
        existing_folder(given.data, holds=DATA)
        console = Console()
        start = time.perf_counter()
        train(config, folder, console)
        console.print(f"trained in {time.perf_counter() - start:.0f} s")
        if not given.train_only:
            test(config, folder, given.data, console)


def test(config: Config, folder: Path, data: Path | None, console: Console) -> None:
    """Test a run's network on real images, and say what came out.

    Args:
        config: of the run.
        folder: of the run.
        data: folder of further real images, or None.
        console: to write on.
    """

    def report(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    pairs = real_pairs(config.task, data, report)
    if not pairs:
        report(f"no real images of {config.task} to test on")
        return
    saved = from_run(folder, report)
    methods = [*baselines(), network(saved)]
    evaluate(methods, pairs, saved.factors, config.protocols, folder, console, pictures=False)
    picture = folder / f"{pairs[0].name}.png"
    shown = measure(pairs[0], config.factor, config.protocol, methods)
    save_picture(comparison(shown), picture)
    report((folder / "scores.md").read_text())
    report(f"picture: {picture}")


if __name__ == "__main__":
    main()
