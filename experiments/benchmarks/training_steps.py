"""Training steps a second of PAC-Net x8: ours, and PyTorch's unfold formulation, on one device."""

from __future__ import annotations

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from pac_jax.models import PacNet

FACTOR = 8


def jax_steps(crop: int, batch: int, implementation: str | None) -> Callable[[int], None]:
    """A function that makes so many training steps of our network, and waits for the last."""
    graph, parameters = nnx.split(
        PacNet(FACTOR, implementation=implementation, rngs=nnx.Rngs(0)), nnx.Param
    )
    keys = jax.random.split(jax.random.key(0), 3)
    low = jax.random.uniform(keys[0], (batch, crop // FACTOR, crop // FACTOR, 1))
    guide = jax.random.uniform(keys[1], (batch, crop, crop, 3))
    target = jax.random.uniform(keys[2], (batch, crop, crop, 1))
    optimizer = optax.adam(1e-4)

    @jax.jit
    def step(parameters: nnx.State, moments: optax.OptState) -> tuple[nnx.State, optax.OptState]:
        def loss(parameters: nnx.State) -> jax.Array:
            return jnp.mean((nnx.merge(graph, parameters)(low, guide) - target) ** 2)

        updates, moments = optimizer.update(jax.grad(loss)(parameters), moments)
        return optax.apply_updates(parameters, updates), moments

    state = parameters, optimizer.init(parameters)

    def make(steps: int) -> None:
        nonlocal state
        for _ in range(steps):
            state = step(*state)
        jax.block_until_ready(state)

    return make


def torch_steps(crop: int, batch: int) -> Callable[[int], None]:
    """The same for the unfold formulation, on the GPU where PyTorch has one.

    Raises:
        NotImplementedError: PyTorch is not installed.
    """
    try:
        import torch

        from experiments.benchmarks.torch_pac_net import PacNetByUnfold
    except ImportError as error:
        raise NotImplementedError("PyTorch is not installed (see the extra 'convert')") from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # What JAX does by default: tf32 in products and convolutions.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.manual_seed(0)
    model = PacNetByUnfold().to(device)
    low = torch.rand(batch, 1, crop // FACTOR, crop // FACTOR, device=device)
    guide = torch.rand(batch, 3, crop, crop, device=device)
    target = torch.rand(batch, 1, crop, crop, device=device)
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)

    def make(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            torch.mean((model(low, guide) - target) ** 2).backward()
            optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return make


def steps_per_second(make: Callable[[int], None], steps: int) -> float:
    """Rate of so many steps, after as many to warm up."""
    make(steps)
    start = time.perf_counter()
    make(steps)
    return steps / (time.perf_counter() - start)
