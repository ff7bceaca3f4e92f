"""MPI Sintel, clean pass: a frame and the flow to the next one."""

from collections.abc import Mapping
from pathlib import Path

from experiments.datasets.builder import FilesBuilder
from experiments.datasets.layout import LayoutError
from experiments.datasets.pair import PairFiles

__all__ = ["MpiSintel"]

_PAIRS = 1041
# How many of a sequence's last pairs validate; the other pairs train. None stands for all.
_VALIDATION: dict[str, int | None] = {
    "ambush_6": None,
    "bamboo_2": 25,
    "cave_4": 25,
    "market_6": None,
    "temple_2": 25,
}


class MpiSintel(FilesBuilder):
    """An animated film, frame t and its flow to frame t + 1: 908 pairs train, 133 validation."""

    LAYOUT = (
        "MPI-Sintel-complete's training/clean/SEQUENCE/frame_0001.png and "
        "training/flow/SEQUENCE/frame_0001.flo of 23 sequences (1041 pairs)"
    )
    UNIT = "pixels"
    kind = "flow"

    @classmethod
    def find(cls, folder: Path) -> Mapping[str, list[PairFiles]]:
        """Both splits, in the order of sequence and frame."""
        found: dict[str, list[PairFiles]] = {"train": [], "validation": []}
        for flows in sorted((folder / "training" / "flow").glob("*/")):
            pairs = [_pair(folder, flow) for flow in sorted(flows.glob("frame_*.flo"))]
            last = _VALIDATION.get(flows.name, 0)
            first = 0 if last is None else len(pairs) - last
            found["train"] += pairs[:first]
            found["validation"] += pairs[first:]
        count = sum(map(len, found.values()))
        # The split counts from the end of a sequence, so that all of them have to be whole.
        if count not in (0, _PAIRS):
            raise LayoutError(folder, f"it holds {count} pairs", cls.LAYOUT)
        return found


def _pair(folder: Path, flow: Path) -> PairFiles:
    """The frame belongs to the flow of the same name."""
    sequence = flow.parent.name
    frame = folder / "training" / "clean" / sequence / f"{flow.stem}.png"
    return PairFiles(f"{sequence}/{flow.stem}", frame, flow)
