"""coreml_runtime/threads.py: as many threads as there are free cores. The clock and the load are made up."""
import json
import subprocess
import sys
from types import SimpleNamespace

import coreml_runtime
import numpy as np
import psutil
import pytest
import torch
from coreml_runtime import threads
from coreml_runtime.imports import import_coremltools
from PIL import Image
from torch import nn

ct = import_coremltools()


class Computer:
    """Two cores, whose clock goes on, and whose programs work, only when a test says so."""

    def __init__(self):
        self.now, self.work, self.own, self.waits, self.looks = 1000.0, 500.0, 20.0, 0.0, 0

    def goes_on(self, seconds=1.0, others=0.0, own=0.0):
        """Time passes in which other programs keep so many cores busy, and this one so many."""
        self.now += seconds
        self.own += seconds * own
        self.work += seconds * (others + own)
        self.waits += seconds * (2 - others - own)

    def cpu_times(self):
        self.looks += 1
        names = {"user": 0.5, "nice": 0.2, "system": 0.2, "softirq": 0.1}
        return SimpleNamespace(**{name: self.work * share for name, share in names.items()},
                               idle=self.waits / 2, iowait=self.waits / 2, steal=3 * self.now)


@pytest.fixture
def computer(monkeypatch):
    """The computer that the module believes to run on, with two threads from the start."""
    made = Computer()
    monkeypatch.setattr(threads, "time", SimpleNamespace(monotonic=lambda: made.now, process_time=lambda: made.own))
    monkeypatch.setattr(threads, "psutil", SimpleNamespace(cpu_times=made.cpu_times))
    monkeypatch.setattr(threads, "os", SimpleNamespace(cpu_count=lambda: 2))
    monkeypatch.setattr(threads, "_others", threads.Others())
    monkeypatch.setattr(threads, "_given", threads._Given())
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield made
    torch.set_num_threads(before)


@pytest.mark.parametrize("busy, cores, limit, expected", [
    (0, 2, 2, 2), (0.3, 2, 2, 2), (0.5, 2, 2, 1), (1, 2, 2, 1), (2, 2, 2, 1), (9, 2, 2, 1),
    (0, 8, 4, 4), (3, 8, 4, 4), (5, 8, 4, 3), (0.5, 8, 8, 7), (0.1, 1, 1, 1), (0, 64, 1, 1)])
def test_there_are_as_many_threads_as_free_cores_but_at_least_one_and_at_most_the_limit(busy, cores, limit, expected):
    assert threads.number_of_threads(busy, cores, limit) == expected


def test_beside_a_busy_program_one_of_two_threads_is_left(computer):
    computer.goes_on(others=1.0, own=1.0)
    assert threads.adapt() == torch.get_num_threads() == 1


def test_a_busy_program_is_noticed_while_two_threads_leave_it_half_of_a_core(computer):
    computer.goes_on(others=0.5, own=1.5)
    assert threads.adapt() == 1


def test_on_a_quiet_computer_all_threads_stay_however_much_they_work(computer):
    for own in (0.0, 1.0, 2.0):
        computer.goes_on(others=0.1 if own < 2 else 0.0, own=own)
        assert threads.adapt() == torch.get_num_threads() == 2


def test_waiting_and_stolen_time_are_no_work(computer):
    computer.waits += 50
    computer.goes_on(own=0.5)
    assert threads.adapt() == 2 and threads._others.busy() == pytest.approx(0, abs=1e-9)


def test_the_threads_come_back_when_the_busy_program_ends(computer):
    given = []
    for others in (1.0, 1.0, 0.0, 1.0, 0.0):
        computer.goes_on(others=others, own=1.0)
        given.append(threads.adapt())
    assert given == [1, 1, 2, 1, 2]


def test_the_system_is_asked_once_in_an_interval_and_never_waited_for(computer):
    threads._others.busy()
    looks = computer.looks
    for _ in range(40):
        computer.goes_on(threads.INTERVAL / 8, others=1.0)
        threads.adapt()
    assert computer.looks - looks == 5


