"""utils.verify: a good file passes, and each spoilt one is refused by the check that should refuse it, and by no other.

The good file is small: the first layers of EfficientNet-Lite0 with its ImageNet weights and a head of four classes,
written as .mlmodel and as .mlpackage from the same list of layers. The source model is that list computed in float64.
"""
import json
import math
import shutil
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from utils import backbone, paths, photos, verify
from utils.command_line import CourseError
from utils.silence import quiet, silent_stderr

quiet("coremltools")

import coremltools as ct  # noqa: E402
from coremltools.converters.mil import Builder as mb  # noqa: E402
from coremltools.models import datatypes  # noqa: E402
from coremltools.models.neural_network import NeuralNetworkBuilder  # noqa: E402

SIDE = 64
LABELS = ["floppy_drive", "piezo", "relay", "stepper_motor"]
AUTHOR = {"author": "A class", "license": "Apache-2.0", "version": "1.0", "short_description": "Four parts on a table"}
SCALE, BIAS = 1 / backbone.PIXEL_STD, -backbone.PIXEL_MEAN / backbone.PIXEL_STD


# ---- the network: a list of layers, in float64, as .mlmodel, as .mlpackage ------------------------------------------

@dataclass(frozen=True)
class Conv:
    """A convolution, batch norm, and ReLU6 or not. weight: (out, in / groups, height, width); norm: (4, out)."""

    weight: np.ndarray
    norm: np.ndarray
    stride: int
    groups: int
    activate: bool


@dataclass(frozen=True)
class Network:
    """The layers, the head (classes, channels + 1) with its bias last, and what is around them."""

    layers: tuple
    head: np.ndarray
    labels: tuple = tuple(LABELS)
    side: int = SIDE
    layout: str = "RGB"
    scale: float = SCALE
    bias: tuple = (BIAS,) * 3
    scale_again: float | None = None
    softmax_again: bool = False
    metadata: tuple = tuple(AUTHOR.items())


def stages():
    """The first seven convolutions of EfficientNet-Lite0: the stem, blocks 1a and 2a, and the first one of block 2b."""
    tensors = iter([t.numpy() for t in backbone.pretrained_weights() if t.ndim])
    taken = []
    for stride, depthwise, activate in [
            (2, False, True), (1, True, True), (1, False, False), (1, False, True), (2, True, True), (1, False, False),
            (1, False, True)]:
        weight, norm = next(tensors), np.stack([next(tensors) for _ in range(4)])
        taken.append(Conv(weight, norm, stride, len(weight) if depthwise else 1, activate))
    return tuple(taken)


