"""Middlebury flow: frames and the flow to the next one."""

from collections.abc import Mapping
from pathlib import Path

from experiments.datasets.builder import FilesBuilder
from experiments.datasets.pair import PairFiles

__all__ = ["MiddleburyFlow"]


class MiddleburyFlow(FilesBuilder):
    """Every scene that has a ground truth, all of them in the split test."""

    LAYOUT = (
        "other-data/SCENE/frame10.png and other-gt-flow/SCENE/flow10.flo, or NAME_frame.png and "
        "NAME.flo side by side"
    )
    UNIT = "pixels"
    kind = "flow"

    @classmethod
    def find(cls, folder: Path) -> Mapping[str, list[PairFiles]]:
        """Both layouts, by name."""
        scenes = [
            PairFiles(
                flow.parent.name, folder / "other-data" / flow.parent.name / "frame10.png", flow
            )
            for flow in sorted((folder / "other-gt-flow").glob("*/flow10.flo"))
        ]
        files = [
            PairFiles(flow.stem, folder / f"{flow.stem}_frame.png", flow)
            for flow in sorted(folder.glob("*.flo"))
        ]
        return {"test": scenes + files}
