"""Recurrent layers of neural networks and ML Programs, against PyTorch and against the specification in NumPy."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from coreml_runtime import ModelFileError, ModelRunError, neural_network, nn_recurrent
from coreml_runtime.imports import import_coremltools
from coreml_runtime.ml_program import MLProgram
from coreml_runtime.model import Model
from torch import nn

ct = import_coremltools()
mb = ct.converters.mil.Builder
datatypes = ct.models.datatypes
NeuralNetworkBuilder = ct.models.neural_network.NeuralNetworkBuilder

COMPARED = {"PyTorch": {"lstm", "rnn"}, "definition": {"lstm", "gru", "rnn"}}
"""The operators that the tests here compare, by what with."""

LAYERS_COMPARED = {"simpleRecurrent", "gru", "uniDirectionalLSTM", "biDirectionalLSTM"}
"""The layers that the tests here compare with their definition."""

STEPS, BATCH, INPUTS, HIDDEN = 5, 3, 4, 6
RNG = np.random.default_rng(7)
X = RNG.normal(0, 1, (STEPS, BATCH, INPUTS)).astype(np.float32)
H, C, H_BACK, C_BACK = RNG.normal(0, 0.7, (4, BATCH, HIDDEN)).astype(np.float32)


def weights(*shape, seed=0, scale=0.6):
    return np.random.default_rng(seed).normal(0, scale, shape).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


NUMPY = {"SIGMOID": sigmoid, "TANH": np.tanh, "LINEAR": lambda x: x, "RELU": lambda x: np.maximum(x, 0),
         "SIGMOID_HARD": lambda x: np.clip(0.2 * x + 0.5, 0, 1), "SCALED_TANH": np.tanh}
"""Activations by the names of coremltools' builder."""


# ---- the specification's equations in NumPy --------------------------------------------------------------------------

def numpy_rnn(x, h, w, r, b, f):
    out = []
    for x_t in x:
        h = f(np.clip(x_t @ w.T + h @ r.T + b, -50, 50))
        out.append(h)
    return np.stack(out), h


def numpy_gru(x, h, w, r, b, f, g):
    """Weights for the update, reset and output gate."""
    out = []
    for x_t in x:
        z = f(x_t @ w[0].T + h @ r[0].T + b[0])
        reset = f(x_t @ w[1].T + h @ r[1].T + b[1])
        o = g(x_t @ w[2].T + (h * reset) @ r[2].T + b[2])
        h = (1 - z) * o + z * h
        out.append(h)
    return np.stack(out), h


def numpy_lstm(x, h, c, w, r, b, p, f, g, output, clip=50, coupled=False):
    """Weights for the input, forget, output and cell gate."""
    out = []
    for x_t in x:
        i = f(x_t @ w[0].T + h @ r[0].T + p[0] * c + b[0])
        forget = f(x_t @ w[1].T + h @ r[1].T + p[1] * c + b[1])
        z = g(x_t @ w[3].T + h @ r[3].T + b[3])
        c = np.clip(c * (1 - i if coupled else forget) + i * z, -clip, clip)
        o = f(x_t @ w[2].T + h @ r[2].T + p[2] * c + b[2])
        h = output(c) * o
        out.append(h)
    return np.stack(out), h, c


# ---- neural networks -------------------------------------------------------------------------------------------------

def network(inputs, outputs, add):
    """A network of specification 4 whose inputs have five axes, and one layer."""
    built = NeuralNetworkBuilder([(name, datatypes.Array(*array.shape)) for name, array in inputs.items()],
                                 [(name, None) for name in outputs], disable_rank5_shape_mapping=True)
    add(built, list(inputs), list(outputs))
    return built


def answers(built, inputs, outputs):
    """What the runtime answers, without the axes of size 1."""
    program = neural_network.NeuralNetwork(built.spec, "built.mlmodel")
    found = Model(Path("built.mlmodel"), built.spec.description, program, "float32").predict(inputs)
    return [found[name].reshape(-1, BATCH, found[name].shape[2]) for name in outputs]


def five_axes(array, is_state=False):
    return array[None, ..., None, None] if is_state else array[..., None, None]


def check(add, expected, **states):
    """Compare a layer's output and last states with `expected`; without states given they are zeros."""
    inputs = {"x": five_axes(X)} | {name: five_axes(state, True) for name, state in states.items()}
    outputs = ["y", "h_out", "c_out", "h_back_out", "c_back_out"][:len(expected)]
    for one, other in zip(answers(network(inputs, outputs, add), inputs, outputs), expected, strict=True):
        np.testing.assert_allclose(one, other if other.ndim == 3 else other[None], rtol=1e-4, atol=1e-5)


