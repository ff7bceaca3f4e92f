"""Which implementation a call would use, and why not the others."""

from collections.abc import Callable
from typing import Any

import jax

from pac_jax.functional.implementations import Survey


def explain_implementation(
    operator: Callable[..., jax.Array], *arguments: Any, **options: Any
) -> dict[str, str | None]:
    """Say why each implementation would not be chosen for a call; nothing is computed.

    With `implementation=None` a call uses the first one that nothing speaks against. One with a reason
    against it may still run when it is named, where the reason is no limit.

    Args:
        operator: `pac_conv`, `pac_conv_transpose`, `pac_pool`, or one of these `_with_affinity`.
        arguments: of the call; instead of arrays, `jax.ShapeDtypeStruct` will do.
        options: of the call, without `implementation`.

    Returns:
        For every implementation, the fastest first, None or the reason as a sentence.

    Raises:
        TypeError: the operator has no implementations of this kind, or the call has an
            `implementation`.
        ValueError: the arguments do not fit, as in the call itself.

    Example:
        >>> import jax.numpy as jnp, pac_jax
        >>> inputs, kernel = jnp.ones((1, 8, 9, 4)), jnp.ones((3, 3, 4, 2))
        >>> reasons = pac_jax.explain_implementation(pac_jax.pac_conv, inputs, inputs, kernel)
        >>> list(reasons), reasons["taps"]
        (['pallas', 'pallas_tpu', 'taps', 'shifts', 'patches'], None)
    """
    survey = Survey()
    if "implementation" in options:
        raise TypeError(
            "options have an implementation; leave it out, all of them are looked at anyway"
        )

    def call(*arrays: jax.Array) -> jax.Array:
        given = iter(arrays)
        values = [next(given) if _is_array(value) else value for value in arguments]
        named = {name: next(given) if _is_array(v) else v for name, v in options.items()}
        return operator(*values, **named, implementation=survey)

    jax.eval_shape(call, *filter(_is_array, (*arguments, *options.values())))
    return survey.reasons


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")
