"""Runs a function of an ML Program (MIL, Core ML's intermediate language) with PyTorch on the CPU.

The program is walked as `torch.fx.Interpreter` walks a graph: `run` goes through the operations in order, `run_node`
computes one of them, and the function that does it is looked up by name in `mil_ops.OPERATORS`.
"""

import functools
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import onednn
from .errors import UnknownOperator
from .mil_ops import OPERATORS, Operator

CONSTANTS = re.compile(r"const|constexpr_\w+")
"""Operations that hold weights, plain or compressed. coremltools unpacks them when the model is loaded."""

BATCH_TOLERANCE = 0.02
"""How far a value computed in a batch may be from the one computed alone, as a fraction of the largest value. Rounding
to float16 adds up to less; mixing two inputs changes values altogether."""


@dataclass(eq=False)
class Node:
    """One operation: where each of its arguments comes from, and the names of the values that it makes."""

    operator: Operator
    op_type: str
    name: str
    outputs: tuple[str, ...]
    parameters: dict[str, Any] = field(default_factory=dict)
    """Arguments known beforehand, as Python values."""
    tensors: dict[str, str | list[str]] = field(default_factory=dict)
    """Arguments that are tensors, or lists of tensors: the names of the values."""
    computed: dict[str, str] = field(default_factory=dict)
    """Arguments that the program computes but the operator takes as Python values, such as a shape."""
    last_used: list[str] = field(default_factory=list)
    """Values that no later operation needs."""

    @property
    def inputs(self) -> Iterable[str]:
        """The names of all values that it reads."""
        for name in (*self.tensors.values(), *self.computed.values()):
            yield from [name] if isinstance(name, str) else name


def check_operators(names: Iterable[str], file: str) -> None:
    """Raise `UnknownOperator` unless every one of `names`, the operators used by `file`, can be run."""
    unknown = sorted({name for name in names if name not in OPERATORS and not CONSTANTS.fullmatch(name)})
    if unknown:
        raise UnknownOperator(
            f"{file}: the runtime does not know the Core ML operator{'s' * (len(unknown) > 1)} {', '.join(unknown)}; "
            f"add a function of that name to mil_ops.py, or convert the model without it")


