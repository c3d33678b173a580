import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.questions.tensor_mm import (
    backward,
    matmul_shape,
    mm,
    sum_of_outer_products,
)

SIZES = st.integers(1, 5)
SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.lists(st.integers(1, 3), max_size=4).map(tuple)


def drawn(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in shapes]


# C74: the matrix product, and nothing else


@given(SIZES, SIZES, SIZES, SEEDS)
def test_mm_is_the_matrix_product_in_every_spelling(
    rows, inner, columns, seed
):
    a, b = drawn(seed, (rows, inner), (inner, columns))
    wanted = torch.tensor(a).mm(torch.tensor(b)).numpy()
    assert wanted.shape == (rows, columns)
    for found in (
        mm(a, b),
        sum_of_outer_products(a, b),
        a @ b,
        np.dot(a, b),
        torch.matmul(torch.tensor(a), torch.tensor(b)).numpy(),
        torch.einsum("ij,jk->ik", torch.tensor(a), torch.tensor(b)).numpy(),
    ):
        np.testing.assert_allclose(found, wanted, atol=1e-10)


@given(SHAPES, SHAPES)
@example((2, 3), (3, 1))
@example((2, 3), (2, 3))
@example((2, 3), (3,))
@example((2, 3), (2, 3, 1))
def test_mm_takes_two_matrices_that_fit_and_nothing_else(left, right):
    a, b = torch.ones(left), torch.ones(right)
    fits = len(left) == len(right) == 2 and left[1] == right[0]
    if fits:
        assert a.mm(b).shape == (left[0], right[1])
        assert mm(a.double().numpy(), b.double().numpy()).shape == (
            left[0],
            right[1],
        )
    else:
        with pytest.raises(RuntimeError):
            a.mm(b)
        with pytest.raises(TypeCheckError):
            mm(a.double().numpy(), b.double().numpy())


@given(SHAPES, SHAPES)
@example((3, 1, 2, 3), (2, 3, 1))
@example((3,), (2, 3, 1))
@example((2, 2, 3), (3, 3, 1))
def test_the_rule_of_shapes_is_that_of_both_libraries(left, right):
    try:
        shape = matmul_shape(left, right)
    except ValueError:
        with pytest.raises(RuntimeError):
            torch.ones(left) @ torch.ones(right)
        with pytest.raises(ValueError, match="."):
            np.matmul(np.ones(left), np.ones(right))
    else:
        assert (torch.ones(left) @ torch.ones(right)).shape == shape
        assert np.matmul(np.ones(left), np.ones(right)).shape == shape


@pytest.mark.parametrize(
    "name, left, right",
    [("bmm", (5, 2, 3), (5, 3, 4)), ("mv", (2, 3), (3,)),
     ("dot", (3,), (3,))],
)  # fmt: skip
def test_the_others_take_one_kind_each_and_agree_with_matmul(
    name, left, right
):
    a, b = (torch.tensor(x) for x in drawn(0, left, right))
    found = getattr(torch, name)(a, b)
    torch.testing.assert_close(found, a @ b, atol=1e-10, rtol=0)
    for axes_a in range(4):
        for axes_b in range(4):
            if (axes_a, axes_b) != (len(left), len(right)):
                with pytest.raises((RuntimeError, IndexError)):
                    getattr(torch, name)(
                        torch.ones((1,) * axes_a), torch.ones((1,) * axes_b)
                    )


def test_numpys_dot_multiplies_all_pairs_and_matmul_pairs_them():
    a, b = drawn(0, (5, 2, 3), (5, 3, 4))
    both = np.dot(a, b)
    assert both.shape == (5, 2, 5, 4)
    for n in range(5):
        for m in range(5):
            np.testing.assert_allclose(both[n, :, m], a[n] @ b[m])
    assert (a @ b).shape == (5, 2, 4)


def test_types_must_be_equal_in_mm_and_are_converted_elsewhere():
    whole, real = torch.ones(2, 2).long(), torch.ones(2, 2)
    with pytest.raises(RuntimeError, match="same dtype"):
        whole.mm(real)
    assert whole.mm(whole).dtype == torch.int64
    assert (whole * real).dtype == torch.float32
    assert (whole.numpy() @ real.numpy()).dtype == np.float64


# The gradient


@given(SIZES, SIZES, SIZES, SEEDS)
def test_gradients_are_those_of_autograd(rows, inner, columns, seed):
    a, b, grad = drawn(
        seed, (rows, inner), (inner, columns), (rows, columns)
    )
    leaves = [torch.tensor(x, requires_grad=True) for x in (a, b)]
    loss = (leaves[0].mm(leaves[1]) * torch.tensor(grad)).sum()
    theirs = torch.autograd.grad(loss, leaves)
    for ours, wanted in zip(backward(grad, a, b), theirs, strict=True):
        np.testing.assert_allclose(ours, wanted.numpy(), atol=1e-10)


# Errors and extremes


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="a and b must have at least one"):
        matmul_shape((), (3, 3))
    with pytest.raises(ValueError, match="must agree inside, got 3 and 2"):
        matmul_shape((2, 3), (2, 3))
    with pytest.raises(ValueError, match="mismatch"):
        matmul_shape((5, 2, 3), (6, 3, 4))
    with pytest.raises(TypeCheckError, match="'b'"):
        mm(np.ones((2, 3)), np.ones((2, 3)))


def test_an_empty_inner_axis_gives_zeros():
    a, b = np.ones((2, 0)), np.ones((0, 3))
    for ours in (mm(a, b), sum_of_outer_products(a, b)):
        np.testing.assert_array_equal(ours, np.zeros((2, 3)))
    assert torch.mm(torch.tensor(a), torch.tensor(b)).eq(0).all()
