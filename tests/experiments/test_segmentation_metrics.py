"""Confusion matrices and what follows from them, beside plain loops."""

import numpy as np
import pytest

from experiments.segmentation.metrics import confusion, iou, mean_iou, pixel_accuracy

CLASSES = 5


def drawn(seed=0, shape=(7, 11), void=255):
    """Labels without class 3, with void; predictions of every class."""
    generator = np.random.default_rng(seed)
    labels = generator.choice([0, 1, 2, 4, void], shape).astype(np.uint8)
    return labels, generator.integers(0, CLASSES, shape)


def test_confusion_beside_a_loop():
    labels, predicted = drawn()
    expected = np.zeros((CLASSES, CLASSES), int)
    for true, found in zip(labels.flat, predicted.flat, strict=True):
        if true != 255:
            expected[true, found] += 1
    result = confusion(labels, predicted, CLASSES, void=255)
    assert result.dtype == np.int64
    np.testing.assert_array_equal(result, expected)


def test_what_void_pixels_were_predicted_does_not_matter():
    labels, predicted = drawn()
    other = np.where(labels == 255, 99, predicted)
    np.testing.assert_array_equal(
        confusion(labels, other, CLASSES, 255), confusion(labels, predicted, CLASSES, 255)
    )


def test_matrices_of_parts_add_up():
    labels, predicted = drawn()
    parts = sum(confusion(labels[i], predicted[i], CLASSES, 255) for i in range(len(labels)))
    np.testing.assert_array_equal(parts, confusion(labels, predicted, CLASSES, 255))


def test_iou_beside_sets_of_pixels():
    labels, predicted = drawn(1)
    counted = labels != 255
    result = iou(confusion(labels, predicted, CLASSES, 255))
    for number in (0, 1, 2, 4):
        true, found = (labels == number) & counted, (predicted == number) & counted
        assert result[number] == pytest.approx((true & found).sum() / (true | found).sum())
    assert np.isnan(result[3])  # predicted, but in no label
    expected = np.mean([result[number] for number in (0, 1, 2, 4)])
    assert mean_iou(confusion(labels, predicted, CLASSES, 255)) == pytest.approx(expected)


def test_pixel_accuracy_beside_a_mean():
    labels, predicted = drawn(2)
    counted = labels != 255
    expected = (labels == predicted)[counted].mean()
    assert pixel_accuracy(confusion(labels, predicted, CLASSES, 255)) == pytest.approx(expected)


def test_nothing_counted_is_nan():
    empty = confusion(np.full((3, 4), 255), np.zeros((3, 4), int), 2, 255)
    assert not empty.any()
    assert np.isnan([pixel_accuracy(empty), mean_iou(empty)]).all()


@pytest.mark.parametrize(
    ("labels", "predicted", "message"),
    [
        ([[0, 1]], [[0], [1]], r"shape \(1, 2\) and predicted \(2, 1\)"),
        ([0, 2], [0, 1], r"labels span \[0, 2\]; 2 classes are 0 to 1"),
        ([0, 1], [-1, 1], r"predicted span \[-1, 1\]"),
        ([0, 1], [0.0, 1.0], "predicted are float64; they need to be integers"),
    ],
)
def test_wrong_input(labels, predicted, message):
    with pytest.raises(ValueError, match=message):
        confusion(np.array(labels), np.array(predicted), 2)
