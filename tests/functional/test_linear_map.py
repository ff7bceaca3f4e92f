"""A linear map with a transpose of its own: here one that is twice the true one, to tell it apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pac_jax.functional.linear_map import linear_map

X = np.float32([0.5, -1.0, 2.0])
A = np.float32([3.0, 1.0, -2.0])


def scaled(a, x):
    """sin(a) * x, and its sum."""

    def function(operands, tangents):
        product = jnp.sin(operands[0]) * tangents[0]
        return [product, jnp.sum(product)]

    def transpose(operands, cotangents):
        return [2 * jnp.sin(operands[0]) * (cotangents[0] + cotangents[1])]

    return linear_map(function, transpose, [a], [x], [x, x[0]])


def test_value_and_forward_mode_are_the_function():
    product, total = scaled(A, X)
    np.testing.assert_allclose(product, np.sin(A) * X, rtol=1e-6)
    np.testing.assert_allclose(total, np.sum(np.sin(A) * X), rtol=1e-6)
    changes = jax.jvp(scaled, (A, X), (np.ones(3, np.float32), A))[1]
    np.testing.assert_allclose(changes[0], np.cos(A) * X + np.sin(A) * A, rtol=1e-5)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
def test_reverse_mode_takes_the_transpose(wrap):
    gradient = wrap(jax.grad(lambda x: scaled(A, x)[1]))(X)
    np.testing.assert_allclose(gradient, 2 * np.sin(A), rtol=1e-6)


def test_operands_are_differentiated_as_the_function():
    gradient = jax.grad(lambda a: scaled(a, X)[1])(A)
    np.testing.assert_allclose(gradient, np.cos(A) * X, rtol=1e-5)


def test_the_transpose_is_differentiated_itself():
    of_gradient = jax.grad(lambda a: jnp.sum(jax.grad(lambda x: scaled(a, x)[1])(X)))(A)
    np.testing.assert_allclose(of_gradient, 2 * np.cos(A), rtol=1e-5)


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0), (1, 0)])
def test_vmap(axes):
    many = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)
    a = A if axes[0] is None else (many.T if axes[0] == 1 else many)
    x = X if axes[1] is None else many + 1
    a_rows = np.broadcast_to(many if axes[0] is not None else A, (2, 3))
    x_rows = np.broadcast_to(x, (2, 3))
    totals = jax.vmap(lambda a, x: scaled(a, x)[1], axes)(a, x)
    np.testing.assert_allclose(totals, np.sum(np.sin(a_rows) * x_rows, axis=1), rtol=1e-5)

    def total(x):
        return jnp.sum(jax.vmap(lambda a, x: scaled(a, x)[1], axes)(a, x))

    expected = 2 * np.sin(a_rows)
    np.testing.assert_allclose(
        jax.grad(total)(x), expected.sum(axis=0) if axes[1] is None else expected, rtol=1e-5
    )
    each = jax.vmap(jax.grad(lambda x, a: scaled(a, x)[1]), axes[::-1])(x, a)
    np.testing.assert_allclose(each, expected, rtol=1e-5)
