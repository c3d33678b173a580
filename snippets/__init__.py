"""The code of the book: one module a page, one test file a module.

Every function here is checked against its own signature while it runs.
The axis names in ``Float[np.ndarray, "batch hidden"]`` document the shapes,
and a call that breaks them raises ``jaxtyping.TypeCheckError``, which names
the argument and the axes.
"""

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

# An int is welcome where a float is annotated, as everywhere in Python.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))

install_import_hook("snippets", "snippets.checked")
