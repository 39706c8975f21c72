"""Intervals for a share, and differences of two classifiers on the same photographs."""
import numpy as np
import pytest
from scipy.stats import binomtest

from utils.intervals import compare, paired_difference, wilson_interval

SESSIONS = np.repeat([f"relay-{number}" for number in range(24)], 8)


def answers(share, seed=0, by_session=False):
    rng = np.random.default_rng(seed)
    return np.repeat(rng.random(24) < share, 8) if by_session else rng.random(192) < share


@pytest.mark.parametrize("correct, n", [(0, 7), (7, 7), (3, 10), (190, 192), (1, 1)])
def test_the_interval_is_wilsons(correct, n):
    expected = binomtest(correct, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(correct, n) == pytest.approx((expected.low, expected.high), abs=1e-4)


@pytest.mark.parametrize("correct, n", [(0, 0), (3, 2), (-1, 5)])
def test_an_interval_needs_a_share(correct, n):
    with pytest.raises(ValueError, match="is no share"):
        wilson_interval(correct, n)


def test_a_classifier_does_not_differ_from_itself():
    assert paired_difference(answers(0.8), answers(0.8), SESSIONS) == (0, 0, 0)


def test_the_difference_is_that_of_the_accuracies_and_lies_in_its_interval():
    before, after = answers(0.7), answers(0.9, seed=1)
    difference, low, high = paired_difference(before, after, SESSIONS)
    assert difference == pytest.approx(after.mean() - before.mean()) and low < difference < high
    assert paired_difference(after, before, SESSIONS)[0] == -difference
    assert low > 0, "a gain of twenty points on 192 independent photographs is no luck"


def test_frames_that_are_right_and_wrong_together_say_less_than_independent_ones():
    def width(by_session):
        _, low, high = paired_difference(answers(0.7, 0, by_session), answers(0.7, 1, by_session), SESSIONS)
        return high - low
    assert width(by_session=True) > 2 * width(by_session=False)


def test_sessions_need_not_be_sorted_or_of_one_size():
    before, after, order = answers(0.6), answers(0.8, seed=2), np.random.default_rng(3).permutation(150)
    shuffled = paired_difference(before[order], after[order], SESSIONS[order])
    kept = np.sort(order)
    assert shuffled == pytest.approx(paired_difference(before[kept], after[kept], SESSIONS[kept]))


def test_one_session_gives_no_width():
    difference, low, high = paired_difference([0, 1, 0], [1, 1, 0], ["one"] * 3)
    assert difference == low == high == pytest.approx(1 / 3)


def test_the_comparison_has_a_row_each_and_no_change_for_the_reference():
    table = compare({"before": answers(0.7), "after": answers(0.9, seed=1)}, SESSIONS, "before")
    assert list(table.columns) == ["accuracy", "low", "high", "change"] and list(table.index) == ["before", "after"]
    assert table.loc["before", "change"] == "+0.0 (+0.0 to +0.0)"
    points = 100 * (answers(0.9, seed=1).mean() - answers(0.7).mean())
    assert table.loc["after", "change"].startswith(f"{points:+.1f} (")
    assert (table["low"] < table["accuracy"]).all() and (table["accuracy"] < table["high"]).all()
