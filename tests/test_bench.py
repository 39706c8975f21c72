"""The benchmark's arithmetic; its figures are for `make bench`, never for a test."""
import json
import re
import sys

import pandas as pd
import psutil
import pytest

from tools.bench import __main__ as bench, busy, inference, processes, scale, training
from tools.bench.inference import RUNTIME
from tools.bench.training import DEFAULT, KERAS, RECIPE
from utils import paths, photos
from utils.command_line import CourseError


class Clock:
    """A clock that is moved by hand, in seconds."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.now += seconds


def test_every_contestant_takes_every_turn_and_the_first_call_of_a_turn_is_not_counted(monkeypatch):
    calls, clock, seconds = [], Clock(), {"a": iter([9, 1, 2, 9, 1, 3]), "b": iter([9, 4, 4, 9, 5, 5])}
    monkeypatch.setattr(inference, "CALLS", {1: 2})
    monkeypatch.setattr(inference, "REST", 0)

    def contestant(name):
        def answer(pictures):
            calls.append(name)
            clock.wait(next(seconds[name]))
        return answer

    found = inference.take_turns({name: contestant(name) for name in "ab"}, [0], turns=2, clock=clock)
    assert "".join(calls) == "aaabbb" * 2
    assert found == {"a": [1.5, 2], "b": [4, 5]}


def test_ratios_are_taken_turn_by_turn():
    table = inference.compare({RUNTIME: [1.0, 2.0, 10.0], "other": [2.0, 4.0, 5.0]}, count=4)
    assert table.loc["other", f"{RUNTIME}'s time over its"] == pytest.approx(0.5)
    assert table.loc["other", ["ms a photograph", "photographs a second"]].tolist() == pytest.approx([1000, 1])


def test_every_contestant_has_a_loader_and_one_that_fails_stops_the_benchmark(tmp_path, capfd):
    assert list(inference.LOADERS) == list(inference.LIBRARIES)
    with pytest.raises(CourseError, match=f"{RUNTIME} ended with exit code"):
        processes.figures_of_contestant("inference", RUNTIME, tmp_path)
    assert "network.mlpackage: there is no such" in capfd.readouterr().err


def trained(*history, megabytes=1000):
    return {"history": list(history), "megabytes": megabytes}


def test_the_time_to_the_same_accuracy_ends_where_it_is_first_reached():
    table = training.compare({DEFAULT: trained((100, 0.9), (300, 0.8), megabytes=2000),
                              RECIPE: trained((20, 0.7), (30, 0.8), (60, 0.9)),
                              KERAS: trained((50, 0.6), (90, 0.79))})
    assert table["seconds to the same accuracy"].tolist()[:2] == [300, 30]
    assert table.loc[RECIPE, ["time over the defaults'", "memory over the defaults'"]].tolist() == [0.1, 0.5]
    assert table["accuracy"].tolist() == [0.8, 0.9, 0.79]


def test_a_contestant_that_never_gets_there_has_no_time_and_no_ratio():
    table = training.compare({DEFAULT: trained((300, 0.8)), KERAS: trained((50, 0.6))})
    assert table.loc[KERAS, ["seconds to the same accuracy", "time over the defaults'"]].isna().all()


def test_what_lies_between_stop_and_start_is_not_timed():
    clock = Clock()
    record = training.Record(clock)
    for seconds, accuracy in ((5, 0.5), (7, 0.75)):
        record.start()
        clock.wait(seconds)
        record.stop()
        clock.wait(95)
        record.note(accuracy)
    assert record.history == [(5.0, 0.5), (12.0, 0.75)]


def test_training_and_validation_of_the_benchmark_share_no_session():
    table = training.photographs()
    assert not set(table["session"][table["is_valid"]]) & set(table["session"][~table["is_valid"]])
    assert set(table["split"]) == {"train", "valid"} and table["is_valid"].sum() >= training.VALIDATED
    assert (table["split"].eq("valid") == table["is_valid"]).all()


def test_a_contestant_that_fails_stops_the_benchmark(monkeypatch, capfd):
    monkeypatch.setattr(training, "EPOCHS", {"nobody": 1})
    assert bench.main(["training"]) == 2
    assert re.search("No such contestant: nobody.*nobody ended with exit code 2", capfd.readouterr().err, re.DOTALL)


def test_a_table_is_added_to_those_of_the_other_part(tmp_path):
    file = tmp_path / "bench.json"
    bench.write_tables({"training": pd.DataFrame({"accuracy": {"a": 0.5}})}, file)
    bench.write_tables({"inference": pd.DataFrame({"ms": {"a": float("nan")}})}, file)
    assert json.loads(file.read_text()) == {"training": {"a": {"accuracy": 0.5}}, "inference": {"a": {"ms": None}}}


def test_a_part_that_does_not_exist_is_one_sentence(capsys):
    assert bench.main(["cooking"]) == 2
    assert capsys.readouterr().err == "No such part: cooking. There are training, inference, scale, busy, course.\n"


def test_the_course_is_told_notebook_by_notebook_beside_set_up(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "EXPORTED", tmp_path / "exported")
    monkeypatch.setattr(bench.sys, "prefix", str(tmp_path))
    assert bench.main(["course"]) == 2 and "make course writes it" in capsys.readouterr().err
    (tmp_path / "exported" / "course.json").write_text('{"01_a.ipynb": 60.5, "02_b.ipynb": 200.0}')
    assert bench.course()["course"]["seconds"].to_dict() == {
        "01_a.ipynb": 60.5, "02_b.ipynb": 200, "all notebooks": 260.5}
    (tmp_path / "setup-seconds").write_text("180")
    assert bench.main(["course"]) == 0
    assert list(json.loads((tmp_path / "exported" / "bench.json").read_text())["course"]) == [
        "make setup", "01_a.ipynb", "02_b.ipynb", "all notebooks"]


def test_the_time_of_two_processes_is_told_over_that_of_one_by_the_faster_turn_of_each():
    told = {"processes": 1, "steps": 39, "photographs": [1248], "seconds": 20.0, "cpu": 40.0, "accuracy": 0.75}
    table = scale.compare({scale.ONE: [told, {**told, "seconds": 30.0}],
                           scale.TWO: [{**told, "seconds": 90.0}, {**told, "seconds": 25.0, "accuracy": 0.5}]})
    assert table["time over one process's"].tolist() == [1, 1.25] and table["accuracy"].tolist() == [0.75, 0.5]


def test_the_sample_of_the_scale_part_can_be_trained_on(tmp_path):
    scale.copy_sample(tmp_path)
    table = photos.require_healthy(tmp_path)
    assert set(table["split"]) == set(photos.SPLITS) and len(table) == table["session"].nunique() * scale.FRAMES


def test_a_training_that_fails_stops_the_scale_part(tmp_path, capfd):
    with pytest.raises(CourseError, match="one process ended with exit code 1"):
        scale.train(scale.ONE, tmp_path / "nothing", tmp_path / "a.safetensors")
    assert "no such folder" in capfd.readouterr().err


def test_a_rate_leaves_out_the_beginning_and_counts_at_least_one_batch_to_its_end(monkeypatch):
    monkeypatch.setattr(busy, "SETTLED", 2.0)

    def rate_of(seconds_of_batches):
        clock = Clock()
        rate, more = busy.Rate(8, clock), []
        for seconds in seconds_of_batches:
            clock.wait(seconds)
            more.append(rate.add(16))
        assert more == [True] * (len(more) - 1) + [False]
        return rate.result()

    assert rate_of([1, 1, 2, 4, 2]) == 3 * 16 / 8
    assert rate_of([90, 4]) == 16 / 4


def busy_programs():
    """How many programs this process has started that keep a core busy."""
    children = [each for each in psutil.Process().children() if each.status() != psutil.STATUS_ZOMBIE]
    return sum(each.cmdline() == [sys.executable, "-c", busy.BUSY] for each in children)


def test_quiet_and_busy_take_turns_and_the_busy_program_ends_with_each():
    def measure():
        seen.append(busy_programs())
        return len(seen)

    seen = []
    assert busy.take_turns(measure, turns=2) == [(1, 2), (3, 4)]
    assert seen == [0, 1, 0, 1] and busy_programs() == 0


def test_the_busy_program_ends_where_the_work_fails():
    with pytest.raises(ZeroDivisionError), busy.busy_program():
        assert busy_programs() == 1
        raise ZeroDivisionError
    assert busy_programs() == 0


def test_the_speed_that_is_kept_is_the_median_of_the_turns_ratios():
    table = busy.compare({"a": [(100, 50), (200, 20), (400, 100)]})
    assert table.loc["a"].tolist() == [200, 50, 20, 0.25]


def test_a_contestant_of_the_busy_part_that_fails_stops_it(tmp_path, capfd):
    with pytest.raises(CourseError, match="Core ML runtime ended with exit code"):
        busy.measure_contestant(busy.RUNTIME, tmp_path)
    assert "there is no such" in capfd.readouterr().err
    with pytest.raises(CourseError, match="nobody ended with exit code 2"):
        busy.measure_contestant("nobody", tmp_path)


def test_a_contestant_of_the_busy_part_answers_each_line_with_a_rate(monkeypatch, tmp_path, capsys):
    def ready(folder):
        def work(rate):
            while rate.add(2):
                pass
        return work

    monkeypatch.setattr(busy, "SETTLED", 0.0)
    monkeypatch.setitem(busy.CONTESTANTS, "quick", ready)
    monkeypatch.setattr(busy.sys, "stdin", ["0\n", "0.01\n"])
    busy.contestant("quick", tmp_path)
    rates = [float(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rates) == 2 and min(rates) > 0
