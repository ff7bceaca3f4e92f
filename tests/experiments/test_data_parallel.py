"""A training in two processes against the same in one."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest

OVERRIDES = [
    *("--network", "pac_upsampler", "--deep-features", "1", "--dilations", "1"),
    *("--factors", "4", "--crop", "16", "--steps", "3", "--batch-size", "4", "--scenes", "4"),
    *("--warmup-steps", "1", "--learning-rate", "0.001"),
]


def start(out, *options: str) -> subprocess.Popen:
    """One process of one device."""
    command = [sys.executable, "-m", "experiments.joint_upsampling.data_parallel"]
    return subprocess.Popen(
        [*command, "--out", str(out), *OVERRIDES, *options],
        env={
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "JAX_COMPILATION_CACHE_DIR": str(out.parent / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(*processes: subprocess.Popen) -> list[str]:
    """What they print, when all have ended well."""
    try:
        ended = [process.communicate(timeout=240) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, errors) in zip(processes, ended, strict=True):
        assert process.returncode == 0, errors
    return [output for output, _ in ended]


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("localhost", 0))
        return bound.getsockname()[1]


def test_two_processes_learn_what_one_does(tmp_path):
    finish(start(tmp_path / "one.npz"))  # and the scenes are rendered
    address = f"localhost:{free_port()}"
    both = [
        start(
            tmp_path / "two.npz",
            *("--coordinator", address, "--processes", "2", "--process", str(number)),
        )
        for number in range(2)
    ]
    first, second = finish(*both)
    assert first.count("loss") == 3
    assert "loss" not in second
    with np.load(tmp_path / "one.npz") as one, np.load(tmp_path / "two.npz") as two:
        assert set(one) == set(two)
        assert len(one) > 5
        assert not np.array_equal(one["losses"][:1], one["losses"][2:])
        np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-5)
        # Adam makes steps of 1e-3 also of gradients that are little but rounding.
        for name in one:
            np.testing.assert_allclose(two[name], one[name], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--processes", "2"], "--coordinator and --processes above 1 go together"),
        (["--process", "1"], "--process is 1; 1 processes count from 0"),
    ],
)
def test_what_does_not_fit_is_said(options, message, capsys):
    from experiments.joint_upsampling.data_parallel import main

    with pytest.raises(SystemExit, match="2"):
        main(["--out", "weights.npz", *options])
    assert message in capsys.readouterr().err
