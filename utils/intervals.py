"""How sure is an accuracy? Intervals for a share, and for the difference of two classifiers on the same photographs.

Works on Python 3.8, for the kernel of notebook 04.
"""
import math

import numpy as np
import pandas as pd


def wilson_interval(correct, n, z=1.96):
    """Bounds (low, high) between 0 and 1 for the true share behind `correct` out of `n`; z=1.96 makes them a 95 %
    interval.

    Wilson's score interval (1927, JASA 22, 209-212), which unlike the textbook one is right near 0 and 1 too.
    Frames of one capture session are alike, so that the real uncertainty is larger. Raises ValueError when n < 1.
    """
    if not 0 <= correct <= n or n < 1:
        raise ValueError(f"{correct} out of {n} is no share")
    share, weight = correct / n, z * z / n
    middle = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(share * (1 - share) / n + weight / (4 * n))
    # At the ends the bound is exactly 0 or 1; the square root misses it by a rounding error.
    return (0.0 if correct == 0 else middle - half), (1.0 if correct == n else middle + half)


def paired_difference(before, after, sessions, draws=2000, seed=0):
    """How much more often `after` is right than `before`, on the same photographs: (difference, low, high), -1..1.

    before, after: N truth values, right or wrong; sessions: N names of capture sessions. The 95 % interval is the
    percentile bootstrap (Efron & Tibshirani 1993, chapter 13) over whole sessions: frames of one session are alike.
    """
    change = np.asarray(after, float) - np.asarray(before, float)
    _, session = np.unique(np.asarray(sessions, str), return_inverse=True)
    total, count = np.bincount(session, change), np.bincount(session)
    drawn = np.random.RandomState(seed).randint(len(count), size=(draws, len(count)))
    low, high = np.percentile(total[drawn].sum(1) / count[drawn].sum(1), [2.5, 97.5])
    return change.mean(), low, high


def compare(right, sessions, reference):
    """Classifiers on the same photographs as a DataFrame, a row each: accuracy, low and high of its 95 % interval, and
    change against the reference in percentage points, with the interval of paired_difference, as text.

    right: {name: N truth values}; sessions: N names of capture sessions; reference: a key of `right`.
    """
    rows = {}
    for name, answers in right.items():
        low, high = wilson_interval(int(np.sum(answers)), len(answers))
        change = "{:+.1f} ({:+.1f} to {:+.1f})".format(
            *(100 * value for value in paired_difference(right[reference], answers, sessions)))
        rows[name] = {"accuracy": np.mean(answers), "low": low, "high": high, "change": change}
    return pd.DataFrame.from_dict(rows, orient="index")
