"""Runs a Core ML neural network (`.mlmodel`, specification 1 to 5) with PyTorch on the CPU.

The function that computes a layer is looked up by the layer's type in `nn_layers.LAYERS`.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import nn_control, nn_layers, nn_recurrent, onednn
from .errors import CoreMLRuntimeError, ModelFileError, ModelRunError, UnknownOperator, first_line, quoted
from .interpreter import Interpreter, Node, declared_defaults
from .mil_ops import Operator

KINDS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")
"""The kinds of Core ML model that are neural networks."""

SIZES = frozenset({"channels", "inputChannels", "kernelChannels", "outputChannels", "inputDim", "vocabSize",
                   "embeddingSize", "weightMatrixFirstDimension", "weightMatrixSecondDimension", "shape", "shapeScale",
                   "shapeBias"})
"""Fields that say no more than the shape of the weights."""


def check_layers(network: Any, file: str) -> None:
    """Raise `UnknownOperator` unless every layer of the network can be run."""
    layers = list(nn_control.all_layers(network))
    custom = next((layer for layer in layers if layer.WhichOneof("layer") == "custom"), None)
    if custom:
        raise UnknownOperator(f"{file}: '{custom.name}' is a custom layer of class {custom.custom.className}: its code "
                              f"is in the app, not in the file; run the model in that app, or convert it without the "
                              f"layer")
    kinds = {layer.WhichOneof("layer") or "without a type": layer.name for layer in layers}
    unknown = sorted(kinds.keys() - nn_layers.LAYERS.keys() - {*nn_control.KINDS})
    if unknown:
        named = ", ".join(f"{kind} ('{kinds[kind]}')" for kind in unknown)
        raise UnknownOperator(f"{file}: the runtime does not know the Core ML layer{'s' * (len(unknown) > 1)} {named}; "
                              f"add a function of that name to nn_layers.py, or convert the model without it")


# ---- weights ---------------------------------------------------------------------------------------------------------

def decode_weights(params: Any, shape: Iterable[int], axis: int = 0) -> Tensor | None:
    """A WeightParams message as a float32 tensor of `shape`, or None where it is empty.

    It holds float32 or float16 numbers, or integers of 1 to 8 bits, packed with the first one in the highest bits, that
    stand for `scale * integer + bias`, with one scale and bias for each position on `axis` or one for all, or for a
    place in a look-up table.

    Raises:
        ValueError: there are fewer or more values than the shape has.
    """
    shape = [int(n) for n in shape]
    count = math.prod(shape)
    if params.floatValue:
        values = np.array(params.floatValue, np.float32)
    elif params.float16Value:
        values = np.frombuffer(params.float16Value, np.float16).astype(np.float32)
    elif params.rawValue:
        return torch.from_numpy(_dequantized(params, shape, count, axis))
    else:
        return None
    if len(values) != count:
        raise ValueError(f"{len(values)} weights where the shape {shape} needs {count}")
    return torch.from_numpy(values.reshape(shape))


def _dequantized(params: Any, shape: list[int], count: int, axis: int) -> np.ndarray:
    quantization = params.quantization
    bits = quantization.numberOfBits
    if len(params.rawValue) != math.ceil(count * bits / 8):
        raise ValueError(f"{len(params.rawValue)} bytes of weights where the shape {shape} needs "
                         f"{math.ceil(count * bits / 8)}")
    raw = np.frombuffer(params.rawValue, np.uint8)
    if bits != 8:
        places = 2 ** np.arange(bits - 1, -1, -1)
        raw = np.unpackbits(raw)[:count * bits].reshape(count, bits) @ places
    if quantization.WhichOneof("QuantizationType") == "lookupTableQuantization":
        table = np.array(quantization.lookupTableQuantization.floatValue, np.float32)
        return table[raw].reshape(shape)
    linear, along = quantization.linearQuantization, [-1 if i == axis else 1 for i in range(len(shape))]
    scale, bias = (np.array(v, np.float32).reshape(along if len(v) > 1 else -1) for v in (linear.scale, linear.bias))
    return (raw.reshape(shape) * scale + bias).astype(np.float32)


# ---- from a layer's message to the arguments of its function ---------------------------------------------------------

def layer_arguments(kind: str, params: Any) -> dict[str, Any]:
    """The fields of a layer's message as keyword arguments for the function in `nn_layers`.

    Raises:
        UnknownOperator: a field is set that the function does not take.
        ValueError: weights do not have the size that the layer says.
    """
    known = nn_layers.LAYERS[kind]
    if kind == "activation":
        return {"NonlinearityType": _nonlinearity(params)}
    axis = int(kind == "convolution" and params.isDeconvolution)
    for field, _ in params.ListFields():
        if field.name not in known.keywords | SIZES:
            raise UnknownOperator(f"the runtime does not know the field '{field.name}' of the Core ML layer {kind}; "
                                  f"add it to that function in nn_layers.py")
    return {name: decode_weights(getattr(params, name), known.weights[name](params), axis * (name == "weights"))
            if name in known.weights else _plain(params, name) for name in known.keywords}


def _nonlinearity(params: Any) -> SimpleNamespace:
    """An activation's `name`, and its alpha and beta as a number or as a tensor with one for each channel."""
    name = params.WhichOneof("NonlinearityType")
    message = getattr(params, name)
    values = {field.name: getattr(message, field.name) for field in message.DESCRIPTOR.fields}
    return SimpleNamespace(name=name, **{key: value if isinstance(value, float) else _vector(value)
                                         for key, value in values.items()})


