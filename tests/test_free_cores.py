"""torch_recipe gives way to other programs: trainings and predictions run on as many threads as there are free cores.

The clock and the load are made up; the runtime's own tests cover coreml_runtime.threads.
"""
# isort: off
from utils import torch_recipe  # torch_recipe comes before fastai
import numpy as np
import pytest
import torch
from coreml_runtime import threads
from fastai.test_utils import synth_learner
from fastai.vision.all import Callback
from torch import nn


class Others:
    """The other programs of a computer with two cores, in place of threads' own."""

    def __init__(self):
        self.cores = 0.0

    def busy(self):
        return self.cores


@pytest.fixture
def others(monkeypatch):
    """Who keeps the cores busy; PyTorch has two threads from the start."""
    made = Others()
    monkeypatch.setattr(threads, "_others", made)
    monkeypatch.setattr(threads, "_given", threads._Given())
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 2)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield made
    torch.set_num_threads(before)


class Load(Callback):
    """Keeps a core busy in the second half of a training, and notes the number of threads of each batch."""

    order = -200  # before FreeCores

    def __init__(self, others):
        self.others, self.found = others, []

    def before_batch(self):
        self.others.cores = float(self.pct_train >= 0.5) if self.training else 1.0

    def after_pred(self):
        self.found.append((self.training, torch.get_num_threads()))


def test_a_training_gives_way_between_two_batches_and_returns_all_threads(others):
    load = Load(others)
    learn = synth_learner(n_trn=8, n_val=2, cbs=[load, torch_recipe.FreeCores()])
    with learn.no_bar(), learn.no_logging():
        learn.fit(1)
    trained = [number for training, number in load.found if training]
    assert trained == [2] * (len(trained) // 2) + [1] * (len(trained) // 2) and len(trained) > 2
    assert {number for training, number in load.found if not training} == {1}
    assert torch.get_num_threads() == 2
    load.found.clear()
    learn.get_preds()
    assert {number for _, number in load.found} == {1} and torch.get_num_threads() == 2


def test_the_callbacks_of_the_recipe_give_way(monkeypatch):
    monkeypatch.setattr(torch_recipe, "bfloat16_is_faster", lambda: False)
    assert any(isinstance(each, torch_recipe.FreeCores) for each in torch_recipe.callbacks_for_cpu())


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


def test_predictions_of_the_recipe_are_the_same_whatever_the_number_of_threads(others):
    pictures = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)
    network = Spy()
    quiet = torch_recipe.predict(network, pictures)
    others.cores = 1.0
    np.testing.assert_allclose(torch_recipe.predict(network, pictures), quiet, rtol=1e-5)
    assert network.found == [2, 2, 1, 1] and torch.get_num_threads() == 2
