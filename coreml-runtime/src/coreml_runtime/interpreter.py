"""Runs a graph of operations with PyTorch on the CPU: what ML Programs and neural networks have in common.

The graph is walked as `torch.fx.Interpreter` walks one: `run` goes through the operations in order, `run_node` computes
one of them with the function that was looked up for it when the model was loaded. To look inside a run, stop it with
`until`, watch it with `observe`, or override `run_node`.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .errors import CoreMLRuntimeError, ModelRunError, first_line
from .mil_ops import Operator

BATCH_SIZE = 4
"""How many inputs run stacked at a time. Larger stacks outgrow the processor's cache and are slower."""

BATCH_TOLERANCE = 0.02
"""How far a value computed in a batch may be from the one computed alone, as a fraction of the largest value. Rounding
to float16 adds up to less; mixing two inputs changes values altogether."""


LOOP_LIMIT = 100_000
"""After how many rounds a loop is given up: a damaged file may hold one that never ends."""

KEEPING = frozenset({"relu", "relu6", "reshape", "transpose", "expand_dims", "squeeze", "concat", "split"})
"""Operators whose results are among what they read, or 0, or 6: where that is rounded, they need not be."""


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


Until = Callable[[Node, Mapping[str, Any]], bool]
"""Whether a run stops before an operation, given the values known so far by name."""

Observe = Callable[[Node, dict[str, Any]], None]
"""Looks at the values known after an operation, by name."""


