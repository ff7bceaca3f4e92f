"""Learning curves of a run as a picture."""

import io
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from experiments.training.log import Row
from experiments.training.run_folder import write_atomically


def draw_curves(rows: list[Row], path: Path) -> None:
    """Draw loss and the validation's metrics over the updates, and write them as PNG.

    Args:
        rows: of the log.
        path: of the picture.
    """
    figure = Figure(figsize=(9, 3.5), layout="constrained")  # no pyplot: no state, no display
    left, right = figure.subplots(1, 2)
    left.plot([row.step for row in rows], [row.loss for row in rows], color="C0")
    left.set(xlabel="update", ylabel="training loss")
    if all(row.loss > 0 for row in rows):
        left.set_yscale("log")
    measured = [row for row in rows if row.metrics]
    for name in measured[-1].metrics if measured else ():
        steps = [row.step for row in measured]
        right.plot(steps, [row.metrics[name] for row in measured], "o-", markersize=3, label=name)
    right.set(xlabel="update", ylabel="validation")
    for axes in (left, right):
        axes.grid(alpha=0.3, which="both")
    right.legend()
    FigureCanvasAgg(figure)
    data = io.BytesIO()
    figure.savefig(data, dpi=100, format="png")
    write_atomically(path, data.getvalue())
