"""What training came to, beside what it usually comes to.

A **fact** holds on every computer (a parity, a shape, an error message) and is an `assert` in its notebook. A
**finding** (an accuracy, points lost by compression, a speed ratio) moves with the processor, the number of threads and
the seed. `finding(name, value)` prints it beside its usual range and never stops a student; under `make test`, where
FINDINGS is `strict`, a value outside its range fails.

The ranges are in data/findings.csv. `make findings` (tools/findings.py) works them out of data/findings_runs.csv, where
each measured run has its rows; `usual_range` is the rule. Notebook 04 imports this too, so it has to run on Python 3.8.
"""
import json
import math
import os

import numpy as np
import pandas as pd

from utils.files import written_whole
from utils.paths import DATA, PHOTOS, TABLETOP, exported

RANGES, RUNS = DATA / "findings.csv", DATA / "findings_runs.csv"
DEVIATIONS = 3  # standard deviations either way; with the binomial part beside the runs' own, that is rarely left
FACTOR = 2  # by which a plain number may lie beyond the smallest and the largest that were measured
UNITS = {"share": "{:.1%}", "points": "{:+.1f} points", "number": "{:.3g}"}


def usual_range(values, unit, photographs=0):
    """(low, high) in which a finding usually lies, from the values of measured runs.

    unit: `share`, of so many `photographs` (0..1); `points`, the difference of two such shares (-100..100); `number`,
    anything else, above 0.
    Shares and points: mean ± DEVIATIONS * sqrt(s² + p(1 - p)/n), where s is the standard deviation of the runs and the
    other term the binomial variance of n photographs (p = (hits + 2) / (n + 4), Agresti and Coull 1998, so that 100 %
    has one, too); at least one photograph more than any run. Numbers have no binomial part: FACTOR beyond both ends.
    """
    values = np.asarray(values, float)
    if unit == "number":
        return float(values.min() / FACTOR), float(values.max() * FACTOR)
    scale = 100 if unit == "points" else 1
    shares = values / scale
    p = (abs(shares.mean()) * photographs + 2) / (photographs + 4)
    spread = np.std(shares, ddof=1) if len(shares) > 1 else 0.0
    half = DEVIATIONS * math.sqrt(spread ** 2 + p * (1 - p) / photographs)
    low = min(shares.mean() - half, shares.min() - 1 / photographs)
    high = max(shares.mean() + half, shares.max() + 1 / photographs)
    if unit == "share":
        low, high = max(low, 0.0), min(high, 1.0)
    return float(scale * low), float(scale * high)


def read_ranges():
    """data/findings.csv as {name: row}; a row has unit, low, high, runs, under, smallest and largest."""
    return pd.read_csv(RANGES, index_col="name").to_dict("index") if RANGES.exists() else {}


def read_runs():
    """data/findings_runs.csv: a DataFrame with a row per finding of each measured run, or with none. `spoilt` names
    what was broken on purpose; it is empty in the others."""
    if not RUNS.exists():
        return pd.DataFrame(columns=["setting", "spoilt", "instructions", "threads", "seed", "processor", "name",
                                     "unit", "photographs", "value"])
    return pd.read_csv(RUNS, keep_default_na=False)


def is_usual(value, row):
    """Whether a value lies in the range of a row of read_ranges. NaN does not."""
    return bool(row["low"] - 1e-9 <= value <= row["high"] + 1e-9)


def finding(name, value, photographs=0, unit=None):
    """Prints what training came to and, for the bundled photographs, what it usually comes to; a value outside of that
    gets a sentence. Notes it in exported/findings.json for `make findings`.

    name: begins with the notebook's number. unit: as for usual_range; `share` where photographs are given, else
    `number`. Raises AssertionError only under FINDINGS=strict: outside the range, or no range is known.
    """
    value, unit = float(value), unit or ("share" if photographs else "number")
    _note(name, {"value": value, "unit": unit, "photographs": int(photographs)})
    shown = "too few photographs to tell" if math.isnan(value) else UNITS[unit].format(value)
    text, row = f"{name}: {shown}", read_ranges().get(name)
    if PHOTOS != TABLETOP:
        print(text)
        return
    problem = None
    if row is None:
        problem = f"{text}. No range is known yet: `make findings` measures it."
    else:
        low, high, smallest, largest = (UNITS[unit].format(row[key]) for key in ("low", "high", "smallest", "largest"))
        print(f"{text} (usually {low} to {high})")
        if not is_usual(value, row):
            problem = (f"{text} is unusual: in {row['runs']} runs ({row['under']}) it was between {smallest} and "
                       f"{largest}. The notebook goes on; if nothing was changed, please report it with your CPU.")
    if problem and os.environ.get("FINDINGS") == "strict":
        raise AssertionError(problem)
    if problem:
        print(problem)


def _note(name, entry):
    file = exported("findings.json")
    noted = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    with written_whole(file) as unfinished:
        unfinished.write_text(json.dumps({**noted, name: entry}, indent=1, ensure_ascii=False), encoding="utf-8")
