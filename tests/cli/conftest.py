"""Files to run the command on, and a network that computes at once."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image

from pac_jax import files, pretrained
from pac_jax.cli import main
from pac_jax.models import PacNet

FEATURES = {
    "target_branch": (2,),
    "guide_branch": (2,),
    "group_features": 1,
    "stages": (2,),
    "final_branch": (2,),
}


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    """A file with the smallest PacNet, of factor 2."""
    arguments = {"factor": 2, "normalize": True, **FEATURES}
    model = nnx.eval_shape(lambda: PacNet(**arguments, rngs=nnx.Rngs(0)))
    generator = np.random.default_rng(0)
    for _, parameter in nnx.to_flat_state(nnx.state(model, nnx.Param)):
        values = generator.uniform(-0.1, 0.3, parameter.shape)
        parameter.set_value(jnp.asarray(values, jnp.float32))
    path = tmp_path_factory.mktemp("network") / "small.safetensors"
    pretrained.write(path, model, architecture="PacNet", arguments=arguments, kind="depth")
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder of a test, with depth.png (6, 8) and photo.png (12, 16)."""
    monkeypatch.chdir(tmp_path)
    write_pair("depth.png", "photo.png", seed=0)
    return tmp_path


def write_pair(depth, photo, seed):
    generator = np.random.default_rng(seed)
    files.write_depth(depth, generator.integers(100, 1000, (6, 8)))
    Image.fromarray(generator.integers(0, 256, (12, 16, 3), np.uint8)).save(photo)


@pytest.fixture
def command(capfd, monkeypatch):
    """Runs the command in this process: exit code, standard output, lines of standard error."""
    monkeypatch.setattr("pac_jax.cli.upsample.keep_programs", lambda: None)
    monkeypatch.setattr("pac_jax.cli.demo.keep_programs", lambda: None)

    def run(*arguments):
        capfd.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse
            code = stop.code
        output = capfd.readouterr()
        return code, output.out, output.err.splitlines()

    return run
