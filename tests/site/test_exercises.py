"""Every exercise: the starter fails its check, the solution passes it."""

import re
from pathlib import Path

import pytest

from tests.book import EXERCISES, code_name, regions, study_pages, text

NAME = re.compile(r"exercise_(\d+)_(starter|solution|check)")


def exercises() -> list[tuple[str, int]]:
    return [
        (path.relative_to(EXERCISES).as_posix(), number + 1)
        for path in sorted(EXERCISES.glob("*/*.py"))
        for number in range(len(regions(path)) // 3)
    ]


def run(path: Path, number: int, *parts: str) -> None:
    """Execute regions one after the other, as the reader would."""
    namespace: dict = {"__name__": "exercise"}
    for part in parts:
        line, source = regions(path)[f"exercise_{number}_{part}"]
        code = compile("\n" * (line - 1) + source, str(path), "exec")
        exec(code, namespace)


@pytest.mark.parametrize("name, number", exercises())
def test_the_solution_passes_its_check(name, number):
    run(EXERCISES / name, number, "solution", "check")


@pytest.mark.parametrize("name, number", exercises())
def test_the_starter_runs_and_fails_its_check_with_a_message(name, number):
    run(EXERCISES / name, number, "starter")
    with pytest.raises(AssertionError) as failure:
        run(EXERCISES / name, number, "starter", "check")
    assert len(str(failure.value)) > 10, "the check must say what is wrong"


@pytest.mark.parametrize("source", study_pages())
def test_a_page_shows_two_to_five_exercises_in_three_parts_each(source):
    path = EXERCISES / f"{code_name(source)}.py"
    found = [NAME.fullmatch(name).groups() for name in regions(path)]
    count = len(found) // 3
    assert 2 <= count <= 5
    assert found == [
        (str(number), part)
        for number in range(1, count + 1)
        for part in ("starter", "solution", "check")
    ]
    for number in range(1, count + 1):
        assert f"### Exercise {number}: " in text(source)
