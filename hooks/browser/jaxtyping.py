"""Stands in for jaxtyping in the page's Python: shapes are not checked.

`Float[np.ndarray, "batch time"]` is `np.ndarray` there.
"""

from typing import Any


class _Named:
    def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
        return item[0]


Bool = Complex = Float = Int = Real = Shaped = _Named
