"""The command as a process: start-up, help, interruption, and what is kept between calls."""

import gc
import os
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

import pac_jax
from pac_jax import files, models, pretrained
from pac_jax.cli import cache
from pac_jax.cli.clock import Clock
from pac_jax.cli.interruption import noted_interruptions
from pac_jax.cli.parser import KINDS, PROTOCOLS, build_parser
from tests.cli.conftest import write_pair
from tests.models.test_convert import pac_net_arrays

MODULE = (sys.executable, "-m", "pac_jax.cli")


def test_help_imports_no_jax():
    code = (
        "import sys; from pac_jax.cli import main\n"
        "try: main(['upsample', '--help'])\n"
        "except SystemExit: print(sorted({'jax', 'flax', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", ["", "upsample", "refine", "demo", "models", "convert"])
def test_help_explains_every_option(command, capsys):
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args([command, "--help"] if command else ["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "pac-jax" in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_the_version_is_the_packages(capsys):
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"pac-jax {pac_jax.__version__}\n"


def test_choices_are_those_of_the_library():
    assert KINDS == pretrained.KINDS
    assert set(PROTOCOLS) == set(models.protocols.PROTOCOLS)


def test_every_kind_can_be_read_and_written():
    from pac_jax.cli.upsample import _READERS

    assert set(_READERS) == set(KINDS) < set(files.SUFFIXES)


def test_models_lists_what_ships_and_prints_cards(command):
    code, output, errors = command("models")
    assert (code, errors) == (0, [])
    rows = {line.split()[0]: line for line in output.splitlines() if line.strip()}
    for name in pretrained.list():
        described = pretrained.describe(name)
        assert f"x{described.factors[0]} " in rows[name]
        assert f"{described.parameters:,}" in rows[name]
        assert described.score in rows[name]
    name = pretrained.list()[0]
    code, output, _ = command("models", name)
    assert code == 0
    assert output.strip() == pretrained.card(name).strip()


def test_the_demo_writes_its_picture_and_compares(folder, command):
    code, output, errors = command("demo", "--factor", "4")
    assert (code, errors) == (0, [])
    assert (folder / "pac_jax_demo.png").stat().st_size > 10_000
    assert "bicubic" in output


def test_convert_writes_what_the_checkpoint_holds(folder, command):
    torch = pytest.importorskip("torch")
    arrays = {name: torch.from_numpy(a) for name, a in pac_net_arrays().items()}
    torch.save(arrays, "original.pth")
    code, output, errors = command("convert", "original.pth", "-o", "ours.safetensors")
    assert (code, errors) == (0, [])
    assert "ours.safetensors: PacNet x4 for depth" in output
    model = pretrained.read("ours.safetensors")
    assert isinstance(model, models.PacNet)
    kernel = model.stages[0].kernel[...]
    assert kernel[1, 2, 1, 4] == pac_net_arrays()["up_convts.0.weight"][1, 4, 1, 2]
    code, _, errors = command("convert", "original.pth", "-o", "x.safetensors", "--factor", "8")
    assert code == 2
    assert "is a network of factor 4; leave it out" in errors[0]
    assert not (folder / "x.safetensors").exists()


def test_convert_asks_for_the_factor_of_a_djif(folder, command):
    torch = pytest.importorskip("torch")
    shapes = {"0": (96, 3, 9, 9), "2": (48, 96, 1, 1), "4": (1, 48, 5, 5)}
    arrays = {}
    for branch, inputs in (("branch_t", 1), ("branch_g", 3), ("branch_joint", 2)):
        for layer, (outputs, features, *window) in shapes.items():
            if branch == "branch_joint":
                outputs = {"0": 64, "2": 32, "4": 1}[layer]
                features = {"0": 2, "2": 64, "4": 32}[layer]
            features = inputs if layer == "0" else features
            arrays[f"{branch}.{layer}.weight"] = torch.zeros(outputs, features, *window)
            arrays[f"{branch}.{layer}.bias"] = torch.zeros(outputs)
    torch.save(arrays, "djif.pth")
    code, _, errors = command("convert", "djif.pth", "-o", "djif.safetensors")
    assert code == 2
    assert "give --factor" in errors[0]
    code, _, _ = command("convert", "djif.pth", "-o", "djif.safetensors", "--factor", "8")
    assert code == 0
    assert pretrained.read("djif.safetensors").factor == 8


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_convert_says_what_loads_a_segmentation_network(folder, command, prefix):
    torch = pytest.importorskip("torch")
    torch.save({f"{prefix}score_fr.weight": torch.zeros(2, 3, 1, 1)}, "fcn8s.pth")
    code, _, errors = command("convert", "fcn8s.pth", "-o", "fcn8s.safetensors")
    assert code == 2
    assert len(errors) == 1
    assert "fcn_from_torch(path, name) loads it" in errors[0]
    assert not (folder / "fcn8s.safetensors").exists()


# Processes of a shell's background inherit that interruptions are ignored; this one listens.
_LISTENING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from pac_jax.cli import main
sys.exit(main())
"""


def test_an_interrupted_run_leaves_only_whole_files(folder, network):
    for name in ("depths", "photos"):
        (folder / name).mkdir()
    for number in range(1600):
        write_pair(f"depths/{number:03}.png", f"photos/{number:03}.png", number)
    process = subprocess.Popen(
        [sys.executable, "-c", _LISTENING, "upsample", "depths", "photos", "-o", "sharp",
         "--model", str(network), "--no-cache"],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(folder.glob("sharp/*.png")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.splitlines() == ["pac-jax: interrupted"]
    written = sorted((folder / "sharp").iterdir())
    assert 0 < len(written) < 1600
    assert all(path.suffix == ".png" and not path.name.startswith(".") for path in written)
    assert all(files.read_depth(path).shape == (12, 16) for path in written)


def test_an_interruption_that_python_drops_is_not_lost(monkeypatch):
    def collecting(phase, _):
        if phase == "stop":
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("signal.getsignal", lambda _: signal.default_int_handler)
    before = sys.unraisablehook
    with noted_interruptions() as check:
        check()
        gc.callbacks.append(collecting)
        try:
            gc.collect()  # what its callbacks raise has no effect
        finally:
            gc.callbacks.remove(collecting)
        with pytest.raises(KeyboardInterrupt):
            check()
    assert sys.unraisablehook is before


def test_programs_are_kept_in_the_users_cache_folder(folder):
    network = "depth_x4_lite"  # the smallest one compiles so fast that it may not be worth keeping
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "HOME": str(folder),
    }
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    pair = [*MODULE, "upsample", "depth.png", "photo.png", "-o", "a.npy", "--model", network]
    for options, kept in ((["--no-cache"], False), ([], True)):
        subprocess.run([*pair, *options], cwd=folder, env=environment, check=True)
        found = [path for path in folder.rglob("*_output*") if path.is_file()]
        assert bool(found) == kept


def test_a_cache_folder_that_cannot_be_is_told_in_one_line(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    before = jax.config.jax_compilation_cache_dir
    cache.keep_programs()
    assert jax.config.jax_compilation_cache_dir == before
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"pac-jax: compiled programs are not kept: {tmp_path / 'file'}/pac_jax/")


def test_the_cache_folder_is_the_processors(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    first = cache.cache_folder()
    assert first.parent == tmp_path / "pac_jax"
    assert cache.cache_folder() == first
    monkeypatch.setattr(cache, "_processor", lambda: "another")
    assert cache.cache_folder() != first


def test_the_clock_counts_nested_spans_once(monkeypatch):
    now = iter([0.0, 3.0, 5.0, 6.0, 20.0])
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    clock = Clock()
    clock._note("/jax/core/compile/inner", 1.0)  # 2 to 3
    clock._note("/jax/core/compile/outer", 4.0)  # 1 to 5
    clock._note("/jax/core/compile/next", 2.0)  # 4 to 6
    clock._note("/jax/compilation_cache/compile_time_saved_sec", 9.0)  # never spent
    assert clock.compiling() == 5.0
    assert clock.elapsed() == 20.0


@pytest.mark.parametrize("shape", [(1, 4000), (3, 2)])
def test_panels_have_a_pixel_of_height_at_least(shape):
    from pac_jax.cli.pictures import panels

    image = np.zeros((*shape, 3), np.uint8)
    assert panels([("", image)], width=100).size == (100, max(1, 100 * shape[0] // shape[1]))


def test_previews_have_one_scale(folder):
    from pac_jax.cli.pictures import Colours

    values = np.array([[1.0, 2.0], [np.nan, 0.0]])
    colours = Colours(values, "depth")
    shown = colours(values)
    np.testing.assert_array_equal(shown[1], [[128] * 3, [128] * 3])
    assert shown[0, 0].sum() < shown[0, 1].sum()
    np.testing.assert_array_equal(colours(values[:1]), shown[:1])
