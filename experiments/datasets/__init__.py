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
| voc2012 | 21 classes, void 255 | train 1464, val 1449, and see below | VOCdevkit |
| camvid | 11 classes, void 11 | train 367, val 101, test 233 | train, val, test |
| folder_of_depth, _flow, _labels | as in the files | train, val, test | guide/NAME.*, target/NAME.* |

Labels are numbers of classes; void, where nobody decided, is a number, too, and no NaN. Names and
colours of the classes are in `experiments.segmentation.label_sets`. A label that is neither a class
nor void is refused. In `folder_of_labels` classes.txt names the classes, void is 255; without it any
label is taken.

What VOCdevkit holds besides VOC2012 decides on the further splits of voc2012:

| split | images | are | needs |
|---|---|---|---|
| train_aug | 10,582 | VOC 2012 train and SBD without VOC 2012 val | SBD, as .mat or as PNG |
| train_2011 | 1112 | VOC 2011 train | VOC2011's lists |
| val_2011_without_sbd | 736 | VOC 2011 val without SBD train | VOC2011's lists, SBD's train.txt |

The last two are what the paper's CRF experiments train and test on. All photographs, and VOC's label
maps, are read from VOC2012, which has those of 2011, too. In train_aug VOC's label map comes first
where both drew one: it has the void border, SBD's has none. Every list has to have its published
length; of one that is incomplete the line says which it is.
"""

from experiments.datasets.layout import LayoutError
from experiments.datasets.loading import BUILDERS, NAMES, load, prepare
from experiments.datasets.pair import Pair
from experiments.datasets.records import Records

__all__ = ["BUILDERS", "NAMES", "LayoutError", "Pair", "Records", "load", "prepare"]