def features(layers, pixels):
    """Pooled features (N, channels) of uint8 pictures (N, H, W, 3), in float64 by PyTorch.

    In one thread: so many small steps take longer in two, and many times longer on a busy machine.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    x = torch.from_numpy(pixels.astype(np.float64)).permute(0, 3, 1, 2) * SCALE + BIAS
    for layer in layers:
        kernel, size = layer.weight.shape[-1], x.shape[-1]
        total = max((-(-size // layer.stride) - 1) * layer.stride + kernel - size, 0)
        x = F.pad(x, [total // 2, total - total // 2] * 2)
        x = F.conv2d(x, torch.from_numpy(layer.weight).double(), stride=layer.stride, groups=layer.groups)
        gamma, beta, mean, variance = torch.from_numpy(layer.norm).double()
        x = F.batch_norm(x, mean, variance, gamma, beta, eps=backbone.EPSILON)
        x = F.relu6(x) if layer.activate else x
    torch.set_num_threads(threads)
    return x.mean((2, 3)).numpy()


def softmax(logits):
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def write_mlmodel(network, path):
    built = NeuralNetworkBuilder([("image", datatypes.Array(3, network.side, network.side))], [("probabilities", None)],
                                 mode="classifier")
    red, green, blue = network.bias
    name = "image"
    if network.scale_again:
        built.add_activation("again", "LINEAR", name, "again", [network.scale_again, 0])
        name = "again"
    for i, layer in enumerate(network.layers):
        weight = layer.weight.transpose(2, 3, 1, 0)
        built.add_convolution(f"conv{i}", weight.shape[2], weight.shape[3], *weight.shape[:2], layer.stride,
                              layer.stride, "same", layer.groups, weight, None, False, input_name=name,
                              output_name=f"conv{i}")
        gamma, beta, mean, variance = layer.norm
        built.add_batchnorm(f"norm{i}", len(gamma), gamma, beta, mean, variance, f"conv{i}", f"norm{i}",
                            epsilon=backbone.EPSILON)
        name = f"norm{i}"
        if layer.activate:
            built.add_activation(f"relu{i}", "RELU", name, f"relu{i}")
            built.add_unary(f"limit{i}", f"relu{i}", f"limit{i}", "threshold", alpha=-6, scale=-1)
            built.add_activation(f"relu6{i}", "LINEAR", f"limit{i}", f"relu6{i}", [-1, 0])
            name = f"relu6{i}"
    built.add_pooling("pool", 1, 1, 1, 1, "AVERAGE", "VALID", name, "pool", is_global=True)
    head = network.head
    built.add_inner_product("logits", head[:, :-1], head[:, -1], head.shape[1] - 1, len(head), True, "pool", "logits")
    built.add_softmax("first", "logits", "first")
    if network.softmax_again:
        built.add_softmax("probabilities", "first", "probabilities")
    else:
        built.add_activation("probabilities", "LINEAR", "first", "probabilities", [1, 0])
    built.set_class_labels(list(network.labels), prediction_blob="probabilities")
    built.set_pre_processing_parameters(["image"], network.layout == "BGR", red, green, blue, image_scale=network.scale)
    names = {"version": "versionString", "short_description": "shortDescription"}
    for key, value in network.metadata:
        setattr(built.spec.description.metadata, names.get(key, key), value)
    ct.utils.save_spec(built.spec, str(path))


def write_mlpackage(network, path):
    shape = (1, 3, network.side, network.side)

    @mb.program(input_specs=[mb.TensorSpec(shape)], opset_version=ct.target.iOS15)
    def program(image):
        x = mb.mul(x=image, y=np.float32(network.scale))
        bias = network.bias[::-1] if network.layout == "BGR" else network.bias
        x = mb.add(x=x, y=np.float32(bias).reshape(1, 3, 1, 1))
        x = mb.mul(x=x, y=np.float32(network.scale_again)) if network.scale_again else x
        for layer in network.layers:
            x = mb.conv(x=x, weight=layer.weight, strides=[layer.stride] * 2, pad_type="same", groups=layer.groups)
            gamma, beta, mean, variance = layer.norm
            x = mb.batch_norm(x=x, mean=mean, variance=variance, gamma=gamma, beta=beta, epsilon=np.float32(
                backbone.EPSILON))
            x = mb.relu6(x=x) if layer.activate else x
        x = mb.reduce_mean(x=x, axes=[2, 3], keep_dims=False)
        x = mb.linear(x=x, weight=np.float32(network.head[:, :-1]), bias=np.float32(network.head[:, -1]))
        x = mb.softmax(x=x, axis=-1)
        x = mb.softmax(x=x, axis=-1) if network.softmax_again else x
        return mb.identity(x=x, name="probabilities")

    with silent_stderr():
        model = ct.convert(program, convert_to="mlprogram", compute_precision=ct.precision.FLOAT32,
                           skip_model_load=True, inputs=[ct.ImageType("image", shape, color_layout=network.layout)],
                           classifier_config=ct.ClassifierConfig(list(network.labels)),
                           pass_pipeline=ct.PassPipeline.EMPTY)
    for key, value in network.metadata:
        setattr(model, key, value)
    model.save(str(path))


WRITERS = {".mlmodel": write_mlmodel, ".mlpackage": write_mlpackage}


# ---- the good files --------------------------------------------------------------------------------------------------

def frames(table, frame, sessions):
    """One frame, 0 to 7, of each of the first training sessions of each class. So small a network knows only these."""
    chosen = table[(table["split"] == "train") & table["label"].isin(LABELS)]
    return chosen.groupby("label").nth(list(range(frame, 8 * sessions, 8))).reset_index(drop=True)


@pytest.fixture(scope="session")
def good():
    """The network with a head fitted on a few photographs, and some of these with the source's answers."""
    layers, table = stages(), photos.read_table(paths.TABLETOP)
    train, test = frames(table, 0, 30), frames(table, 0, 5)
    x, y = (features(layers, photos.read_photos(paths.TABLETOP, each, (SIDE, SIDE))) for each in (train, test))
    fit = LogisticRegression(C=20.0, max_iter=3000).fit(x, train["label"])
    assert list(fit.classes_) == LABELS and fit.score(y, test["label"]) > 0.6
    head = np.concatenate([fit.coef_, fit.intercept_[:, None]], axis=1)
    return Network(layers, head), test, softmax(y @ fit.coef_.T + fit.intercept_)


