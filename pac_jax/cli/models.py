"""`pac-jax models`: what ships."""

import argparse

_WIDTH = 120


def run(options: argparse.Namespace) -> int:
    """Print the table, or one network's card."""
    from pac_jax import pretrained

    if options.name:
        print(pretrained.card(options.name))
        return 0
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for column in ("name", "kind"):
        table.add_column(column, no_wrap=True)
    for column in ("factor", "parameters", "kB"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("error on data (protocol; error of interpolation)")
    for name in pretrained.list():
        network = pretrained.describe(name)
        table.add_row(
            name + (" *" if network.default else ""),
            network.kind,
            " ".join(f"x{factor}" for factor in network.factors),
            f"{network.parameters:,}",
            f"{network.size / 1000:,.0f}",
            network.score,
        )
    console = Console()
    if not console.is_terminal:  # a line per network, for grep
        console.width = _WIDTH
    console.print(table)
    print("* taken when no --model is given; `pac-jax models NAME` prints the card of one")
    return 0
