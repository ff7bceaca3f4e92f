"""The networks by their names in a configuration."""

from collections.abc import Callable

from flax import nnx

from experiments.joint_upsampling.config import Config
from experiments.joint_upsampling.initialization import start_as_interpolation
from pac_jax.models import DJIF, PacNet


def build(config: Config) -> nnx.Module:
    """The configuration's network, begun as interpolation."""
    rngs = nnx.Rngs(config.seed)
    networks: dict[str, Callable[..., nnx.Module]] = {
        "pac_net": PacNet,
        "pac_net_lite": PacNet.lite,
        "djif": DJIF,
    }
    model = networks[config.network](config.factor, rngs=rngs)
    start_as_interpolation(model)
    return model
