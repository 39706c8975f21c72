"""The recurrent layers of Core ML's neural networks: how their messages are read, and their functions.

They are defined in coremltools' NeuralNetwork.proto. Where it leaves something open, or where Core ML is known to do
otherwise, this runtime does what coremltools' own tests compare Core ML with:

- Activations without parameters: coremltools writes a sigmoidHard, linear or scaledTanh of a recurrent layer with alpha
  and beta unset. Taken literally they would be 0 everywhere. 0.2 x + 0.5, x and tanh(x) are meant
  (coremltools/converters/mil/mil/ops/tests/iOS14/test_recurrent.py).
- `forgetBias`: the specification says that it adds 1 to the bias of the forget gate. coremltools' Keras converter set
  it for every LSTM with Keras' default `unit_forget_bias=True`, whose biases in the file begin at 1 already, and its
  tests found Core ML's answers equal to Keras'; and issue 309 of coremltools reports that setting it changes nothing.
  So nothing is added; `FORGET_BIAS` is the place to change that.
- `reverseInput` gives the outputs in the order in which they are computed, as Keras' `go_backwards` does; only a
  bidirectional layer turns the outputs of its second half around.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from . import recurrent
from .nn_layers import layer
from .recurrent import Activation

FORGET_BIAS = 0.0
"""What `forgetBias` adds to the forget gate's bias: 1 by the specification's words, 0 by what Core ML does."""

GATE_LIMIT = 50.0
"""The specification's clip(): what an activation gets is held between -50 and 50."""

Decode = Callable[[Any, Iterable[int]], Tensor | None]
"""From a WeightParams message and a shape to a tensor, None where the message is empty."""

LSTM_GATES = ("inputGate", "forgetGate", "outputGate", "blockInput")
"""The gates of an LSTM in the order in which `recurrent.lstm` takes them, as the message names them."""

GRU_GATES = ("resetGate", "outputGate", "updateGate")
"""The gates of a GRU in the order in which `recurrent.gru` takes them."""


# ---- from a layer's message to the arguments of its function ---------------------------------------------------------

def read_simple(params: Any, decode: Decode) -> dict[str, Any]:
    """The arguments of `simpleRecurrent` from its message. Raises ValueError where weights are missing."""
    return {**_sizes(params, decode, params, [""], "weightMatrix", "recursionMatrix",
                     "biasVector" if params.hasBiasVector else ""),
            "activation": read_activation(params.activation),
            "sequenceOutput": params.sequenceOutput, "reverseInput": params.reverseInput}


def read_gru(params: Any, decode: Decode) -> dict[str, Any]:
    """The arguments of `gru` from its message. Raises ValueError where weights are missing."""
    return {**_sizes(params, decode, params, GRU_GATES, "WeightMatrix", "RecursionMatrix",
                     "BiasVector" if params.hasBiasVectors else ""),
            "activations": _activations(params.activations, ["sigmoid", "tanh"]),
            "sequenceOutput": params.sequenceOutput, "reverseInput": params.reverseInput}


def read_lstm(params: Any, decode: Decode) -> dict[str, Any]:
    """The arguments of `uniDirectionalLSTM` from its message. Raises ValueError where weights are missing."""
    return {**_lstm_weights(params, params.weightParams, decode), **_lstm_options(params.params),
            "activations": _activations(params.activations, ["sigmoid", "tanh", "tanh"]),
            "reverseInput": params.reverseInput}


def read_bidirectional(params: Any, decode: Decode) -> dict[str, Any]:
    """The arguments of `biDirectionalLSTM` from its message. Raises ValueError where weights are missing."""
    if len(params.weightParams) != 2:
        raise ValueError(f"{len(params.weightParams)} directions where there should be 2")
    back = _lstm_weights(params, params.weightParams[1], decode)
    forward = _activations(params.activationsForwardLSTM, ["sigmoid", "tanh", "tanh"])
    return {**_lstm_weights(params, params.weightParams[0], decode),
            **{f"{name}_back": value for name, value in back.items()}, **_lstm_options(params.params),
            "activations": forward,
            "activations_back": _activations(params.activationsBackwardLSTM, []) or forward}


READERS: dict[str, Callable[[Any, Decode], dict[str, Any]]] = {
    "simpleRecurrent": read_simple, "gru": read_gru, "uniDirectionalLSTM": read_lstm,
    "biDirectionalLSTM": read_bidirectional}
