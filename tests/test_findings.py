"""Findings: their rule, what a student sees, and that the ranges in data/ tell a broken model from a right one."""
import json
import math
import re

import nbformat
import pandas as pd
import pytest

from tools import findings as measuring
from tools.course import find_notebooks
from utils import findings
from utils.paths import ROOT

ROW = {"unit": "share", "low": 0.94, "high": 1.0, "smallest": 0.96, "largest": 0.99, "runs": 12,
       "under": "AVX2; threads: 1"}
RUNS = findings.read_runs()
RANGES = findings.read_ranges()
TRAINED = ("02", "05")


@pytest.fixture
def a_range(monkeypatch, tmp_path):
    """A finding `a` with the range of ROW, noted in a folder of its own; not strict, as for a student."""
    monkeypatch.setattr(findings, "read_ranges", lambda: {"a": ROW})
    monkeypatch.setattr(findings, "exported", tmp_path.joinpath)
    monkeypatch.delenv("FINDINGS")
    return tmp_path / "findings.json"


def test_a_finding_is_shown_beside_its_range_and_noted(a_range, capsys):
    findings.finding("a", 0.974, 192)
    findings.finding("a", 0.976, 192)
    assert capsys.readouterr().out.splitlines()[0] == "a: 97.4% (usually 94.0% to 100.0%)"
    assert json.loads(a_range.read_text()) == {"a": {"value": 0.976, "unit": "share", "photographs": 192}}


@pytest.mark.parametrize("value", [0.93, math.nan])
def test_a_value_outside_its_range_gets_a_sentence_and_stops_only_the_tests(a_range, capsys, monkeypatch, value):
    findings.finding("a", value, 192)
    assert "is unusual: in 12 runs (AVX2; threads: 1) it was between 96.0% and 99.0%" in capsys.readouterr().out
    monkeypatch.setenv("FINDINGS", "strict")
    with pytest.raises(AssertionError, match="is unusual"):
        findings.finding("a", value, 192)


def test_a_finding_without_a_range_says_how_to_get_one(a_range, capsys, monkeypatch):
    findings.finding("b", 3)
    assert capsys.readouterr().out == "b: 3. No range is known yet: `make findings` measures it.\n"
    monkeypatch.setenv("FINDINGS", "strict")
    with pytest.raises(AssertionError, match="make findings"):
        findings.finding("b", 3)


def test_own_photographs_have_no_usual_range(a_range, capsys, monkeypatch):
    monkeypatch.setenv("FINDINGS", "strict")
    monkeypatch.setattr(findings, "PHOTOS", ROOT / "my_photos")
    findings.finding("a", 0.2, 192)
    findings.finding("a", math.nan, 192)
    assert capsys.readouterr().out == "a: 20.0%\na: too few photographs to tell\n"


def test_the_range_of_a_share_holds_the_runs_and_the_binomial_spread_of_its_photographs():
    low, high = findings.usual_range([0.90, 0.92], "share", 100)
    p = (0.91 * 100 + 2) / 104
    assert low == pytest.approx(0.91 - 3 * math.sqrt(0.0002 + p * (1 - p) / 100)) and high == 1
    assert findings.usual_range([1, 1, 1], "share", 50)[0] < 0.95, "all of 50 right is no certainty"
    wide = findings.usual_range([0.5, 0.9], "share", 10_000)
    assert wide[0] <= 0.5 - 1 / 10_000 and wide[1] >= 0.9 + 1 / 10_000


def test_points_may_be_negative_and_numbers_are_held_to_a_factor():
    low, high = findings.usual_range([0.0, 0.52], "points", 192)
    assert low < -0.52 and high > 2 * 0.52
    assert findings.usual_range([2, 8], "number") == (1, 16)


def test_the_table_of_ranges_is_worked_out_from_the_stored_runs():
    pd.testing.assert_frame_equal(pd.DataFrame.from_dict(RANGES, orient="index").rename_axis("name"),
                                  measuring.table(RUNS), rtol=1e-4, check_dtype=False)


