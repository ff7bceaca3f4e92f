"""Data sets of photographs with depth, optical flow or labels, built with tensorflow-datasets.

    python -m experiments.datasets --name mpi_sintel --folder MPI-Sintel-complete

TensorFlow is not needed. All have the same records, `Pair`: guide uint8 (H, W, 3), target float32
(H, W, C) with NaN where unknown, name. Nothing is downloaded: their owners hand them out for
research, and `folder` is where you unpacked them.

| name | target, unit | splits | folder |
|---|---|---|---|
| nyu_depth_v2_labeled | depth, metres | train 1000, test 449 | nyu_depth_v2_labeled.mat |
| nyu_depth_v2 (TFDS's own) | depth, metres | train, validation | prepared by TFDS itself |
| mpi_sintel | flow, pixels | train 908, validation 133 | training/clean, training/flow |
| middlebury_stereo | disparity, pixels | test | folders of scenes, 2001, 2003 or 2014 |
| middlebury_flow | flow, pixels | test | other-data, other-gt-flow |
| folder_of_depth, _flow, _labels | as in the files | train, val, test | guide/NAME.*, target/NAME.* |
"""

from experiments.datasets.layout import LayoutError
from experiments.datasets.loading import BUILDERS, NAMES, load, prepare
from experiments.datasets.pair import Pair
from experiments.datasets.records import Records

__all__ = ["BUILDERS", "NAMES", "LayoutError", "Pair", "Records", "load", "prepare"]