"""What makes the arguments of a recurrent layer's function from its message, by the layer's type."""


def _sizes(params: Any, decode: Decode, weights: Any, gates: Iterable[str], matrix: str, recursion: str, bias: str
           ) -> dict[str, Any]:
    """`weight_ih` [gates H, I], `weight_hh` [gates H, H] and `bias` [gates H], None where `bias` is empty; the last
    three arguments are what the names of the message's fields have behind the gate's."""
    inputs, outputs = params.inputVectorSize, params.outputVectorSize
    gates = list(gates)
    return {"weight_ih": _stacked(weights, decode, gates, matrix, [outputs, inputs]),
            "weight_hh": _stacked(weights, decode, gates, recursion, [outputs, outputs]),
            "bias": _stacked(weights, decode, gates, bias, [outputs]) if bias else None}


def _stacked(weights: Any, decode: Decode, gates: Iterable[str], field: str, shape: list[int]) -> Tensor:
    """The field of each gate, one after the other. Raises ValueError where one is empty."""
    parts = []
    for gate in gates:
        part = decode(getattr(weights, gate + field), shape)
        if part is None:
            raise ValueError(f"{gate + field} is missing")
        parts.append(part)
    return torch.cat(parts)


def _lstm_weights(params: Any, weights: Any, decode: Decode) -> dict[str, Any]:
    """The weights of an LSTM in one direction, as `recurrent.lstm` takes them."""
    options, size = params.params, params.outputVectorSize
    found = _sizes(params, decode, weights, LSTM_GATES, "WeightMatrix", "RecursionMatrix",
                   "BiasVector" if options.hasBiasVectors else "")
    if options.forgetBias and found["bias"] is not None:
        found["bias"][size:2 * size] += FORGET_BIAS
    peephole = _stacked(weights, decode, LSTM_GATES[:3], "PeepholeVector", [size]) if options.hasPeepholeVectors \
        else None
    return {**found, "peephole": peephole}


def _lstm_options(options: Any) -> dict[str, Any]:
    """What both directions of an LSTM have in common."""
    return {"sequenceOutput": options.sequenceOutput, "clip": options.cellClipThreshold or 50.0,
            "coupled": options.coupledInputAndForgetGate}


def _activations(messages: Iterable[Any], default: list[str]) -> list[Activation]:
    return [read_activation(message) for message in messages] or [recurrent.ACTIVATIONS[name] for name in default]


def read_activation(message: Any) -> Activation:
    """A function from an ActivationParams message; one without parameters has those of `recurrent.ACTIVATIONS`.

    Raises:
        ValueError: it is none that recurrent layers take.
    """
    name = message.WhichOneof("NonlinearityType")
    plain = {"linear": "linear", "ReLU": "relu", "sigmoid": "sigmoid", "tanh": "tanh", "sigmoidHard": "hard_sigmoid",
             "scaledTanh": "scaled_tanh"}
    if name not in plain:
        raise ValueError(f"its activation is {name or 'missing'}, and a recurrent layer takes one of "
                         f"{', '.join(plain)}")
    numbers = getattr(message, name)
    alpha, beta = getattr(numbers, "alpha", 0.0), getattr(numbers, "beta", 0.0)
    if not (alpha or beta):
        return recurrent.ACTIVATIONS[plain[name]]
    return {"linear": lambda x: alpha * x + beta, "scaledTanh": lambda x: alpha * torch.tanh(beta * x),
            "sigmoidHard": lambda x: (alpha * x + beta).clamp(0, 1)}[name]


# ---- the layers ------------------------------------------------------------------------------------------------------

def _sequence(x: Tensor, weight_ih: Tensor, is_reversed: bool) -> Tensor:
    """`x` [steps, batch, I, 1, 1] as [steps, batch, I], in the order in which it is read."""
    if x.ndim != 5 or math.prod(x.shape[2:]) != weight_ih.shape[1]:
        raise ValueError(f"it takes [sequence, batch, {weight_ih.shape[1]}, 1, 1]")
    x = x.flatten(2)
    return x.flip(0) if is_reversed else x


def _state(state: Tensor | None, x: Tensor, weight_hh: Tensor) -> Tensor:
    """A state [1, batch, H, 1, 1] as [batch, H]; zeros where none is given."""
    size = weight_hh.shape[1]
    return torch.zeros(x.shape[1], size) if state is None else state.reshape(-1, size).expand(x.shape[1], size)


