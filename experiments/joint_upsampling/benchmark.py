"""Measure networks and baselines on all real images: one command, Markdown and JSON.

    python -m experiments.joint_upsampling.benchmark --data ../shared/data \
        --network runs/depth_x8 runs/lite_x8 depth_x4 --out results

A network is the folder of a run, a `.safetensors` file, or a name that ships with pac_jax. Without
`--data` there is scikit-image's motorcycle alone. The default protocols are those in which results
are compared, `bicubic` and `center` for depth, `bilinear-antialias` for flow; `--protocols all` takes
all that there are.
"""

import argparse
from pathlib import Path

from rich.console import Console

from experiments.joint_upsampling.evaluate import evaluate
from experiments.joint_upsampling.methods import baselines, network
from experiments.joint_upsampling.protocols import PROTOCOLS
from experiments.joint_upsampling.real_pairs import DATA, real_pairs
from experiments.joint_upsampling.saved_networks import SavedNetwork, saved_network
from experiments.training.errors import RunError, existing_folder, one_line_errors

KINDS = ("depth", "flow")
DEFAULT_PROTOCOLS = {"depth": ("bicubic", "center"), "flow": ("bilinear-antialias",)}


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.joint_upsampling.benchmark",
        description=__doc__.splitlines()[0],
    )
    parser.add_argument("--network", nargs="+", default=[], help="runs, files or shipped names")
    parser.add_argument("--data", type=Path, help="folder with depth_middlebury/ and flow/")
    parser.add_argument(
        "--kinds", nargs="+", choices=KINDS, help="default: of the networks, or both"
    )
    parser.add_argument(
        "--factors", nargs="+", type=int, default=[4, 8, 16], help="default: 4 8 16"
    )
    parser.add_argument("--protocols", nargs="+", choices=(*PROTOCOLS, "all"), help="see above")
    parser.add_argument("--out", type=Path, default=Path("results"), help="default: results")
    parser.add_argument("--pictures", action="store_true", help="draw every result")
    given = parser.parse_args(arguments)
    with one_line_errors():
        run(given, Console())


def run(given: argparse.Namespace, console: Console) -> None:
    """Measure every kind that is asked for."""

    def report(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    existing_folder(given.data, holds=DATA)
    if min(given.factors) < 2:
        raise RunError(f"--factors are {given.factors}; they need to be 2 or more")
    networks = [saved_network(source, report) for source in given.network]
    kinds = given.kinds or [k for k in KINDS if not networks or k in {n.kind for n in networks}]
    for kind in kinds:
        pairs = real_pairs(kind, given.data, report)
        if not pairs:
            report(f"{kind}: nothing to measure")
            continue
        serving = [n for n in networks if serves(n, kind)]
        for saved in serving:
            if not set(saved.factors) & set(given.factors):
                known = ", ".join(f"x{factor}" for factor in saved.factors)
                report(f"{saved.name} is left out: it knows {known}")
        methods = [*baselines(), *(network(n) for n in serving)]
        folder = given.out / kind
        evaluate(
            methods,
            pairs,
            given.factors,
            protocols_of(kind, given.protocols),
            folder,
            console,
            pictures=given.pictures,
        )
        report((folder / "scores.md").read_text())
        report(f"written: {folder / 'scores.json'}, {folder / 'scores.md'}")


def serves(saved: SavedNetwork, kind: str) -> bool:
    """Whether a network was trained for a kind of target."""
    return saved.kind == kind


def protocols_of(kind: str, given: list[str] | None) -> tuple[str, ...]:
    """The protocols to measure under."""
    if given is None:
        return DEFAULT_PROTOCOLS[kind]
    return PROTOCOLS if "all" in given else tuple(given)


if __name__ == "__main__":
    main()
