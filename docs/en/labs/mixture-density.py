# %% [markdown]
# # Mixture density
#
# An inverse problem: several causes $y$ have the same effect $x$. A network
# that is trained by squared error answers with a mean, a [mixture density
# network](../questions/mixture-density-networks.md) with a distribution.
#
# **Hypothesis.** The mean is wrong wherever there are several answers. The
# mixture is right as soon as it has as many Gaussians as there are answers:
# three.
#
# **Result.** The second half holds: up to three Gaussians each one helps,
# and then no more. The first half is too strong: where there are three
# answers, the mean runs along one of them by accident, and is impossible
# beside that region. And a good mixture can be used so badly that more of
# its values are odd than of the mean's.

# %%
from functools import partial

import numpy as np
import torch

from snippets.figures import heatmap, lines
from snippets.questions.mixture_density_networks import (
    GRID,
    MDN,
    NOISE,
    Mixture,
    as_log_variances,
    conditional_mean,
    curve,
    draw,
    equal_weights,
    exact_log_prob,
    forward,
    log_prob,
    mean_of_draws,
    moments,
    odd,
    one_gaussian,
    sample,
)
from snippets.questions.mixture_density_networks_torch import (
    nll,
    squared_error,
    sum_of_logs,
    to_numpy,
    train,
)
from snippets.transformer.sampling import temperature

torch.set_num_threads(1)

# %% [markdown]
# ## The data, and the best that is possible
#
# $x = y + 0.3 \sin(2 \pi y)$ plus noise, and $y$ is to be told from $x$:
# the example of Bishop (1994), with half of his noise. All that a model
# could know is known here exactly: the density $p(y \mid x)$, its mean, and
# the log-likelihood that no model can exceed on average.

# %%
x, y = draw(1000, np.random.default_rng(0))
x_new, y_new = draw(5000, np.random.default_rng(1))
asked = x_new[:, 0]
best = exact_log_prob(asked).mean()
mean = conditional_mean(asked)
print(f"log-likelihood of the exact density: {best:.2f} nats")
print(
    f"squared error of the exact mean: {((mean - y_new) ** 2).mean():.4f}"
)

# %% [markdown]
# ## The mean
#
# A network with 20 hidden units, three seeds. A value is **impossible** if
# no noise can lead from it to its $x$, and **odd** if it misses $x$ by more
# than twice the largest noise.


# %%
def wrong(values: np.ndarray) -> tuple[float, float]:
    """The shares of values that are impossible, and that are odd."""
    impossible = np.abs(curve(values) - asked) > NOISE
    impossible |= (values < 0) | (values > 1)
    return float(impossible.mean()), float(odd(asked, values).mean())


nets = [to_numpy(train(squared_error, 1, x, y, seed)) for seed in range(3)]
told = [forward(net, x_new).means[:, 0] for net in nets]
print("               squared error   impossible    odd")
for name, values in zip(
    ["exact mean", *(f"net, seed {k}" for k in range(3))],
    [mean, *told],
    strict=True,
):
    error = ((values - y_new) ** 2).mean()
    print(f"{name:14}{error:14.4f}", *(f"{w:10.0%}" for w in wrong(values)))
    assert error < 1.1 * ((mean - y_new) ** 2).mean()

assert 0.13 < wrong(mean)[0] < 0.19
assert min(wrong(values)[0] for values in told) > wrong(mean)[0] + 0.05

three = (asked > 0.42) & (asked < 0.58)
share = (np.abs(curve(mean) - asked) > NOISE)[three].mean()
print(f"the exact mean for x from 0.42 to 0.58: {share:.0%} impossible")
assert share < 0.05

# %%
xs = np.linspace(0.0, 1.0, 101)
lines(
    {
        "right answers": (curve(GRID[::20]), GRID[::20]),
        "exact mean": (xs, conditional_mean(xs)),
        "network": (xs, forward(nets[0], xs[:, None]).means[:, 0]),
    },
    x="x",
    y="y",
    alt="An S of right answers. The exact mean jumps from the lower branch "
    "to near the middle one and from there to the upper; the network makes "
    "slopes of the jumps.",
)