def _answers(sequence: Tensor, states: Iterable[Tensor], sequenceOutput: bool, outputs: int) -> tuple[Tensor, ...]:
    """The first `outputs` of: all steps [steps, batch, H, 1, 1] or the last one [1, batch, H, 1, 1]; the states."""
    first = sequence if sequenceOutput else sequence[-1:]
    return tuple(value[..., None, None] for value in (first, *(state[None] for state in states)))[:outputs]


@layer()
def simpleRecurrent(x: Tensor, h: Tensor | None = None, *, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor | None,
                    activation: Activation, sequenceOutput: bool, reverseInput: bool, outputs: int
                    ) -> tuple[Tensor, ...]:
    """`x` [steps, batch, I, 1, 1] and the state `h` [1, batch, H, 1, 1] to the steps' or the last output, and `h`."""
    sequence = _sequence(x, weight_ih, reverseInput)
    all_steps, last = recurrent.rnn(sequence, _state(h, sequence, weight_hh), weight_ih, weight_hh, bias, activation,
                                    GATE_LIMIT)
    return _answers(all_steps, [last], sequenceOutput, outputs)


@layer()
def gru(x: Tensor, h: Tensor | None = None, *, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor | None,
        activations: list[Activation], sequenceOutput: bool, reverseInput: bool, outputs: int) -> tuple[Tensor, ...]:
    """`x` [steps, batch, I, 1, 1] and the state `h` [1, batch, H, 1, 1] to the steps' or the last output, and `h`."""
    sequence = _sequence(x, weight_ih, reverseInput)
    all_steps, last = recurrent.gru(sequence, _state(h, sequence, weight_hh), weight_ih, weight_hh, bias, None,
                                    activations, limit=GATE_LIMIT)
    return _answers(all_steps, [last], sequenceOutput, outputs)


@layer()
def uniDirectionalLSTM(x: Tensor, h: Tensor | None = None, c: Tensor | None = None, *, weight_ih: Tensor,
                       weight_hh: Tensor, bias: Tensor | None, peephole: Tensor | None, activations: list[Activation],
                       sequenceOutput: bool, reverseInput: bool, clip: float, coupled: bool, outputs: int
                       ) -> tuple[Tensor, ...]:
    """`x` [steps, batch, I, 1, 1] and the states `h` and `c` [1, batch, H, 1, 1] to the steps' or the last output, `h`
    and `c`."""
    sequence = _sequence(x, weight_ih, reverseInput)
    all_steps, *last = recurrent.lstm(
        sequence, _state(h, sequence, weight_hh), _state(c, sequence, weight_hh), weight_ih, weight_hh, bias, peephole,
        activations, clip, coupled, GATE_LIMIT)
    return _answers(all_steps, last, sequenceOutput, outputs)


@layer()
def biDirectionalLSTM(x: Tensor, h: Tensor | None = None, c: Tensor | None = None, h_back: Tensor | None = None,
                      c_back: Tensor | None = None, *, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor | None,
                      peephole: Tensor | None, activations: list[Activation], weight_ih_back: Tensor,
                      weight_hh_back: Tensor, bias_back: Tensor | None, peephole_back: Tensor | None,
                      activations_back: list[Activation], sequenceOutput: bool, clip: float, coupled: bool,
                      outputs: int) -> tuple[Tensor, ...]:
    """`x` [steps, batch, I, 1, 1] to [steps or 1, batch, 2 H, 1, 1], and the states `h`, `c`, `h_back`, `c_back`
    [1, batch, H, 1, 1]. The first half of the output reads `x` from its beginning, the second from its end; the last
    output has the last of each."""
    sequence = _sequence(x, weight_ih, False)
    forward, *last = recurrent.lstm(
        sequence, _state(h, sequence, weight_hh), _state(c, sequence, weight_hh), weight_ih, weight_hh, bias, peephole,
        activations, clip, coupled, GATE_LIMIT)
    backward, *last_back = recurrent.lstm(
        sequence.flip(0), _state(h_back, sequence, weight_hh_back), _state(c_back, sequence, weight_hh_back),
        weight_ih_back, weight_hh_back, bias_back, peephole_back, activations_back, clip, coupled, GATE_LIMIT)
    both = (torch.cat([forward, backward.flip(0)], -1) if sequenceOutput
            else torch.cat([last[0], last_back[0]], -1)[None])
    return _answers(both, [*last, *last_back], sequenceOutput, outputs)
