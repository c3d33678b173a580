"""Exercises of the page on x.mm."""

# --8<-- [start:exercise_1_starter]
# Shapes of the products, or the word "error".
answer = {
    "(4, 6) mm (6, 2)": None,
    "(4, 6) mm (4, 6)": None,
    "(6,) @ (6, 2)": None,
    "(8, 4, 6) mm (6, 2)": None,
    "(8, 4, 6) @ (6, 2)": None,
    "(8, 1, 4, 6) @ (3, 6, 2)": None,
}
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
answer = {
    "(4, 6) mm (6, 2)": (4, 2),
    "(4, 6) mm (4, 6)": "error",
    "(6,) @ (6, 2)": (2,),
    "(8, 4, 6) mm (6, 2)": "error",
    "(8, 4, 6) @ (6, 2)": (8, 4, 2),
    "(8, 1, 4, 6) @ (3, 6, 2)": (8, 3, 4, 2),
}
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
from ast import literal_eval

from snippets.questions.tensor_mm import matmul_shape

for question, yours in answer.items():
    is_mm = " mm " in question
    a, b = map(literal_eval, question.split(" mm " if is_mm else " @ "))
    assert yours is not None, f"{question}: expected an answer, got None"
    refused = is_mm and not len(a) == len(b) == 2
    try:
        expected = "error" if refused else matmul_shape(a, b)
    except ValueError:
        expected = "error"
    assert yours == expected, f"{question}: {yours} is not what comes out"
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np


def gradients(grad, x, W):
    """For the layer y = x @ W.T: the gradients for x and for W.

    grad is the gradient for y, [batch, out]; W is [out, features].
    """
    return np.zeros_like(x), np.zeros_like(W)


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np


def gradients(grad, x, W):
    """For the layer y = x @ W.T: the gradients for x and for W.

    grad is the gradient for y, [batch, out]; W is [out, features].
    """
    return grad @ W, grad.T @ x


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

rng = np.random.default_rng(0)
x, W = rng.normal(size=(4, 3)), rng.normal(size=(2, 3))
grad = rng.normal(size=(4, 2))


def loss(x, W):
    return (grad * (x @ W.T)).sum()


found = gradients(grad, x, W)
for name, place, yours in (("x", 0, found[0]), ("W", 1, found[1])):
    shape = (x, W)[place].shape
    assert yours.shape == shape, (
        f"gradient for {name}: expected shape {shape}, got {yours.shape}"
    )
    slope = np.zeros(shape)  # the loss is linear in each, so any step does
    for at in np.ndindex(shape):
        up, down = [x.copy(), W.copy()], [x.copy(), W.copy()]
        up[place][at] += 0.5
        down[place][at] -= 0.5
        slope[at] = loss(*up) - loss(*down)
    assert np.allclose(yours, slope), (
        f"gradient for {name}: expected {slope.round(2).tolist()}, "
        f"got {yours.round(2).tolist()}"
    )
# --8<-- [end:exercise_2_check]
