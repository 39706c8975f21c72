"""Training on one process and on two that share each batch, as a user starts them."""
import numpy as np
import pytest
import torch
from PIL import Image

from tools import train_fastai
from tools.bench import scale
from utils import photos, torch_recipe

OPTIONS = ["--epochs", "1", "--batch", "4", "--side", "64"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photographs of reddish and of bluish noise: three sessions of four photographs each, one session per split."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.RandomState(0)
    for label, channel in (("red", 0), ("blue", 2)):
        for session in range(3):
            (folder / label / f"{session}").mkdir(parents=True)
            for frame in range(4):
                noise = random.randint(0, 80, (64, 64, 3), np.uint8)
                noise[..., channel] += 150
                Image.fromarray(noise).save(folder / label / f"{session}" / f"{frame}.png")
    return folder


def test_two_processes_share_the_batches_end_with_the_same_weights_and_write_one_file(folder, tmp_path):
    told = scale.train(scale.TWO, folder, tmp_path / "a.safetensors", *OPTIONS)  # fails when weights differ
    assert told["processes"] == 2 and told["steps"] == 4 and told["photographs"] == [8, 8]
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
    model, labels = torch_recipe.load_weights(tmp_path / "a.safetensors")
    assert labels == ["blue", "red"] and all(tensor.isfinite().all() for tensor in model.state_dict().values())


def test_one_process_takes_the_same_steps(folder, tmp_path):
    told = train_fastai.train(folder, photos.read_table(folder), tmp_path / "a.safetensors", epochs=1, batch=4, size=64)
    assert told["processes"] == 1 and told["steps"] == 4 and told["photographs"] == [16]
    assert torch_recipe.load_weights(tmp_path / "a.safetensors")[1] == ["blue", "red"]


def test_weights_that_differ_between_processes_are_not_written(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(train_fastai, "gather_object", lambda mine: mine + [("another", 8)])
    with pytest.raises(train_fastai.TrainingError, match="different weights; nothing was written"):
        train_fastai.train(folder, photos.read_table(folder), tmp_path / "a.safetensors", epochs=1, batch=4, size=64)
    assert list(tmp_path.iterdir()) == []


def test_a_single_changed_weight_changes_the_fingerprint():
    model = torch.nn.Linear(2, 2)
    before = train_fastai.fingerprint(model)
    assert before == train_fastai.fingerprint(model)
    model.weight.data[0, 0] += 1e-6
    assert before != train_fastai.fingerprint(model)


def test_more_processes_than_photographs_a_step_are_one_sentence(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train_fastai, "num_distrib", lambda: 3)
    assert train_fastai.main(["--photos", str(folder), "--out", str(tmp_path / "a"), *OPTIONS]) == 1
    assert "Take fewer processes" in capsys.readouterr().err and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option, value", [("--side", "100"), ("--epochs", "0")])
def test_a_number_that_cannot_be_is_one_sentence(folder, capsys, option, value):
    with pytest.raises(SystemExit):
        train_fastai.main(["--photos", str(folder), "--out", "a", option, value])
    assert "a multiple of 64" in capsys.readouterr().err
