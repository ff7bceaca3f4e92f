"""What the networks say of how far they see, against their gradients."""

import jax
import numpy as np
import pytest
from flax import nnx

from pac_jax.models import DJIF
from tests.upsampling.fakes import filled, pac_net, random

MODELS = {
    "pac_net_x2": lambda: pac_net(2, normalize=True),
    "pac_net_x4": lambda: pac_net(4, normalize=True),
    "djif_x4": lambda: filled(nnx.eval_shape(lambda: DJIF(4, rngs=nnx.Rngs(0)))),
}


@pytest.mark.parametrize("name", MODELS)
def test_nothing_beyond_the_receptive_field_is_read(name):
    model = MODELS[name]()
    factor, reach = model.factor, model.receptive_field
    size = 2 * (reach // factor + 3)

    @jax.jit
    def gradients(target, guide, row, column):
        def pixel(target, guide):
            return model(target, guide)[0, row, column, 0]

        return jax.grad(pixel, argnums=(0, 1))(target, guide)

    seen = 0
    for pixel in range(size * factor // 2, size * factor // 2 + 2 * factor):
        target, guide = random(0, 1, size, size, 1), random(1, 1, size * factor, size * factor, 3)
        for gradient, spacing in zip(
            gradients(target, guide, pixel, pixel), (factor, 1), strict=True
        ):
            for axis in (1, 2):
                others = tuple({0, 1, 2, 3} - {axis})
                read = np.flatnonzero(np.any(np.asarray(gradient) != 0, axis=others))
                first, last = read[0] * spacing, (read[-1] + 1) * spacing - 1
                seen = max(seen, pixel - first, last - pixel)
    assert seen <= reach
    assert seen >= 0.7 * reach  # a bound that is far too large would cost time
