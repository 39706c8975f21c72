"""The layers of Core ML's neural networks (`.mlmodel`), one function each, computed by PyTorch.

A function is named as Core ML names the layer (with `_` behind a name that is one of Python's). Its positional
parameters are the layer's inputs, its keywords the fields of the layer's message, spelled as in
https://github.com/apple/coremltools/blob/main/mlmodel/format/NeuralNetwork.proto, which defines what is computed here.

Networks of specification 1 to 3 work on tensors of five axes, [sequence, batch, channels, height, width]; later ones
also on tensors of any shape. All values are float32, also truth values (0 and 1) and indices. The layers of the first
kind count axes from the end, as the specification does: channels are axis -3. A tensor has at least one axis.
"""

import functools
import inspect
import math
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from . import mil_ops

Shape = Callable[[Any], Iterable[int]]
"""From a layer's message to the shape of one of its weights."""


@dataclass(frozen=True)
class Layer:
    """A layer type: the function that computes it, and how it takes its inputs and fields."""

    compute: Callable
    inputs: tuple[str, ...]
    takes_list: bool
    keywords: frozenset[str]
    weights: dict[str, Shape]


LAYERS: dict[str, Layer] = {}
"""Every layer type that the runtime knows, by Core ML's name."""


def layer(name: str | None = None, **weights: Shape) -> Callable:
    """Enter a function into `LAYERS`, under its own name or `name`. `weights` gives the shapes of its weights."""
    def enter(compute: Callable) -> Callable:
        parameters = inspect.signature(compute).parameters.values()
        inputs = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)
        takes_list = bool(inputs) and typing.get_type_hints(compute)[inputs[0]] == list[Tensor]
        keywords = frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
        LAYERS[name or compute.__name__] = Layer(compute, inputs, takes_list, keywords, weights)
        return compute
    return enter


def _images(x: Tensor) -> Tensor:
    """`x` [..., C, H, W] with all leading axes in one."""
    return x.reshape(-1, *x.shape[-3:])


def _as_before(images: Tensor, x: Tensor) -> Tensor:
    """`images` [N, C, H, W] with the leading axes that `x` [..., C', H', W'] has."""
    return images.reshape(*x.shape[:-3], *images.shape[1:])


def _channels(parameter: Tensor, x: Tensor) -> Tensor:
    """A vector of C values, or one value, shaped to broadcast along the channels of `x`: axis -3, or the last one where
    `x` has fewer than three axes, [C] or [batch, C].

    Raises:
        ValueError: there are neither C values nor one.
    """
    axis = -3 if x.ndim >= 3 else -1
    if parameter.numel() not in (1, x.shape[axis]):
        raise ValueError(f"{parameter.numel()} values for {x.shape[axis]} channels")
    return parameter.reshape(-1, *[1] * (-1 - axis))


# ---- convolution and fully connected ---------------------------------------------------------------------------------

def borders(amounts: Any) -> list[int]:
    """A BorderAmounts message as [top, bottom, left, right]; zeros where it is empty."""
    edges = [n for edge in amounts.borderAmounts for n in (edge.startEdgeSize, edge.endEdgeSize)]
    return edges or [0, 0, 0, 0]


def pad_arguments(valid: Any, same: Any) -> dict[str, Any]:
    """The padding messages of a convolution or a pooling as `mil_ops` takes them."""
    if same is not None:
        return {"pad_type": "same_lower" if same.asymmetryMode else "same", "pad": [0, 0, 0, 0]}
    return {"pad_type": "custom", "pad": borders(valid.paddingAmounts) if valid is not None else [0, 0, 0, 0]}


