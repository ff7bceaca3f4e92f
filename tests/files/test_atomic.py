"""A file that is being written is there whole, or the one that was there before."""

import os
import subprocess
import sys

import numpy as np
import pytest

from pac_jax.files import read_depth, write_depth, write_flow, write_labels
from pac_jax.files.atomic import replacing

DEPTH = np.full((4, 5), 300.0)


def fail(*arguments, **options):
    raise KeyboardInterrupt


def write_half(path: str, values: np.ndarray) -> None:
    with open(path, "wb") as file:
        file.write(b"half")
    raise OSError(28, "No space left on device")


def write_half_by_numpy(path: str, values: np.ndarray) -> None:
    raise OSError("6144 requested and 2016 written")  # neither a number nor a name


@pytest.mark.parametrize(
    ("failing", "told"),
    [
        (write_half, r"No space left on device: '.*d\.pfm'"),
        (write_half_by_numpy, r"d\.pfm: it could not be written whole \(6144 .*is the disk full"),
    ],
)
def test_a_full_disk_names_the_file(tmp_path, monkeypatch, failing, told):
    monkeypatch.setattr("pac_jax.files.depth._WRITERS", {".pfm": failing})
    with pytest.raises(OSError, match=told):
        write_depth(tmp_path / "d.pfm", DEPTH)


def test_an_exr_on_a_full_disk_names_the_file(tmp_path):
    """In a process that may write 8 kB a file: the library raises a RuntimeError then."""
    path = tmp_path / "d.exr"
    program = f"""
import resource, signal
import numpy as np
from pac_jax.files import write_depth
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
try:
    write_depth({str(path)!r}, np.random.default_rng(0).random((90, 90)))
except OSError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"{path}: it could not be written whole (")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("failing", "error"), [(fail, KeyboardInterrupt), (write_half, OSError)])
@pytest.mark.parametrize("there_before", [False, True])
def test_nothing_partial_remains(tmp_path, monkeypatch, failing, error, there_before):
    path = tmp_path / "d.pfm"
    if there_before:
        write_depth(path, DEPTH)
    monkeypatch.setattr("pac_jax.files.depth._WRITERS", {".pfm": failing})
    with pytest.raises(error):
        write_depth(path, 2 * DEPTH)
    assert [each.name for each in tmp_path.iterdir()] == (["d.pfm"] if there_before else [])
    if there_before:
        assert (read_depth(path) == DEPTH).all()


def test_the_name_stands_for_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(path) as temporary:
        assert os.path.dirname(temporary) == str(tmp_path)
        with open(temporary, "w") as file:
            file.write("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["d.png", "d.npy", "d.exr", "d.pfm"])
def test_missing_folder_for_depth(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=r"there is no folder '.*none' to write it into"):
        write_depth(tmp_path / "none" / name, DEPTH)


def test_missing_folder_for_the_others(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write_flow(tmp_path / "none" / "f.flo", np.zeros((2, 2, 2)))
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write_labels(tmp_path / "none" / "l.png", np.zeros((2, 2), int))


def test_a_folder_of_that_name_is_named(tmp_path):
    (tmp_path / "d.npy").mkdir()
    with pytest.raises(IsADirectoryError, match=r"d\.npy: there is a folder of this name"):
        write_depth(tmp_path / "d.npy", DEPTH)
    assert [path.name for path in tmp_path.iterdir()] == ["d.npy"]


def test_permissions_are_those_of_an_ordinary_file(tmp_path):
    write_depth(tmp_path / "d.png", DEPTH)
    (tmp_path / "ordinary").write_text("")
    assert (tmp_path / "d.png").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_name_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_depth("d.npy", DEPTH)
    assert (read_depth("d.npy") == DEPTH).all()