def test_a_time_that_is_too_short_to_be_measured_changes_nothing(computer):
    computer.goes_on(threads.INTERVAL / 2, others=2.0)
    assert threads.adapt() == 2


def test_there_are_never_more_threads_than_pytorch_was_told_to_use(computer):
    torch.set_num_threads(1)
    computer.goes_on()
    assert threads.adapt() == 1
    threads.restore()
    torch.set_num_threads(2)
    assert threads.adapt() == 2
    torch.set_num_threads(1)  # between two batches
    computer.goes_on()
    assert threads.adapt() == 1


def test_afterwards_pytorch_has_its_threads_again_whatever_happened_inside(computer):
    computer.goes_on(others=1.0, own=1.0)
    with pytest.raises(KeyError), threads.adapted() as given:
        assert given == torch.get_num_threads() == 1
        raise KeyError
    assert torch.get_num_threads() == 2


def test_an_interrupted_training_costs_the_next_one_no_threads(computer):
    computer.goes_on(others=1.0, own=1.0)
    threads.adapt()  # and nobody restores
    computer.goes_on(own=1.0)
    assert threads.adapt() == 2
    threads.restore()
    assert torch.get_num_threads() == 2


def test_a_number_that_somebody_asks_for_inside_is_left_to_him(computer):
    torch.set_num_threads(4)
    computer.goes_on(others=1.0, own=1.0)
    with threads.adapted():
        torch.set_num_threads(3)
    assert torch.get_num_threads() == 3


def test_what_the_system_really_tells_is_a_number_of_cores(monkeypatch):
    monkeypatch.setattr(threads, "INTERVAL", 0.0)
    others = threads.Others()
    sum(range(1_000_000))
    assert 0 <= others.busy() <= psutil.cpu_count() + 1


def test_a_thread_of_its_own_has_limits_of_its_own():
    """PyTorch keeps a number for each thread; so in a process that nothing else has touched."""
    code = ("import json, threading, torch; from coreml_runtime import threads as t\n"
            "torch.set_num_threads(2); t.os.cpu_count = lambda: 2; t._others.busy = lambda: 1.0\n"
            "found = [t.adapt()]\n"
            "def other(): torch.set_num_threads(2); found.append(t.adapt()); t.restore(); "
            "found.append(torch.get_num_threads())\n"
            "one = threading.Thread(target=other); one.start(); one.join()\n"
            "found.append(torch.get_num_threads()); t.restore(); found.append(torch.get_num_threads())\n"
            "print(json.dumps(found))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [1, 1, 2, 1, 2]


# ---- who uses it -----------------------------------------------------------------------------------------------------

class Spy(nn.Module):
    """A small network that notes the number of threads of each call."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 32, 3, groups=16), nn.Flatten(),
                                    nn.LazyLinear(10))
        self.found = []

    def forward(self, x):
        self.found.append(torch.get_num_threads())
        return self.layers(x)


def test_answers_of_the_runtime_are_the_same_whatever_the_number_of_threads(computer, tmp_path, monkeypatch):
    layers = Spy().layers
    layers(torch.zeros(1, 3, 32, 32))
    traced = torch.jit.trace(layers.eval(), torch.zeros(1, 3, 32, 32))
    ct.convert(traced, inputs=[ct.ImageType("image", (1, 3, 32, 32))], convert_to="mlprogram").save(
        str(tmp_path / "small.mlpackage"))
    model = coreml_runtime.load(tmp_path / "small.mlpackage")
    noise, found, run = np.random.default_rng(0), [], model.program.run
    pictures = [{"image": Image.fromarray(noise.integers(0, 256, (32, 32, 3), np.uint8))} for _ in range(5)]
    assert model.program.is_batchable  # tried before the runs are counted
    monkeypatch.setattr(model.program, "run", lambda inputs: found.append(torch.get_num_threads()) or run(inputs))

    def answers():
        return [next(iter(each.values())) for each in [*model.predict(pictures), model.predict(pictures[0])]]

    quiet = answers()
    computer.goes_on(others=1.0, own=1.0)
    for one, other in zip(answers(), quiet, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-4)
    assert found == [2, 2, 2, 1, 1, 1] and torch.get_num_threads() == 2
