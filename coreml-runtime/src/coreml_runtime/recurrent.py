"""Recurrent layers, computed step by step with PyTorch: what ML Programs and neural networks have in common.

A sequence is [steps, batch, size]. The formulas are those of `LSTMParams`, `GRULayerParams` and
`SimpleRecurrentLayerParams` in coremltools' NeuralNetwork.proto; the operators of ML Programs follow them too
(coremltools/converters/mil/backend/nn/op_mapping.py turns one into the other).
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Activation = Callable[[Tensor], Tensor]

ACTIVATIONS: dict[str, Activation] = {
    "linear": lambda x: x,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "hard_sigmoid": lambda x: (0.2 * x + 0.5).clamp(0, 1),
    "sigmoid_hard": lambda x: (0.2 * x + 0.5).clamp(0, 1),
    "scaled_tanh": torch.tanh,
}
"""The activations of MIL's recurrent operators, which have no parameters. The values of `hard_sigmoid` and
`scaled_tanh` are those with which coremltools' own tests compare Core ML
(coremltools/converters/mil/mil/ops/tests/iOS14/test_recurrent.py)."""


def rnn(x: Tensor, h: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor | None, activation: Activation,
        limit: float = math.inf) -> tuple[Tensor, Tensor]:
    """A simple recurrent network: h = activation(W x + R h + b).

    Args:
        x: [steps, batch, I].
        h: the state before the first step, [batch, H].
        weight_ih: W, [H, I].
        weight_hh: R, [H, H].
        bias: b, [H].
        activation: the function of all.
        limit: what the activation gets is held between -limit and limit.

    Returns:
        The states after all steps, [steps, batch, H], and the last one, [batch, H].
    """
    states = []
    for projected in F.linear(x, weight_ih, bias):
        h = activation((projected + h @ weight_hh.T).clamp(-limit, limit))
        states.append(h)
    return torch.stack(states), h


def gru(x: Tensor, h: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor | None, input_bias: Tensor | None,
        activations: Sequence[Activation], reset_after: bool = False, limit: float = math.inf
        ) -> tuple[Tensor, Tensor]:
    """Gated recurrent units.

    r = f(W_r x + R_r h + b_r), z = f(W_z x + R_z h + b_z), o = g(W_o x + R_o (r h) + b_o), h = (1 - z) o + z h. With
    `reset_after` the reset gate comes after the product, as in PyTorch and Keras: o = g(W_o x + r (R_o h + b_o)).

    Args:
        x: [steps, batch, I].
        h: the state before the first step, [batch, H].
        weight_ih: W for the reset, output and update gate, [3 H, I].
        weight_hh: R, [3 H, H].
        bias: b, [3 H].
        input_bias: added to W x, [3 H].
        activations: f and g.
        reset_after: where the reset gate comes in, see above.
        limit: what an activation gets is held between -limit and limit.

    Returns:
        The states after all steps, [steps, batch, H], and the last one, [batch, H].
    """
    gate, output = activations
    hidden = weight_hh.shape[1]
    b_r, b_o, b_z = (torch.zeros(3, hidden) if bias is None else bias.reshape(3, hidden))
    r_r, r_o, r_z = weight_hh.split(hidden)
    states = []
    for projected in F.linear(x, weight_ih, input_bias):
        w_r, w_o, w_z = projected.split(hidden, -1)
        r = gate((w_r + h @ r_r.T + b_r).clamp(-limit, limit))
        z = gate((w_z + h @ r_z.T + b_z).clamp(-limit, limit))
        recurrent = r * (h @ r_o.T + b_o) if reset_after else (r * h) @ r_o.T + b_o
        o = output((w_o + recurrent).clamp(-limit, limit))
        h = (1 - z) * o + z * h
        states.append(h)
    return torch.stack(states), h


def lstm(x: Tensor, h: Tensor, c: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor | None,
         peephole: Tensor | None, activations: Sequence[Activation], clip: float = math.inf, coupled: bool = False,
         limit: float = math.inf) -> tuple[Tensor, Tensor, Tensor]:
    """Long short-term memory.

    i = f(W_i x + R_i h + p_i c + b_i), f = f(W_f x + R_f h + p_f c + b_f), z = g(W_z x + R_z h + b_z), c = c f + i z,
    o = f(W_o x + R_o h + p_o c + b_o) with the new c, h = o h(c).

    Args:
        x: [steps, batch, I].
        h: the output before the first step, [batch, H].
        c: the cell's state before the first step, [batch, H].
        weight_ih: W for the input, forget, output and cell gate, [4 H, I].
        weight_hh: R, [4 H, H].
        bias: b, [4 H].
        peephole: p for the input, forget and output gate, [3 H].
        activations: f of the three gates, g of the cell gate, h of the cell's state.
        clip: the cell's state is held between -clip and clip.
        coupled: the forget gate is 1 - i.
        limit: what an activation of a gate gets is held between -limit and limit.

    Returns:
        h after all steps, [steps, batch, H], and the last h and c, [batch, H].
    """
    gate, cell, output = activations
    hidden = weight_hh.shape[1]
    p_i, p_f, p_o = torch.zeros(3, hidden) if peephole is None else peephole.reshape(3, hidden)
    states = []
    for projected in F.linear(x, weight_ih, bias):
        i, f, o, z = (projected + h @ weight_hh.T).split(hidden, -1)
        i = gate((i + p_i * c).clamp(-limit, limit))
        f = 1 - i if coupled else gate((f + p_f * c).clamp(-limit, limit))
        c = (c * f + i * cell(z.clamp(-limit, limit))).clamp(-clip, clip)
        h = output(c) * gate((o + p_o * c).clamp(-limit, limit))
        states.append(h)
    return torch.stack(states), h, c
