"""The networks by their names in a configuration."""

from flax import nnx

from experiments.joint_upsampling.config import Config
from experiments.joint_upsampling.initialization import start_as_interpolation
from experiments.joint_upsampling.training_data import Setting, settings
from experiments.training.errors import RunError
from pac_jax.models import DJIF, PacNet, PacUpsampler

Network = PacNet | DJIF | PacUpsampler


def architecture(config: Config, setting: Setting, *, in_training: bool) -> Network:
    """The configuration's network with parameters at random, for one factor and protocol."""
    factor, protocol = setting
    rngs = nnx.Rngs(config.seed)
    if config.network == "pac_upsampler":
        return PacUpsampler(
            factor,
            protocol=protocol,
            target_features=config.target_features,
            deep_features=config.deep_features,
            dilations=config.dilations,
            views=1 if in_training else config.views,
            back_projection=config.back_projection,
            rngs=rngs,
        )
    if config.network == "djif":
        return DJIF(factor, rngs=rngs)
    form = PacNet.lite if config.network == "pac_net_lite" else PacNet
    return form(factor, normalize=config.normalize, rngs=rngs)


def graphs(config: Config) -> dict[Setting, nnx.GraphDef]:
    """The network's structure for every task of a run; the parameters are the same for all."""
    return {
        setting: nnx.split(
            nnx.eval_shape(lambda s=setting: architecture(config, s, in_training=True))
        )[0]
        for setting in settings(config)
    }


def build(config: Config) -> Network:
    """The configuration's network as training begins: interpolation, or a filter of its target.

    Raises:
        RunError: the network has no such form, now or when it is used.
    """
    try:
        for setting in settings(config):
            nnx.eval_shape(lambda s=setting: architecture(config, s, in_training=False))
    except ValueError as error:
        raise RunError(f"this configuration has no network: {error}") from error
    model = architecture(config, settings(config)[0], in_training=True)
    if not isinstance(model, PacUpsampler):  # which begins as interpolation by itself
        start_as_interpolation(model)
    return model
