"""A package of weights of its own for every test."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pac_jax import pretrained
from pac_jax.models import PacNet

FEATURES = {
    "target_branch": (4, 3),
    "guide_branch": (4,),
    "group_features": 2,
    "final_branch": (2,),
}


def small(factor=4, seed=0, **options):
    """A small PacNet with random parameters, and the arguments it was built with."""
    stages = tuple(range(3, 3 + factor.bit_length() - 1))
    arguments = {"factor": factor, "stages": stages, **FEATURES, **options}
    model = nnx.eval_shape(lambda: PacNet(**arguments, rngs=nnx.Rngs(0)))
    generator = np.random.default_rng(seed)
    for _, parameter in nnx.to_flat_state(nnx.state(model, nnx.Param)):
        parameter.set_value(jnp.asarray(generator.normal(size=parameter.shape), jnp.float32))
    return model, arguments


def ship(name, factor=4, seed=0, kind="depth", **options):
    model, arguments = small(factor, seed)
    pretrained.ship(
        name,
        model,
        architecture="PacNet",
        arguments=arguments,
        kind=kind,
        card=f"# {name}\n\nA card.\n",
        **options,
    )
    return model


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The folder of an empty package of weights, in the place of the real one."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "manifest.json").write_text('{"files": {}, "networks": {}}')
    for module in ("catalogue", "shipping"):
        monkeypatch.setattr(f"pac_jax.pretrained.{module}.FOLDER", folder)
    return folder
