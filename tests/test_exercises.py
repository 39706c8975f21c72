"""tests/exercises.py: every exercise is found, and an answer takes the place of its dots."""
import nbformat
import pytest

from tests import exercises
from tools.course import find_notebooks
from utils.paths import ROOT


@pytest.mark.parametrize("path", find_notebooks(ROOT / "notebooks"), ids=lambda path: path.stem)
def test_every_exercise_has_a_solution_and_a_wrong_answer(path):
    notebook = nbformat.read(path, as_version=4)
    found = exercises.exercises(notebook)
    assert 3 <= len(found) <= 5
    assert len(exercises.solutions(notebook)) == len(exercises.WRONG[path.name[:2]]) == len(found)
    assert all(exercises.solutions(notebook))
    named = dict(exercises.cells(path))
    assert len(named) == 2 * len(found)
    for cell in named.values():
        compile(cell.source, path.name, "exec")
        assert " = ...\n" not in cell.source and "return ...\n" not in cell.source


@pytest.mark.parametrize("source, answer, expected", [
    ("a = ...\ncheck(... if a is ... else a == 1, '')", "b = 1\na = b",
     "b = 1\na = b\ncheck(... if a is ... else a == 1, '')"),
    ("def f(x):\n    return ...\n\ncheck(1)", "return x", "def f(x):\n    return x\n\ncheck(1)"),
])
def test_an_answer_takes_the_place_of_the_dots(source, answer, expected):
    assert exercises.answered(source, answer) == expected
