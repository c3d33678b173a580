import itertools
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from snippets.figures import HEIGHT, WIDTH, bars, heatmap, lines

ONE, TWO = np.array([1.0]), np.array([1.0, 2.0])
finite = st.floats(-1e6, 1e6)
vectors = st.integers(1, 30).flatmap(
    lambda n: arrays(float, n, elements=finite)
)


def svg_of(figure):
    """The parsed picture: well-formed, and named for screen readers."""
    svg = ElementTree.fromstring(figure).find("{*}svg")
    assert svg.get("role") == "img"
    assert svg.get("aria-label")
    return svg


def texts(figure):
    return [
        "".join(t.itertext()) for t in svg_of(figure).findall(".//{*}text")
    ]


@given(vectors, st.booleans())
def test_lines_stay_inside_the_picture(values, points):
    steps = np.arange(len(values))
    series = {"first": (steps, values), "second": (steps, -values)}
    figure = lines(series, x="step", y="value", alt="Two", points=points)
    svg = svg_of(figure)
    drawn = svg.findall("{*}polyline")
    assert len(drawn) == 2
    assert len(svg.findall("{*}circle")) == 2 * points * len(values)
    for line in drawn:
        for pair in line.get("points").split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT


def test_a_line_that_rises_is_drawn_rising():
    figure = lines({"a": (TWO, TWO)}, x="x", y="y", alt="It rises.")
    points = svg_of(figure).find("{*}polyline").get("points")
    (x0, y0), (x1, y1) = (map(float, p.split(",")) for p in points.split())
    assert x0 < x1
    assert y0 > y1  # SVG counts downwards


def test_a_log_axis_names_powers_of_ten_at_even_distances():
    x = np.array([1.0, 10.0, 100.0, 1000.0])
    figure = lines(
        {"a": (x, x)}, x="x", y="y", alt="b", log_x=True, log_y=True
    )
    assert {"1", "10", "100", "1000"} <= set(texts(figure))
    points = svg_of(figure).find("{*}polyline").get("points").split()
    steps = np.diff([float(point.split(",")[0]) for point in points])
    np.testing.assert_allclose(steps, steps[0], atol=0.11)


def test_small_and_large_numbers_on_a_log_axis_are_short():
    x = np.array([1e-8, 1e8])
    names = texts(lines({"a": (x, x)}, x="x", y="y", alt="b", log_y=True))
    assert "1e-8" in names
    assert max(map(len, names)) <= 10


def test_a_log_axis_of_two_powers_names_numbers_between():
    x = np.array([1.0, 30.0])
    names = texts(lines({"a": (x, x)}, x="x", y="y", alt="b", log_y=True))
    assert {"1", "2", "5", "10", "20"} <= set(names)


def test_a_log_axis_within_one_power_names_its_ends():
    names = texts(
        lines({"a": (TWO, TWO + 2)}, x="x", y="y", alt="b", log_y=True)
    )
    assert {"3", "4"} <= set(names)


def test_ticks_are_round_numbers_within_the_values():
    x = np.array([0.0, 9.7])
    assert {"0", "2", "4", "6", "8"} <= set(
        texts(lines({"a": (x, x)}, x="", y="", alt="b"))
    )


def widths(figure):
    """Where each text that is not turned begins and ends, about."""
    for text in svg_of(figure).iterfind(".//{*}text[@x]"):
        wide = 6.8 * len("".join(text.itertext()))
        shift = {"start": 0, "middle": wide / 2, "end": wide}
        start = float(text.get("x")) - shift[text.get("text-anchor")]
        yield text, start, start + wide


@given(st.lists(st.text("abc", min_size=1, max_size=40), max_size=6))
def test_a_long_legend_goes_on_in_another_row(names):
    two = {name: TWO for name in ("first", *names)}
    series = {name: (TWO, TWO) for name in two}
    for figure in (
        lines(series, x="x", y="y", alt="b"),
        bars(["k", "l"], {**two, "last": TWO}, y="y", alt="b"),
    ):
        rows = {}
        for text, start, end in widths(figure):
            assert 0 <= start <= end <= WIDTH + 12
            if text.get("text-anchor") == "start":
                rows.setdefault(text.get("y"), []).append((start, end))
        for row in rows.values():
            for (_, end), (start, _) in itertools.pairwise(row):
                assert end < start
        tall = float(svg_of(figure).get("viewBox").split()[3])
        assert tall == HEIGHT + 18 * (len(rows) - 1)
        moved = svg_of(figure).find("{*}g")
        assert (moved is None) == (len(rows) == 1)


