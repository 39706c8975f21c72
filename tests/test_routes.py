"""The table of routes is whole at any time, whoever writes to it."""
import subprocess
import sys

import pandas as pd
import pytest

from utils import routes
from utils.command_line import CourseError
from utils.paths import ROOT

EVALUATION = {"accuracy": 0.96875, "interval": [0.9335, 0.9856], "n": 192, "seconds_per_photo": 0.0084}
BESIDE = """
import sys
from utils import routes
for number in range(12):
    routes.record_closed(f"route {number} of {sys.argv[1]}", "03", "a hop", table=sys.argv[2])
"""


@pytest.fixture
def table(tmp_path):
    return tmp_path / "exported" / "routes.csv"


@pytest.fixture
def package(table):
    weights = table.parent / "a.mlpackage" / "Data" / "weight.bin"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"x" * 1_500_000)
    return table.parent / "a.mlpackage"


def test_an_open_route_is_recorded_with_its_figures_and_read_back(table, package):
    routes.record_open("fastai → Core ML", "03_x", package, EVALUATION, 2e-7, "iOS 15", table=table)
    row, = routes.read_routes(table).to_dict("records")
    assert row == {"route": "fastai → Core ML", "notebook": "03_x", "file": "a.mlpackage", "status": "open",
                   "closed_at": "", "accuracy": 0.96875, "low": 0.9335, "high": 0.9856, "n": 192, "parity": 2e-7,
                   "megabytes": 1.5, "ms_per_photo": 8.4, "platform": "iOS 15"}


def test_a_closed_route_has_a_reason_and_no_figures(table):
    recorded = routes.record_closed("fastai → ONNX → Core ML", "03_x", "ONNX → Core ML, no reader", table=table)
    pd.testing.assert_frame_equal(recorded, routes.read_routes(table))
    row, = recorded.to_dict("records")
    assert (row["status"], row["closed_at"], row["file"]) == ("closed", "ONNX → Core ML, no reader", "")
    assert recorded[["accuracy", "n", "parity", "megabytes"]].isna().all(axis=None)


def test_a_route_that_was_closed_and_is_open_now_has_one_row(table, package):
    routes.record_closed("b", "03", "a hop", table=table)
    routes.record_closed("a", "04", "a hop", table=table)
    found = routes.record_open("b", "05", package, EVALUATION, 0, "iOS 15", table=table)
    assert found[["route", "status"]].values.tolist() == [["a", "closed"], ["b", "open"]]  # by notebook


def test_two_programs_that_record_at_once_lose_no_row(table):
    running = [subprocess.Popen([sys.executable, "-c", BESIDE, name, str(table)], cwd=ROOT) for name in "ab"]
    assert [process.wait() for process in running] == [0, 0]
    assert len(routes.read_routes(table)) == 24


def test_a_write_that_fails_leaves_the_table_as_it_was(table, monkeypatch):
    routes.record_closed("a", "03", "a hop", table=table)
    before = table.read_bytes()

    def full_disk(self, path, **options):
        path.write_text("route,note")
        raise OSError("No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full_disk)
    with pytest.raises(OSError):
        routes.record_closed("b", "03", "a hop", table=table)
    assert table.read_bytes() == before
    assert [p.name for p in table.parent.iterdir() if "unfinished" in p.name] == []


def test_nothing_recorded_is_an_empty_table(table):
    assert list(routes.read_routes(table)) == routes.COLUMNS and len(routes.read_routes(table)) == 0


@pytest.mark.parametrize("content", [b"", b"route,note\na,b\n", b"\xff\xfe", b'route\n"a'])
def test_a_damaged_table_is_named_and_not_overwritten(table, content):
    table.parent.mkdir()
    table.write_bytes(content)
    with pytest.raises(CourseError, match="routes.csv: is no table of routes"):
        routes.record_closed("a", "03", "a hop", table=table)
    assert table.read_bytes() == content


def test_a_figure_that_is_no_number_is_a_damaged_table(table):
    routes.record_closed("a", "03", "a hop", table=table)
    table.write_text(table.read_text().replace(",,,,", ",many,,,"))
    with pytest.raises(CourseError, match="is no table of routes"):
        routes.read_routes(table)


def test_a_hanging_program_that_holds_the_lock_is_an_error_with_advice(table, monkeypatch):
    monkeypatch.setattr(routes, "LOCK_SECONDS", 0.1)
    table.parent.mkdir()
    with routes.filelock.FileLock(table.with_name(".routes.csv.lock")):
        with pytest.raises(CourseError, match="another program has held its lock"):
            routes.record_closed("a", "03", "a hop", table=table)


@pytest.mark.parametrize("change, message", [
    ({"file": "nowhere.mlpackage"}, "there is no file"),
    ({"evaluation": {"accuracy": 1}}, "lacks interval, n, seconds_per_photo"),
    ({"parity": float("nan")}, "parity is nan"),
    ({"parity": -1}, "parity is -1")])
def test_an_open_route_without_a_file_or_figures_is_refused(table, package, change, message):
    arguments = {"file": package, "evaluation": EVALUATION, "parity": 0, "platform": "iOS 15", **change}
    with pytest.raises(CourseError, match=message):
        routes.record_open("a", "03", **arguments, table=table)
    assert not table.exists()


def test_a_closed_route_without_a_reason_is_refused(table):
    with pytest.raises(CourseError, match="say where it is closed"):
        routes.record_closed("a", "03", " ", table=table)