def steps(sequence, is_all):
    return sequence if is_all else sequence[-1:]


@pytest.mark.parametrize("is_all, is_reversed, bias, activation", [
    *itertools.product([True, False], [True, False], [True, False], ["TANH"]),
    *((True, False, True, name) for name in NUMPY)])
def test_a_simple_recurrent_layer_follows_the_specification(is_all, is_reversed, bias, activation):
    w, r, b = weights(HIDDEN, INPUTS), weights(HIDDEN, HIDDEN, seed=1), weights(HIDDEN, seed=2) * bias
    sequence, last = numpy_rnn(X[::-1] if is_reversed else X, H, w, r, b, NUMPY[activation])
    check(lambda built, i, o: built.add_simple_rnn(
        "layer", r, w, b if bias else None, HIDDEN, INPUTS, activation, i, o, is_all, is_reversed),
        [steps(sequence, is_all), last], h=H)


@pytest.mark.parametrize("is_all, is_reversed, bias, activations", [
    *itertools.product([True, False], [True, False], [True, False], [("SIGMOID", "TANH")]),
    (True, False, True, ("SIGMOID_HARD", "RELU")), (True, False, True, ("SCALED_TANH", "LINEAR"))])
def test_a_gru_layer_follows_the_specification(is_all, is_reversed, bias, activations):
    w, r, b = weights(3, HIDDEN, INPUTS), weights(3, HIDDEN, HIDDEN, seed=1), weights(3, HIDDEN, seed=2) * bias
    f, g = (NUMPY[name] for name in activations)
    sequence, last = numpy_gru(X[::-1] if is_reversed else X, H, w, r, b, f, g)
    check(lambda built, i, o: built.add_gru(
        "layer", list(r), list(w), list(b) if bias else None, HIDDEN, INPUTS, i, o, activations[1], activations[0],
        is_all, is_reversed), [steps(sequence, is_all), last], h=H)


LSTM_OPTIONS = {
    "plain": {}, "last step": {"output_all": False}, "reversed": {"reverse_input": True},
    "peepholes": {"peep": True}, "coupled": {"coupled_input_forget_gate": True},
    "clipped": {"cell_clip_threshold": 0.2}, "coupled with peepholes": {"coupled_input_forget_gate": True,
                                                                        "peep": True},
    "hard sigmoid": {"inner_activation": "SIGMOID_HARD"},
    "other activations": {"cell_state_update_activation": "LINEAR", "output_activation": "RELU"}}


def numpy_and_layer(seed, options):
    """The weights of an LSTM as `numpy_lstm` and as the builder takes them."""
    w, r, b = (weights(4, HIDDEN, *shape, seed=seed + i) for i, shape in enumerate([(INPUTS,), (HIDDEN,), ()]))
    p = weights(3, HIDDEN, seed=seed + 3) * bool(options.get("peep"))
    return (w, r, b, p), (list(r), list(w), list(b), list(p) if options.get("peep") else None)


def functions(options):
    names = (options.get("inner_activation", "SIGMOID"), options.get("cell_state_update_activation", "TANH"),
             options.get("output_activation", "TANH"))
    return [NUMPY[name] for name in names]


def settings(options):
    """What `numpy_lstm` takes of the builder's options."""
    return {"clip": options.get("cell_clip_threshold", 50), "coupled": "coupled_input_forget_gate" in options}


@pytest.mark.parametrize("case", LSTM_OPTIONS)
def test_an_lstm_layer_follows_the_specification(case):
    options = {"output_all": True} | LSTM_OPTIONS[case]
    numbers, (r, w, b, p) = numpy_and_layer(10, options)
    sequence, *last = numpy_lstm(X[::-1] if options.get("reverse_input") else X, H, C, *numbers, *functions(options),
                                 **settings(options))
    options = options | {"peep": p}
    check(lambda built, i, o: built.add_unilstm("layer", r, w, b, HIDDEN, INPUTS, i, o, **options),
          [steps(sequence, options["output_all"]), *last], h=H, c=C)


