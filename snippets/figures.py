"""Small charts as SVG, for pages, labs and the browser.

They are text, not pixels: a few kilobytes, readable in light and dark
(colours come from the page, with a fallback), and the same wherever the
code runs, because nothing but Python and NumPy draws them.
"""

from collections.abc import Callable, Sequence
from html import escape
from math import ceil, floor, log10

import numpy as np
from jaxtyping import Float, Real

WIDTH, HEIGHT = 380, 240
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 28, 42
COLORS = ("#0072b2", "#d55e00", "#009e73", "#aa5b92", "#8a6d00", "#666666")
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 4", "1 4")

LETTER = 6.8  # about the width of a letter
ROW = 18  # the height of a row of the legend

Vector = Real[np.ndarray, " _"]  # lines may differ in length
Series = dict[str, tuple[Vector, Vector]]
Scale = Callable[[float], float]


class Figure(str):
    """The HTML of a figure; a notebook shows it as a picture."""

    def _repr_html_(self) -> str:
        return str(self)


def lines(
    series: Series,
    *,
    x: str,
    y: str,
    alt: str,
    log_x: bool = False,
    log_y: bool = False,
    points: bool = False,
    caption: str = "",
) -> Figure:
    """A line for each named pair of x and y values.

    `alt` says in words what the picture shows. With `points`, each value
    gets a mark.
    """
    if not series:
        raise ValueError("series must hold at least one line")
    xs = np.concatenate([pair[0] for pair in series.values()])
    ys = np.concatenate([pair[1] for pair in series.values()])
    to_y = _scale(ys, HEIGHT - BOTTOM, TOP, log_y, "y")
    left = _left(ys, log_y)
    to_x = _scale(xs, left, WIDTH - RIGHT, log_x, "x")
    parts = [_axes(xs, ys, to_x, to_y, left, log_x, log_y, x, y)]
    for number, (x_values, y_values) in enumerate(series.values()):
        if len(x_values) != len(y_values):
            raise ValueError("series must pair as many x as y values")
        path = [
            (to_x(float(a)), to_y(float(b)))
            for a, b in zip(x_values, y_values, strict=True)
        ]
        joined = " ".join(f"{_n(a)},{_n(b)}" for a, b in path)
        parts.append(
            f'<polyline points="{joined}" fill="none" '
            f'stroke="{_color(number)}" stroke-width="2" '
            f'stroke-dasharray="{_dash(number)}"/>'
        )
        if points:
            parts += [
                f'<circle cx="{_n(a)}" cy="{_n(b)}" r="3" '
                f'fill="{_color(number)}"/>'
                for a, b in path
            ]
    return _with_legend(parts, list(series), left, alt, caption)


def bars(
    labels: Sequence[str],
    series: dict[str, Vector],
    *,
    y: str,
    alt: str,
    caption: str = "",
) -> Figure:
    """Groups of bars: one group a label, one bar a named series."""
    if not labels or not series:
        raise ValueError("labels and series must not be empty")
    values = np.concatenate([np.zeros(1), *series.values()])
    to_y = _scale(values, HEIGHT - BOTTOM, TOP, False, "y")
    begin = _left(values, False)
    parts = [_y_axis(values, to_y, begin, False, y)]
    group = (WIDTH - begin - RIGHT) / len(labels)
    width = 0.8 * group / len(series)
    for number, heights in enumerate(series.values()):
        if len(heights) != len(labels):
            raise ValueError("series must have one value for each label")
        for place, value in enumerate(heights):
            left = begin + group * (place + 0.1) + width * number
            top, foot = sorted((to_y(float(value)), to_y(0.0)))
            parts.append(
                f'<rect x="{_n(left)}" y="{_n(top)}" width="{_n(width)}" '
                f'height="{_n(foot - top)}" fill="{_color(number)}"/>'
            )
    for place, label in enumerate(labels):
        middle = begin + group * (place + 0.5)
        parts.append(_text(middle, HEIGHT - BOTTOM + 16, label))
    names = list(series) if len(series) > 1 else []
    return _with_legend(parts, names, begin, alt, caption)


