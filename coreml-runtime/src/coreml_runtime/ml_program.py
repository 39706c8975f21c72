"""Runs a function of an ML Program (MIL, Core ML's intermediate language) with PyTorch on the CPU.

The function that computes an operation is looked up by the operation's name in `mil_ops.OPERATORS`.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import onednn
from .errors import UnknownOperator
from .interpreter import LOOP_LIMIT, Interpreter, Node
from .mil_ops import OPERATORS, Operator, StateCell

CONSTANTS = re.compile(r"const|constexpr_\w+")
"""Operations that hold weights, plain or compressed. coremltools unpacks them when the model is loaded."""


WITH_BLOCKS = ("cond", "while_loop")
"""Operators with operations inside them; `MLProgram` builds these."""


def check_operators(names: Iterable[str], file: str) -> None:
    """Raise `UnknownOperator` unless every one of `names`, the operators used by `file`, can be run."""
    known = {*OPERATORS, *WITH_BLOCKS, "write_state"}  # coremltools reads write_state as coreml_update_state
    unknown = sorted({name for name in names if name not in known and not CONSTANTS.fullmatch(name)})
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
    if isinstance(value, list):
        return [as_parameter(each) for each in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


@dataclass
class InnerBlock:
    """The operations inside a `cond` or a `while_loop`: what runs in one case, or in one round."""

    nodes: list[Node]
    outputs: list[str]
    inputs: list[str]

    @property
    def reads(self) -> set[str]:
        """The values of the program around it that it needs."""
        made = {name for node in self.nodes for name in node.outputs} | {*self.inputs}
        return ({name for node in self.nodes for name in node.inputs} | set(self.outputs)) - made


class MLProgram(Interpreter):
    """One function of an ML Program, its weights converted and ready to run.

    Args:
        function: what coremltools' MIL loader made of it (`coremltools.converters.mil.mil.Function`).
        file: the model's name, for error messages.
        round_to_float16: round every float tensor, weights and results alike, to the nearest float16.
    """

    def __init__(self, function: Any, file: str, round_to_float16: bool = False):
        self.file = file
        self.round_to_float16 = round_to_float16
        self.input_shapes = {name: var.shape for name, var in function.inputs.items() if not _is_state(var)}
        self.state_shapes = {name: tuple(var.shape) for name, var in function.inputs.items() if _is_state(var)}
        self.outputs = [var.name for var in function.outputs]
        self.constants: dict[str, Tensor] = {}
        self._has_loops = False
        self.nodes = [self._node(op) for op in function.operations if not self._is_constant(op)]
        if onednn.is_available():
            self._pack_convolutions({op.name: op.x.shape for op in function.operations if op.op_type == "conv"})
        for var in function.outputs:
            if var.val is not None:
                self._constant(var)
        self._note_last_uses()

    @property
    def is_batchable(self) -> bool:
        """Whether stacked inputs are answered as each alone would be. A state belongs to one input after the other, and
        with the noise by which this is tried a loop might not end."""
        return not self.state_shapes and not self._has_loops and super().is_batchable

    def make_state(self) -> dict[str, StateCell]:
        """A new state, zeros, by name: what `run` takes among its inputs."""
        return {name: StateCell(torch.zeros(shape)) for name, shape in self.state_shapes.items()}

    def _start(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        return super()._start(self.make_state() | dict(inputs))

    @staticmethod
    def _is_constant(op: Any) -> bool:
        return bool(CONSTANTS.fullmatch(op.op_type)) or all(var.val is not None for var in op.outputs)

    def _constant(self, var: Any) -> str:
        """The name under which a constant's tensor is among the values; it is converted when first asked for."""
        if var.name not in self.constants:
            self.constants[var.name] = self._rounded(as_tensor(_constant_value(var)))
        return var.name

    def _node(self, op: Any) -> Node:
        if op.op_type in WITH_BLOCKS:
            return self._cond(op) if op.op_type == "cond" else self._while_loop(op)
        known = OPERATORS[op.op_type]
        node = Node(known, op.op_type, op.name, tuple(var.name for var in op.outputs))
        for keyword, argument in op.inputs.items():
            if argument is None:
                continue
            if keyword not in known.keywords:
                raise UnknownOperator(f"{self.file}: the runtime does not know the argument '{keyword}' of the Core ML "
                                      f"operator {op.op_type}; add it to that function in mil_ops.py")
            if isinstance(argument, list | tuple) and keyword not in known.tensors:
                node.parameters[keyword] = [as_parameter(_constant_value(var)) for var in argument]
            elif isinstance(argument, list | tuple):
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

    def _block(self, block: Any) -> InnerBlock:
        nodes = [self._node(op) for op in block.operations if not self._is_constant(op)]
        return InnerBlock(nodes, [self._reference(var) for var in block.outputs], [var.name for var in block.inputs])

    def _run_block(self, block: InnerBlock, inputs: Iterable[Any], around: Mapping[str, Any]) -> list[Any]:
        """The outputs of a block for its inputs and the values of the program around it."""
        values = dict(around) | dict(zip(block.inputs, inputs, strict=True))
        for node in block.nodes:
            self.run_node(node, values)
        return [values[name] for name in block.outputs]

    def _cond(self, op: Any) -> Node:
        """One of two blocks, which read values of the program around them."""
        blocks = [self._block(block) for block in op.blocks]
        read = sorted({name for block in blocks for name in block.reads})

        def compute(pred: Tensor, around: list[Any]) -> tuple[Any, ...]:
            return tuple(self._run_block(blocks[0] if pred else blocks[1], [], dict(zip(read, around))))

        return self._node_with_blocks(op, compute, {"pred": self._reference(op.pred), "around": list(read)})

    def _while_loop(self, op: Any) -> Node:
        """A block that is run as long as another one says so; each reads the variables of the loop and values of the
        program around it."""
        self._has_loops = True
        condition, body = (self._block(block) for block in op.blocks)
        read = sorted(condition.reads | body.reads)

        def compute(loop_vars: list[Any], around: list[Any]) -> tuple[Any, ...]:
            outside = dict(zip(read, around))
            for _ in range(LOOP_LIMIT):
                if not self._run_block(condition, loop_vars, outside)[0]:
                    return tuple(loop_vars)
                loop_vars = self._run_block(body, loop_vars, outside)
            raise ValueError(f"it has not ended after {LOOP_LIMIT} rounds")

        start = [self._reference(var) for var in op.loop_vars]
        return self._node_with_blocks(op, compute, {"loop_vars": start, "around": list(read)})

    @staticmethod
    def _node_with_blocks(op: Any, compute: Callable, tensors: dict[str, str | list[str]]) -> Node:
        keywords = frozenset(tensors)
        return Node(Operator(compute, keywords, keywords), op.op_type, op.name, tuple(var.name for var in op.outputs),
                    tensors=tensors)

    def _reference(self, var: Any) -> str:
        return self._constant(var) if _is_known(var) else var.name

    def _has_constant_weights(self, conv: Node) -> bool:
        return all(name in self.constants for keyword, name in conv.tensors.items() if keyword != "x")

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
            if len(shape) == 4 and all(isinstance(n, int) for n in shape) and self._has_constant_weights(node):
                arguments: dict[str, Any] = node.parameters | {
                    keyword: self.constants[str(name)] for keyword, name in node.tensors.items() if keyword != "x"}
                conv = onednn.PackedConv(input_shape=shape, **arguments)
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


def _is_state(var: Any) -> bool:
    """Whether an input of a function is a value that is kept from one run to the next."""
    return hasattr(var.sym_type, "wrapped_type")


def _is_known(var: Any) -> bool:
    """Whether a value of the program is the same in every run."""
    return var.val is not None or (var.op is not None and bool(CONSTANTS.fullmatch(var.op.op_type)))


def _constant_value(var: Any) -> Any:
    """The value of a constant: a NumPy array or number, a string, or a list of labels."""
    if var.val is None:
        return var.op.materialized_val_inference()
    return [label.val for label in var.val] if hasattr(var.val, "ls") else var.val