def export(network, test, answers, path, **recorded):
    WRITERS[path.suffix](network, path)
    verify.record_reference(path, test, answers, LABELS, "float64", size=(SIDE, SIDE), folder=paths.TABLETOP,
                            **recorded)
    return path


@pytest.fixture(scope="session", params=WRITERS)
def exported(request, good, tmp_path_factory):
    return export(*good, tmp_path_factory.mktemp("good") / f"parts{request.param}")


def refused_by(path):
    """The names of the checks that do not hold; those after the first are not reached."""
    checks = verify.verify(path, folder=paths.TABLETOP)
    assert [check.name for check in checks] == list(verify.CHECKS)
    print("\n".join(map(str, checks)))
    return [check.name for check in checks if check.holds is False]


def test_a_good_file_passes_every_check(exported):
    checks = verify.verify(exported, folder=paths.TABLETOP)
    print("\n".join(map(str, checks)))
    assert all(check.holds for check in checks)


def test_fewer_photographs_are_evenly_spaced_among_all():
    assert verify._evenly_spaced(192, 4).tolist() == [0, 63, 127, 191]
    assert verify._evenly_spaced(3, 4).tolist() == verify._evenly_spaced(3, None).tolist() == [0, 1, 2]


def test_parity_is_of_as_many_photographs_as_asked_for(exported):
    parity = next(check for check in verify.verify(exported, folder=paths.TABLETOP, most=5) if check.name == "parity")
    assert parity.holds and parity.figure.endswith("the worst of 5")


def test_the_outcome_in_a_line(exported, tmp_path):
    assert verify.outcome(exported) == f"all {len(verify.CHECKS)} checks hold"
    alone = tmp_path / "a.mlmodel"
    alone.touch()
    assert verify.outcome(alone).startswith("not checked: ") and "no such reference" in verify.outcome(alone)


# ---- spoilt files ----------------------------------------------------------------------------------------------------

def change_layer(network, index, **changes):
    layers = list(network.layers)
    layers[index] = replace(layers[index], **changes)
    return replace(network, layers=tuple(layers))


def zero_layer(network):
    return change_layer(network, 4, norm=np.zeros_like(network.layers[4].norm) + [[0], [0], [0], [1]])


def untrained_statistics(network):
    """Batch norm as it is before training: mean 0, variance 1."""
    gamma, beta, mean, _ = network.layers[1].norm
    return change_layer(network, 1, norm=np.stack([gamma, beta, 0 * mean, 0 * mean + 1]))


def swapped_weights(network):
    return change_layer(network, 0, weight=network.layers[0].weight[:, ::-1].copy())


def shifted_weights(network):
    """The kernels of one input channel moved on to the next output channel."""
    weight = network.layers[2].weight.copy()
    weight[:, 0] = np.roll(weight[:, 0], 1, axis=0)
    return change_layer(network, 2, weight=weight)


def overflow(network):
    """One layer a million times larger, the statistics after it too: the same function, but not in float16."""
    layer = network.layers[2]
    gamma, beta, mean, variance = layer.norm
    variance = variance * 1e12 + backbone.EPSILON * (1e12 - 1)
    return change_layer(network, 2, weight=layer.weight * np.float32(1e6),
                        norm=np.stack([gamma, beta, mean * 1e6, variance]).astype(np.float32))


def other_weights(network):
    """A model of the same shape whose head was trained on something else."""
    rng = np.random.default_rng(1)
    return replace(network, head=network.head * rng.uniform(-0.5, 2.5, network.head.shape))