@pytest.mark.parametrize("case", [case for case in LSTM_OPTIONS if case != "reversed"])
def test_a_bidirectional_lstm_layer_follows_the_specification(case):
    options = {"output_all": True} | LSTM_OPTIONS[case]
    numbers, (r, w, b, p) = numpy_and_layer(20, options)
    numbers_back, (r_back, w_back, b_back, p_back) = numpy_and_layer(30, options)
    forward, *last = numpy_lstm(X, H, C, *numbers, *functions(options), **settings(options))
    backward, *last_back = numpy_lstm(X[::-1], H_BACK, C_BACK, *numbers_back, *functions(options), **settings(options))
    both = (np.concatenate([forward, backward[::-1]], -1) if options["output_all"]
            else np.concatenate([last[0], last_back[0]], -1)[None])
    options = options | {"peep": p, "peep_back": p_back}
    check(lambda built, i, o: built.add_bidirlstm("layer", r, w, b, r_back, w_back, b_back, HIDDEN, INPUTS, i, o,
                                                  **options),
          [both, *last, *last_back], h=H, c=C, h_back=H_BACK, c_back=C_BACK)


def test_states_that_are_not_given_are_zeros_and_outputs_may_be_left_out():
    (w, r, b, p), (r_list, w_list, b_list, _) = numpy_and_layer(40, {})
    zeros = np.zeros((BATCH, HIDDEN))
    sequence, *_ = numpy_lstm(X, zeros, zeros, w, r, b, p, sigmoid, np.tanh, np.tanh)
    check(lambda built, i, o: built.add_unilstm("layer", r_list, w_list, b_list, HIDDEN, INPUTS, i, o, output_all=True),
          [sequence])


def test_a_state_may_be_handed_on_to_the_next_run():
    (w, r, b, p), (r_list, w_list, b_list, _) = numpy_and_layer(50, {})
    expected, *_ = numpy_lstm(X, H, C, w, r, b, p, sigmoid, np.tanh, np.tanh)
    inputs, outputs = {"x": five_axes(X[:1]), "h": five_axes(H, True), "c": five_axes(C, True)}, ["y", "h2", "c2"]
    built = network(inputs, outputs, lambda built, i, o: built.add_unilstm(
        "layer", r_list, w_list, b_list, HIDDEN, INPUTS, i, o))
    for step in range(STEPS):
        y, h, c = answers(built, inputs, outputs)
        np.testing.assert_allclose(y[0], expected[step], rtol=1e-4, atol=1e-5)
        inputs = {"x": five_axes(X[step + 1:step + 2]), "h": five_axes(h), "c": five_axes(c)}


def lstm_layer(**options):
    _, (r, w, b, _) = numpy_and_layer(60, {})
    return network({"x": five_axes(X)}, ["y"], lambda built, i, o: built.add_unilstm(
        "layer", r, w, b, HIDDEN, INPUTS, i, o, output_all=True, **options))


@pytest.mark.parametrize("added", [0.0, 1.0])
def test_what_forget_bias_adds_is_one_number(added, monkeypatch):
    monkeypatch.setattr(nn_recurrent, "FORGET_BIAS", added)
    (w, r, b, p), _ = numpy_and_layer(60, {})
    b[1] += added
    zeros = np.zeros((BATCH, HIDDEN))
    expected, *_ = numpy_lstm(X, zeros, zeros, w, r, b, p, sigmoid, np.tanh, np.tanh)
    found, = answers(lstm_layer(forget_bias=True), {"x": five_axes(X)}, ["y"])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_parameters_of_an_activation_that_are_given_count():
    built = lstm_layer()
    hard = built.nn_spec.layers[0].uniDirectionalLSTM.activations[0].sigmoidHard
    hard.alpha, hard.beta = 0.4, 0.1
    (w, r, b, p), _ = numpy_and_layer(60, {})
    zeros = np.zeros((BATCH, HIDDEN))
    expected, *_ = numpy_lstm(X, zeros, zeros, w, r, b, p, lambda x: np.clip(0.4 * x + 0.1, 0, 1), np.tanh, np.tanh)
    np.testing.assert_allclose(answers(built, {"x": five_axes(X)}, ["y"])[0], expected, rtol=1e-4, atol=1e-5)


def test_weights_may_be_stored_in_float16():
    built = lstm_layer()
    plain, = answers(built, {"x": five_axes(X)}, ["y"])
    matrix = built.nn_spec.layers[0].uniDirectionalLSTM.weightParams.outputGateWeightMatrix
    values = np.array(matrix.floatValue, np.float16)
    matrix.float16Value = values.tobytes()
    del matrix.floatValue[:]
    np.testing.assert_allclose(answers(built, {"x": five_axes(X)}, ["y"])[0], plain, atol=2e-3)