def _kernel_shape(params: Any) -> list[int]:
    sizes, groups = list(params.kernelSize) or [3, 3], params.nGroups or 1
    if params.isDeconvolution:
        return [params.kernelChannels, params.outputChannels // groups, *sizes]
    return [params.outputChannels, params.kernelChannels, *sizes]


@layer(weights=_kernel_shape, bias=lambda params: [params.outputChannels])
def convolution(x: Tensor, computed: Tensor | None = None, *, kernelSize: list[int], stride: list[int],
                dilationFactor: list[int], nGroups: int, valid: Any, same: Any, isDeconvolution: bool, hasBias: bool,
                weights: Tensor | None, bias: Tensor | None, outputShape: list[int]) -> Tensor:
    """`weights` is [C_out, C / groups, h, w], of a deconvolution [C, C_out / groups, h, w]; or weights are `computed`,
    with further axes of size 1 before."""
    weights = typing.cast(Tensor, weights) if computed is None else _images(computed)
    images, bias, groups, stride = _images(x), bias if hasBias else None, nGroups or 1, stride or [1, 1]
    if isDeconvolution:
        return _as_before(_deconvolution(images, weights, bias, groups, stride, valid, same, outputShape), x)
    return _as_before(mil_ops.conv(images, weights, stride, dilationFactor or [1, 1], groups=groups, bias=bias,
                                   **pad_arguments(valid, same)), x)


def _deconvolution(x: Tensor, weights: Tensor, bias: Tensor | None, groups: int, stride: list[int], valid: Any,
                   same: Any, outputShape: list[int]) -> Tensor:
    """The transposed convolution, cut to `outputShape` where it is given; an odd row or column is cut at the end."""
    full = [(n - 1) * s + k for n, s, k in zip(x.shape[2:], stride, weights.shape[2:])]
    if same is None and not outputShape:
        pad = pad_arguments(valid, None)["pad"]
    else:
        sizes = outputShape or [n * s for n, s in zip(x.shape[2:], stride)]
        surplus = [n - size for n, size in zip(full, sizes)]
        heavy = same is not None and same.asymmetryMode
        before = [max(n - n // 2 if heavy else n // 2, 0) for n in surplus]
        pad = [amount for n, b in zip(surplus, before) for amount in (b, n - b)]
    return mil_ops.conv_transpose(x, weights, stride, [1, 1], pad, "custom", groups, bias)


@layer(weights=lambda params: [params.outputChannels, params.inputChannels],
       bias=lambda params: [params.outputChannels])
def innerProduct(x: Tensor, *, hasBias: bool, weights: Tensor, bias: Tensor | None) -> Tensor:
    """From four axes on, the last three are taken together, and are [C_out, 1, 1] afterwards."""
    bias = bias if hasBias else None
    if x.ndim < 4:
        return F.linear(x, weights, bias)
    return F.linear(x.flatten(-3), weights, bias)[..., None, None]


@layer(weights=lambda params: [params.weightMatrixSecondDimension, params.weightMatrixFirstDimension],
       bias=lambda params: [params.weightMatrixSecondDimension])
def batchedMatmul(x: Tensor, y: Tensor | None = None, *, transposeA: bool, transposeB: bool, hasBias: bool,
                  weights: Tensor | None, bias: Tensor | None) -> Tensor:
    """`x` [..., N, K] times `y` [..., K, M], or times the transpose of `weights` [M, K]: [..., N, M]."""
    if y is None:
        return F.linear(x, typing.cast(Tensor, weights), bias if hasBias else None)
    x, y = x[None] if x.ndim == 1 else x, y[:, None] if y.ndim == 1 else y
    return mil_ops.matmul(x, y, transposeA, transposeB)


def _look_up(indices: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
    """The columns of `weights` [C, vocabulary] at `indices` [...], plus `bias` [C]: [..., C]."""
    rows = weights.T[indices.long()]
    return rows if bias is None else rows + bias


@layer(weights=lambda params: [params.outputChannels, params.inputDim], bias=lambda params: [params.outputChannels])
def embedding(x: Tensor, *, hasBias: bool, weights: Tensor, bias: Tensor | None) -> Tensor:
    """Indices `x` [..., 1, 1, 1] to [..., C, 1, 1]."""
    return _look_up(x[..., 0, 0, 0], weights, bias if hasBias else None)[..., None, None]


@layer(weights=lambda params: [params.embeddingSize, params.vocabSize], bias=lambda params: [params.embeddingSize])
def embeddingND(x: Tensor, *, hasBias: bool, weights: Tensor, bias: Tensor | None) -> Tensor:
    """Indices `x` [..., 1] to [..., C]."""
    return _look_up(x[..., 0], weights, bias if hasBias else None)


def _sizes_3d(params: Any) -> list[int]:
    sizes = [params.kernelDepth, params.kernelHeight, params.kernelWidth]
    channels, groups = params.inputChannels, params.nGroups or 1
    if params.isDeconvolution:
        return [channels, params.outputChannels // groups, *sizes]
    return [params.outputChannels, channels // groups, *sizes]


def _volumes(x: Tensor) -> Tensor:
    """`x` [..., C, D, H, W] with all leading axes in one."""
    return x.reshape(-1, *x.shape[-4:])


def _as_volumes(volumes: Tensor, x: Tensor) -> Tensor:
    """`volumes` [N, C, D, H, W] with the leading axes that `x` [..., C', D', H', W'] has."""
    return volumes.reshape(*x.shape[:-4], *volumes.shape[1:])


@layer(weights=_sizes_3d, bias=lambda params: [params.outputChannels])
def convolution3d(x: Tensor, *, nGroups: int, kernelDepth: int, kernelHeight: int, kernelWidth: int, strideDepth: int,
                  strideHeight: int, strideWidth: int, dilationDepth: int, dilationHeight: int, dilationWidth: int,
                  paddingType: str, customPaddingFront: int, customPaddingBack: int, customPaddingTop: int,
                  customPaddingBottom: int, customPaddingLeft: int, customPaddingRight: int, isDeconvolution: bool,
                  hasBias: bool, weights: Tensor, bias: Tensor | None, outputShape: list[int]) -> Tensor:
    """`x` [..., C, D, H, W]; `weights` is [C_out, C / groups, d, h, w], of a deconvolution [C, C_out / groups, ...]."""
    options: dict[str, Any] = dict(
        strides=[strideDepth or 1, strideHeight or 1, strideWidth or 1], pad_type=paddingType.lower(),
        dilations=[dilationDepth or 1, dilationHeight or 1, dilationWidth or 1], groups=nGroups or 1,
        pad=[customPaddingFront, customPaddingBack, customPaddingTop, customPaddingBottom, customPaddingLeft,
             customPaddingRight], bias=bias if hasBias else None)
    if isDeconvolution:
        shape = [0, 0, *outputShape] if outputShape else None
        return _as_volumes(mil_ops.conv_transpose(_volumes(x), weights, output_shape=shape, **options), x)
    return _as_volumes(mil_ops.conv(_volumes(x), weights, **options), x)


# ---- pooling ---------------------------------------------------------------------------------------------------------

GLOBAL_POOLS: dict[str, Callable] = {
    "MAX": lambda x: x.amax((-2, -1), True),
    "AVERAGE": lambda x: x.mean((-2, -1), True),
    "L2": lambda x: x.square().sum((-2, -1), True).sqrt(),
}


@layer()
def pooling(x: Tensor, *, type: str, kernelSize: list[int], stride: list[int], valid: Any, same: Any,
            includeLastPixel: Any, avgPoolExcludePadding: bool, globalPooling: bool) -> Tensor:
    """`x` [..., C, H, W] to [..., C, H', W'], with `globalPooling` to [..., C, 1, 1]."""
    if globalPooling:
        return GLOBAL_POOLS[type](x)
    images, kernel, stride = _images(x), kernelSize or [3, 3], stride or [1, 1]
    amounts = counted = mil_ops.padding(images, kernel, stride, **pad_arguments(valid, same))
    if includeLastPixel is not None:
        rows, columns = includeLastPixel.paddingAmounts or [0, 0]
        counted = [rows, rows, columns, columns]
        amounts = _to_the_last_pixel(images.shape[2:], kernel, stride, [rows, columns])
    if type == "AVERAGE":
        return _as_before(_averages(images, kernel, stride, amounts, [0] * 4 if avgPoolExcludePadding else counted), x)
    pool = {"MAX": mil_ops.max_pool, "L2": mil_ops.l2_pool}[type]
    return _as_before(pool(images, kernel, stride, amounts, "custom"), x)


def _averages(x: Tensor, kernel: list[int], stride: list[int], amounts: list[int], counted: list[int]) -> Tensor:
    """The average of each window of `x` [N, C, H, W] with `amounts` [top, bottom, left, right] of zeros around it.

    A sum is divided by how many elements of the window lie in the picture or in the `counted` part of the padding.
    """
    sums = F.avg_pool2d(mil_ops.pad_spatial(x, amounts), kernel, stride, divisor_override=1)
    if amounts == counted:
        return sums / math.prod(kernel)
    ones = mil_ops.pad_spatial(torch.ones(1, 1, *x.shape[2:]), counted, 1.0)
    ones = mil_ops.pad_spatial(ones, [a - b for a, b in zip(amounts, counted)])
    return sums / F.avg_pool2d(ones, kernel, stride, divisor_override=1).clamp(min=1)


def _to_the_last_pixel(sizes: Iterable[int], kernel: list[int], stride: list[int], padding: list[int]) -> list[int]:
    """The padding [before, after, ...] with which the last window reaches the last pixel: Caffe's rule, by which a
    window that begins in the padding after the picture is dropped."""
    amounts = []
    for size, extent, step, pad in zip(sizes, kernel, stride, padding):
        last = math.ceil((size + 2 * pad - extent) / step)
        if any(padding) and last * step >= size + pad:
            last -= 1
        amounts += [pad, last * step + extent - size - pad]
    return amounts


@layer()
def pooling3d(x: Tensor, *, type: str, kernelDepth: int, kernelHeight: int, kernelWidth: int, strideDepth: int,
              strideHeight: int, strideWidth: int, paddingType: str, customPaddingFront: int, customPaddingBack: int,
              customPaddingTop: int, customPaddingBottom: int, customPaddingLeft: int, customPaddingRight: int,
              countExcludePadding: bool) -> Tensor:
    """The greatest or the average value in each window of `x` [..., C, D, H, W]."""
    options: dict[str, Any] = dict(
        kernel_sizes=[kernelDepth or 3, kernelHeight or 3, kernelWidth or 3], pad_type=paddingType.lower(),
        strides=[strideDepth or 1, strideHeight or 1, strideWidth or 1],
        pad=[customPaddingFront, customPaddingBack, customPaddingTop, customPaddingBottom, customPaddingLeft,
             customPaddingRight])
    if type == "MAX":
        return _as_volumes(mil_ops.max_pool(_volumes(x), **options), x)
    return _as_volumes(mil_ops.avg_pool(_volumes(x), exclude_padding_from_average=countExcludePadding, **options), x)


@layer()
def globalPooling3d(x: Tensor, *, type: str) -> Tensor:
    """The greatest or the average value of `x` [..., C, D, H, W], with size 1 on the last three axes."""
    axes = (-3, -2, -1)
    return x.amax(axes, True) if type == "MAX" else x.mean(axes, True)


# ---- activations and elementwise functions ---------------------------------------------------------------------------

ACTIVATIONS: dict[str, Callable] = {
    "linear": lambda x, p: p.alpha * x + p.beta,
    "ReLU": lambda x, p: torch.relu(x),
    "leakyReLU": lambda x, p: F.leaky_relu(x, p.alpha),
    "thresholdedReLU": lambda x, p: torch.where(x >= p.alpha, x, 0),
    "PReLU": lambda x, p: torch.where(x >= 0, x, _channels(p.alpha, x) * x),
    "tanh": lambda x, p: torch.tanh(x),
    "scaledTanh": lambda x, p: p.alpha * torch.tanh(p.beta * x),
    "sigmoid": lambda x, p: torch.sigmoid(x),
    "sigmoidHard": lambda x, p: (p.alpha * x + p.beta).clamp(0, 1),
    "ELU": lambda x, p: F.elu(x, p.alpha),
    "softsign": lambda x, p: F.softsign(x),
    "softplus": lambda x, p: F.softplus(x),
    "parametricSoftplus": lambda x, p: _channels(p.alpha, x) * F.softplus(_channels(p.beta, x) * x),
}
"""Core ML's activations of x, by name; `p` has the parameters alpha and beta, where there are any."""


@layer()
def activation(x: Tensor, *, NonlinearityType: Any) -> Tensor:
    """`NonlinearityType` has `name`, one of `ACTIVATIONS`, and `alpha` and `beta`: numbers, or one for each channel."""
    return ACTIVATIONS[NonlinearityType.name](x, NonlinearityType)


UNARY: dict[str, Callable] = {
    "SQRT": lambda x, alpha, epsilon: torch.sqrt(x),
    "RSQRT": lambda x, alpha, epsilon: torch.rsqrt(x + epsilon),
    "INVERSE": lambda x, alpha, epsilon: 1 / (x + epsilon),
    "POWER": lambda x, alpha, epsilon: x ** alpha,
    "EXP": lambda x, alpha, epsilon: torch.exp(x),
    "LOG": lambda x, alpha, epsilon: torch.log(x),
    "ABS": lambda x, alpha, epsilon: torch.abs(x),
    "THRESHOLD": lambda x, alpha, epsilon: x.clamp(min=alpha),
}


@layer()
def unary(x: Tensor, *, type: str, alpha: float, epsilon: float, shift: float, scale: float) -> Tensor:
    return UNARY[type]((scale or 1.0) * x + shift, alpha, epsilon or 1e-6)


@layer()
def clip(x: Tensor, *, minVal: float, maxVal: float) -> Tensor:
    return x.clamp(minVal, maxVal)


@layer()
def clampedReLU(x: Tensor, *, alpha: float, beta: float) -> Tensor:
    return mil_ops.clamped_relu(x, alpha, beta)


@layer()
def gelu(x: Tensor, *, mode: str) -> Tensor:
    return mil_ops.gelu(x, mode)


for _name in ("ceil", "floor", "sign", "round", "exp2", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh",
              "tanh", "asinh", "acosh", "atanh", "erf"):
    _function = getattr(torch, _name)
    LAYERS[_name] = Layer(lambda x, _function=_function: _function(x), ("x",), False, frozenset(), {})


@layer("copy")
def copy_(x: Tensor) -> Tensor:
    return x


# ---- several inputs --------------------------------------------------------------------------------------------------

@layer()
def add(values: list[Tensor], *, alpha: float) -> Tensor:
    return functools.reduce(torch.add, values) if len(values) > 1 else values[0] + alpha


@layer()
def multiply(values: list[Tensor], *, alpha: float) -> Tensor:
    return functools.reduce(torch.mul, values) if len(values) > 1 else values[0] * alpha


@layer()
def average(values: list[Tensor]) -> Tensor:
    return functools.reduce(torch.add, values) / len(values)


@layer("max")
def max_(values: list[Tensor]) -> Tensor:
    return functools.reduce(torch.maximum, values)


@layer("min")
def min_(values: list[Tensor]) -> Tensor:
    return functools.reduce(torch.minimum, values)


@layer()
def dot(x: Tensor, y: Tensor, *, cosineSimilarity: bool) -> Tensor:
    """The scalar product over the channels of `x` and `y` [..., C, H, W]: [..., 1, H, W]."""
    if cosineSimilarity:
        x, y = (v / v.square().sum(-3, keepdim=True).sqrt() for v in (x, y))
    return (x * y).sum(-3, keepdim=True)


for _name, _function in {"add": torch.add, "multiply": torch.mul, "max": torch.maximum, "min": torch.minimum,
                         "subtract": torch.sub, "divide": torch.div, "pow": torch.pow, "mod": torch.remainder,
                         "floorDiv": torch.floor_divide}.items():
    LAYERS[_name + "Broadcastable"] = Layer(
        lambda values, _function=_function: functools.reduce(_function, values), ("values",), True, frozenset(), {})


def _comparison(function: Callable) -> Callable:
    """Two inputs, or one with `alpha`: 1 where `function` holds, else 0."""
    def compare(values: list[Tensor], *, alpha: float) -> Tensor:
        return function(values[0], values[1] if len(values) > 1 else torch.tensor(alpha)).float()
    return compare


for _name, _function in {"equal": torch.eq, "notEqual": torch.ne, "lessThan": torch.lt, "lessEqual": torch.le,
                         "greaterThan": torch.gt, "greaterEqual": torch.ge}.items():
    LAYERS[_name] = Layer(_comparison(_function), ("values",), True, frozenset({"alpha"}), {})
for _name, _function in {"logicalAnd": torch.logical_and, "logicalOr": torch.logical_or,
                         "logicalXor": torch.logical_xor, "logicalNot": torch.logical_not}.items():
    LAYERS[_name] = Layer(lambda values, _function=_function: _function(*values).float(), ("values",), True,
                          frozenset(), {})


@layer()
def whereBroadcastable(condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return torch.where(condition.bool(), x, y)


# ---- weights added, multiplied, loaded -------------------------------------------------------------------------------

def _spread(values: Tensor, x: Tensor) -> Tensor:
    """Values of the shape [1], [C], [1, H, W] or [C, H, W], to broadcast against `x` [..., C, H, W], [C] or [batch, C].

    Raises:
        ValueError: they do not fit, or `x` would grow.
    """
    if values.ndim < 3 or values.shape[1:] == (1, 1):
        return _channels(values, x)
    if torch.broadcast_shapes(values.shape, x.shape) != x.shape:
        raise ValueError(f"values of the shape {tuple(values.shape)} for the shape {tuple(x.shape)}")
    return values


@layer(bias=lambda params: params.shape)
def bias(x: Tensor, *, bias: Tensor) -> Tensor:
    """`x` [..., C, H, W], [C] or [batch, C] plus `bias` [1], [C], [1, H, W] or [C, H, W]."""
    return x + _spread(bias, x)


@layer(scale=lambda params: params.shapeScale, bias=lambda params: params.shapeBias)
def scale(x: Tensor, *, scale: Tensor, hasBias: bool, bias: Tensor | None) -> Tensor:
    """`x` [..., C, H, W], [C] or [batch, C] times `scale`, plus `bias`: both [1], [C], [1, H, W] or [C, H, W]."""
    y = x * _spread(scale, x)
    return y + _spread(bias, x) if hasBias and bias is not None else y


@layer(data=lambda params: params.shape)
def loadConstant(*, data: Tensor) -> Tensor:
    """`data` [C, H, W] as [1, 1, C, H, W]."""
    return data[None, None]


@layer(data=lambda params: params.shape)
def loadConstantND(*, data: Tensor) -> Tensor:
    return data


@layer()
def fillStatic(*, value: float, targetShape: list[int]) -> Tensor:
    return torch.full(targetShape, value)


def _integers(x: Tensor) -> list[int]:
    """The values of a tensor as a list: shapes and places come as floats."""
    return x.flatten().long().tolist()


@layer()
def fillDynamic(shape: Tensor, *, value: float) -> Tensor:
    return torch.full(_integers(shape), value)


@layer()
def rangeStatic(*, endValue: float, startValue: float, stepSizeValue: float) -> Tensor:
    """[n]: from the start up to the end, which is excluded."""
    return torch.arange(startValue, endValue, stepSizeValue or 1.0)


@layer()
def rangeDynamic(end: Tensor, start: Tensor | None = None, step: Tensor | None = None, *, startValue: float,
                 stepSizeValue: float) -> Tensor:
    """As `rangeStatic`, with the start and the step from inputs where these are there."""
    first = startValue if start is None else start.item()
    return torch.arange(first, end.item(), (stepSizeValue or 1.0) if step is None else step.item())


@layer()
def fillLike(x: Tensor, *, value: float) -> Tensor:
    return torch.full(x.shape, value)


# ---- random numbers: Core ML's distributions, but not its numbers ----------------------------------------------------

def _random_layers(kind: str, draw: Callable, fields: dict[str, str]) -> None:
    """Enter the three layers of a distribution: of a shape in the file, of an input's values, like an input.

    `draw` is the operator of ML Programs, `fields` its keyword for each field of the layers' messages.
    """
    def compute(shape: list[int], values: dict[str, Any]) -> Tensor:
        return draw(shape, **{keyword: values[field] for field, keyword in fields.items()})

    names = frozenset(fields)
    LAYERS[f"random{kind}Static"] = Layer(lambda *, outputShape, **values: compute(outputShape, values), (), False,
                                          names | {"outputShape"}, {})
    LAYERS[f"random{kind}Dynamic"] = Layer(lambda shape, **values: compute(_integers(shape), values), ("shape",), False,
                                           names, {})
    LAYERS[f"random{kind}Like"] = Layer(lambda x, **values: compute(list(x.shape), values), ("x",), False, names, {})


_random_layers("Normal", mil_ops.random_normal, {"seed": "seed", "mean": "mean", "stdDev": "stddev"})
_random_layers("Uniform", mil_ops.random_uniform, {"seed": "seed", "minVal": "low", "maxVal": "high"})
_random_layers("Bernoulli", mil_ops.random_bernoulli, {"seed": "seed", "prob": "prob"})


@layer()
def categoricalDistribution(x: Tensor, *, seed: int, numSamples: int, isLogits: bool, eps: float, temperature: float
                            ) -> Tensor:
    """`numSamples` classes for each row of logits or probabilities `x` [..., C]: [..., numSamples]."""
    logits = x if isLogits else torch.log(x + (eps or 1e-10))
    return mil_ops.random_categorical(logits / (temperature or 1.0), "logits", numSamples or 1, seed)


# ---- normalization ---------------------------------------------------------------------------------------------------

def _per_channel(params: Any) -> list[int]:
    return [params.channels]


@layer(gamma=_per_channel, beta=_per_channel, mean=_per_channel, variance=_per_channel)
def batchnorm(x: Tensor, *, computeMeanVar: bool, instanceNormalization: bool, epsilon: float, gamma: Tensor,
              beta: Tensor, mean: Tensor | None, variance: Tensor | None) -> Tensor:
    """`x` [..., C, H, W], [C] or [batch, C] normalized per channel, with parameters [C].

    The statistics are stored, or (`computeMeanVar`) those of the batch or (`instanceNormalization`) of each picture.
    """
    images = _images(x if x.ndim >= 3 else x[..., None, None])
    if computeMeanVar:
        axes = (2, 3) if instanceNormalization else (0, 2, 3)
        variance, mean = torch.var_mean(images, axes, correction=0, keepdim=True)
    else:
        mean, variance = (_channels(typing.cast(Tensor, stored), images) for stored in (mean, variance))
    scale = _channels(gamma, images) * torch.rsqrt(variance + (epsilon or 1e-5))
    return ((images - mean) * scale + _channels(beta, images)).reshape(x.shape)


@layer()
def mvn(x: Tensor, *, acrossChannels: bool, normalizeVariance: bool, epsilon: float) -> Tensor:
    """`x` [..., C, H, W] without its mean, over its variance, per channel or across all of them."""
    axes = (-3, -2, -1) if acrossChannels else (-2, -1)
    y = x - x.mean(axes, keepdim=True)
    return y * torch.rsqrt(y.square().mean(axes, keepdim=True) + (epsilon or 1e-6)) if normalizeVariance else y


@layer()
def l2normalize(x: Tensor, *, epsilon: float) -> Tensor:
    return mil_ops.l2_norm(x, epsilon or 1e-6)


@layer()
def lrn(x: Tensor, *, alpha: float, beta: float, localSize: int, k: float) -> Tensor:
    return _as_before(F.local_response_norm(_images(x), localSize, alpha, beta, k or 1.0), x)


def _normalized_shape(params: Any) -> list[int]:
    return list(params.normalizedShape)


@layer(gamma=_normalized_shape, beta=_normalized_shape)
def layerNormalization(x: Tensor, *, normalizedShape: list[int], eps: float, gamma: Tensor, beta: Tensor) -> Tensor:
    """Normalize over the last axes, `normalizedShape`, which is also the shape of `gamma` and `beta`."""
    return F.layer_norm(x, normalizedShape, gamma, beta, eps)


@layer()
def softmax(x: Tensor) -> Tensor:
    """Over the channels of `x` [..., C, H, W]."""
    return torch.softmax(x, -3)


@layer()
def softmaxND(x: Tensor, *, axis: int) -> Tensor:
    return torch.softmax(x, axis)


# ---- reductions ------------------------------------------------------------------------------------------------------

REDUCTIONS: dict[str, Callable] = {
    "SUM": lambda x, axes, epsilon: x.sum(axes, keepdim=True),
    "AVG": lambda x, axes, epsilon: x.mean(axes, keepdim=True),
    "PROD": lambda x, axes, epsilon: mil_ops.reduce_prod(x, axes, True),
    "LOGSUM": lambda x, axes, epsilon: torch.log(x + epsilon).sum(axes, keepdim=True),
    "SUMSQUARE": lambda x, axes, epsilon: x.square().sum(axes, keepdim=True),
    "L1": lambda x, axes, epsilon: x.abs().sum(axes, keepdim=True),
    "L2": lambda x, axes, epsilon: x.square().sum(axes, keepdim=True).sqrt(),
    "MAX": lambda x, axes, epsilon: x.amax(axes, keepdim=True),
    "MIN": lambda x, axes, epsilon: x.amin(axes, keepdim=True),
    "ARGMAX": lambda x, axes, epsilon: x.argmax(axes[0], keepdim=True).float(),
}
REDUCED_AXES = {"CHW": [-3, -2, -1], "HW": [-2, -1], "C": [-3], "H": [-2], "W": [-1]}


@layer()
def reduce(x: Tensor, *, mode: str, epsilon: float, axis: str) -> Tensor:
    """`x` [..., C, H, W] with size 1 on the axes that `axis`, one of `REDUCED_AXES`, names."""
    return REDUCTIONS[mode](x, REDUCED_AXES[axis], epsilon or 1e-6)


def _reduction(function: Callable) -> Callable:
    def compute(x: Tensor, *, axes: list[int], keepDims: bool, reduceAll: bool) -> Tensor:
        return torch.atleast_1d(function(x, None if reduceAll else axes, keepDims))
    return compute


for _name, _function in {
        "Sum": mil_ops.reduce_sum, "Mean": mil_ops.reduce_mean, "Max": mil_ops.reduce_max, "Min": mil_ops.reduce_min,
        "Prod": mil_ops.reduce_prod, "L1": mil_ops.reduce_l1_norm, "L2": mil_ops.reduce_l2_norm,
        "SumSquare": mil_ops.reduce_sum_square, "LogSum": mil_ops.reduce_log_sum,
        "LogSumExp": mil_ops.reduce_log_sum_exp}.items():
    LAYERS["reduce" + _name] = Layer(_reduction(_function), ("x",), False,
                                     frozenset({"axes", "keepDims", "reduceAll"}), {})


@layer()
def argMax(x: Tensor, *, axis: int, removeDim: bool) -> Tensor:
    return x.argmax(axis, keepdim=not removeDim or x.ndim == 1).float()


@layer()
def argMin(x: Tensor, *, axis: int, removeDim: bool) -> Tensor:
    return x.argmin(axis, keepdim=not removeDim or x.ndim == 1).float()


@layer()
def argSort(x: Tensor, *, axis: int, descending: bool) -> Tensor:
    return mil_ops.argsort(x, axis, not descending).float()


@layer()
def topK(x: Tensor, count: Tensor | None = None, *, axis: int, K: int, useBottomK: bool) -> tuple[Tensor, Tensor]:
    """The `K` (or `count`) largest values along `axis`, or (`useBottomK`) smallest, in order, and where they are: size
    `K` there."""
    K = K if count is None else int(count.item())
    values, indices = torch.sort(x, dim=axis, descending=not useBottomK, stable=True)
    return values.narrow(axis, 0, K), indices.narrow(axis, 0, K).float()


@layer()
def cumSum(x: Tensor, along: Tensor | None = None, *, axis: int, excludeFinalSum: bool, reverse: bool) -> Tensor:
    """Running sums along `axis`, or along the axis that the input `along` says."""
    return mil_ops.cumsum(x, axis if along is None else int(along.item()), excludeFinalSum, reverse)


# ---- borders and sizes -----------------------------------------------------------------------------------------------

@layer()
def crop(x: Tensor, reference: Tensor | None = None, *, cropAmounts: Any, offset: list[int]) -> Tensor:
    """Without the rows and columns of `cropAmounts`, or to the size of `reference` from `offset` on."""
    if reference is None:
        top, bottom, left, right = borders(cropAmounts) if cropAmounts is not None else [0] * 4
        return mil_ops.crop(x, [top, bottom], [left, right])
    top, left = offset or [0, 0]
    return x[..., top:top + reference.shape[-2], left:left + reference.shape[-1]]


@layer()
def padding(x: Tensor, *, constant: Any, reflection: Any, replication: Any, paddingAmounts: Any) -> Tensor:
    """`x` [..., C, H, W] with rows and columns added around it."""
    top, bottom, left, right = borders(paddingAmounts) if paddingAmounts is not None else [0] * 4
    mode = "reflect" if reflection is not None else "replicate" if replication is not None else "constant"
    value = constant.value if constant is not None else 0.0
    return _as_before(F.pad(_images(x), [left, right, top, bottom], mode, value), x)


@layer()
def constantPad(x: Tensor, amounts: Tensor | None = None, *, value: float, padAmounts: list[int],
                padToGivenOutputSizeMode: bool) -> Tensor:
    """`padAmounts` or `amounts` is [before, after, ...] for every axis, the first axis first.

    With `padToGivenOutputSizeMode` they are sizes of the result: the one of the two that is not 0 says where elements
    are added, and how many there are then.
    """
    given = padAmounts if amounts is None else _integers(amounts)
    if padToGivenOutputSizeMode:
        given = [max(size - x.shape[i // 2], 0) if size else 0 for i, size in enumerate(given)]
    return mil_ops.pad_spatial(x, given, value)


SAMPLING = {"DEFAULT": "DEFAULT", "ALIGN_CORNERS_TRUE": "STRICT_ALIGN_CORNERS",
            "ALIGN_CORNERS_FALSE": "UNALIGN_CORNERS", "STRICT_ALIGN_ENDPOINTS_MODE": "STRICT_ALIGN_CORNERS",
            "ALIGN_ENDPOINTS_MODE": "ALIGN_CORNERS", "UPSAMPLE_MODE": "DEFAULT", "ROI_ALIGN_MODE": "OFFSET_CORNERS"}
"""MIL's names of the grids on which a picture is sampled, by the names that neural networks give them."""


@layer()
def upsample(x: Tensor, *, scalingFactor: list[int], fractionalScalingFactor: list[float], mode: str,
             linearUpsampleMode: str) -> Tensor:
    """`x` [..., H, W] with its height and width times the factors [vertical, horizontal], rounded down."""
    factors = fractionalScalingFactor or scalingFactor or [1, 1]
    height, width = (int(n * factor) for n, factor in zip(x.shape[-2:], factors))
    if mode == "NN":
        return mil_ops.resize_nearest_neighbor(x, height, width)
    return mil_ops.resize_bilinear(x, height, width, SAMPLING[linearUpsampleMode])


@layer()
def resizeBilinear(x: Tensor, *, targetSize: list[int], mode: Any) -> Tensor:
    """`x` [..., H, W] in `targetSize` [height, width]."""
    method = mode.Method.Name(mode.samplingMethod) if mode is not None else "STRICT_ALIGN_ENDPOINTS_MODE"
    height, width = targetSize or [1, 1]
    return mil_ops.resize_bilinear(x, height, width, SAMPLING[method])


@layer()
def cropResize(x: Tensor, roi: Tensor, *, targetSize: list[int], normalizedCoordinates: bool, mode: Any,
               boxIndicesMode: Any, spatialScale: float) -> Tensor:
    """`x` [1, B, C, H, W] in the boxes `roi` [N, 1, 4, 1, 1], or [N, 1, 5, 1, 1] with the picture's place first, in
    `targetSize` [height, width]: [N, B or 1, C, height, width]."""
    method = mode.Method.Name(mode.samplingMethod) if mode is not None else "STRICT_ALIGN_ENDPOINTS_MODE"
    boxes = (boxIndicesMode.Coordinates.Name(boxIndicesMode.boxMode) if boxIndicesMode is not None
             else "CORNERS_HEIGHT_FIRST")
    height, width = targetSize or [1, 1]
    return mil_ops.crop_all(_images(x), roi, (height, width), normalizedCoordinates, spatialScale or 1.0, boxes,
                            SAMPLING[method], 0.0)


@layer()
def NonMaximumSuppression(boxes: Tensor, scores: Tensor, iou: Tensor | None = None, score: Tensor | None = None,
                          count: Tensor | None = None, *, iouThreshold: float, scoreThreshold: float, maxBoxes: int,
                          perClassSuppression: bool) -> tuple[Tensor, ...]:
    """`mil_ops.suppress` of `boxes` [n, N, 4] and `scores` [n, N, K], with the thresholds from inputs where these are
    there."""
    limits = [field if given is None else given.item() for field, given in (
        (iouThreshold, iou), (scoreThreshold, score), (maxBoxes, count))]
    return tuple(kept.float() for kept in mil_ops.suppress(
        boxes, scores, limits[0], limits[1], int(limits[2]), perClassSuppression))


@layer()
def reorganizeData(x: Tensor, *, mode: str, blockSize: int) -> Tensor:
    """`x` [..., C, H, W] to [..., C b², H / b, W / b], or back."""
    rearrange = {"SPACE_TO_DEPTH": mil_ops.space_to_depth, "DEPTH_TO_SPACE": mil_ops.depth_to_space,
                 "PIXEL_SHUFFLE": mil_ops.pixel_shuffle}[mode]
    return _as_before(rearrange(_images(x), blockSize), x)


# ---- shape: the layers of specification 1 to 3 -----------------------------------------------------------------------

@layer()
def flatten(x: Tensor, *, mode: str) -> Tensor:
    """[..., C, H, W] to [..., C H W, 1, 1]; `CHANNEL_LAST` moves the channels to the end first."""
    x = x.movedim(-3, -1) if mode == "CHANNEL_LAST" else x
    return x.flatten(-3)[..., None, None]


@layer()
def reshape(x: Tensor, *, targetShape: list[int], mode: str) -> Tensor:
    """[sequence, batch, C, H, W] to `targetShape` [C, H, W] or [sequence, C, H, W], in the order of `mode`."""
    y = x.transpose(0, 1)  # a sequence belongs to its picture
    y = y.movedim(-3, -1) if mode == "CHANNEL_LAST" else y
    sequence = [targetShape[0]] if len(targetShape) == 4 else [x.shape[0]]
    channels, height, width = targetShape[-3:]
    sizes = [height, width, channels] if mode == "CHANNEL_LAST" else [channels, height, width]
    y = y.reshape(x.shape[1], *sequence, *sizes)
    y = y.movedim(-1, -3) if mode == "CHANNEL_LAST" else y
    return y.transpose(0, 1)


@layer()
def permute(x: Tensor, *, axis: list[int]) -> Tensor:
    """Permute sequence, channels, height and width; the batch stays where it is."""
    places = [0, 2, 3, 4]
    first, *others = (places[i] for i in axis or range(4))
    return x.permute(first, 1, *others)


@layer()
def concat(values: list[Tensor], *, sequenceConcat: bool) -> Tensor:
    """Along the channels of [..., C, H, W], or the sequence of [sequence, batch, C, H, W]."""
    return torch.cat(values, -5 if sequenceConcat else -3)


@layer()
def split(x: Tensor, *, nOutputs: int) -> tuple[Tensor, ...]:
    """The channels of `x` [..., C, H, W] in `nOutputs` parts of C / nOutputs. Raises ValueError if C is no multiple."""
    if not nOutputs or x.shape[-3] % nOutputs:
        raise ValueError(f"{x.shape[-3]} channels in {nOutputs} parts")
    return x.tensor_split(nOutputs, -3)


@layer()
def sequenceRepeat(x: Tensor, *, nRepetitions: int) -> Tensor:
    """`x` [sequence, batch, C, H, W] as often along its first axis."""
    return x.repeat(nRepetitions or 1, 1, 1, 1, 1)


SLICED_AXES = {"CHANNEL_AXIS": -3, "HEIGHT_AXIS": -2, "WIDTH_AXIS": -1}


@layer("slice")
def slice_(x: Tensor, *, startIndex: int, endIndex: int, stride: int, axis: str) -> Tensor:
    """Every `stride`-th element of `x` [..., C, H, W] on an axis; negative indices count from the end."""
    place = SLICED_AXES[axis]
    return x.movedim(place, 0)[startIndex:endIndex:stride or 1].movedim(0, place)


# ---- shape: the layers of specification 4 and 5 ----------------------------------------------------------------------

@layer()
def concatND(values: list[Tensor], *, axis: int, interleave: bool) -> Tensor:
    """Along `axis`, one after the other or (`interleave`) one element of each in turn."""
    return mil_ops.concat(values, axis, interleave)


@layer()
def splitND(x: Tensor, *, axis: int, numSplits: int, splitSizes: list[int]) -> tuple[Tensor, ...]:
    """Cut into `splitSizes`, or into `numSplits` parts, the first of them larger by 1 where there is a remainder."""
    if splitSizes:
        return x.split(splitSizes, axis)
    if not 0 < numSplits <= x.shape[axis]:
        raise ValueError(f"{x.shape[axis]} elements in {numSplits} parts")
    return x.tensor_split(numSplits, axis)


@layer()
def stack(values: list[Tensor], *, axis: int) -> Tensor:
    return torch.stack(values, axis)


@layer()
def transpose(x: Tensor, *, axes: list[int]) -> Tensor:
    return x.permute(axes)


@layer()
def expandDims(x: Tensor, *, axes: list[int]) -> Tensor:
    return mil_ops.expand_dims(x, axes)


@layer()
def squeeze(x: Tensor, *, axes: list[int], squeezeAll: bool) -> Tensor:
    return torch.atleast_1d(x.squeeze() if squeezeAll else x.squeeze(axes))


@layer()
def flattenTo2D(x: Tensor, *, axis: int) -> Tensor:
    """[d₀, …, dₙ] to [d₀ … dₐ₋₁, dₐ … dₙ], cut before `axis`."""
    return mil_ops.flatten2d(x, axis)


@layer("reshapeStatic")
@layer()
def rankPreservingReshape(x: Tensor, *, targetShape: list[int]) -> Tensor:
    """`x` as `targetShape`: -1 is what is left over, 0 the size that `x` has on that axis."""
    return mil_ops.reshape(x, targetShape)


@layer()
def reshapeLike(x: Tensor, reference: Tensor) -> Tensor:
    return x.reshape(reference.shape)


@layer()
def broadcastToStatic(x: Tensor, *, targetShape: list[int]) -> Tensor:
    return x.broadcast_to(targetShape)


@layer()
def broadcastToDynamic(x: Tensor, shape: Tensor) -> Tensor:
    return x.broadcast_to(_integers(shape))


@layer()
def reshapeDynamic(x: Tensor, shape: Tensor) -> Tensor:
    """`x` as `shape`: -1 is what is left over, 0 the size that `x` has on that axis."""
    return mil_ops.reshape(x, _integers(shape))


@layer()
def broadcastToLike(x: Tensor, reference: Tensor) -> Tensor:
    return x.broadcast_to(reference.shape)


@layer()
def getShape(x: Tensor) -> Tensor:
    return torch.tensor(x.shape, dtype=torch.float32)


@layer()
def tile(x: Tensor, counts: Tensor | None = None, *, reps: list[int]) -> Tensor:
    """`x` repeated `reps` or `counts` times along each axis."""
    return x.tile(reps if counts is None else _integers(counts))


@layer()
def reverseSeq(x: Tensor, lengths: Tensor, *, batchAxis: int, sequenceAxis: int) -> Tensor:
    """`x` with the first `lengths[i]` elements along `sequenceAxis` turned around, in slice i along `batchAxis`."""
    return mil_ops.reverse_sequence(x, lengths.flatten(), sequenceAxis, batchAxis)


@layer()
def slidingWindows(x: Tensor, *, axis: int, windowSize: int, step: int) -> Tensor:
    return mil_ops.sliding_windows(x, axis, windowSize, step or 1)


@layer()
def reverse(x: Tensor, *, reverseDim: list[bool]) -> Tensor:
    return x.flip([axis for axis, turned in enumerate(reverseDim) if turned])


@layer()
def sliceStatic(x: Tensor, *, beginIds: list[int], beginMasks: list[bool], endIds: list[int], endMasks: list[bool],
                strides: list[int], squeezeMasks: list[bool]) -> Tensor:
    """`x[begin:end:stride]` on every axis, as `mil_ops.slice_by_index`; at least one axis is left."""
    return torch.atleast_1d(mil_ops.slice_by_index(x, beginIds, endIds, strides, beginMasks, endMasks, squeezeMasks))


@layer()
def sliceDynamic(x: Tensor, begin: Tensor, end: Tensor | None = None, stride: Tensor | None = None,
                 begin_mask: Tensor | None = None, end_mask: Tensor | None = None, squeeze_mask: Tensor | None = None,
                 *, endIds: list[int], beginMasks: list[bool], endMasks: list[bool], strides: list[int],
                 squeezeMasks: list[bool]) -> Tensor:
    """As `sliceStatic`, with what is an input in place of the field."""
    chosen = [list(field) if given is None else _integers(given) for field, given in (
        (endIds, end), (strides, stride), (beginMasks, begin_mask), (endMasks, end_mask), (squeezeMasks, squeeze_mask))]
    filled = [values + [int(i == 1)] * (x.ndim - len(values)) for i, values in enumerate(chosen)]
    return torch.atleast_1d(mil_ops.slice_by_index(x, _integers(begin), *filled))


@layer()
def sliceBySize(x: Tensor, begin: Tensor, *, size: int, axis: int) -> Tensor:
    """`size` elements along `axis` from `begin` on."""
    return x.narrow(axis, int(begin.item()) % x.shape[axis], size)


@layer()
def whereNonZero(x: Tensor) -> Tensor:
    """The coordinates of the elements that are not 0, one in a row."""
    return torch.nonzero(x).float()


@layer()
def gatherND(x: Tensor, indices: Tensor) -> Tensor:
    """The slices of `x` at the coordinates in the last axis of `indices`."""
    return torch.atleast_1d(mil_ops.gather_nd(x, indices))


def _scatter_mode(mode: str) -> str:
    """MIL's name of a mode of accumulation."""
    return mode.removeprefix("SCATTER_").lower()


@layer()
def scatter(x: Tensor, indices: Tensor, updates: Tensor, *, axis: int, mode: str) -> Tensor:
    """`x` with the slice at each of `indices` [n] along `axis` changed by one of `updates` [..., n, ...]."""
    return mil_ops.scatter(x, indices, updates, axis, _scatter_mode(mode))


@layer()
def scatterND(x: Tensor, indices: Tensor, updates: Tensor, *, mode: str) -> Tensor:
    """`x` with the slices at the coordinates in the last axis of `indices` changed by `updates`."""
    return mil_ops.scatter_nd(x, indices, updates, _scatter_mode(mode))


@layer()
def scatterAlongAxis(x: Tensor, indices: Tensor, updates: Tensor, *, axis: int, mode: str) -> Tensor:
    """`indices` and `updates` have one shape, that of `x` but for `axis`."""
    return mil_ops.scatter_along_axis(x, indices, updates, axis, _scatter_mode(mode))


@layer()
def gather(x: Tensor, indices: Tensor, *, axis: int) -> Tensor:
    """The elements of `x` at `indices` [...] along `axis`, which the axes of `indices` replace."""
    return mil_ops.gather(x, indices, axis)


@layer()
def gatherAlongAxis(x: Tensor, indices: Tensor, *, axis: int) -> Tensor:
    """`indices` has the shape of `x` but for `axis`, and so has the result."""
    return mil_ops.gather_along_axis(x, indices, axis)


@layer()
def oneHot(x: Tensor, size: Tensor | None = None, *, oneHotVectorSize: int, axis: int, onValue: float, offValue: float
           ) -> Tensor:
    """Indices `x` with a new `axis` of `oneHotVectorSize`, or of `size`."""
    count = oneHotVectorSize if size is None else int(size.item())
    return mil_ops.one_hot(x, count, axis, onValue, offValue)


@layer()
def matrixBandPart(x: Tensor, *, numLower: int, numUpper: int) -> Tensor:
    """`x` [..., H, W] with zeros beyond so many diagonals below and above the main one; -1 keeps all."""
    return mil_ops.band_part(x, numLower, numUpper)


@layer()
def lowerTriangular(x: Tensor, *, k: int) -> Tensor:
    return x.tril(k)


@layer()
def upperTriangular(x: Tensor, *, k: int) -> Tensor:
    return x.triu(k)
