"""Label maps in the experiments: how they are made coarse, and the table of wrong pixels."""

import json
from collections import Counter

import numpy as np
import pytest

from experiments.joint_upsampling import labels


def test_the_two_ways_to_make_labels_coarse():
    """Against loops over the blocks, on an image that is not square and labels that are not 0, 1, 2."""
    random = np.random.default_rng(0)
    whole = random.choice(np.array([3, 7, 255], np.int32), (12, 20), p=[0.2, 0.5, 0.3])
    voted, taken = labels.majority(whole, 4), labels.middle(whole, 4)
    assert voted.shape == taken.shape == (3, 5)
    for y, x in np.ndindex(3, 5):
        block = whole[4 * y : 4 * y + 4, 4 * x : 4 * x + 4]
        counts = Counter(block.ravel().tolist())
        assert voted[y, x] == min(
            label for label in counts if counts[label] == max(counts.values())
        )
        assert taken[y, x] == block[1, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--factors", "5"], "invalid choice: 5"),
        (["--size", "100"], "error: --scenes is 16 and --size 100; they need to be positive"),
        (["--scenes", "0"], "--scenes is 0"),
        (["--data", "/nowhere"], "there is no folder /nowhere"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        labels.main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_the_table_and_that_labels_are_taken_for_single_pixels(tmp_path, capsys, monkeypatch):
    """`center` is what `upsample` takes for labels, so it has to be the better one."""
    monkeypatch.setattr(
        labels, "real", lambda data, tell: []
    )  # large: minutes without optimisation
    out = tmp_path / "new" / "labels"
    labels.main(["--scenes", "3", "--size", "64", "--factors", "8", "--out", str(out)])
    text = out.with_suffix(".md").read_text()
    assert text.strip() in capsys.readouterr().out
    rows = json.loads(out.with_suffix(".json").read_text())["wrong_percent"]
    wrong = {(row["coarse"], row["method"]): row["value"] for row in rows}
    for way in ("middle", "majority"):
        assert wrong[way, "center"] < min(wrong[way, "bicubic"], wrong[way, "nearest"])
        assert f"{wrong[way, 'center']:.2f}" in text


def test_real_depth_is_cut_into_classes_of_equal_size():
    (image,) = labels.real(None, lambda line: None)
    counts = np.bincount(image.labels.ravel())
    assert image.guide.shape[:2] == image.labels.shape == (496, 736)
    np.testing.assert_allclose(counts / image.labels.size, 1 / 6, atol=0.01)
