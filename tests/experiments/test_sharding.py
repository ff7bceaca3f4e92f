"""What is sent between devices, in the programs that XLA compiles for eight of them."""

import os
import subprocess
import sys

from experiments.benchmarks.sharding import Collective, read_collectives

# Eight devices of this computer.
FLAGS = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
CASES = ["pac_conv", "pac_conv_transpose", "pac_pool", "crf.mean_field"]


def run_benchmark(*options: str, returns: int) -> list[list[str]]:
    """The table's cells."""
    command = [sys.executable, "-m", "experiments.benchmarks.sharding", *options]
    environment = {**os.environ, "XLA_FLAGS": FLAGS, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == returns, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


def test_only_halos_and_sums_of_gradients_are_sent():
    """Outputs and all gradients in one program, equal to one device's."""
    rows = run_benchmark("--mode", "gradients", "--layout", "batch", "tiles", returns=0)
    assert [(row[0], row[1]) for row in rows] == [(c, s) for c in CASES for s in ("batch", "tiles")]
    for _, share, _, sent, largest, error, verdict in rows:
        assert verdict == "yes"
        assert float(error) < 1e-5
        allowed = {"none", "all-reduce"} | ({"collective-permute"} if share == "tiles" else set())
        assert {part.split()[-1] for part in sent.split(", ")} <= allowed
        assert (largest == "-") if share == "batch" else (0 < float(largest) <= 0.25)


def test_a_loop_over_the_taps_gathers_the_image():
    options = ("--case", "pac_pool", "--layout", "rows", "--mode", "forward")
    (row,) = run_benchmark(*options, "--implementation", "taps", returns=1)
    assert "all-gather" in row[3]
    assert row[-1] == "no"


def test_communications_are_read_from_a_program():
    program = """
  %a.1 = f32[2,1,16]{2,1,0} collective-permute(%p.1), channel_id=1
  %b = (f32[3]{0}, f32[]) all-reduce-start(f32[3]{0} %x, f32[] %y), to_apply=%sum
  %c = (f32[3]{0}, f32[]) all-reduce-done(%b)
  %all-gather.3 = f32[8]{0} add(%all-gather, %c)
"""
    assert read_collectives(program) == [
        Collective("collective-permute", (2, 1, 16)),
        Collective("all-reduce", (3,)),
        Collective("all-reduce", ()),
    ]