@pytest.mark.parametrize("spoil, message", [
    (lambda lstm: lstm.weightParams.ClearField("forgetGateRecursionMatrix"), "forgetGateRecursionMatrix is missing"),
    (lambda lstm: lstm.weightParams.inputGateBiasVector.floatValue.pop(), "5 weights where the shape .6. needs 6"),
    (lambda lstm: lstm.activations[0].ELU.SetInParent(), "its activation is ELU, and a recurrent layer takes one of")])
def test_weights_that_do_not_fit_are_told_with_the_layer(spoil, message):
    built = lstm_layer()
    spoil(built.nn_spec.layers[0].uniDirectionalLSTM)
    with pytest.raises(ModelFileError, match=f"built.mlmodel: the weights of the layer 'layer' do not fit .{message}"):
        answers(built, {"x": five_axes(X)}, ["y"])


def test_a_sequence_of_another_size_is_told_with_the_shape():
    built = network({"x": np.zeros((2, 3, 4))}, ["y"], lambda built, i, o: built.add_simple_rnn(
        "layer", weights(HIDDEN, HIDDEN), weights(HIDDEN, INPUTS), None, HIDDEN, INPUTS, "TANH", i, o))
    with pytest.raises(ModelRunError, match=r"the simpleRecurrent 'layer' cannot be computed from 'x' \(2, 3, 4\) "
                                            r"\(it takes \[sequence, batch, 4, 1, 1\]\)"):
        answers(built, {"x": np.zeros((2, 3, 4))}, ["y"])


# ---- ML Programs -----------------------------------------------------------------------------------------------------

def program_answers(build, target=ct.target.iOS18, **inputs):
    """What the runtime computes of operators that `build` writes for inputs of these shapes."""
    @mb.program(input_specs=[mb.TensorSpec(array.shape) for array in inputs.values()], opset_version=target)
    def program(x, h, c):
        return build(x, h, c)

    runnable = MLProgram(program.functions["main"], "test")
    found = runnable.run({name: torch.as_tensor(array) for name, array in inputs.items()})
    return [found[name].numpy() for name in runnable.outputs]


def compare(build, expected, c=C, h=H):
    for one, other in zip(program_answers(build, x=X, h=h, c=c), expected, strict=False):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


MIL_NAMES = {"SIGMOID": "sigmoid", "TANH": "tanh", "LINEAR": "linear", "RELU": "relu", "SIGMOID_HARD": "hard_sigmoid",
             "SCALED_TANH": "scaled_tanh"}


@pytest.mark.parametrize("direction, is_all", itertools.product(["forward", "reverse"], [True, False]))
def test_a_gru_of_an_ml_program_follows_its_definition(direction, is_all):
    w, r, b = weights(3, HIDDEN, INPUTS), weights(3, HIDDEN, HIDDEN, seed=1), weights(3, HIDDEN, seed=2)
    sequence, last = numpy_gru(X if direction == "forward" else X[::-1], H, w, r, b, sigmoid, np.tanh)
    reset_output_update = [1, 2, 0]
    compare(lambda x, h, c: mb.gru(
        x=x, initial_h=h, weight_ih=np.concatenate(w[reset_output_update]), direction=direction, output_sequence=is_all,
        weight_hh=np.concatenate(r[reset_output_update]), bias=np.concatenate(b[reset_output_update])),
        [steps(sequence, is_all), last])


def test_a_gru_that_resets_after_the_product_is_pytorchs():
    torch.manual_seed(0)
    layer = nn.GRU(INPUTS, HIDDEN)
    w, r, b_input, b = (p.detach().numpy() for p in layer.parameters())

    def ordered(parameter):  # PyTorch's gates are reset, update, new
        reset, update, new = np.split(parameter, 3)
        return np.concatenate([reset, new, update])

    with torch.inference_mode():
        sequence, last = layer(torch.from_numpy(X), torch.from_numpy(H)[None])
    compare(lambda x, h, c: mb.gru(
        x=x, initial_h=h, weight_ih=ordered(w), weight_hh=ordered(r), bias=ordered(b), input_bias=ordered(b_input),
        reset_after=True, output_sequence=True), [sequence.numpy(), last[0].numpy()])


