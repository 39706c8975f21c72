"""The notebooks' helpers: what they print, and that they fail when they should."""
import sys

import pytest

from utils import lesson
from utils.paths import ROOT


def test_check_environment_prints_a_line_a_package(capsys):
    lesson.check_environment("numpy", "pillow")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["[OK]", "numpy"], ["[OK]", "pillow"], ["[OK]", "utils"]]


def test_check_environment_names_what_is_missing_after_the_whole_list(capsys):
    with pytest.raises(RuntimeError, match="no-such-package: run `make setup`"):
        lesson.check_environment("no-such-package", "numpy")
    assert "[FAIL] no-such-package is missing\n[OK] numpy" in capsys.readouterr().out


def test_check_environment_points_out_another_version(monkeypatch, capsys):
    monkeypatch.setattr(lesson, "required_versions", lambda: {"numpy": "0.1"})
    lesson.check_environment("numpy")
    assert ", tried with 0.1" in capsys.readouterr().out


def test_check_environment_refuses_another_utils(monkeypatch, capsys):
    import utils

    monkeypatch.setattr(utils, "__path__", ["site-packages/utils"])
    with pytest.raises(RuntimeError, match="^utils: "):
        lesson.check_environment("numpy")
    assert "[FAIL] utils is another package, from site-packages/utils" in capsys.readouterr().out


def test_of_pins_with_a_marker_only_those_of_this_system_count():
    of_this_system, of_others = ("tensorflow", "tensorflow-cpu")[::1 if sys.platform == "darwin" else -1]
    assert {"numpy", "coremltools", of_this_system} <= set(lesson.required_versions())
    assert of_others not in lesson.required_versions()


def test_expect_failure_prints_type_and_message_on_one_line(capsys):
    with lesson.expect_failure("no such thing"):
        raise ValueError("there is\n  no such\tthing")
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_expect_failure_fails_when_nothing_failed():
    with pytest.raises(AssertionError, match="did not fail"):
        with lesson.expect_failure("anything"):
            pass


def test_expect_failure_fails_when_the_message_differs():
    with pytest.raises(AssertionError, match="differently.*ValueError: b"):
        with lesson.expect_failure("a"):
            raise ValueError("b")


def test_expect_failure_shows_no_absolute_path_of_the_course(capsys):
    with lesson.expect_failure("cannot read"):
        raise ValueError(f"cannot read {lesson.EXPORTED / 'a.keras'} and {ROOT / 'data'}")
    assert capsys.readouterr().out == "ValueError: cannot read exported/a.keras and data\n"


def test_expect_failure_lets_an_interruption_through():
    with pytest.raises(KeyboardInterrupt):
        with lesson.expect_failure(""):
            raise KeyboardInterrupt


@pytest.mark.parametrize("condition, says", [
    (..., "Not tried yet"), (True, "Right."), (1.5, "Right."), (False, "Not yet. A hint."), (lambda: True, "Right."),
    (lambda: 1 / 0, "Not yet. A hint. (ZeroDivisionError: division by zero)"), (lambda: ..., "Not tried yet"),
])
def test_an_exercise_is_answered_without_a_traceback(condition, says, capsys):
    lesson.check(condition, "A hint.")
    assert capsys.readouterr().out.startswith(says)


def test_a_missing_file_is_named_with_the_line_that_makes_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="a.mlpackage is missing.*tools.course notebooks/05"):
        lesson.made_earlier(tmp_path / "a.mlpackage")
    assert lesson.made_earlier(tmp_path) == tmp_path


def test_an_excerpt_takes_a_block_to_its_closing_brace_and_removes_the_indentation(tmp_path):
    path = tmp_path / "A.swift"
    path.write_text("struct A {\n    func a() {\n        if b {\n        }\n    }\n\n    let c = 1\n}\n")
    assert lesson.excerpt(path, "func a") == "func a() {\n    if b {\n    }\n}"
    assert lesson.excerpt(path, "if b", "}") == "if b {\n}"
    assert lesson.excerpt(path, "let c", "let c") == "let c = 1"


def test_an_excerpt_names_a_line_that_is_not_there(tmp_path):
    path = tmp_path / "A.swift"
    path.write_text("let a = 1\nlet b = 2\n")
    assert lesson.excerpt(path, "let a", "let b") == "let a = 1\nlet b = 2"
    for arguments, message in ((("let x",), "A.swift has no line with 'let x'"),
                               (("let a", "let x"), "'let x' after 'let a'")):
        with pytest.raises(LookupError, match=message):
            lesson.excerpt(path, *arguments)
