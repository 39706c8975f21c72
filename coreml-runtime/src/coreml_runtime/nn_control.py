"""Control flow of Core ML's neural networks: layers that hold networks and run them once, several times or not at all.

`BranchLayerParams` and `LoopLayerParams` in coremltools' NeuralNetwork.proto define them. The layers inside work on the
values of the network around them, and what they make is known outside afterwards.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from .interpreter import LOOP_LIMIT, Node

RunNode = Callable[[Node, dict[str, Any]], None]
"""Computes one layer from values by name, and adds to them what it makes."""

KINDS = ("branch", "loop", "loopBreak", "loopContinue")
"""The layers of control flow."""


class LoopBreak(Exception):
    """Leave the loop."""


class LoopContinue(Exception):
    """Go on with the loop's next round."""


def inner_networks(layer: Any) -> Iterator[Any]:
    """The networks in a layer (`NeuralNetworkLayer`), in the order in which they run."""
    for kind, names in (("branch", ("ifBranch", "elseBranch")), ("loop", ("conditionNetwork", "bodyNetwork"))):
        if layer.WhichOneof("layer") == kind:
            params = getattr(layer, kind)
            yield from (getattr(params, name) for name in names)


def all_layers(network: Any) -> Iterator[Any]:
    """Every layer of a network, those in other layers included."""
    for layer in network.layers:
        yield layer
        for inner in inner_networks(layer):
            yield from all_layers(inner)


def stray_layer(network: Any) -> str | None:
    """The name of a loopBreak or loopContinue that is in no loop; None where there is none."""
    for layer in network.layers:
        kind = layer.WhichOneof("layer")
        if kind in ("loopBreak", "loopContinue"):
            return layer.name
        inner = [layer.loop.conditionNetwork] if kind == "loop" else inner_networks(layer)
        found = next((name for name in map(stray_layer, inner) if name is not None), None)
        if found is not None:
            return found
    return None


def is_true(value: Tensor) -> bool:
    """A condition: an absolute value above 1e-6."""
    return bool(value.abs().max() > 1e-6)


@dataclass
class Control:
    """What a layer of control flow does.

    Attributes:
        kind: one of `KINDS`.
        blocks: the layers of its networks, as `inner_networks` gives them.
        condition: the value that decides; empty where a loop has none.
        count: the value that says how often a loop runs; empty where a number does.
        rounds: that number, 0 where there is none.
    """

    kind: str
    blocks: list[list[Node]] = field(default_factory=list)
    condition: str = ""
    count: str = ""
    rounds: int = 0

    def run(self, run_node: RunNode, values: dict[str, Any]) -> None:
        """Run the layers in it. Raises LoopBreak or LoopContinue where a layer ends the round, ValueError where a
        condition is not known or a loop does not end."""
        if self.kind == "branch":
            _run(self.blocks[0] if is_true(_known(values, self.condition)) else self.blocks[1], run_node, values)
        elif self.kind == "loop":
            self._loop(run_node, values)
        else:
            raise LoopBreak if self.kind == "loopBreak" else LoopContinue

    def _loop(self, run_node: RunNode, values: dict[str, Any]) -> None:
        condition, body = self.blocks
        limit = _known(values, self.count).item() if self.count else self.rounds
        is_limited = bool(self.count or self.rounds or not self.condition)
        for done in range(LOOP_LIMIT):
            _run(condition, run_node, values)
            if is_limited and done >= limit or self.condition and not is_true(_known(values, self.condition)):
                return
            try:
                _run(body, run_node, values)
            except LoopContinue:
                continue
            except LoopBreak:
                return
        raise ValueError(f"it has not ended after {LOOP_LIMIT} rounds")


def _known(values: dict[str, Any], name: str) -> Tensor:
    if name not in values:
        raise ValueError(f"no layer has made '{name}'")
    return values[name]


def _run(nodes: Iterable[Node], run_node: RunNode, values: dict[str, Any]) -> None:
    for node in nodes:
        run_node(node, values)


def read_control(layer: Any, read_layers: Callable[[Any], Iterable[Node]]) -> tuple[Control, list[str], list[str]]:
    """What a layer of control flow does, the values that it needs from before, and those that it makes.

    Args:
        layer: a `NeuralNetworkLayer` of one of `KINDS`.
        read_layers: makes of a network in it one node per layer (its errors pass).
    """
    kind = layer.WhichOneof("layer")
    blocks = [list(read_layers(network)) for network in inner_networks(layer)]
    names = list(layer.input)
    if kind == "branch":
        control = Control(kind, blocks, condition=names[0])
        reads = names + [name for block in blocks for name in _reads(block)]
    elif kind == "loop":
        control = Control(kind, blocks, layer.loop.conditionVar, names[0] if names else "",
                          layer.loop.maxLoopIterations)
        reads = names + _reads([node for block in blocks for node in block])
    else:
        control, reads = Control(kind), []
    made = [name for block in blocks for node in block for name in node.outputs]
    return control, list(dict.fromkeys(reads)), list(dict.fromkeys(made))


def _reads(nodes: Iterable[Node]) -> list[str]:
    """The values that layers, one after the other, need from before."""
    reads: list[str] = []
    made: set[str] = set()
    for node in nodes:
        reads += [name for name in node.inputs if name not in made]
        made.update(node.outputs)
    return reads