def heatmap(
    matrix: Float[np.ndarray, "rows columns"],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    alt: str,
    x: str = "",
    y: str = "",
    numbers: bool = True,
    caption: str = "",
) -> Figure:
    """A grid of cells, darker for larger values; the smallest is blank.

    With `numbers`, each cell shows its value to two decimals.
    """
    if matrix.shape != (len(rows), len(columns)):
        raise ValueError("matrix must have one row a name in rows and "
                         "one column a name in columns")  # fmt: skip
    if not matrix.size:
        raise ValueError("matrix must not be empty")
    left = 20 + 7 * max(len(name) for name in rows)
    cell = min(44.0, (WIDTH - left - RIGHT) / len(columns))
    tall = min(cell, 30.0)
    low, high = float(matrix.min()), float(matrix.max())
    parts = []
    for i, name in enumerate(rows):
        top = TOP + tall * i
        parts.append(_text(left - 6, top + tall / 2 + 4, name, "end"))
        for j in range(len(columns)):
            share = (float(matrix[i, j]) - low) / ((high - low) or 1.0)
            parts.append(
                f'<rect x="{_n(left + cell * j)}" y="{_n(top)}" '
                f'width="{_n(cell)}" height="{_n(tall)}" '
                f'fill="{_color(0)}" fill-opacity="{share * 0.6:.2f}" '
                f'stroke="currentColor" stroke-opacity="0.25"/>'
            )
            if numbers:
                middle = left + cell * (j + 0.5)
                value = f"{matrix[i, j]:.2f}"
                parts.append(_text(middle, top + tall / 2 + 4, value))
    foot = TOP + tall * len(rows)
    for j, name in enumerate(columns):
        parts.append(_text(left + cell * (j + 0.5), foot + 16, name))
    parts.append(_text(left + cell * len(columns) / 2, foot + 34, x))
    parts.append(_text(left - 6, TOP - 10, y, "end"))
    width = max(left + cell * len(columns) + RIGHT, 240)
    return _figure(parts, width, foot + 44, alt, caption)


def _n(value: float) -> str:
    """A coordinate, rounded so that every machine prints the same."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _color(number: int) -> str:
    place = number % len(COLORS)
    return f"var(--figure-{place}, {COLORS[place]})"


def _dash(number: int) -> str:
    return DASHES[number % len(DASHES)]


def _text(x: float, y: float, words: str, anchor: str = "middle") -> str:
    return (
        f'<text x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )


def _scale(
    values: Vector, start: float, end: float, log: bool, name: str
) -> Scale:
    """A function from a value to its place between start and end."""
    if not np.isfinite(values).all():
        raise ValueError(f"{name} values must be finite")
    if log and values.min() <= 0:
        raise ValueError(f"{name} values must be positive on a log axis")
    low, high = float(values.min()), float(values.max())
    if log:
        low, high = log10(low), log10(high)
    # One value stands in the middle, even one that 0.5 does not change.
    half = 0.0 if low < high else max(0.5, abs(low) / 2)
    low, high = low - half, high + half

    def place(value: float) -> float:
        at = log10(value) if log else value
        return start + (at - low) / (high - low) * (end - start)

    return place


def _ticks(values: Vector, log: bool) -> list[float]:
    """About five round numbers within the values: on a log axis powers
    of ten, or 1, 2 and 5 times them where there are few."""
    low, high = float(values.min()), float(values.max())
    if log:
        first, last = ceil(log10(low) - 1e-9), floor(log10(high) + 1e-9)
        stride = max(1, ceil((last - first) / 5))
        powers = [10.0**power for power in range(first, last + 1, stride)]
        if len(powers) > 2:
            return powers
        tens = [10.0**power for power in range(first - 1, last + 1)]
        near = [m * ten for ten in tens for m in (1, 2, 5)]
        inside = [tick for tick in near if low <= tick <= high]
        return inside if len(inside) > 1 else [low, high]
    if high - low < 1e-300:  # equal, but for what no float can divide
        return [low]
    rough = (high - low) / 4
    unit = 10.0 ** floor(log10(rough))
    step = unit * min((1, 2, 5, 10), key=lambda m: abs(m * unit - rough))
    below, above = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [number * step for number in range(below, above + 1)]


def _tick_name(value: float, log: bool) -> str:
    if log and not 1e-3 <= value < 1e5:
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:.4g}"


def _left(values: Vector, log: bool) -> float:
    """Where the plot begins: right of the y axis' name and numbers."""
    longest = max(
        len(_tick_name(tick, log)) for tick in _ticks(values, log)
    )
    return max(LEFT, 25 + LETTER * longest)


