"""Convolutions as oneDNN runs them fastest: the weights packed once, the activation computed in the same pass.

PyTorch's own compiler uses the same two operators (torch/_inductor/mkldnn_ir.py). They take about two thirds of the
time of a convolution and an activation apart. On builds of PyTorch without them nothing is packed.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from .mil_ops import pad_spatial, padding

Activation = tuple[str, list[float], str]
"""An activation as oneDNN takes it: its name, its numbers, and its algorithm."""

NO_ACTIVATION: Activation = ("none", [], "")

ACTIVATIONS: dict[str, Callable[[dict], Activation]] = {
    "relu": lambda arguments: ("relu", [], ""),
    "relu6": lambda arguments: ("hardtanh", [0.0, 6.0], ""),
    "clip": lambda arguments: ("hardtanh", [arguments["alpha"], arguments["beta"]], ""),
    "leaky_relu": lambda arguments: ("leaky_relu", [arguments["alpha"]], ""),
    "sigmoid": lambda arguments: ("sigmoid", [], ""),
    "silu": lambda arguments: ("swish", [], ""),
    "tanh": lambda arguments: ("tanh", [], ""),
}
"""Core ML's activations that oneDNN adds to a convolution, from their arguments."""


def is_available() -> bool:
    """Whether this build of PyTorch has oneDNN's convolutions, and torch.backends.mkldnn.flags leaves them enabled."""
    mkldnn = torch.backends.mkldnn
    return bool(mkldnn.is_available() and mkldnn.enabled and hasattr(torch.ops.mkldnn, "_convolution_pointwise"))


@dataclass
class PackedConv:
    """`mil_ops.conv` in two dimensions with constant weights, and an activation after it.

    oneDNN chooses a packing for `input_shape`, and another one for each number of inputs stacked: with the wrong one it
    packs the weights anew in every call. Other heights and widths are computed all the same.
    """

    weight: Tensor
    input_shape: Iterable[int]
    strides: list[int]
    dilations: list[int]
    pad: list[int]
    pad_type: str = "valid"
    groups: int = 1
    bias: Tensor | None = None
    activation: Activation = NO_ACTIVATION

    def __post_init__(self) -> None:
        self.window = [(k - 1) * d + 1 for k, d in zip(self.weight.shape[2:], self.dilations)]
        self.is_depthwise = self.groups == len(self.weight) > 1 and self.dilations == [1, 1]
        self.packed: dict[tuple[int, ...], Tensor] = {}
        self._prepared(torch.empty(tuple(self.input_shape), device="meta"))
        if not self.is_depthwise:
            del self.weight  # packed weights can be unpacked, and large models are held once

    def __call__(self, x: Tensor) -> Tensor:
        x, weight, amounts = self._prepared(x)
        return torch.ops.mkldnn._convolution_pointwise(
            x, weight, self.bias, amounts, self.strides, self.dilations, self.groups, *self.activation)

    def _prepared(self, x: Tensor) -> tuple[Tensor, Tensor, list[int]]:
        """`x`, the packed weights, and how much oneDNN pads, which knows one amount per axis.

        Where the two ends differ, `x` is copied with its padding; for a depthwise convolution this would take longer
        than the rest, and its kernel gets rows of zeros instead.
        """
        uneven = padding(x, self.window, self.strides, self.pad_type, self.pad)
        amounts = [max(ends) for ends in zip(uneven[::2], uneven[1::2])]
        missing = [amount - n for amount, n in zip((amounts[0], amounts[0], amounts[1], amounts[1]), uneven)]
        if any(missing) and not self.is_depthwise:
            x, amounts, missing = pad_spatial(x, uneven), [0, 0], [0, 0, 0, 0]
        key = (*missing, len(x))
        if key not in self.packed:
            was_deleted = self.packed and not self.is_depthwise
            weight = next(iter(self.packed.values())).to_dense() if was_deleted else self.weight
            self.packed[key] = torch.ops.mkldnn._reorder_convolution_weight(
                pad_spatial(weight, missing).contiguous(), amounts, self.strides, self.dilations, self.groups,
                list(x.shape))
        return x, self.packed[key], amounts