# %% [markdown]
# By its own measure the network is near the best possible. But the best
# possible by squared error is, for 16 % of the $x$, a value that nothing
# can have caused; and a network, which is smooth where the mean jumps, does
# worse. In the region of three answers the mean lies within the noise of
# the middle branch, since one of the others lies on either side of it. It
# is possible there, and it hides the other two.
#
# ## One to ten Gaussians
#
# The same hidden layer, and three seeds for each number of Gaussians.

# %%
COUNTS = (1, 2, 3, 5, 10)
found: dict[int, list[MDN]] = {
    count: [to_numpy(train(nll, count, x, y, seed)) for seed in range(3)]
    for count in COUNTS
}


def likelihood(net: MDN, inputs: np.ndarray, wanted: np.ndarray) -> float:
    return float(log_prob(forward(net, inputs), wanted).mean())


def drawn(net: MDN, seed: int = 2) -> np.ndarray:
    return sample(forward(net, x_new), np.random.default_rng(seed))


held_out = {
    count: [likelihood(net, x_new, y_new) for net in group]
    for count, group in found.items()
}
print("             nats, trained on   held out: three seeds        odd")
for count, group in found.items():
    seen = np.mean([likelihood(net, x, y) for net in group])
    share = np.mean([wrong(drawn(net))[1] for net in group])
    row = " ".join(f"{value:7.2f}" for value in held_out[count])
    print(f"Gaussians {count:2}{seen:14.2f} {row:>32}{share:11.1%}")

top = {count: max(values) for count, values in held_out.items()}
assert top[1] + 0.2 < top[2] < top[3] - 0.2 < best - 0.4
assert all(abs(top[count] - top[3]) < 0.15 for count in (5, 10))
assert wrong(drawn(found[3][int(np.argmax(held_out[3]))]))[1] < 0.06

# %%
counts = np.array(COUNTS)
lines(
    {
        "best seed": (counts, np.array([max(held_out[k]) for k in COUNTS])),
        "worst seed": (
            counts,
            np.array([min(held_out[k]) for k in COUNTS]),
        ),
        "exact density": (counts, np.full(len(COUNTS), best)),
    },
    x="Gaussians",
    y="held-out nats",
    points=True,
    alt="Held-out log-likelihood rises steeply from one Gaussian to two "
    "and to three, and is flat from three to ten, below the line of the "
    "exact density.",
)

# %% [markdown]
# Two Gaussians cannot stand in three places. From three on the curve is
# flat, below the line of the exact density: Gaussians are no boxes. And
# where do the last odd values stand? Just outside the fold:

# %%
chosen = found[3][int(np.argmax(held_out[3]))]
strays = asked[odd(asked, drawn(chosen))]
near, near_strays = (
    (np.abs(np.abs(values - 0.5) - 0.22) < 0.08).mean()
    for values in (asked, strays)
)
print("x from 0.20 to 0.36, or from 0.64 to 0.80:")
print(f"{near:.0%} of all, {near_strays:.0%} of those with an odd value")
assert near < 0.4 < near_strays

# %% [markdown]
# There one answer is left, and the other Gaussians should have the weight 0
# at once. A smooth network lets them fade little by little.
#
# ## Data and samples
#
# The held-out pairs, then the same $x$ with one sample each of the mixture
# of three. Darker cells hold more.


# %%
def picture(values: np.ndarray, what: str):
    table, _, _ = np.histogram2d(
        values, asked, bins=(12, 16), range=((0, 1), (-0.05, 1.05))
    )
    rows = ["1", *[""] * 10, "0"]
    return heatmap(
        np.sqrt(table[::-1]),
        rows,
        ["0", *[""] * 14, "1"],
        x="x",
        y="y",
        numbers=False,
        alt=f"{what}: an S over x that folds back in the middle, so that "
        "three branches lie above each other.",
        caption=what,
    )


picture(y_new, "5000 held-out pairs")

# %%
picture(drawn(chosen), "Samples of the mixture of three")

# %% [markdown]
# ## The same mixtures, used badly
#
# The [usual mistakes](../questions/mixture-density-networks.md#odd-values)
# in drawing from the mixtures of three, averaged over the seeds. Nothing is
# trained again: the network is good, and what is made of it is not.


# %%
def most_likely(mixture: Mixture) -> np.ndarray:
    """The mean of the Gaussian with the largest weight."""
    k = mixture.log_weights.argmax(axis=1)
    return mixture.means[np.arange(len(k)), k]