SPOILT = {
    "R and B swapped": ("input", lambda n: replace(n, layout="BGR")),
    "input of 229 pixels": ("input", lambda n: replace(n, side=229)),
    "labels permuted": ("labels", lambda n: replace(n, labels=(LABELS[1], LABELS[0], *LABELS[2:]))),
    "one label renamed": ("labels", lambda n: replace(n, labels=("floppy disk drive", *LABELS[1:]))),
    "bias left out": ("preprocessing", lambda n: replace(n, bias=(0, 0, 0))),
    "scale 1/127": ("preprocessing", lambda n: replace(n, scale=1 / 127)),
    "scale applied twice": ("preprocessing", lambda n: replace(n, scale_again=SCALE)),
    "one channel's bias shifted": ("preprocessing", lambda n: replace(n, bias=(BIAS + 0.1, BIAS, BIAS))),
    "a layer zeroed": ("outputs", zero_layer),
    "batch-norm statistics untrained": ("outputs", untrained_statistics),  # all pictures look alike to it
    "no finite number": ("outputs", lambda n: replace(n, head=n.head * np.nan)),
    "R and B swapped in the weights": ("parity", swapped_weights),
    "one channel of the weights shifted": ("parity", shifted_weights),
    "softmax applied twice": ("parity", lambda n: replace(n, softmax_again=True)),
    "another model's weights": ("parity", other_weights),
    "float16 overflow": ("float16", overflow),
    "no author": ("metadata", lambda n: replace(n, metadata=tuple(AUTHOR.items())[1:])),
}


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("case", SPOILT)
def test_a_spoilt_file_is_refused_by_the_check_that_should_refuse_it(good, tmp_path, case, suffix):
    expected, spoil = SPOILT[case]
    network, test, answers = good
    assert refused_by(export(spoil(network), test, answers, tmp_path / f"spoilt{suffix}")) == [expected]


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_compressed_file_that_has_become_worse_is_refused_by_its_accuracy(good, tmp_path, suffix):
    network, test, answers = good
    worse = replace(network, head=np.roll(network.head, 1, axis=0))  # takes each class for another
    path = export(worse, test, answers, tmp_path / f"worse{suffix}", parity_limit=1.0)
    assert refused_by(path) == ["accuracy"]


def accuracy(changed, n, of=None, **recorded):
    """What the accuracy check says (whether it holds, figure, limit) of a file that calls `changed` of n photographs
    something else than its source, which is always right; the source has answered for `of` photographs, of which these
    n are checked."""
    exported = verify.Exported("a.mlmodel", {
        "labels": ["relay", "piezo"], "truth": np.repeat("relay", n), "digests": [""] * (of or n),
        "probabilities": np.tile([1, 0], (n, 1)), **recorded}, paths.TABLETOP)
    exported.answers = np.array([[0, 1]] * changed + [[1, 0]] * (n - changed))
    return verify.check_accuracy(exported)


@pytest.mark.parametrize("allowed, n, limit", [
    (1, 5, "20.0% apart, 1 of 5 photographs"), (1, 192, "0.5% apart, 1 of 192 photographs"),
    (1, 399, "0.3% apart, 1 of 399 photographs"), (5, 1000, "0.5% apart, 5 of 1000 photographs")])
def test_half_a_point_or_one_photograph_may_be_lost(allowed, n, limit):
    assert accuracy(allowed, n)[::2] == (True, limit)
    assert not accuracy(allowed + 1, n)[0]


@pytest.mark.parametrize("allowed, n, of, recorded", [
    (3, 192, 192, 3 / 192), (29, 100, 100, 0.29),  # 0.29 * 100 is a little below 29
    (1, 192, 192, 0.0), (3, 64, 192, 3 / 192)], ids=["three", "rounding", "none", "as many of fewer"])
def test_as_many_photographs_as_recorded_may_be_lost(allowed, n, of, recorded):
    assert accuracy(allowed, n, of, accuracy_limit=recorded)[0]
    assert not accuracy(allowed + 1, n, of, accuracy_limit=recorded)[0]


@pytest.mark.parametrize("recorded, refused", [({}, ["accuracy"]), ({"accuracy_limit": 0.1}, [])])
def test_a_recorded_accuracy_limit_is_kept_in_the_reference(good, tmp_path, recorded, refused):
    network, test, answers = good
    right = np.flatnonzero(np.array(LABELS)[answers.argmax(1)] == test["label"])[:2]
    assert len(test) == 20 and len(right) == 2
    answers = answers.copy()
    answers[right] = np.roll(answers[right], 1, axis=1)
    assert refused_by(export(network, test, answers, tmp_path / "a.mlmodel", parity_limit=1.0, **recorded)) == refused


@pytest.mark.parametrize("limits", [{"parity_limit": -0.1}, {"parity_limit": math.nan}, {"accuracy_limit": -0.1},
                                    {"accuracy_limit": math.nan}, {"accuracy_limit": 5}], ids=str)
