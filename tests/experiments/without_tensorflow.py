"""Programs that run as if TensorFlow were not installed, wherever it is."""

import subprocess
import sys
from pathlib import Path

_BLINDFOLD = """
import sys

class Blind:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name == "tensorflow" else self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Blind, sys.meta_path)
"""


def run_without_tensorflow(program: str) -> str:
    """Run Python from the root of the repository; what it printed."""
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", _BLINDFOLD + program]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
