"""PAC as flax NNX layers, with the names, defaults and parameter layout of `flax.nnx`.

`kernel` and `bias` have the shapes of `nnx.Conv`'s, so pretrained weights swap in:

    >>> import jax.numpy as jnp
    >>> from flax import nnx
    >>> from pac_jax.nn import PacConv
    >>> conv = nnx.Conv(3, 8, (5, 5), rngs=nnx.Rngs(0))
    >>> pac_conv = PacConv(3, 8, (5, 5), rngs=nnx.Rngs(0))
    >>> nnx.update(pac_conv, nnx.state(conv, nnx.Param))
    >>> image = jnp.ones((1, 16, 16, 3))
    >>> bool(jnp.allclose(pac_conv(image, guide=0 * image), conv(image), atol=1e-5))
    True

In Linen, wrap a layer with `nnx.bridge`. Affinities with parameters belong inside a function that
makes the layer, so that every call owns its own:

    >>> import jax
    >>> from pac_jax.nn import InverseAffinity
    >>> layer = nnx.bridge.ToLinen(PacConv, args=(3, 8, (5, 5)))
    >>> variables = layer.init(jax.random.key(0), image, image)
    >>> layer.apply(variables, image, image).shape
    (1, 16, 16, 8)
    >>> def learned_affinity(rngs):
    ...     return PacConv(3, 8, (5, 5), affinity=InverseAffinity(0.1, 0.5), rngs=rngs)
    >>> layer = nnx.bridge.ToLinen(learned_affinity)
    >>> sorted(layer.init(jax.random.key(0), image, image)["params"])
    ['affinity', 'bias', 'kernel']
"""

from pac_jax.nn.affinity import GaussianAffinity, InverseAffinity
from pac_jax.nn.conv import PacConv, PacConvTranspose
from pac_jax.nn.initializers import linear_interpolation, uniform_bias, uniform_kernel
from pac_jax.nn.pool import PacPool
from pac_jax.nn.swapping import HotSwapped, Swap

__all__ = [
    "GaussianAffinity",
    "HotSwapped",
    "InverseAffinity",
    "PacConv",
    "PacConvTranspose",
    "PacPool",
    "Swap",
    "linear_interpolation",
    "uniform_bias",
    "uniform_kernel",
]
