"""The benchmark's arithmetic; its figures are for `make bench`, never for a test."""
import pytest

from utils.bench import RUNTIME, compare, take_turns


def test_every_contestant_takes_every_turn_and_the_first_is_not_counted():
    calls = []
    seconds = take_turns({"a": lambda x: calls.append("a"), "b": lambda x: calls.append("b")}, [0], turns=3)
    assert calls == ["a", "b"] * 4
    assert [len(times) for times in seconds.values()] == [3, 3]


def test_ratios_are_taken_turn_by_turn():
    table = compare({RUNTIME: [1.0, 2.0, 10.0], "other": [2.0, 4.0, 5.0]}, count=4)
    assert table.loc["other", f"time over the {RUNTIME}'s"] == pytest.approx(2.0)
    assert table.loc["other", "ms a photograph"] == pytest.approx(1000)
