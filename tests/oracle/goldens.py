"""Loader of the golden arrays: small random cases with outputs and gradients."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

REASON_WHEN_ABSENT = "no golden arrays: set PAC_JAX_SHARED to the folder that holds goldens/"


class Affinity(NamedTuple):
    """An affinity function by its name and parameters."""

    name: str  # "gaussian" or "inverse"
    alpha: float | None = None
    exponent: float | None = None
    asymmetric: bool = False
    fixed: bool = False  # alpha and exponent are no parameters, so there are no gradients for them


class Case(NamedTuple):
    """One golden file."""

    name: str
    meta: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def affinity(self) -> Affinity:
        return parse_affinity(self.meta["affinity"])

    @property
    def transposed(self) -> bool:
        return self.meta["op"] == "pac_conv_transpose"

    @property
    def window(self) -> tuple[int, ...]:
        return tuple(self.meta["window"])

    @property
    def geometry(self) -> dict[str, Any]:
        """The keyword arguments strides, padding (pairs) and dilation."""
        n = len(self.window)
        if self.transposed:
            pair = tuple(self.meta["padding_of_stuffed_input"])
        else:
            pair = (self.meta["padding"],) * 2
        return {
            "strides": (self.meta["stride"],) * n,
            "padding": (pair,) * n,
            "dilation": (self.meta.get("dilation", 1),) * n,
        }

    @property
    def smoothing(self) -> np.ndarray | None:
        """The weights that smooth the guide, or None."""
        return None if self.meta["smooth"] == "none" else self.arrays["smooth_kernel"]

    @property
    def normalize(self) -> bool:
        return self.meta["normalize"]

    @property
    def mask(self) -> np.ndarray | None:
        return self.arrays.get("mask")

    @property
    def shared_filters(self) -> bool:
        """Whether the kernel (*window, 1, 1) is one spatial filter for every channel."""
        return self.meta.get("shared_filters", False)

    @property
    def channel_wise(self) -> bool:
        return self.meta.get("channel_wise", False)


def parse_affinity(name: str) -> Affinity:
    """Read `gaussian` or `inv_<alpha>_<exponent>[_asym][_fixed]`."""
    kind, *rest = name.split("_")
    if kind == "gaussian" and not rest:
        return Affinity("gaussian")
    if kind != "inv" or len(rest) < 2 or not set(rest[2:]) <= {"asym", "fixed"}:
        raise ValueError(f"unknown affinity {name!r}")
    return Affinity(
        "inverse", float(rest[0]), float(rest[1]), "asym" in rest[2:], "fixed" in rest[2:]
    )


def shared_folder() -> Path:
    """The folder of shared material: PAC_JAX_SHARED, or `shared` beside the repository."""
    named = os.environ.get("PAC_JAX_SHARED")
    return Path(named) if named else Path(__file__).resolve().parents[2].parent / "shared"


def goldens_folder() -> Path:
    """Where the goldens lie, whether or not they are there."""
    return shared_folder() / "goldens"


def load(path: Path) -> Case:
    """One golden file."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files if name != "meta"}
        return Case(path.stem, json.loads(str(stored["meta"])), arrays)


def golden_paths(folder: str | Path, prefix: str) -> list[Path]:
    """The golden files named `<prefix>_<anything without a further _>`, sorted."""
    found = sorted(Path(folder).glob(f"{prefix}_*.npz"))
    # conv_* is not to find conv_transpose_*.
    return [path for path in found if "_" not in path.stem[len(prefix) + 1 :]]


def operator_goldens(folder: str | Path, prefix: str) -> list[Case]:
    """The cases of one operator; empty where the folder is absent.

    Args:
        folder: such as goldens_folder() / "operators".
        prefix: "conv", "conv_transpose" or "pool" (or "jbu" in "networks").
    """
    return [load(path) for path in golden_paths(folder, prefix)]