def as_tensor(value: np.ndarray | np.generic | float) -> Tensor:
    """A constant as the interpreter holds it: float32, int32 or bool, and images channels last."""
    array = np.array(value)
    if array.dtype.kind in "iu":
        array = array.astype(np.int32)
    elif array.dtype.kind == "f":
        array = array.astype(np.float32)
    tensor = torch.from_numpy(array)
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def as_parameter(value: Any) -> Any:
    """A constant as a Python value: a number, a string, or a list of these."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


class MLProgram:
    """One function of an ML Program, its weights converted and ready to run.

    Args:
        function: what coremltools' MIL loader made of it (`coremltools.converters.mil.mil.Function`).
        file: the model's name, for error messages.
        round_to_float16: round every float tensor, weights and results alike, to the nearest float16.
    """

    def __init__(self, function: Any, file: str, round_to_float16: bool = False):
        self.file = file
        self.round_to_float16 = round_to_float16
        self.input_shapes = {name: var.shape for name, var in function.inputs.items()}
        self.outputs = [var.name for var in function.outputs]
        self.constants: dict[str, Tensor] = {}
        self.nodes = [self._node(op) for op in function.operations if not self._is_constant(op)]
        if onednn.is_available():
            self._pack_convolutions({op.name: op.x.shape for op in function.operations if op.op_type == "conv"})
        for var in function.outputs:
            if var.val is not None:
                self._constant(var)
        self._note_last_uses()

    @torch.inference_mode()
    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        """The program's outputs, by name, for `inputs`: float32 or int32 tensors by name.

        Outputs are tensors, except a classifier's: a list of labels, and a list of dictionaries of probabilities.
        """
        values = self._start(inputs)
        for node in self.nodes:
            self.run_node(node, values)
            for name in node.last_used:
                del values[name]
        return {name: values[name] for name in self.outputs}

    def run_node(self, node: Node, values: dict[str, Any]) -> None:
        """Compute one operation from `values`, and add what it makes to them."""
        arguments = dict(node.parameters)
        for keyword, name in node.tensors.items():
            arguments[keyword] = values[name] if isinstance(name, str) else [values[n] for n in name]
        for keyword, name in node.computed.items():
            arguments[keyword] = values[name].tolist()
        try:
            results = node.operator.compute(**arguments)
        except Exception as error:
            error.add_note(f"while running {node.op_type} '{node.name}' of {self.file}")
            raise
        results = results if isinstance(results, tuple) else (results,)
        for name, result in zip(node.outputs, results, strict=True):
            values[name] = self._rounded(result)

    @property
    def class_labels(self) -> list[str] | list[int]:
        """The labels that the program's `classify` chooses from; empty where it has none."""
        return next((node.parameters["classes"] for node in self.nodes if "classes" in node.parameters), [])

    @functools.cached_property
    def is_batchable(self) -> bool:
        """Whether inputs stacked along the first axis are answered as each alone would be.

        Found out by trying: noise runs through the program, two inputs stacked and each alone, and after every
        operation the values must be the same. A shape that is fixed in the program, or an operation across the
        first axis, such as a softmax over it, shows here.
        """
        if any(not shape or shape[0] != 1 for shape in self.input_shapes.values()) or not all(
                isinstance(n, int) for shape in self.input_shapes.values() for n in shape):
            return False
        noise = torch.Generator().manual_seed(0)
        pair = {name: torch.rand((2, *shape[1:]), generator=noise) * 255 for name, shape in self.input_shapes.items()}
        runs = [pair, *({name: x[i:i + 1] for name, x in pair.items()} for i in range(2))]
        try:
            with torch.inference_mode():
                together, first, second = runs = [self._start(inputs) for inputs in runs]
                for node in self.nodes:
                    for values in runs:
                        self.run_node(node, values)
                    if not all(_same(together[name], first[name], second[name]) for name in node.outputs):
                        return False
                    for name in node.last_used:
                        for values in runs:
                            del values[name]
        except (RuntimeError, IndexError, ValueError):
            return False
        return True

    def _start(self, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        return self.constants | {name: self._rounded(x) for name, x in inputs.items()}

    def _rounded(self, value: Any) -> Any:
        if self.round_to_float16 and isinstance(value, Tensor) and value.is_floating_point():
            return value.half().float()
        return value

    @staticmethod
    def _is_constant(op: Any) -> bool:
        return bool(CONSTANTS.fullmatch(op.op_type)) or all(var.val is not None for var in op.outputs)

    def _constant(self, var: Any) -> str:
        """The name under which a constant's tensor is among the values; it is converted when first asked for."""
        if var.name not in self.constants:
            self.constants[var.name] = self._rounded(as_tensor(_constant_value(var)))
        return var.name

    def _node(self, op: Any) -> Node:
        known = OPERATORS[op.op_type]
        node = Node(known, op.op_type, op.name, tuple(var.name for var in op.outputs))
        for keyword, argument in op.inputs.items():
            if argument is None:
                continue
            if keyword not in known.keywords:
                raise UnknownOperator(f"{self.file}: the runtime does not know the argument '{keyword}' of the Core ML "
                                      f"operator {op.op_type}; add it to that function in mil_ops.py")
            if isinstance(argument, list | tuple):
                node.tensors[keyword] = [self._reference(var) for var in argument]
            elif keyword in known.tensors:
                node.tensors[keyword] = self._reference(argument)
            elif _is_known(argument):
                node.parameters[keyword] = as_parameter(_constant_value(argument))
            else:
                node.computed[keyword] = argument.name
        if op.op_type == "reshape" and op.outputs[0].shape[0] == 1 and all(
                isinstance(n, int) for n in op.outputs[0].shape):
            node.parameters["shape"] = [-1, *op.outputs[0].shape[1:]]  # the first axis may hold a batch
        return node

    def _reference(self, var: Any) -> str:
        return self._constant(var) if _is_known(var) else var.name

    def _pack_convolutions(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Replace convolutions of images by `onednn.PackedConv`, with the activation where nothing else reads the sum.

        `shapes` has the shape of what each convolution reads, by the name of the operation.
        Where results are rounded to float16 the activation stays apart: it works on a rounded value.
        """
        uses = Counter([name for node in self.nodes for name in node.inputs] + self.outputs)
        activations = {node.tensors["x"]: node for node in self.nodes if node.op_type in onednn.ACTIVATIONS}
        nodes, fused = [], []
        for node in self.nodes:
            if node in fused:
                continue
            shape = shapes.get(node.name, ())
            if len(shape) == 4 and all(isinstance(n, int) for n in shape):
                constants = {keyword: self.constants[name] for keyword, name in node.tensors.items() if keyword != "x"}
                conv = onednn.PackedConv(input_shape=shape, **constants, **node.parameters)
                outputs, activation = node.outputs, activations.get(node.outputs[0])
                if activation and uses[node.outputs[0]] == 1 and not self.round_to_float16:
                    conv.activation = onednn.ACTIVATIONS[activation.op_type](activation.parameters)
                    outputs = activation.outputs
                    fused.append(activation)
                operator = Operator(conv, frozenset("x"), frozenset("x"))
                node = Node(operator, "conv", node.name, outputs, tensors={"x": node.tensors["x"]})
            nodes.append(node)
        read = {name for node in nodes for name in node.inputs}
        self.nodes = nodes
        self.constants = {name: tensor for name, tensor in self.constants.items() if name in read}

    def _note_last_uses(self) -> None:
        seen = {*self.constants, *self.outputs}
        for node in reversed(self.nodes):
            for name in {*node.outputs, *node.inputs} - seen:
                node.last_used.append(name)
                seen.add(name)


def _is_known(var: Any) -> bool:
    """Whether a value of the program is the same in every run."""
    return var.val is not None or (var.op is not None and bool(CONSTANTS.fullmatch(var.op.op_type)))


def _constant_value(var: Any) -> Any:
    """The value of a constant: a NumPy array or number, a string, or a list of labels."""
    if var.val is None:
        return var.op.materialized_val_inference()
    return [label.val for label in var.val] if hasattr(var.val, "ls") else var.val


def _same(together: Any, first: Any, second: Any) -> bool:
    """Whether a value computed for two inputs stacked is that of each input, one after the other."""
    if isinstance(together, list):
        return len(together) == len(first) + len(second)
    apart = torch.cat([torch.atleast_1d(first), torch.atleast_1d(second)]).float()
    if together.shape != apart.shape:
        return False
    return bool((together - apart).abs().max() <= BATCH_TOLERANCE * apart.abs().max())