class Interpreter:
    """A graph of operations, its weights converted and ready to run. Subclasses fill in the attributes.

    Attributes:
        file: the model's name, for error messages.
        round_to_float16: round every float tensor, weights and results alike, to the nearest float16.
        input_shapes: the declared shape of each input, by name.
        defaults: what an optional input is where it is not given, by name.
        outputs: the names of the values to answer with.
        constants: weights by name.
        nodes: the operations in order.
        batch_axis: the axis of every value along which inputs are stacked.
    """

    file: str
    round_to_float16: bool
    input_shapes: dict[str, tuple[int, ...]]
    outputs: list[str]
    constants: dict[str, Tensor]
    nodes: list[Node]
    batch_axis = 0

    @functools.cached_property
    def defaults(self) -> dict[str, Tensor]:
        """Filled in where a model is read; `declared_defaults` makes it."""
        return {}

    @functools.cached_property
    def overflows(self) -> dict[str, str]:
        """Operations with a result beyond float16's largest number, 65504, in any run since the model was loaded: the
        operator by the operation's name. Only where results are rounded to float16."""
        return {}

    @torch.inference_mode()
    def run(self, inputs: Mapping[str, Any], until: Until | None = None, observe: Observe | None = None
            ) -> dict[str, Any]:
        """The outputs, by name.

        Outputs are tensors, except a classifier's: a list of labels, and a list of dictionaries of probabilities.

        Args:
            inputs: float32 or int32 tensors by name, as `ImageInput.to_tensor` and `ArrayInput.to_tensor` make them;
                of a model with state also the `cells` of a `State`, without which the state is zeros.
            until: asked with each operation and the values known before it. At the first True the run stops, that
                operation is not computed, and these values are returned by name in place of the outputs; those that
                no later operation needs are gone.
            observe: called with each operation and the values known after it, before any of them is freed.

        Raises:
            ModelRunError: an operation failed.
        """
        values = self._start(inputs)
        for node in self.nodes:
            if until and until(node, values):
                return values
            self.run_node(node, values)
            if observe:
                observe(node, values)
            _free(node, values)
        return self._outputs(values)

    def run_node(self, node: Node, values: dict[str, Any]) -> None:
        """Compute one operation from `values`, and add what it makes to them. A subclass may override it.

        Raises:
            ModelRunError: the operation failed; it names the operation and the shapes that it got.
        """
        try:
            results = node.operator.compute(**_arguments(node, values))
            made = dict(zip(node.outputs, results if isinstance(results, tuple) else (results,), strict=True))
        except CoreMLRuntimeError:  # from an operation inside this one, which is named already
            raise
        except Exception as error:
            raise ModelRunError(
                f"{self.file}: the {node.op_type} '{node.name}' cannot be computed from {_shapes(node, values)} "
                f"({first_line(error)}); give inputs of the shapes that the model was made for, or export it again"
            ) from error
        for name, result in made.items():
            if node.op_type in KEEPING:
                values[name] = result
                continue
            values[name] = self._rounded(result)
            if self.round_to_float16 and _overflows(result, values[name]):
                self.overflows[node.name] = node.op_type

    @property
    def class_labels(self) -> list[str] | list[int]:
        """The labels that the program's `classify` chooses from; empty where it has none."""
        return next((node.parameters["classes"] for node in self.nodes if "classes" in node.parameters), [])

    @functools.cached_property
    def is_batchable(self) -> bool:
        """Whether BATCH_SIZE inputs stacked along the first axis are answered as each alone would be.

        Found out by trying: noise runs through the program, inputs stacked and each alone, and after every operation
        the values must be the same. A shape that is fixed in the program, or an operation across the
        first axis, such as a softmax over it, shows here.
        """
        if not all(shape and shape[0] == 1 and all(isinstance(n, int) for n in shape)
                   for shape in self.input_shapes.values()):
            return False
        noise = torch.Generator().manual_seed(0)
        stack = {name: torch.rand((BATCH_SIZE, *shape[1:]), generator=noise) * 255
                 for name, shape in self.input_shapes.items()}
        overflows = dict(self.overflows)
        try:
            alone = [self._start({name: x[i:i + 1] for name, x in stack.items()}) for i in range(BATCH_SIZE)]
            self.run(stack, observe=functools.partial(self._compare, alone))
            return True
        except (_NotTheSame, CoreMLRuntimeError):
            return False
        finally:  # overflows of noise are of no interest
            self.overflows.clear()
            self.overflows.update(overflows)

    def _compare(self, alone: list[dict[str, Any]], node: Node, together: dict[str, Any]) -> None:
        """Compute an operation for each of the inputs alone too, and raise `_NotTheSame` where the values differ."""
        for values in alone:
            self.run_node(node, values)
        if not all(_same(together[name], [values[name] for values in alone], self.batch_axis)
                   for name in node.outputs):
            raise _NotTheSame
        for values in alone:
            _free(node, values)

    def _start(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The values known before the first operation: constants and inputs."""
        return self.constants | {name: self._rounded(_in_float32(value)) for name, value in inputs.items()}

    def _outputs(self, values: dict[str, Any]) -> dict[str, Any]:
        """What `run` answers with, after the last operation."""
        return {name: values[name] for name in self.outputs}

    def _rounded(self, value: Any) -> Any:
        if self.round_to_float16 and isinstance(value, Tensor) and value.is_floating_point():
            return value.half().float()
        return value

    def _note_last_uses(self) -> None:
        seen = {*self.constants, *self.outputs}
        for node in reversed(self.nodes):
            for name in {*node.outputs, *node.inputs} - seen:
                node.last_used.append(name)
                seen.add(name)


def declared_defaults(description: Any) -> dict[str, Tensor]:
    """The values of a model's optional arrays and numbers where they are not given, by name, from its description
    (`ModelDescription`): `defaultOptionalValue` of FeatureTypes.proto, and zeros where none is declared."""
    defaults = {}
    for feature in description.input:
        kind, array = feature.type.WhichOneof("Type"), feature.type.multiArrayType
        if feature.type.isOptional and kind in ("multiArrayType", "doubleType", "int64Type"):
            shape = default_shape(array) if kind == "multiArrayType" else (1,)
            field = array.WhichOneof("defaultOptionalValue")
            defaults[feature.name] = torch.full(shape, float(getattr(array, field)) if field else 0.0)
    return defaults


def default_shape(array: Any) -> tuple[int, ...]:
    """The shape of an `ArrayFeatureType`, or, where it declares none, the first allowed one (FeatureTypes.proto)."""
    if array.shape:
        return tuple(array.shape)
    if array.enumeratedShapes.shapes:
        return tuple(array.enumeratedShapes.shapes[0].shape)
    return tuple(int(limit.lowerBound) for limit in array.shapeRange.sizeRanges)


class _NotTheSame(Exception):
    """A value computed for stacked inputs differs from those of the inputs alone."""


def _arguments(node: Node, values: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of an operation's function."""
    tensors = {keyword: values[name] if isinstance(name, str) else [values[n] for n in name]
               for keyword, name in node.tensors.items()}
    return node.parameters | tensors | {keyword: values[name].tolist() for keyword, name in node.computed.items()}


def _shapes(node: Node, values: Mapping[str, Any]) -> str:
    """The shapes of the tensors that an operation reads, by name, for an error message."""
    return ", ".join(f"'{name}' {tuple(getattr(values.get(name), 'shape', ()))}" for name in node.inputs) or "nothing"


def _in_float32(value: Any) -> Any:
    """A float64 tensor, of an input declared as double, as float32; anything else, such as a state, as it is."""
    return value.float() if isinstance(value, Tensor) and value.dtype == torch.float64 else value


def _free(node: Node, values: dict[str, Any]) -> None:
    for name in node.last_used:
        values.pop(name, None)  # a layer of control flow need not make all that it may make


def _overflows(exact: Any, rounded: Any) -> bool:
    """Whether rounding a result to float16 has made infinity of a number."""
    if not (isinstance(exact, Tensor) and exact.is_floating_point()):
        return False
    if _largest(rounded) < torch.inf:  # one pass over the values, and nearly always the only one
        return False
    return bool((torch.isinf(rounded) & torch.isfinite(exact)).any())


def _same(together: Any, alone: list[Any], axis: int) -> bool:
    """Whether a value computed for stacked inputs is that of each input, one after the other along `axis`."""
    if isinstance(together, list):
        return len(together) == sum(map(len, alone))
    alone = [torch.atleast_1d(value) for value in alone]
    if not (together.ndim == alone[0].ndim > axis and together.shape[axis] == sum(x.shape[axis] for x in alone)):
        return False
    limit = BATCH_TOLERANCE * max(_largest(value) for value in alone)
    pieces = together.split([value.shape[axis] for value in alone], axis)
    return all(piece.shape == value.shape and _largest(piece.float() - value.float()) <= limit
               for piece, value in zip(pieces, alone))


def _largest(value: Tensor) -> float:
    """The largest absolute value, in one pass over the values: NaN where one is NaN, 0 where there are none."""
    if not value.numel():
        return 0.0
    in_memory = sorted(range(value.ndim), key=value.stride, reverse=True)  # any other order takes ten times as long
    return max(abs(end.item()) for end in torch.aminmax(value.float().permute(in_memory).flatten()))
