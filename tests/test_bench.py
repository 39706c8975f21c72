"""The benchmark's arithmetic; its figures are for `make bench`, never for a test."""
import itertools
import json
from types import SimpleNamespace

import pandas as pd
import pytest

from tools.bench import __main__ as bench, busy, inference, scale, training
from utils import paths, photos
from tools.bench.inference import RUNTIME, compare, take_turns
from tools.bench.training import DEFAULT, KERAS, RECIPE, Record, compare_training


def test_every_contestant_takes_every_turn_and_the_first_call_of_a_turn_is_not_counted(monkeypatch):
    calls, clock, slow = [], itertools.count(), {"a": iter([9, 1, 2, 9, 1, 3]), "b": iter([9, 4, 4, 9, 5, 5])}
    monkeypatch.setattr(inference, "CALLS", {1: 2})
    monkeypatch.setattr(inference, "REST", 0)
    monkeypatch.setattr(inference.time, "perf_counter", lambda: next(clock))

    def answer(name):
        calls.append(name)
        for _ in range(next(slow[name]) - 1):
            next(clock)

    seconds = take_turns({"a": lambda x: answer("a"), "b": lambda x: answer("b")}, [0], turns=2)
    assert calls == ["a"] * 3 + ["b"] * 3 + ["a"] * 3 + ["b"] * 3
    assert seconds == {"a": [1.5, 2], "b": [4, 5]}


def test_ratios_are_taken_turn_by_turn():
    table = compare({RUNTIME: [1.0, 2.0, 10.0], "other": [2.0, 4.0, 5.0]}, count=4)
    assert table.loc["other", f"{RUNTIME}'s time over its"] == pytest.approx(0.5)
    assert table.loc["other", ["ms a photograph", "photographs a second"]].tolist() == pytest.approx([1000, 1])


def test_every_contestant_has_a_loader_and_one_that_fails_stops_the_benchmark(tmp_path):
    assert list(inference.LOADERS) == list(inference.LIBRARIES)
    with pytest.raises(RuntimeError, match=f"{RUNTIME} ended with exit code 1: .*network.mlpackage: there is no such"):
        inference.loading(tmp_path)


def trained(*history, megabytes=1000):
    return {"history": list(history), "megabytes": megabytes}


def test_the_time_to_the_same_accuracy_ends_where_it_is_first_reached():
    table = compare_training({DEFAULT: trained((100, 0.9), (300, 0.8), megabytes=2000),
                              RECIPE: trained((20, 0.7), (30, 0.8), (60, 0.9)),
                              KERAS: trained((50, 0.6), (90, 0.79))})
    assert table["seconds to the same accuracy"].tolist()[:2] == [300, 30]
    assert table.loc[RECIPE, ["time over the defaults'", "memory over the defaults'"]].tolist() == [0.1, 0.5]
    assert table["accuracy"].tolist() == [0.8, 0.9, 0.79]


def test_a_contestant_that_never_gets_there_has_no_time_and_no_ratio():
    table = compare_training({DEFAULT: trained((300, 0.8)), KERAS: trained((50, 0.6))})
    assert table.loc[KERAS, ["seconds to the same accuracy", "time over the defaults'"]].isna().all()


def test_what_lies_between_stop_and_start_is_not_timed(monkeypatch):
    record, clock = Record(), iter([0.0, 5.0, 100.0, 107.0])
    monkeypatch.setattr(training, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    for accuracy in (0.5, 0.75):
        record.start()
        record.stop()
        record.note(accuracy)
    assert record.history == [(5.0, 0.5), (12.0, 0.75)]


def test_training_and_validation_of_the_benchmark_share_no_session():
    table = training.photographs()
    assert not set(table["session"][table["is_valid"]]) & set(table["session"][~table["is_valid"]])
    assert set(table["split"]) == {"train", "valid"} and table["is_valid"].sum() >= training.VALIDATED
    assert (table["split"].eq("valid") == table["is_valid"]).all()


def test_a_contestant_that_fails_stops_the_benchmark(monkeypatch, capsys):
    monkeypatch.setattr(training, "EPOCHS", {"no such contestant": 1})
    assert bench.main(["training"]) == 1
    assert "no such contestant ended with exit code" in capsys.readouterr().err


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
    assert bench.main(["course"]) == 1 and "make course writes it" in capsys.readouterr().err
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
                                 scale.TWO: [{**told, "seconds": 90.0},
                                                   {**told, "seconds": 25.0, "accuracy": 0.5}]})
    assert table["time over one process's"].tolist() == [1, 1.25] and table["accuracy"].tolist() == [0.75, 0.5]


def test_the_sample_of_the_scale_part_can_be_trained_on(tmp_path):
    scale.copy_sample(tmp_path)
    table = photos.require_healthy(tmp_path)
    assert set(table["split"]) == set(photos.SPLITS) and len(table) == table["session"].nunique() * scale.FRAMES


def test_a_training_that_fails_stops_the_scale_part(tmp_path, capfd):
    with pytest.raises(RuntimeError, match="one process ended with exit code 1"):
        scale.train(scale.ONE, tmp_path / "nothing", tmp_path / "a.safetensors")
    assert "no such folder" in capfd.readouterr().err


def test_a_rate_leaves_out_the_beginning_and_counts_at_least_one_batch_to_its_end(monkeypatch):
    clock = iter([0.0, 1.0, 2.0, 4.0, 8.0, 10.0, 0.0, 90.0, 94.0])
    monkeypatch.setattr(busy, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    monkeypatch.setattr(busy, "SETTLED", 2.0)
    rate = busy.Rate(8)
    assert [rate.add(16) for _ in range(5)] == [True, True, True, True, False]
    assert rate.result() == 3 * 16 / 8
    slow = busy.Rate(8)
    assert [slow.add(16) for _ in range(2)] == [True, False] and slow.result() == 4


def test_quiet_and_busy_take_turns_and_the_busy_program_ends_with_each(monkeypatch):
    events = []

    class Program:
        def __init__(self, command):
            events.append("starts")

        def kill(self):
            events.append("ends")

        def wait(self):
            pass

    monkeypatch.setattr(busy.subprocess, "Popen", Program)
    rates = iter([10.0, 5.0, 8.0, 2.0])

    def measure():
        events.append("works")
        return next(rates)

    assert busy.take_turns(measure, turns=2) == [(10, 5), (8, 2)]
    assert events == ["works", "starts", "works", "ends"] * 2


def test_the_speed_that_is_kept_is_the_median_of_the_turns_ratios():
    table = busy.compare({"a": [(100, 50), (200, 20), (400, 100)]})
    assert table.loc["a"].tolist() == [200, 50, 20, 0.25]


def test_a_contestant_of_the_busy_part_that_fails_stops_it(tmp_path, capfd):
    with pytest.raises(RuntimeError, match="Core ML runtime ended with exit code 1"):
        busy.measure_contestant(busy.RUNTIME, tmp_path)
    assert "there is no such" in capfd.readouterr().err
    with pytest.raises(RuntimeError, match="nobody ended with exit code 1"):
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
    busy.main("quick", tmp_path)
    rates = [float(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rates) == 2 and min(rates) > 0
