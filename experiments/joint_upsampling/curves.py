"""Learning curves of a run as a picture."""

import io
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from experiments.joint_upsampling.log import Row
from experiments.joint_upsampling.run_folder import write_atomically


def draw_curves(rows: list[Row], path: Path) -> None:
    """Draw loss and error on the held-out scenes over the updates, and write them as PNG.

    Args:
        rows: of the log.
        path: of the picture.
    """
    figure = Figure(figsize=(9, 3.5), layout="constrained")  # no pyplot: no state, no display
    left, right = figure.subplots(1, 2)
    left.plot([row.step for row in rows], [row.loss for row in rows], color="C0")
    left.set(xlabel="update", ylabel="training loss")
    measured = [row for row in rows if row.rmse is not None]
    steps = [row.step for row in measured]
    right.plot(steps, [row.rmse for row in measured], "o-", markersize=3, label="network")
    bicubic = [row.bicubic_rmse for row in measured]
    right.plot(steps, bicubic, "--", color="grey", label="bicubic")
    right.set(xlabel="update", ylabel="RMSE of held-out scenes")
    for axes, values in ((left, [row.loss for row in rows]), (right, [r.rmse for r in measured])):
        if all(value is not None and value > 0 for value in values):
            axes.set_yscale("log")
        axes.grid(alpha=0.3, which="both")
    right.legend()
    FigureCanvasAgg(figure)
    data = io.BytesIO()
    figure.savefig(data, dpi=100, format="png")
    write_atomically(path, data.getvalue())
