"""Where the residual stands beside the norm, and what the norm does to it.

Sources: Vaswani et al. (2017), section 3.1; Xiong et al. (2020); He et al.
(2016), "Deep Residual Learning", equation 2, for a projected skip.
"""

import numpy as np
from jaxtyping import Float

from snippets.transformer.encoder import (
    Arrange,
    Sublayer,
    layer_norm,
    post_norm,
    pre_norm,
    residual,
)
from snippets.transformer.overview import (
    EncoderLayer,
    Linear,
    Norm,
    linear,
)

# --8<-- [start:orders]
ORDERS: dict[str, Arrange] = {
    "norm(x + f(x))": post_norm,
    "x + f(norm(x))": pre_norm,
    "x + norm(f(x))": lambda n, x, f: residual(x, layer_norm(n, f(x))),
    "u + f(u), u = norm(x)": lambda n, x, f: residual(
        layer_norm(n, x), f(layer_norm(n, x))
    ),
}
# --8<-- [end:orders]


# --8<-- [start:silent]
def silent(layer: EncoderLayer) -> EncoderLayer:
    """The layer, both of whose sub-layers have nothing to say."""

    def zero(part: Linear) -> Linear:
        return Linear(0.0 * part.W, 0.0 * part.b)

    attention, ff = layer.self_attention, layer.feed_forward
    return layer._replace(
        self_attention=attention._replace(output=zero(attention.output)),
        feed_forward=ff._replace(outer=zero(ff.outer)),
    )


# --8<-- [end:silent]


# --8<-- [start:norm_slope]
def norm_slope(
    norm: Norm, x: Float[np.ndarray, " d_model"]
) -> Float[np.ndarray, "d_model d_model"]:
    """How the norm of a vector moves with the vector.

    What remains after the mean and the direction of the vector itself are
    taken out, divided by the standard deviation, times the gain. Raises
    ValueError for the wrong number of features.
    """
    plain = Norm(np.ones_like(norm.gain), np.zeros_like(norm.shift))
    unit, sigma = layer_norm(plain, x), np.sqrt(x.var() + 1e-5)
    rest = np.eye(len(x)) - 1.0 / len(x) - np.outer(unit, unit) / len(x)
    return norm.gain[:, None] * rest / sigma


# --8<-- [end:norm_slope]


# --8<-- [start:projected]
def projected(
    skip: Linear, x: Float[np.ndarray, "*batch features"], f: Sublayer
) -> Float[np.ndarray, "*batch out"]:
    """W x + f(x): the residual where f changes the width."""
    return residual(linear(skip, x), f(x))


# --8<-- [end:projected]
