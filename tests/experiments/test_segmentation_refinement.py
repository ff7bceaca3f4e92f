"""Simulated scores, the search for refine's terms, and the comparison with the full CRF."""

import numpy as np
import pytest
from PIL import Image

from experiments.segmentation import refinement, search
from experiments.segmentation.full_crf import Settings, approximate
from experiments.segmentation.simulated_scores import Errors, severity_for, simulated_scores
from pac_jax import files
from pac_jax.refinement.resizing import resized

CLASSES = 5


def map_of_two(size=(61, 85), void=False):
    labels = np.zeros(size, np.int32)
    labels[10:40, 20:60] = 3
    if void:
        labels[50:] = 255
    return labels


def accuracy(labels, scores):
    return (np.asarray(resized(scores, labels.shape, "corners")).argmax(-1) == labels).mean()


def test_scores_without_errors_are_smoothed_labels():
    labels = map_of_two()
    scores = simulated_scores(
        labels, CLASSES, Errors(stride=6, severity=0), np.random.default_rng(0)
    )
    assert scores.shape == (12, 16, CLASSES)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(-1), Errors().margin, rtol=1e-4)
    assert scores[4, 7, 3] > 0.95 * Errors().margin  # within the object: row 24.5, column 39.7
    assert accuracy(labels, scores) > 0.97


def test_void_is_nobodys():
    scores = simulated_scores(
        map_of_two(void=True), CLASSES, Errors(stride=6, severity=0), np.random.default_rng(0)
    )
    np.testing.assert_allclose(scores[-1], 0, atol=0.3)


def test_errors_grow_with_severity_and_are_those_of_the_seed():
    labels = map_of_two()
    reached = []
    for severity in (0.0, 1.0, 3.0):
        errors = Errors(stride=6, severity=severity)
        scores = simulated_scores(labels, CLASSES, errors, np.random.default_rng(1))
        again = simulated_scores(labels, CLASSES, errors, np.random.default_rng(1))
        np.testing.assert_array_equal(scores, again)
        reached.append(accuracy(labels, scores))
    assert reached[0] > reached[1] > reached[2]


def test_the_severity_of_a_wanted_accuracy():
    maps = [map_of_two(), map_of_two(void=True).T.copy()]
    errors, reached = severity_for(0.85, maps, CLASSES, Errors(stride=6), seed=3)
    assert reached == pytest.approx(0.85, abs=0.02)
    right = counted = 0
    for number, labels in enumerate(maps):
        scores = simulated_scores(labels, CLASSES, errors, np.random.default_rng((3, number)))
        found = np.asarray(resized(scores, labels.shape, "corners")).argmax(-1)
        right += ((found == labels) & (labels < CLASSES)).sum()
        counted += (labels < CLASSES).sum()
    assert right / counted == pytest.approx(reached)


@pytest.fixture
def folder(tmp_path):
    """Two images in the layouts of both programs; the image's colours are the labels."""
    generator = np.random.default_rng(0)
    for name in ("a", "b"):
        labels = map_of_two()
        image = np.where(labels[..., None] == 3, 210, 40) + generator.integers(0, 9, (61, 85, 3))
        Image.fromarray(image.astype(np.uint8)).save(tmp_path / f"{name}.jpg", quality=98)
        files.write_labels(tmp_path / f"{name}.png", labels)
        files.write_labels(tmp_path / f"{name}_labels.png", labels)
        errors = Errors(stride=6, severity=1.2)
        scores = simulated_scores(labels, CLASSES, errors, generator)
        np.savez(tmp_path / f"{name}_logits.npz", logits=scores)
    return tmp_path


def test_the_search_finds_terms_that_help_and_repeats(folder, tmp_path, capsys, monkeypatch):
    for path in folder.glob("*_labels.png"):
        path.unlink()  # photographs and labels alone, as CamVid has them
    monkeypatch.setattr(search, "LAYOUTS", search.LAYOUTS[:1])
    arguments = ["--data", str(folder), "--trials", "4", "--out", str(tmp_path / "found.md")]
    texts = []
    for _ in range(2):
        search.main(arguments)
        texts.append((tmp_path / "found.md").read_text())
    assert texts[0] == texts[1]
    assert "2 images" in texts[0]
    rows = {
        cells[1].strip(): [float(cell) for cell in cells[3:5]]
        for cells in (line.split("|") for line in texts[0].splitlines() if line.startswith("| "))
        if cells[3].strip().replace(".", "").isdigit()
    }
    assert set(rows) == {"scores alone", "ships", "1", "2", "3", "4"}
    assert sum(rows["1"]) >= sum(rows["2"]) >= sum(rows["4"])
    assert rows["1"][1] > rows["scores alone"][1]
    assert rows["ships"][1] > rows["scores alone"][1]


def test_generated_scenes_have_labels_of_voc():
    images, labels = search.scenes(1, 0)
    assert images[0].shape == (288, 384, 3)
    assert labels[0].shape == (288, 384)
    assert labels[0].max() < search._CLASSES


def test_the_comparison(folder, tmp_path, capsys, monkeypatch):
    for name in ("a", "b"):
        Image.open(folder / f"{name}.jpg").save(folder / f"{name}.png")
    monkeypatch.setattr(refinement, "find_spec", lambda name: None)
    out = tmp_path / "table.md"
    refinement.main(["--data", str(folder), "--repeats", "1", "--out", str(out)])
    text = out.read_text()
    assert "pydensecrf2" not in text
    assert "row is left out" in capsys.readouterr().out
    alone, refined = (
        next(
            float(line.split("|")[3]) for line in text.splitlines() if line.startswith(f"| {name}")
        )
        for name in ("scores alone", "`pac_jax.refine`")
    )
    assert refined > alone


def test_the_full_crf_moves_borders_to_the_images(folder):
    pytest.importorskip("pydensecrf")
    scores = np.asarray(resized(np.load(folder / "a_logits.npz")["logits"], (61, 85), "corners"))
    image = np.asarray(Image.open(folder / "a.jpg"))
    found = approximate(Settings())(scores, image).argmax(-1)
    labels = map_of_two()
    assert (found == labels).mean() > (scores.argmax(-1) == labels).mean()


@pytest.mark.parametrize("program", [search, refinement])
def test_a_folder_without_files_is_one_line(program, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        program.main(["--data", str(tmp_path / "nothing")])
    assert stop.value.code == 2
    assert "there are no" in capsys.readouterr().err
