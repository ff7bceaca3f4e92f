"""Prepare a data set from its original files and say how many records it has.

python -m experiments.datasets --name mpi_sintel --folder MPI-Sintel-complete
"""

import argparse
import sys
from pathlib import Path

import tensorflow_datasets as tfds

from experiments.datasets.loading import BUILDERS, NAMES, prepare


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; the exit code is 2 where the input is wrong."""
    layouts = "\n".join(f"  {name}: {builder.LAYOUT}" for name, builder in BUILDERS.items())
    parser = argparse.ArgumentParser(
        prog="python -m experiments.datasets",
        description=__doc__.splitlines()[0],
        epilog=f"what --folder has to hold:\n{layouts}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--name", required=True, choices=NAMES)
    parser.add_argument("--folder", type=Path, help="of the original files, see below")
    parser.add_argument("--data-dir", type=Path, help="of prepared data (~/tensorflow_datasets)")
    given = parser.parse_args(arguments)
    if not sys.stderr.isatty():  # where a bar is no bar but many lines
        tfds.disable_progress_bar()
    try:
        builder = prepare(given.name, given.folder, given.data_dir)
    except (ValueError, OSError) as error:  # OSError: missing files, no permission, disk full
        begin = "\n" if sys.stderr.isatty() else ""  # below TFDS's bar
        print(f"{begin}error: {error}", file=sys.stderr)
        return 2
    for split, info in builder.info.splits.items():
        print(f"{given.name} {split}: {info.num_examples} records")
    print(f"prepared in {builder.data_dir}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