def _vector(params: Any) -> Tensor | None:
    """A WeightParams message that holds one value or one for each channel; its length is not declared."""
    count = len(params.floatValue) or len(params.float16Value) // 2
    return decode_weights(params, [count or len(params.rawValue) * 8 // params.quantization.numberOfBits])


def _plain(params: Any, name: str) -> Any:
    """A field as a number, a string (the name of an enumeration's value), a list of numbers, or the message in it,
    which is None where it is not set."""
    field, value = params.DESCRIPTOR.fields_by_name[name], getattr(params, name)
    if field.enum_type:
        return field.enum_type.values_by_number[value].name
    if field.message_type:
        return value if params.HasField(name) else None
    return value if isinstance(value, int | float | str) else list(value)


# ---- the network -----------------------------------------------------------------------------------------------------

class NeuralNetwork(Interpreter):
    """A neural network, classifier or regressor, its weights decoded and ready to run.

    Args:
        spec: the model, one of `KINDS` (`Model` in coremltools' Model.proto).
        file: the model's name, for error messages.
        round_to_float16: round every tensor, weights and results alike, to the nearest float16.

    Raises:
        UnknownOperator: a layer, or a field of one, is not known.
        ModelFileError: weights or preprocessing do not fit the network.
    """

    def __init__(self, spec: Any, file: str, round_to_float16: bool = False):
        self.file, self.round_to_float16 = file, round_to_float16
        network = getattr(spec, spec.WhichOneof("Type"))
        check_layers(network, file)
        stray = nn_control.stray_layer(network)
        if stray is not None:
            raise ModelFileError(f"{file}: the layer '{stray}' ends a round of a loop, but is in none; export it again")
        self._read_inputs(network, spec.description)
        self._read_outputs(network, spec.description)
        self.constants: dict[str, Tensor] = {}
        self.defaults = declared_defaults(spec.description)
        self.nodes = list(self._read_layers(network))
        self._check_values(feature.name for feature in spec.description.input)
        if onednn.is_available():
            self._pack_convolutions()
        self._note_last_uses()

    def _read_inputs(self, network: Any, description: Any) -> None:
        """Which inputs take pictures, how these are preprocessed, and how many axes the layers expect."""
        self._images = {f.name: f.type.imageType for f in description.input if f.type.WhichOneof("Type") == "imageType"}
        self._has_arrays = len(self._images) < len(description.input)
        self._arrays_as_they_are = network.arrayInputShapeMapping == 1  # EXACT_ARRAY_MAPPING
        self._images_have_sequence = network.imageInputShapeMapping == 0  # RANK5_IMAGE_MAPPING
        self.batch_axis = 1 if self._images_have_sequence else 0
        self.input_shapes = {name: (1, 1 if _layout(image).startswith("GRAY") else 3, image.height, image.width)
                             for name, image in self._images.items()}
        self._preprocessing = self._read_preprocessing(network)

    def _read_outputs(self, network: Any, description: Any) -> None:
        """The declared shapes of the outputs, and of a classifier the labels and the value that has the scores."""
        self._shapes = {f.name: tuple(f.type.multiArrayType.shape) for f in description.output}
        self._classes = read_labels(network) if hasattr(network, "labelProbabilityLayerName") else []
        self._label, self._probabilities = description.predictedFeatureName, description.predictedProbabilitiesName
        self.outputs = [*self._shapes]
        if self._classes:
            self._scores = network.labelProbabilityLayerName or network.layers[-1].output[0]
            self._shapes = {name: shape for name, shape in self._shapes.items()
                            if name not in (self._label, self._probabilities)}
            self.outputs = [*self._shapes, self._scores]

    def _check_values(self, inputs: Iterable[str]) -> None:
        """Raise `ModelFileError` where a layer or an output needs a value that nothing before it makes."""
        known = {*inputs, *self.constants}
        for node in self.nodes:
            self._check_known(f"the layer '{node.name}' reads", node.inputs, known)
            known.update(node.outputs)
        self._check_known("the model answers with", self.outputs, known)

    def _check_known(self, what: str, names: Iterable[str], known: set[str]) -> None:
        missing = sorted({*names} - known)
        if missing:
            raise ModelFileError(f"{self.file}: {what} {quoted(missing)}, which no layer makes before; export it again")

    @property
    def class_labels(self) -> list[str] | list[int]:
        """A classifier's labels in the order of its probabilities; empty for other networks."""
        return self._classes

    @property
    def is_batchable(self) -> bool:
        """Whether stacked inputs are answered as each alone would be: pictures only, and no layer that mixes them."""
        has_control = any(node.op_type in nn_control.KINDS for node in self.nodes)
        return not self._has_arrays and not has_control and super().is_batchable

    def _outputs(self, values: Mapping[str, Any]) -> dict[str, list]:
        """The outputs by name, each a list with one entry for each of the stacked inputs.

        An entry is a tensor of the declared shape, or, of a classifier, a label or a dictionary of probabilities.
        """
        missing = sorted({*self.outputs} - values.keys())
        if missing:
            raise ModelRunError(f"{self.file}: none of the layers that ran has made {quoted(missing)}; export it again")
        answers: dict[str, list] = {name: [_declared(y, shape) for y in self._unstacked(values[name])]
                                    for name, shape in self._shapes.items()}
        if self._classes:
            rows = [y.flatten().tolist() for y in self._unstacked(values[self._scores])]
            if len(rows[0]) != len(self._classes):
                raise ModelFileError(f"{self.file}: the network gives {len(rows[0])} probabilities for "
                                     f"{len(self._classes)} class labels; export it again")
            answers[self._label] = [self._classes[int(np.argmax(row))] for row in rows]
            answers[self._probabilities] = [dict(zip(self._classes, row)) for row in rows]
        return answers

    def _unstacked(self, value: Tensor) -> Sequence[Tensor]:
        """A value as one tensor for each of the stacked inputs, with an axis of size 1 where they were stacked."""
        axis = self.batch_axis if value.ndim > self.batch_axis else 0
        return [value] if self._has_arrays else value.split(1, axis)

    def _start(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        return super()._start({name: self._tensor(name, x) for name, x in inputs.items()})

    def _tensor(self, name: str, x: Tensor) -> Tensor:
        """An input as the layers take it: a picture preprocessed, an array with the axes that it lacks."""
        if name in self._images:
            for scale, bias in self._preprocessing.get(name, ()):
                if bias.shape[-1] not in (1, x.shape[-1]) or bias.shape[-2] not in (1, x.shape[-2]):
                    raise ModelRunError(f"{self.file}: the mean picture of '{name}' has {bias.shape[-1]} x "
                                        f"{bias.shape[-2]} pixels, not {x.shape[-1]} x {x.shape[-2]}; give a picture "
                                        f"of its size")
                x = x * scale + bias
            return x[None] if self._images_have_sequence else x
        if self._arrays_as_they_are:
            return x.float()
        return x.float().reshape(*[1] * (5 - x.ndim), *x.shape) if x.ndim >= 3 else x.float().reshape(1, 1, -1, 1, 1)

    def _read_preprocessing(self, network: Any) -> dict[str, list[tuple[float, Tensor]]]:
        """By input, (scale, bias) pairs to apply one after the other; the bias broadcasts against [1, C, H, W]."""
        found: dict[str, list] = {}
        for step in network.preprocessing:
            name = step.featureName or next(iter(self._images), "")
            if name not in self._images:
                raise ModelFileError(f"{self.file}: the preprocessing is for '{name}', which is no image input; "
                                     f"export it again")
            if step.WhichOneof("preprocessor") == "meanImage":
                _, channels, height, width = self.input_shapes[name]
                mean = torch.tensor(step.meanImage.meanImage)
                found.setdefault(name, []).append((1.0, -mean.reshape(channels, height, width)))
            else:
                bias = _channel_bias(step.scaler, _layout(self._images[name]))
                found.setdefault(name, []).append((step.scaler.channelScale, bias))
        return found

    def _read_layers(self, network: Any) -> Iterator[Node]:
        """One node per layer; the layers that load a constant become constants."""
        for layer in network.layers:
            kind = layer.WhichOneof("layer")
            if kind in nn_control.KINDS:
                yield self._read_control(layer)
                continue
            known = nn_layers.LAYERS[kind]
            if len(layer.input) > len(known.inputs) and not known.takes_list:
                raise UnknownOperator(f"{self.file}: the layer '{layer.name}' ({kind}) has {len(layer.input)} inputs, "
                                      f"and the runtime computes it from {len(known.inputs)}; convert the model "
                                      f"without it")
            try:
                arguments = (nn_recurrent.READERS[kind](getattr(layer, kind), decode_weights)
                             | {"outputs": len(layer.output)} if kind in nn_recurrent.READERS
                             else layer_arguments(kind, getattr(layer, kind)))
            except UnknownOperator as error:
                raise UnknownOperator(f"{self.file}: {error}") from None
            except ValueError as error:
                raise ModelFileError(f"{self.file}: the weights of the layer '{layer.name}' do not fit ({error}); "
                                     f"export or copy it again") from None
            arguments = {key: self._rounded(value) for key, value in arguments.items()}
            if not known.inputs and not kind.startswith("random"):
                self.constants[layer.output[0]] = known.compute(**arguments)
                continue
            if "targetShape" in arguments and kind in ("reshapeStatic", "rankPreservingReshape"):
                arguments["targetShape"] = _with_free_batch(arguments["targetShape"])
            tensors: dict[str, str | list[str]] = dict(zip(known.inputs, layer.input))
            if known.takes_list:
                tensors = {known.inputs[0]: list(layer.input)}
            operator = Operator(known.compute, known.keywords | set(known.inputs), frozenset(known.inputs))
            yield Node(operator, kind, layer.name, tuple(layer.output), arguments, tensors)

    def _read_control(self, layer: Any) -> Node:
        """A node of control flow, which `run_node` runs."""
        kind = layer.WhichOneof("layer")
        if kind == "branch" and not layer.input:
            raise ModelFileError(f"{self.file}: the branch '{layer.name}' has no condition; export it again")
        control, reads, made = nn_control.read_control(layer, self._read_layers)
        names: dict[str, str | list[str]] = {"reads": [name for name in reads if name not in self.constants]}
        return Node(Operator(control.run, frozenset(), frozenset()), kind, layer.name, tuple(made), {}, names)

    def run_node(self, node: Node, values: dict[str, Any]) -> None:
        """Compute one layer, or run those in a layer of control flow, as `Interpreter.run_node`."""
        if node.op_type not in nn_control.KINDS:
            super().run_node(node, values)
            return
        try:
            node.operator.compute(self.run_node, values)
        except (CoreMLRuntimeError, nn_control.LoopBreak, nn_control.LoopContinue):
            raise  # from a layer inside this one, which is named already; or for the loop around it
        except Exception as error:
            raise ModelRunError(f"{self.file}: the {node.op_type} '{node.name}' cannot be run ({first_line(error)}); "
                                f"export it again") from error

    def _pack_convolutions(self) -> None:
        """Replace convolutions by `PackedLayer`, with the batch norm and the activation where nothing else reads what
        comes between. Where results are rounded to float16 nothing is joined: each works on a rounded value."""
        uses = Counter([name for node in self.nodes for name in node.inputs] + self.outputs)
        readers = {name: node for node in self.nodes for name in node.inputs if uses[name] == 1}
        joined, nodes = set(), []
        for node in self.nodes:
            if node in joined:
                continue
            if (node.op_type == "convolution" and not node.parameters["isDeconvolution"]
                    and "computed" not in node.tensors):
                followers = [] if self.round_to_float16 else list(_joinable(node, readers))
                joined.update(followers)
                compute = PackedLayer(node.parameters, followers)
                outputs = (followers or [node])[-1].outputs
                node = Node(Operator(compute, frozenset("x"), frozenset("x")), "convolution", node.name, outputs,
                            tensors=node.tensors)
            nodes.append(node)
        self.nodes = nodes


def read_labels(classifier: Any) -> list[Any]:
    """The labels, strings or integers, of a classifier's message; of a pipeline they are in one of its models."""
    labels = classifier.WhichOneof("ClassLabels") if "ClassLabels" in classifier.DESCRIPTOR.oneofs_by_name else None
    return list(getattr(classifier, labels).vector) if labels else []


def _layout(image: Any) -> str:
    """The colour layout of an image input, as Core ML names it."""
    return image.ColorSpace.Name(image.colorSpace)


def _channel_bias(scaler: Any, layout: str) -> Tensor:
    biases = {"RGB": [scaler.redBias, scaler.greenBias, scaler.blueBias],
              "BGR": [scaler.blueBias, scaler.greenBias, scaler.redBias]}.get(layout, [scaler.grayBias])
    return torch.tensor(biases).reshape(-1, 1, 1)


def _with_free_batch(shape: list[int]) -> list[int]:
    """A shape whose first axis, of one picture, may hold several."""
    return [-1, *shape[1:]] if shape[0] == 1 and -1 not in shape else shape


def _declared(value: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`value` in the shape that the model declares for it, where it declares one with as many elements."""
    return value.reshape(shape) if shape and math.prod(shape) == value.numel() else value


# ---- convolutions with what follows them -----------------------------------------------------------------------------

FUSED_ACTIVATIONS: dict[str, Callable[[Any], onednn.Activation]] = {
    "ReLU": lambda p: ("relu", [], ""),
    "leakyReLU": lambda p: ("leaky_relu", [p.alpha], ""),
    "sigmoid": lambda p: ("sigmoid", [], ""),
    "tanh": lambda p: ("tanh", [], ""),
}
"""Core ML's activations that oneDNN adds to a convolution, from their alpha and beta."""


def _joinable(node: Node, readers: Mapping[str, Node]) -> Iterator[Node]:
    """The nodes after a convolution that can be computed with it, each the only reader of the one before."""
    follower = readers.get(node.outputs[0])
    if follower and follower.op_type == "batchnorm" and not follower.parameters["computeMeanVar"]:
        yield follower
        follower = readers.get(follower.outputs[0])
    if follower and follower.op_type == "activation" and (
            follower.parameters["NonlinearityType"].name in FUSED_ACTIVATIONS):
        yield follower
        if follower.parameters["NonlinearityType"].name == "ReLU":
            yield from _upper_bound(follower, readers)


def _upper_bound(relu: Node, readers: Mapping[str, Node]) -> list[Node]:
    """The layers with which converters make ReLU6 of a ReLU: -max(-x, -6). The inner minus is a layer of its own or the
    scale of the threshold. Empty where something else follows."""
    follower = readers.get(relu.outputs[0])
    if follower and _is_negation(follower):
        chain, scale, threshold = [follower], 1, readers.get(follower.outputs[0])
    else:
        chain, scale, threshold = [], -1, follower
    if not (threshold and _is_upper_bound(threshold, scale)):
        return []
    outer = readers.get(threshold.outputs[0])
    return [*chain, threshold, outer] if outer and _is_negation(outer) else []


def _is_negation(node: Node) -> bool:
    if node.op_type != "activation":
        return False
    line = node.parameters["NonlinearityType"]
    return line.name == "linear" and (line.alpha, line.beta) == (-1, 0)


def _is_upper_bound(node: Node, scale: float) -> bool:
    """Whether it is max(scale x, alpha), alpha being 0 or less."""
    p = node.parameters
    return (node.op_type == "unary" and p["type"] == "THRESHOLD" and p["scale"] == scale and p["shift"] == 0
            and p["alpha"] <= 0)


def _activation(followers: Sequence[Node]) -> onednn.Activation:
    """What `_joinable` found after a convolution, as oneDNN's activation."""
    for node in followers:
        if node.op_type == "unary":
            return "hardtanh", [0.0, -node.parameters["alpha"]], ""
    for node in followers:
        if node.op_type == "activation":
            nonlinearity = node.parameters["NonlinearityType"]
            return FUSED_ACTIVATIONS[nonlinearity.name](nonlinearity)
    return onednn.NO_ACTIVATION


class PackedLayer:
    """A convolution of pictures with constant weights, and what follows it, in one pass of oneDNN.

    Args:
        parameters: the arguments of `nn_layers.convolution`.
        followers: what `_joinable` found: batch norm, an activation, the layers that make ReLU6 of a ReLU.
    """

    def __init__(self, parameters: Mapping[str, Any], followers: Sequence[Node]):
        weight = parameters["weights"]
        bias = parameters["bias"] if parameters["hasBias"] else None
        if followers and followers[0].op_type == "batchnorm":
            weight, bias = _folded(weight, bias, **followers[0].parameters)
        self._arguments = dict(
            weight=weight, bias=bias, strides=parameters["stride"] or [1, 1], groups=parameters["nGroups"] or 1,
            dilations=parameters["dilationFactor"] or [1, 1], activation=_activation(followers),
            **nn_layers.pad_arguments(parameters["valid"], parameters["same"]))
        self._conv: onednn.PackedConv | None = None

    def __call__(self, x: Tensor) -> Tensor:
        images = x.reshape(-1, *x.shape[-3:])
        if self._conv is None:  # how weights are packed depends on the size of the pictures, not known before
            self._conv = onednn.PackedConv(input_shape=(1, *images.shape[1:]), **self._arguments)
            self._arguments.clear()
        y = self._conv(images)
        return y.reshape(*x.shape[:-3], *y.shape[1:])


def _folded(weight: Tensor, bias: Tensor | None, *, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor,
            epsilon: float, **_: Any) -> tuple[Tensor, Tensor]:
    """The weights and bias of a convolution that does a batch norm's work too."""
    scale = gamma * torch.rsqrt(variance + (epsilon or 1e-5))
    shift = beta - mean * scale
    return weight * scale.reshape(-1, 1, 1, 1), shift if bias is None else shift + bias * scale
