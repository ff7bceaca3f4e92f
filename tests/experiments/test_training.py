"""Checkpoints that are damaged in every way, and logs that were cut short."""

import gc
import shutil
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.training.checkpoints import Checkpoints, digest
from experiments.training.errors import RunError
from experiments.training.log import Log, Row, read

# Where orbax fails to read or write, it leaves coroutines behind, of which Python complains when it
# finds them: here, not at the end of all tests.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def _collect_garbage():
    yield
    gc.collect()


class State(NamedTuple):
    weights: dict
    count: jax.Array


def state(number):
    key = jax.random.key(number)
    return State({"kernel": jax.random.normal(key, (40, 50))}, jnp.asarray(number, jnp.int32))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "checkpoints"
    checkpoints = Checkpoints(folder, print, keep=2)
    for number in (1, 2, 3):
        checkpoints.save(number, state(number))
    checkpoints.close()
    return folder


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "checkpoints")


def restore(folder, like=None, **options):
    messages = []
    checkpoints = Checkpoints(folder, messages.append, **options)
    step, found = checkpoints.restore(state(0) if like is None else like)
    checkpoints.close()
    return step, found, messages


def test_the_last_ones_are_kept_and_come_back(saved):
    assert sorted(path.name for path in saved.iterdir()) == ["2", "3"]
    step, found, messages = restore(saved, read_only=True)
    assert (step, messages) == (3, [])
    assert isinstance(found, State)
    np.testing.assert_array_equal(found.weights["kernel"], state(3).weights["kernel"])
    assert found.count == 3


def test_an_empty_folder_gives_the_start(tmp_path):
    step, found, messages = restore(tmp_path / "none")
    assert (step, int(found.count), messages) == (0, 0, [])


def truncate_largest(folder):
    largest = max(folder.rglob("*"), key=lambda path: path.stat().st_size * path.is_file())
    largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2])


def flip_a_value(folder):
    """Another checkpoint's values: whole files, wrong contents."""
    shutil.rmtree(folder / "state")
    shutil.copytree(folder.parent / "2/state", folder / "state")


def empty_everything(folder):
    for path in folder.rglob("*"):
        if path.is_file():
            path.write_bytes(b"")


def delete_everything(folder):
    shutil.rmtree(folder)
    folder.mkdir()


DAMAGES = {
    "truncated": truncate_largest,
    "exchanged": flip_a_value,
    "emptied": empty_everything,
    "deleted": delete_everything,
    "no record": lambda folder: shutil.rmtree(folder / "record"),
    "no values": lambda folder: shutil.rmtree(folder / "state"),
    "record of nonsense": lambda folder: (folder / "record/metadata").write_text("{"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_and_replaced(copy, damage):
    DAMAGES[damage](copy / "3")
    step, found, (message,) = restore(copy)
    assert (step, int(found.count)) == (2, 2)
    assert message.startswith("passed over the damaged checkpoint 3: ")
    assert "\n" not in message
    again = Checkpoints(copy, print)
    again.save(3, state(3))
    again.close()
    assert restore(copy)[0] == 3


def test_half_written_ones_are_removed(copy):
    shutil.copytree(copy / "3", copy / "4.orbax-checkpoint-tmp")
    assert restore(copy)[0] == 3
    assert not list(copy.glob("4*"))


def test_reading_only_changes_nothing(copy):
    truncate_largest(copy / "3")
    before = sorted(copy.rglob("*"))
    assert restore(copy, read_only=True)[0] == 2
    assert sorted(copy.rglob("*")) == before


def test_nothing_whole_left_says_so(copy):
    for number in ("2", "3"):
        truncate_largest(copy / number)
    step, _, messages = restore(copy)
    assert step == 0
    assert messages[-1] == "no whole checkpoint is left: starting from the beginning"


def test_another_network_is_not_taken_for_damage(copy):
    like = State({"kernel": jnp.zeros((40, 51))}, jnp.asarray(0))
    with pytest.raises(RunError, match="of another network"):
        restore(copy, like)
    assert sorted(path.name for path in copy.iterdir()) == ["2", "3"]


def test_digest_sees_values_names_and_shapes():
    zeros = np.zeros(4, np.float32)
    digests = {
        digest({"a": zeros}),
        digest({"b": zeros}),
        digest({"a": zeros.reshape(2, 2)}),
        digest({"a": zeros.view(np.int32)}),
        digest({"a": np.array([0, 0, 0, -0.0], np.float32)}),
    }
    assert len(digests) == 5


METRICS = ("rmse", "bicubic_rmse")
ROWS = [
    Row(4, 0.5, 1e-3, {}, 10.25),
    Row(5, 0.25, 1e-3, {"rmse": 0.1, "bicubic_rmse": 0.2}, 11.0),
    Row(8, 0.125, 5e-4, {}, 12.0),
]


@pytest.fixture
def written(tmp_path):
    log = Log(tmp_path / "log.csv", METRICS, 0)
    for row in ROWS:
        log.add(row)
    log.close()
    return tmp_path / "log.csv"


def test_a_log_comes_back(written):
    assert read(written) == ROWS
    first, second, *_ = written.read_text().splitlines()
    assert first == "step,loss,learning_rate,rmse,bicubic_rmse,images_per_second"
    assert second == "4,0.5,0.001,,,10.25"


def test_rows_after_the_checkpoint_are_dropped(written):
    log = Log(written, METRICS, 5)
    assert read(written) == ROWS[:2]
    log.add(ROWS[2])
    log.close()
    assert read(written) == ROWS


def test_a_line_that_was_cut_short_is_dropped(written):
    written.write_text(written.read_text()[:-6])
    Log(written, METRICS, 8).close()
    assert read(written) == ROWS[:2]


def test_a_log_of_other_metrics_is_not_overwritten(written):
    with pytest.raises(RunError, match="not the log of a run"):
        Log(written, ("mean_iou",), 0)
    assert read(written) == ROWS


def test_another_file_is_not_overwritten(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("mine\n1\n")
    with pytest.raises(RunError, match="not the log of a run"):
        Log(path, METRICS, 0)
    assert path.read_text() == "mine\n1\n"
