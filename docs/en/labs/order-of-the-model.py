# %% [markdown]
# # Order of the model
# A Markov chain $x_t$ and [Markov](../sequence-models/markov-model.md).

# %%
from snippets.datasets import sunspots

years, counts = sunspots()
counts[:5]

# %%
from snippets.figures import lines

lines(
    {"sunspots": (years, counts)},
    x="year",
    y="sunspot number",
    alt="Sunspots",
)
