"""The recipe computes what fastai and the bundled network compute, trains what it says it trains, and saves only
numbers."""
import ast
import json
from pathlib import Path
from types import SimpleNamespace

# isort: off
from utils import photos, torch_recipe  # torch_recipe comes before fastai
import fastai.vision.all as fastai
import numpy as np
import pandas as pd
import pytest
import torch
from fastai.vision.all import Callback, set_seed
from PIL import Image

from utils.backbone import scale_pixels
from utils.paths import ROOT, exported

SIZE = 64  # pixels per side; the network takes any multiple of 32
NAMES = ["blue", "red"]


@pytest.fixture(scope="module")
def network():
    return torch_recipe.classifier(2)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Twelve photographs of reddish and of bluish noise, four of them for validation."""
    folder, random, rows = tmp_path_factory.mktemp("photos"), np.random.RandomState(0), []
    for i in range(12):
        noise = random.randint(0, 80, (SIZE, SIZE + 16, 3), np.uint8)
        noise[..., 2 * (i % 2)] += 150
        Image.fromarray(noise).save(folder / f"{i}.png")
        rows.append({"file": folder / f"{i}.png", "label": ["red", "blue"][i % 2], "is_valid": i >= 8})
    return pd.DataFrame(rows)


def learner(table, *callbacks, crop_sizes=(32, 64)):
    set_seed(0)
    learn = torch_recipe.learner(torch_recipe.dataloaders(Path("/"), table, NAMES, 4, SIZE), crop_sizes)
    learn.remove_cbs([callback for callback in learn.cbs if isinstance(callback, torch_recipe.Bfloat16OnCPU)])
    return learn.add_cbs(callbacks)


def fit(learn):
    with learn.no_bar(), learn.no_logging():
        learn.fine_tune(1, 1e-2, lr_mult=2)
    return learn


@pytest.mark.parametrize("side", [64, 96])
def test_folding_and_fixed_padding_change_nothing(side):
    x = scale_pixels(255 * torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)))
    with torch.no_grad():
        expected = torch_recipe.efficientnet_lite0()(x)
        found = torch_recipe.efficientnet_lite0_for_cpu()(x)
    assert expected.std() > 0.5
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_nothing_of_batch_norm_or_of_padding_worked_out_from_pictures_is_left():
    left = {type(module).__name__ for module in torch_recipe.efficientnet_lite0_for_cpu().modules()}
    assert not left & {"BatchNormAct2d", "BatchNorm2d", "Conv2dSame"}


def test_only_pointwise_convolutions_of_the_last_stages_and_the_head_are_trained(table):
    learn = learner(table)
    learn.unfreeze()
    trained = {name for name, p in learn.model.named_parameters() if p.requires_grad}
    assert any(name.startswith("0.2.4.") for name in trained) and "1.8.weight" in trained
    assert not any(name.startswith(("0.0", "0.1", "0.2.0", "0.2.1", "0.2.2", "0.2.3")) for name in trained)
    assert not any("conv_dw" in name for name in trained)
    of_body = sum(name.startswith("0.") for name in trained)
    assert [len(group) for group in learn.opt.param_lists] == [of_body, len(trained) - of_body]


def test_training_changes_what_is_trained_and_not_a_bit_of_the_rest(table):
    learn = learner(table)
    before = {name: p.clone() for name, p in learn.model.named_parameters()}
    fit(learn)
    changed = {name for name, p in learn.model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {name for name, p in learn.model.named_parameters() if p.requires_grad}


def test_the_same_seed_gives_the_same_weights(table):
    first, second = (fit(learner(table)).model[1][-1].weight for _ in range(2))
    assert torch.equal(first, second)


class Sizes(Callback):
    def before_batch(self):
        self.seen = getattr(self, "seen", []) + [(self.training, self.x.shape[-1])]


def test_crops_are_small_first_and_validation_pictures_keep_their_size(table):
    sizes = Sizes()
    learn = learner(table, sizes)
    with learn.no_bar(), learn.no_logging():
        learn.fit(2)
    assert [side for training, side in sizes.seen if training] == [32, 32, 64, 64]
    assert {side for training, side in sizes.seen if not training} == {SIZE}


def test_after_training_the_augmentation_gives_full_size_again(table):
    learn = fit(learner(table))
    assert learn.dls.train.one_batch()[0].shape[-1] == SIZE


class Kinds(Callback):
    def __init__(self):
        self.of_layer, self.of_prediction = set(), set()

    def after_loss(self):
        self.of_prediction.add(self.pred.dtype)


class Refusal(Exception):
    pass


def refuse(module, inputs):
    raise Refusal


def test_a_network_that_raises_leaves_bfloat16_off(table):
    learn = learner(table, torch_recipe.Bfloat16OnCPU())
    refusal = learn.model[0].register_forward_pre_hook(refuse)
    with pytest.raises(Refusal):
        fit(learn)
    assert not torch.is_autocast_enabled("cpu")
    refusal.remove()
    kinds = []
    learn.model[0].register_forward_hook(lambda module, inputs, output: kinds.append(output.dtype))
    torch_recipe.predict(learn.model, np.zeros((1, SIZE, SIZE, 3), np.uint8))
    assert kinds == [torch.float32]


def test_with_the_callback_convolutions_compute_in_bfloat16_and_the_loss_in_float32(table):
    kinds = Kinds()
    learn = learner(table, torch_recipe.Bfloat16OnCPU(), kinds)
    learn.model[0][3].register_forward_hook(lambda module, inputs, output: kinds.of_layer.add(output.dtype))
    fit(learn)
    assert kinds.of_layer == {torch.bfloat16} and kinds.of_prediction == {torch.float32}
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("bfloat16, float32, expected", [(1.0, 2.0, True), (2.0, 1.0, False)])
def test_bfloat16_is_used_only_where_it_is_faster(monkeypatch, bfloat16, float32, expected):
    clock = iter(np.cumsum([0.0, bfloat16, 0.0, float32] * 5))
    monkeypatch.setattr(torch_recipe, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    assert torch_recipe.bfloat16_is_faster.__wrapped__() == expected


def test_the_callbacks_leave_bfloat16_out_where_it_is_slower(monkeypatch):
    for faster in (True, False):
        monkeypatch.setattr(torch_recipe, "bfloat16_is_faster", lambda faster=faster: faster)
        kinds = [type(callback) for callback in torch_recipe.callbacks_for_cpu()]
        assert (torch_recipe.Bfloat16OnCPU in kinds) == faster


def test_a_photo_block_reads_as_the_phone_does_and_only_once(tmp_path, monkeypatch):
    path, reads = tmp_path / "turned.jpg", []
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.fromarray(np.random.RandomState(0).randint(0, 255, (90, 60, 3), np.uint8)).save(path, exif=exif)
    expected = np.asarray(photos.read_photo(path, (32, 32)))
    picture = Image.fromarray(expected)
    monkeypatch.setattr(torch_recipe.photos, "read_photo", lambda *args: reads.append(args) or picture)
    read, = torch_recipe.PhotoBlock(32).type_tfms
    assert np.array_equal(np.asarray(read(path)), expected) and np.array_equal(np.asarray(read(path)), expected)
    assert reads == [(path, (32, 32))]


def test_prediction_scales_pixels_and_does_not_depend_on_the_batch(network):
    pictures = np.random.RandomState(0).randint(0, 255, (3, SIZE, SIZE, 3), np.uint8)
    found = torch_recipe.predict(network.train(), pictures)
    with torch.no_grad():
        one = network(scale_pixels(torch.tensor(pictures[2:]).permute(0, 3, 1, 2).float())).softmax(1).numpy()
    assert not network.training and np.allclose(found.sum(1), 1, atol=1e-6)
    assert np.allclose(found[2:], one, atol=1e-5)


def test_a_quick_head_tells_two_colours_apart_and_leaves_the_body_alone(table):
    model = torch_recipe.classifier(2)
    before = [tensor.clone() for tensor in model[0].state_dict().values()]
    pictures = photos.read_photos("/", table, (SIZE, SIZE))
    targets = (table["label"] == "red").to_numpy(int)
    torch_recipe.train_head(model, pictures, targets, epochs=10)
    assert (torch_recipe.predict(model, pictures).argmax(1) == targets).all()
    assert all(map(torch.equal, before, model[0].state_dict().values()))


def test_weights_and_labels_come_back_as_they_were(network, tmp_path):
    torch_recipe.save_weights(network, tmp_path / "a.safetensors", ["Résistance", "LED"])
    model, labels = torch_recipe.load_weights(tmp_path / "a.safetensors")
    assert labels == ["Résistance", "LED"] and not model.training
    assert all(map(torch.equal, network.state_dict().values(), model.state_dict().values()))


def test_weights_of_a_learner_fit_the_classifier(table, tmp_path):
    model = learner(table).model.eval()
    torch_recipe.save_weights(model, tmp_path / "a.safetensors", ["blue", "red"])
    pictures = photos.read_photos("/", table.head(2), (SIZE, SIZE))
    found = torch_recipe.predict(torch_recipe.load_weights(tmp_path / "a.safetensors")[0], pictures)
    assert np.array_equal(found, torch_recipe.predict(model, pictures))


def write_pickle(path):
    torch.save({"a": torch.zeros(2)}, path)


def write_another_network(path):
    torch_recipe.save_weights(torch.nn.Linear(2, 2), path, ["a", "b"])


@pytest.mark.parametrize("write, message", [
    (lambda path: None, "no such file. Notebook 02 writes it"),
    (lambda path: path.write_bytes(b""), "holds no weights of this classifier"),
    (lambda path: path.write_text("<html>not found</html>"), "holds no weights of this classifier"),
    (write_pickle, "holds no weights of this classifier"),
    (write_another_network, "holds no weights of this classifier")])
def test_a_file_without_such_weights_is_one_sentence(tmp_path, write, message):
    path = tmp_path / "a.safetensors"
    write(path)
    with pytest.raises(torch_recipe.WeightsError, match=f"a.safetensors: {message}"):
        torch_recipe.load_weights(path)


def test_an_untrained_network_is_refused():
    with pytest.raises(ValueError, match="comes with its weights"):
        torch_recipe.efficientnet_lite0_for_cpu(pretrained=False)


@pytest.mark.parametrize("photographs, epochs", [(10_000_000, 2), (torch_recipe.TRAINED_PHOTOGRAPHS // 5, 5), (12, 40)])
def test_few_photographs_are_looked_at_more_often(photographs, epochs):
    assert torch_recipe.epochs_for(photographs) == epochs


@pytest.mark.parametrize("most", [32, 4])
def test_fewer_photographs_than_a_batch_are_trained_on_all_the_same(table, most):
    size = torch_recipe.batch_size(table, most)
    dls = torch_recipe.dataloaders(Path("/"), table, NAMES, size, SIZE)
    assert sum(len(labels) for _, labels in dls.train) == 8


# ---- notebook 02 -----------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def shown():
    """What notebook 02 shows: its functions, and the keywords of its `learn.fine_tune`."""
    cells = json.loads((ROOT / "notebooks" / "02_fastai_transfer_learning.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    tree = ast.parse("\n".join(line for each in code for line in each.split("\n") if not line.startswith("%")))
    functions = ast.Module([each for each in tree.body if isinstance(each, ast.FunctionDef)], [])
    found = {**vars(fastai), "torch_recipe": torch_recipe, "exported": exported, "names": NAMES, "PHOTOS": Path("/")}
    exec(compile(functions, "notebook 02", "exec"), found)
    calls = [each for each in ast.walk(tree)
             if isinstance(each, ast.Call) and ast.unparse(each.func) == "learn.fine_tune"]
    return SimpleNamespace(**found, rates=[{k.arg: ast.literal_eval(k.value) for k in call.keywords} for call in calls])


def test_notebook_02_trains_at_the_rates_of_the_recipe(shown):
    assert shown.rates == [torch_recipe.RATES]


def test_the_learner_that_notebook_02_shows_is_the_recipes(table, shown):
    torch_recipe.bfloat16_is_faster()  # draws random numbers the first time
    found = []
    for make in (lambda: shown.fast_learner(table),
                 lambda: torch_recipe.learner(torch_recipe.dataloaders(Path("/"), table, NAMES, 8))):
        set_seed(0)
        learn = make()
        pictures, targets = learn.dls.train.one_batch()
        callbacks = [(type(each), getattr(each, "sizes", None)) for each in learn.cbs]
        dropout = [each.p for each in learn.model.modules() if isinstance(each, torch.nn.Dropout)]
        loss = learn.loss_func(torch.eye(8, 2), targets)
        weights = list(learn.model.state_dict().values())
        found.append((callbacks, dropout, learn.dls.vocab, [pictures, targets, loss, *weights]))
    (*settings, tensors), (*expected, expected_tensors) = found
    assert settings == expected
    torch.testing.assert_close(tensors, expected_tensors)