def at_2(mixture: Mixture) -> Mixture:
    heated = temperature(mixture.log_weights, 2.0)
    return mixture._replace(log_weights=heated)


rng = np.random.default_rng(3)
USES = {
    "one Gaussian chosen by weight": lambda m: sample(m, rng),
    "mean of the heaviest Gaussian": most_likely,
    "weighted mean of the means": lambda m: moments(m).mean,
    "weighted mean of three draws": lambda m: mean_of_draws(m, rng),
    "one Gaussian, total variance": lambda m: one_gaussian(m, rng),
    "log sigma as log variance": lambda m: sample(as_log_variances(m), rng),
    "weights made equal": lambda m: sample(equal_weights(m), rng),
    "weights at temperature 2": lambda m: sample(at_2(m), rng),
}
shares = {}
print("                                impossible    odd")
for name, use in USES.items():
    rates = [wrong(use(forward(net, x_new))) for net in found[3]]
    shares[name] = np.mean(rates, axis=0)
    print(f"{name:30}", *(f"{w:10.0%}" for w in shares[name]))

right, *mistakes = (pair[1] for pair in shares.values())
assert right < 0.06
assert mistakes[0] < 0.02
assert min(mistakes[1:6]) > 2 * right
assert shares["one Gaussian, total variance"][1] > 0.3
assert shares["log sigma as log variance"][1] > 0.3
assert shares["weighted mean of the means"][1] > wrong(told[0])[1]

# %% [markdown]
# The mean of the heaviest Gaussian is hardly ever far off: where only *one*
# right answer is wanted, it is the one to take. The mean of the mixture is
# worse than that of the network above, though both estimate the same
# number: a weight that is a little off costs the likelihood next to
# nothing, and moves the mean in proportion to the distance between the
# branches.
#
# ## Trained badly
#
# Three mixtures of three with another loss: the sum of the logs, or weights
# from a softmax over the batch (`dim=0`). The last column counts odd values
# when each $x$ comes alone, in a batch of one: with `dim=0` each weight is
# then 1, which is to say that all are equal.

# %%
losses = {
    "log of the sum": nll,
    "sum of logs": sum_of_logs,
    "softmax over batch": partial(nll, dim=0),
}
print("                    loss ends at   held out   odd   odd, one by one")
ends = {}
for name, loss in losses.items():
    rows = []
    for seed in range(2):
        net = train(loss, 3, x, y, seed)
        with torch.no_grad():
            last = loss(net(torch.tensor(x)), torch.tensor(y)).item()
        mixture = forward(to_numpy(net), x_new)
        alone = mixture if "batch" not in name else equal_weights(mixture)
        rows.append(
            [
                last,
                log_prob(mixture, y_new).mean(),
                wrong(sample(mixture, rng))[1],
                wrong(sample(alone, rng))[1],
            ]
        )
    ends[name] = np.array(rows).mean(axis=0)
    last, held, share, one = ends[name]
    print(f"{name:20}{last:12.2f}{held:11.2f}{share:6.0%}{one:18.0%}")

assert ends["sum of logs"][1] < ends["log of the sum"][1] - 0.4
assert ends["sum of logs"][1] < top[1] + 0.05
assert ends["sum of logs"][2] > 0.25
assert ends["softmax over batch"][0] > 0 > ends["log of the sum"][0]
assert ends["softmax over batch"][1] < ends["log of the sum"][1] - 0.4
assert ends["softmax over batch"][3] > 0.08

# %% [markdown]
# The sum of logs makes three copies of one Gaussian: no better than the
# mixture of one. With the softmax over the batch the loss cannot be
# compared, since the weights of a row do not sum to 1. Held out, with
# weights that do, the network is far below that of the right loss.
#
# ## What this says
#
# - A mean can be the best answer by its own measure and impossible.
# - As many Gaussians as there are answers are needed, and more do no harm.
# - Odd values of a trained mixture come first from how it is used. Count
#   them: here the forward problem tells which values are odd.
#
# **Limits.** One curve, one width, three seeds, uniform noise. The means
# start spread over the range of $y$; with a poor start, or on fewer data, a
# Gaussian can be left over that fits nothing.
