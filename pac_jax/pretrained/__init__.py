"""Trained networks that ship with the package, and files of one's own in the same format.

A network is one safetensors file whose metadata tells how to build it. Those in the package are
listed with the SHA-256 of every file; one that was damaged, exchanged or lost is refused.

Example:
    >>> from pac_jax import pretrained
    >>> model = pretrained.load("depth_x8")
    >>> model.factor
    8
"""

from pac_jax.pretrained.architectures import ARCHITECTURES
from pac_jax.pretrained.catalogue import card, describe, list, load
from pac_jax.pretrained.container import KINDS, Description, WeightsError, read, write
from pac_jax.pretrained.shipping import ship, withdraw

__all__ = [
    "ARCHITECTURES",
    "KINDS",
    "Description",
    "WeightsError",
    "card",
    "describe",
    "list",
    "load",
    "read",
    "ship",
    "withdraw",
    "write",
]
