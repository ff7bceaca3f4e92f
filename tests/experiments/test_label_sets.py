import numpy as np
import pytest

from experiments.scenes.contact_sheet import colour_labels
from experiments.segmentation.label_sets import CAMVID, LABEL_SETS, SCENES, VOC, LabelSet
from pac_jax.files.palette import voc_palette


@pytest.mark.parametrize(
    ("labels", "classes", "void"), [(VOC, 21, 255), (CAMVID, 11, 11), (SCENES, 11, 255)]
)
def test_classes_and_void(labels, classes, void):
    assert (labels.classes, labels.void) == (classes, void)
    assert len(set(labels.names)) == classes
    assert LABEL_SETS[labels.name] is labels
    colours = labels.palette[[*range(classes), void]]
    assert len(np.unique(colours, axis=0)) == classes + 1, "two classes look the same"


def test_colours():
    values = np.array([[0, 20, 255], [15, 1, 0]])
    assert (VOC.colours(values) == voc_palette()[values]).all()
    scene = np.arange(11).reshape(1, 11)
    assert (SCENES.colours(scene) == colour_labels(scene)).all()
    road, void = CAMVID.colours(np.array([3, 11], np.uint8))
    assert (road.tolist(), void.tolist()) == ([128, 64, 128], [0, 0, 0])


@pytest.mark.parametrize("label", [-1, 12, 255])
def test_colours_of_labels_that_are_none(label):
    with pytest.raises(
        ValueError, match=rf"hold {label}; camvid has the classes 0 to 10 and void 11"
    ):
        CAMVID.colours([0, 11, label])


def test_colours_of_scores():
    with pytest.raises(ValueError, match="labels are float64; they need to be integers"):
        VOC.colours([0.0, 1.0])


def test_nobody_changes_a_palette():
    with pytest.raises(ValueError, match="read-only"):
        VOC.palette[0] = 1


@pytest.mark.parametrize("void", [1, 256])
def test_void_is_beyond_the_classes(void):
    with pytest.raises(
        ValueError, match=f"void is {void}; mine needs 2 to 255, beyond its 2 classes"
    ):
        LabelSet("mine", ("no", "yes"), void, voc_palette())


def test_palette_of_another_shape():
    with pytest.raises(ValueError, match=r"palette is uint8\[2, 3\]; it needs uint8\[256, 3\]"):
        LabelSet("mine", ("no", "yes"), 255, voc_palette(2))
