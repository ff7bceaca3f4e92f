"""Mean-field inference in the fully connected CRF, exact: every pixel speaks to every other."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from pac_jax.crf.inference import Inference, checked_scores, checked_void, run_steps
from pac_jax.functional import arguments


def full_mean_field(
    scores: ArrayLike,
    guides: Sequence[ArrayLike],
    weights: Sequence[ArrayLike],
    *,
    steps: int = 5,
    compatibility: ArrayLike | None = None,
    normalize: bool = True,
    probabilities: bool = False,
    mask: ArrayLike | None = None,
    tolerance: float | None = None,
    block: int = 1024,
) -> Inference:
    r"""Infer label maps in the CRF of Kraehenbuehl and Koltun, without their approximation.

    $$ \log Q_i \leftarrow u_i + \sum_m w_m \sum_j
       \frac{k_m(i, j)}{\sqrt{n_i n_j}} \, Q_j \mu, \qquad
       k_m(i, j) = \exp(-\tfrac12 \|f_i - f_j\|^2), \quad n_i = \sum_j k_m(i, j), $$

    over all pairs of pixels, a pixel with itself included (as in the authors' implementation). The
    kernels are computed anew in blocks at every step: time is quadratic in the number of pixels,
    memory linear.

    Args:
        scores: u, (N, *spatial, L), logits, or class probabilities if `probabilities`.
        guides: one per term, (N, *spatial, F), scaled so that the kernel above fits: positions in
            pixels and colours, each over its standard deviation; see `position_and_color`.
        weights: one number per term.
        steps: number of steps, at most if there is a tolerance.
        compatibility: mu, (L, L); None is the identity (Potts: equal labels attract).
        normalize: whether kernels are normalised as above; n = 1 if not.
        probabilities: whether the scores are probabilities.
        mask: (N, *spatial, 1), 0 for void pixels: they receive messages but send none.
        tolerance: stop when no probability changes by more than this; then there is no
            reverse-mode derivative.
        block: number of pixels whose kernels with as many others are held at once.

    Returns:
        Logits after the last step, and the number of steps.

    Raises:
        ValueError: a shape or a setting does not fit; the message says which.
        TypeError: a dtype does not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> from pac_jax import crf
        >>> image = jnp.zeros((1, 6, 8, 3))
        >>> guides = [crf.position_and_color(image, 3.0), crf.position_and_color(image, 67.0, 5 / 255)]
        >>> crf.full_mean_field(jnp.zeros((1, 6, 8, 2)), guides, [3.0, 4.0]).logits.shape
        (1, 6, 8, 2)

    Reference:
        Kraehenbuehl and Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge
        Potentials", NIPS 2011.
    """
    scores = checked_scores(scores, probabilities)
    void = checked_void(mask, scores)
    if len(guides) != len(weights):
        raise ValueError(f"there are {len(guides)} guides and {len(weights)} weights; give as many")
    if block < 1:
        raise ValueError(f"block is {block}; it needs to be positive")
    classes = scores.shape[-1]
    terms = []
    for number, (guide, weight) in enumerate(zip(guides, weights, strict=True)):
        guide = arguments.as_array(guide, f"guides[{number}]")
        if guide.shape[:-1] != scores.shape[:-1]:
            raise ValueError(
                f"guides[{number}] has shape {guide.shape}; scores of shape {scores.shape} need "
                f"{(*scores.shape[:-1], 'F')}"
            )
        guide = guide.astype(scores.dtype)
        norm = _inverse_root_norm(guide, block) if normalize else None
        terms.append((jnp.asarray(weight, scores.dtype), guide, norm))
    mixing = None
    if compatibility is not None:
        mixing = jnp.asarray(compatibility, scores.dtype)
        if mixing.shape != (classes, classes):
            raise ValueError(
                f"compatibility has shape {mixing.shape}; {classes} classes need {(classes,) * 2}"
            )

    def step(logits: jax.Array, terms: list) -> jax.Array:
        q = jax.nn.softmax(logits)
        if void is not None:
            q = q * void
        logits = scores
        for weight, guide, norm in terms:
            sent = q if norm is None else q * norm
            message = gaussian_product(guide, sent, block)
            message = message if norm is None else message * norm
            if mixing is not None:
                message = jnp.matmul(message, mixing, precision=lax.Precision.HIGHEST)
            logits = logits + weight * message
        return logits

    return run_steps(step, scores, terms, steps, False, tolerance)


def position_and_color(
    image: ArrayLike, position_deviation: float, color_deviation: float | None = None
) -> jax.Array:
    """Pixels' positions and colours over their standard deviations: the guide of a Gaussian kernel.

    Args:
        image: (N, *spatial, G) floating point.
        position_deviation: in pixels.
        color_deviation: in units of the image's values; None to leave the colours out.

    Returns:
        (N, *spatial, n + G) for n spatial dimensions, or (N, *spatial, n).

    Raises:
        ValueError: a deviation is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> from pac_jax import crf
        >>> crf.position_and_color(jnp.zeros((1, 6, 8, 3)), 67.0, 0.02).shape
        (1, 6, 8, 5)
    """
    image = arguments.as_array(image, "image")
    for name, value in (("position", position_deviation), ("color", color_deviation)):
        if value is not None and not value > 0:
            raise ValueError(f"{name}_deviation is {value}; it needs to be positive")
    size = image.shape[1:-1]
    axes = [jnp.arange(n, dtype=image.dtype) / position_deviation for n in size]
    position = jnp.stack(jnp.meshgrid(*axes, indexing="ij"), axis=-1)[None]
    position = jnp.broadcast_to(position, (*image.shape[:-1], len(size)))
    if color_deviation is None:
        return position
    return jnp.concatenate([position, image / color_deviation], axis=-1)


def gaussian_product(guide: jax.Array, values: jax.Array, block: int) -> jax.Array:
    r"""The sum over all pixels j of exp(-|f_i - f_j|^2 / 2) v_j, for every pixel i.

    Args:
        guide: f, (N, *spatial, F).
        values: v, (N, *spatial, V) of the guide's type.
        block: number of pixels whose kernels with as many others are held at once.

    Returns:
        (N, *spatial, V).
    """
    batch, *size, channels = values.shape
    pixels = 1
    for n in size:
        pixels *= n
    block = min(block, pixels)
    missing = -pixels % block

    def in_blocks(array: jax.Array) -> jax.Array:
        flat = array.reshape(batch, pixels, array.shape[-1])
        flat = jnp.pad(
            flat, ((0, 0), (0, missing), (0, 0))
        )  # values 0: what is added sends nothing
        return flat.reshape(batch, -1, block, array.shape[-1])

    @jax.checkpoint
    def add(
        total: jax.Array, receivers: jax.Array, senders: tuple[jax.Array, jax.Array]
    ) -> jax.Array:
        guides, values = senders
        # Differences, and not |f|^2 + |g|^2 - 2 f g, which loses the small distances that count.
        distance = jnp.zeros((block, block), guides.dtype)
        for feature in range(guides.shape[-1]):
            difference = receivers[:, None, feature] - guides[None, :, feature]
            distance = distance + difference * difference
        kernel = jnp.exp(-0.5 * distance)
        return total + jnp.matmul(kernel, values, precision=lax.Precision.HIGHEST)

    def of_image(guide_blocks: jax.Array, value_blocks: jax.Array) -> jax.Array:
        def of_block(receivers: jax.Array) -> jax.Array:
            start = jnp.zeros((block, channels), values.dtype)
            total, _ = lax.scan(
                lambda total, senders: (add(total, receivers, senders), None),
                start,
                (guide_blocks, value_blocks),
            )
            return total

        return lax.map(of_block, guide_blocks)

    sums = lax.map(lambda both: of_image(*both), (in_blocks(guide), in_blocks(values)))
    return sums.reshape(batch, -1, channels)[:, :pixels].reshape(batch, *size, channels)


def _inverse_root_norm(guide: jax.Array, block: int) -> jax.Array:
    ones = jnp.ones((*guide.shape[:-1], 1), guide.dtype)
    return lax.rsqrt(gaussian_product(guide, ones, block))
