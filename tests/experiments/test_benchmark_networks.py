"""Tests of the benchmarks of whole networks and of CRF inference."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from experiments.benchmarks import crf, networks
from pac_jax.models import PacNet
from pac_jax.nn import PacConvTranspose


def test_networks_are_raced(monkeypatch, capsys):
    names = ("PacNet", networks.PUBLISHED, networks.PLAIN)
    monkeypatch.setattr(networks, "NETWORKS", {name: networks.NETWORKS[name] for name in names})
    small: dict = {"target_branch": (4,), "guide_branch": (4,), "group_features": 3}
    small |= {"stages": (4, 5), "final_branch": (), "implementation": "patches"}
    monkeypatch.setattr(networks, "PacNet", partial(PacNet, **small))
    networks.main(["--factor", "4", "--size", "16", "24", "--runs", "1"])
    *_, first, second, third, _, ratio = capsys.readouterr().out.splitlines()
    assert first.startswith("| PacNet | ")
    assert "| 1.00 |" in first
    assert second.startswith(f"| {networks.PUBLISHED} | ")
    assert third.startswith(f"| {networks.PLAIN} | ")
    assert "PacNet, published, takes " in ratio
    with pytest.raises(SystemExit):
        networks.main(["--size", "20", "24"])
    assert "multiples of --factor, 8" in capsys.readouterr().err


def test_plain_stage_is_a_pac_stage_under_a_constant_guide():
    options = {"strides": 2, "padding": ((2, 3), (2, 3)), "rngs": nnx.Rngs(0)}
    stage = PacConvTranspose(3, 4, (5, 5), bias_init=nnx.initializers.normal(), **options)
    features = jax.random.normal(jax.random.key(1), (2, 5, 7, 3))
    group = jnp.full((2, 10, 14, 2), 0.5)
    plain = networks.PlainStage(stage)
    np.testing.assert_allclose(plain(features, group), stage(features, group), rtol=1e-5, atol=1e-5)
    kept = jax.tree.leaves(nnx.state(plain, nnx.Intermediate))  # so that it has to be computed
    np.testing.assert_array_equal(kept[0], group)


def test_crf_is_raced(capsys):
    crf.main(["--size", "18", "25", "--classes", "3", "--steps", "1", "--runs", "1"])
    out = capsys.readouterr().out
    for row in ("pac, matrix", "pac, full", "plain", "full CRF, exact, 18 x 25"):
        assert f"| {row}" in out
    assert "x the plain convolutions' time" in out
    assert "pydensecrf2 is" in out or "| pydensecrf2 " in out
    with pytest.raises(SystemExit):
        crf.main(["--classes", "1"])
    assert "--classes is 1" in capsys.readouterr().err