def _y_axis(
    values: Vector, to_y: Scale, left: float, log: bool, name: str
) -> str:
    parts = []
    for tick in _ticks(values, log):
        y = to_y(tick)
        parts.append(
            f'<path d="M{_n(left)} {_n(y)}H{WIDTH - RIGHT}" '
            'stroke="currentColor" stroke-opacity="0.2"/>'
        )
        parts.append(_text(left - 6, y + 4, _tick_name(tick, log), "end"))
    middle = _n((TOP + HEIGHT - BOTTOM) / 2)
    parts.append(
        f'<text transform="translate(13 {middle}) rotate(-90)" '
        f'text-anchor="middle">{escape(name)}</text>'
    )
    return "".join(parts)


def _axes(
    xs: Vector,
    ys: Vector,
    to_x: Scale,
    to_y: Scale,
    left: float,
    log_x: bool,
    log_y: bool,
    x: str,
    y: str,
) -> str:
    foot = HEIGHT - BOTTOM
    parts = [_y_axis(ys, to_y, left, log_y, y)]
    for tick in _ticks(xs, log_x):
        parts.append(_text(to_x(tick), foot + 16, _tick_name(tick, log_x)))
    parts.append(_text((left + WIDTH - RIGHT) / 2, HEIGHT - 8, x))
    parts.append(
        f'<path d="M{_n(left)} {TOP}V{foot}H{WIDTH - RIGHT}" fill="none" '
        'stroke="currentColor" stroke-opacity="0.6"/>'
    )
    return "".join(parts)


def _with_legend(
    parts: list[str],
    names: list[str],
    left: float,
    alt: str,
    caption: str,
) -> Figure:
    """The plot, and above it a legend of as many rows as it needs."""
    legend, at, top = [], left, 12
    for number, name in enumerate(names):
        width = 25 + LETTER * len(name)
        if at > left and at + width > WIDTH:
            at, top = left, top + ROW
        legend.append(
            f'<path d="M{_n(at)} {top}h20" stroke="{_color(number)}" '
            f'stroke-width="3" stroke-dasharray="{_dash(number)}"/>'
        )
        legend.append(_text(at + 25, top + 4, name, "start"))
        at += width + 13
    if top > 12:
        parts = [f'<g transform="translate(0 {top - 12})">', *parts, "</g>"]
    return _figure(legend + parts, WIDTH, HEIGHT + top - 12, alt, caption)


def _figure(
    parts: list[str], width: float, height: float, alt: str, caption: str
) -> Figure:
    if not alt:
        raise ValueError("alt must say in words what the picture shows")
    shown = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return Figure(
        '<figure class="plot"><svg xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="0 0 {_n(width)} {_n(height)}" role="img" '
        f'aria-label="{escape(alt)}" font-family="system-ui, sans-serif" '
        f'font-size="12" fill="currentColor">{"".join(parts)}</svg>'
        f"{shown}</figure>"
    )