def test_every_range_is_wider_than_a_photograph_either_way():
    for name, row in RANGES.items():
        if row["photographs"]:
            one = (100 if row["unit"] == "points" else 1) / row["photographs"]
            assert findings.is_usual(row["smallest"] - one, row) or row["low"] == 0, name
            assert findings.is_usual(row["largest"] + one, row) or row["high"] == 1, name


@pytest.mark.parametrize("number", TRAINED)
@pytest.mark.parametrize("spoilt", [setting.spoilt for setting in measuring.SPOILT])
def test_a_model_that_was_trained_wrongly_falls_out_of_a_range(spoilt, number):
    runs = RUNS[(RUNS["spoilt"] == spoilt) & RUNS["name"].str.startswith(number)]
    assert len(runs), "make findings measures it"
    outside = [name for name, value in zip(runs["name"], runs["value"]) if not findings.is_usual(value, RANGES[name])]
    assert outside, runs[["name", "value"]]


@pytest.mark.parametrize("number", TRAINED)
def test_the_ranges_come_from_several_runs_and_instruction_sets(number):
    runs = RUNS[(RUNS["spoilt"] == "") & RUNS["name"].str.startswith(f"{number} accuracy, test")]
    assert len(runs) >= 3 and runs["instructions"].nunique() >= 2 and runs["threads"].nunique() >= 2


def names_in(notebook):
    """A pattern for each name that a notebook gives to `finding`; what an f-string fills in may be anything."""
    source = "\n".join(cell.source for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code")
    for name in re.findall(r'finding\(\s*f?"([^"]+)"', source):
        yield re.sub(r"\\\{.*?\\\}", ".+", re.escape(name))


def test_every_range_belongs_to_a_finding_of_its_notebook():
    patterns = [pattern for notebook in find_notebooks(ROOT / "notebooks") for pattern in names_in(notebook)]
    assert not [name for name in RANGES if not any(re.fullmatch(pattern, name) for pattern in patterns)]
    assert not [pattern for pattern in patterns if not any(re.fullmatch(pattern, name) for name in RANGES)
                if "head of its own" not in pattern]


def test_a_spoilt_copy_has_the_code_behind_the_cell_it_belongs_to_and_ends_with_the_accuracies(tmp_path):
    for setting in measuring.SPOILT:
        for number, (place, code) in setting.code.items():
            notebook = next((ROOT / "notebooks").glob(f"{number}_*"))
            cells = nbformat.read(measuring.changed_copy(notebook, setting, tmp_path), as_version=4).cells
            at = next(i for i, cell in enumerate(cells) if cell.source == code)
            assert place in cells[at - 1].source and measuring.UNTIL[number] in cells[-1].source


def test_what_was_measured_is_not_measured_again(monkeypatch):
    settings = [measuring.Setting("native", 1, 0), measuring.Setting("AVX2", 1, 0)]
    monkeypatch.setattr(measuring, "why_left_out", lambda notebook: "no kernel" if "04" in notebook.name else None)
    monkeypatch.setattr(measuring, "processor", lambda: "this")
    done = pd.DataFrame({"setting": ["native-1t-seed0"] * 2, "name": ["05 a", "06 b"], "instructions": "native",
                         "processor": "this"})
    jobs = [(setting.instructions, [n.name[:2] for n in notebooks])
            for setting, notebooks in measuring.pending(settings, ("04", "05", "06"), done)]
    assert jobs == [("AVX2", ["05", "06"])]
    assert len(measuring.pending(settings, ("05", "06"), done.assign(processor="another"))) == 2


def test_a_run_takes_the_place_of_the_same_run_and_of_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(findings, "RUNS", tmp_path / "runs.csv")
    (tmp_path / "noted.json").write_text(json.dumps({"a": {"value": 0.5, "unit": "share", "photographs": 4}}))
    for name in "one", "another", "another":
        monkeypatch.setattr(measuring, "processor", lambda name=name: name)
        measuring.add(measuring.rows_of(measuring.Setting("native", 2, 0), tmp_path / "noted.json"))
    assert findings.read_runs()["processor"].tolist() == ["one", "another"]