@pytest.mark.parametrize("log_y", [False, True])
@given(scale=st.integers(-12, 12), values=vectors)
def test_numbers_leave_room_for_the_name_of_their_axis(
    log_y, scale, values
):
    values = 10.0**scale * (np.abs(values) + 1.0 if log_y else values)
    steps = np.arange(len(values))
    figure = lines(
        {"a": (steps, values)}, x="x", y="y", alt="b", log_y=log_y
    )
    numbers = [
        start for text, start, _ in widths(figure)
        if text.get("text-anchor") == "end"
    ]  # fmt: skip
    assert numbers
    assert min(numbers) >= 18  # the turned name ends near 17


def test_bars_are_as_tall_as_their_values():
    figure = bars(["a", "b"], {"s": np.array([1.0, -2.0])}, y="v", alt="c")
    first, second = (
        float(rect.get("height"))
        for rect in svg_of(figure).findall(".//{*}rect")
    )
    assert second == pytest.approx(2 * first, abs=0.11)
    assert "s" not in texts(figure)
    two = {"s": TWO, "t": TWO}
    assert {"s", "t"} <= set(texts(bars(["a", "b"], two, y="v", alt="c")))


@given(
    arrays(
        float,
        st.tuples(st.integers(1, 6), st.integers(1, 6)),
        elements=finite,
    )
)
def test_a_heatmap_is_darkest_at_the_largest_value(matrix):
    rows = [f"r{i}" for i in range(matrix.shape[0])]
    columns = [f"c{j}" for j in range(matrix.shape[1])]
    figure = heatmap(matrix, rows, columns, alt="A grid")
    shades = [
        float(rect.get("fill-opacity"))
        for rect in svg_of(figure).findall(".//{*}rect")
    ]
    assert len(shades) == matrix.size
    assert shades[int(matrix.argmax())] == max(shades)
    assert f"{matrix[0, 0]:.2f}" in texts(figure)
    bare = heatmap(matrix, rows, columns, alt="A grid", numbers=False)
    assert set(rows + columns) <= set(texts(bare))


def test_words_are_escaped_and_the_caption_is_shown():
    series = {"a < b": (ONE, ONE)}
    figure = lines(series, x="", y="", alt='"x" & y', caption="a > b")
    assert "a < b" in texts(figure)
    assert svg_of(figure).get("aria-label") == '"x" & y'
    assert "<figcaption>a &gt; b</figcaption>" in figure


def test_a_figure_shows_itself_in_a_notebook():
    figure = lines({"a": (ONE, ONE)}, x="", y="", alt="b")
    assert figure._repr_html_() == figure


def test_colours_come_from_the_page_with_a_fallback():
    figure = lines({"a": (ONE, ONE)}, x="", y="", alt="b")
    colours = set(re.findall(r'(?:stroke|fill)="([^"]+)"', figure))
    assert colours <= {"none", "currentColor", "var(--figure-0, #0072b2)"}


@pytest.mark.parametrize(
    "draw, name",
    [
        (lambda: lines({}, x="", y="", alt="a"), "series"),
        (lambda: lines({"a": (ONE, TWO)}, x="", y="", alt="a"), "series"),
        (lambda: lines({"a": (ONE, ONE)}, x="", y="", alt=""), "alt"),
        (
            lambda: lines(
                {"a": (ONE, -ONE)}, x="", y="", alt="a", log_y=True
            ),
            "y",
        ),
        (lambda: lines({"a": (ONE / 0, ONE)}, x="", y="", alt="a"), "x"),
        (lambda: bars([], {}, y="", alt="a"), "labels"),
        (lambda: bars(["a"], {"s": TWO}, y="", alt="a"), "series"),
        (lambda: heatmap(np.ones((1, 2)), ["a"], ["b"], alt="a"), "matrix"),
        (lambda: heatmap(np.ones((1, 0)), ["a"], [], alt="a"), "matrix"),
    ],
)
def test_bad_input_is_refused_by_name(draw, name):
    with (
        np.errstate(divide="ignore"),
        pytest.raises(ValueError, match=f"^{name}"),
    ):
        draw()


def test_lines_of_different_lengths_share_a_picture():
    series = {"a": (ONE, ONE), "b": (TWO, TWO)}
    svg = svg_of(lines(series, x="x", y="y", alt="b"))
    assert len(svg.findall("{*}polyline")) == 2


def test_a_single_value_gets_a_single_tick():
    names = texts(lines({"a": (ONE, ONE * 7)}, x="", y="", alt="b"))
    assert "7" in names