def test_an_impossible_limit_is_neither_recorded_nor_read(good, exported, tmp_path, limits, capfd):
    _, test, answers = good
    with pytest.raises(CourseError, match="give a number from 0 on, and one from 0 to 1"):
        verify.record_reference(tmp_path / "a.mlmodel", test, answers, LABELS, "float64", (SIDE, SIDE),
                                folder=paths.TABLETOP, **limits)
    assert not list(tmp_path.iterdir())
    path = copied(exported, tmp_path)
    reference = json.loads(verify.reference_path(path).read_text())
    verify.reference_path(path).write_text(json.dumps(reference | limits))
    assert "this reference is damaged" in told([path], capfd)


def test_a_reference_without_an_accuracy_limit_has_half_a_point(exported, tmp_path):
    path = copied(exported, tmp_path)
    reference = json.loads(verify.reference_path(path).read_text())
    del reference["accuracy_limit"]  # it was recorded before there was one
    verify.reference_path(path).write_text(json.dumps(reference))
    assert refused_by(path) == []


def copied(exported, folder):
    """The file or package with its reference, to be damaged."""
    path = folder / exported.name
    (shutil.copytree if exported.is_dir() else shutil.copy)(exported, path)
    shutil.copy(verify.reference_path(exported), verify.reference_path(path))
    return path


def told(arguments, capfd):
    """The one sentence on stderr with which the command line gives up."""
    assert verify.main([str(a) for a in (*arguments, "--photos", paths.TABLETOP)]) == 2
    out, err = capfd.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and "Traceback" not in err
    return err


def test_truncated_weights_are_refused_when_the_file_is_read(exported, tmp_path, capfd):
    path = copied(exported, tmp_path)
    inside = path / "Data/com.apple.CoreML/weights/weight.bin" if path.is_dir() else path
    inside.write_bytes(inside.read_bytes()[:inside.stat().st_size // 2])
    assert path.name in told([path], capfd)


def test_a_file_without_reference_cannot_be_verified(exported, tmp_path, capfd):
    path = copied(exported, tmp_path)
    verify.reference_path(path).unlink()
    assert "there is no such reference" in told([path], capfd)


def test_a_damaged_reference_is_told(exported, tmp_path, capfd):
    path = copied(exported, tmp_path)
    verify.reference_path(path).write_text("{}")
    assert "this reference is damaged" in told([path], capfd)


def test_other_photographs_than_the_source_answered_for_are_told(exported, tmp_path, capfd):
    path = copied(exported, tmp_path)
    reference = json.loads(verify.reference_path(path).read_text())
    reference["digests"][2] = "0" * 16
    verify.reference_path(path).write_text(json.dumps(reference))
    assert "another photograph than the one" in told([path], capfd)


def test_the_command_line_prints_a_line_a_check(exported, tmp_path, capsys):
    assert verify.main([str(exported), "--photos", str(paths.TABLETOP)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(verify.CHECKS) and all(line.startswith("[OK] ") for line in lines)
    assert "scale 0.0078125, bias -0.992188" in lines[3] and "(limit: 0.001)" in lines[5]


def test_the_command_line_ends_with_1_when_a_check_does_not_hold(exported, tmp_path, capsys):
    path = copied(exported, tmp_path)
    reference = json.loads(verify.reference_path(path).read_text())
    reference["labels"] = reference["labels"][::-1]
    verify.reference_path(path).write_text(json.dumps(reference))
    assert verify.main([str(path), "--photos", str(paths.TABLETOP), "--json"]) == 1
    checks = json.loads(capsys.readouterr().out)
    assert [check["holds"] for check in checks] == [True, True, False] + [None] * 6


@pytest.mark.parametrize("spoil, says", [
    (lambda table, answers: (table, answers[:, :3]), "give a row a photograph and a column a label"),
    (lambda table, answers: (table[:0], answers[:0]), "probabilities of shape"),
    (lambda table, answers: (table.assign(label="other"), answers), "photographs of other"),
], ids=["a class is missing", "no photographs", "an unknown class"])
def test_a_reference_that_does_not_fit_is_not_recorded(good, tmp_path, spoil, says):
    table, answers = spoil(*good[1:])
    with pytest.raises(CourseError, match=says):
        verify.record_reference(tmp_path / "a.mlmodel", table, answers, LABELS, "float64", (SIDE, SIDE),
                                folder=paths.TABLETOP)
    assert not list(tmp_path.iterdir())