@pytest.mark.parametrize("activation", NUMPY)
def test_an_rnn_of_an_ml_program_follows_its_definition(activation):
    w, r, b = weights(HIDDEN, INPUTS), weights(HIDDEN, HIDDEN, seed=1), weights(HIDDEN, seed=2)
    sequence, last = numpy_rnn(X[::-1], H, w, r, b, NUMPY[activation])
    compare(lambda x, h, c: mb.rnn(x=x, initial_h=h, weight_ih=w, weight_hh=r, bias=b, direction="reverse",
                                   output_sequence=True, activation=MIL_NAMES[activation]), [sequence, last])


@pytest.mark.parametrize("direction, is_all, case", [
    *itertools.product(["forward", "reverse", "bidirectional"], [True, False], ["plain"]),
    *itertools.product(["forward", "bidirectional"], [True], ["peepholes", "clipped", "hard sigmoid",
                                                             "other activations"])])
def test_an_lstm_of_an_ml_program_follows_its_definition(direction, is_all, case):
    options = LSTM_OPTIONS[case]
    numbers, _ = numpy_and_layer(70, options)
    back, _ = numpy_and_layer(80, options)
    names = [MIL_NAMES[options.get(key, default)] for key, default in (
        ("inner_activation", "SIGMOID"), ("cell_state_update_activation", "TANH"), ("output_activation", "TANH"))]
    keywords = ["weight_ih", "weight_hh", "bias", "peephole"]
    arguments = dict(zip(keywords, map(np.concatenate, numbers)))
    h, c = H, C
    if direction == "bidirectional":
        arguments |= {f"{key}_back": np.concatenate(value) for key, value in zip(keywords, back)}
        h, c = np.concatenate([H, H_BACK], -1), np.concatenate([C, C_BACK], -1)
        forward = numpy_lstm(X, H, C, *numbers, *functions(options), **settings(options))
        backward = numpy_lstm(X[::-1], H_BACK, C_BACK, *back, *functions(options), **settings(options))
        last = [np.concatenate(states, -1) for states in zip(forward[1:], backward[1:])]
        sequence = np.concatenate([forward[0], backward[0][::-1]], -1) if is_all else last[0][None]
    else:
        sequence, *last = numpy_lstm(X if direction == "forward" else X[::-1], H, C, *numbers, *functions(options),
                                     **settings(options))
    if "cell_clip_threshold" in options:
        arguments["clip"] = np.float32(options["cell_clip_threshold"])
    compare(lambda x, h, c: mb.lstm(
        x=x, initial_h=h, initial_c=c, direction=direction, output_sequence=is_all, recurrent_activation=names[0],
        cell_activation=names[1], activation=names[2], **arguments), [steps(sequence, is_all), *last], c, h)


PYTORCH = {
    "LSTM": lambda: nn.LSTM(INPUTS, HIDDEN), "two layers": lambda: nn.LSTM(INPUTS, HIDDEN, 2),
    "bidirectional": lambda: nn.LSTM(INPUTS, HIDDEN, bidirectional=True),
    "batch first, two directions and layers": lambda: nn.LSTM(INPUTS, HIDDEN, 2, batch_first=True, bidirectional=True),
    "without bias": lambda: nn.LSTM(INPUTS, HIDDEN, bias=False),
    "RNN": lambda: nn.RNN(INPUTS, HIDDEN), "RNN with ReLU": lambda: nn.RNN(INPUTS, HIDDEN, nonlinearity="relu"),
    "two RNN layers": lambda: nn.RNN(INPUTS, HIDDEN, 2),
}


class AllOutputs(nn.Module):
    """A recurrent layer of PyTorch whose outputs are one tuple of tensors."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        sequence, states = self.layer(x)
        return (sequence, *states) if isinstance(states, tuple) else (sequence, states)


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("case", PYTORCH)
def test_a_layer_converted_from_pytorch_answers_as_pytorch_does(case, precision):
    torch.manual_seed(1)
    layer, x = AllOutputs(PYTORCH[case]()).eval(), torch.from_numpy(X)
    program = ct.convert(torch.jit.trace(layer, x), convert_to="milinternal", inputs=[ct.TensorType("x", X.shape)],
                         compute_precision=ct.precision(precision), minimum_deployment_target=ct.target.iOS17)
    assert {op.op_type for op in program.functions["main"].operations} & {"lstm", "rnn"}
    runnable = MLProgram(program.functions["main"], "test", precision == "float16")
    found = runnable.run({"x": x})
    with torch.inference_mode():
        expected = layer(x)
    for name, other in zip(runnable.outputs, expected, strict=True):
        np.testing.assert_allclose(found[name], other, atol=1e-5 if precision == "float32" else 1e-2)
