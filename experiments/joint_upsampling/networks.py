"""The networks by their names in a configuration."""

from flax import nnx

from experiments.joint_upsampling.config import Config
from experiments.joint_upsampling.initialization import start_as_interpolation
from pac_jax.models import DJIF, PacNet


def build(config: Config) -> PacNet | DJIF:
    """The configuration's network, begun as interpolation."""
    rngs = nnx.Rngs(config.seed)
    model: PacNet | DJIF
    if config.network == "djif":
        model = DJIF(config.factor, rngs=rngs)
    else:
        form = PacNet.lite if config.network == "pac_net_lite" else PacNet
        model = form(config.factor, normalize=config.normalize, rngs=rngs)
    start_as_interpolation(model)
    return model
