"""The operators of Core ML's ML Programs, one small function each, computed by PyTorch.

A function is named as Core ML names the operator, and its keyword arguments are spelled as Core ML spells them
(https://apple.github.io/coremltools/source/coremltools.converters.mil.mil.ops.defs.html). A parameter annotated as
`Tensor` is data; every other parameter arrives as a plain Python value. Tensors are float32, int32 or bool: a float16
program is computed in float32 and rounded, where that was asked for, by the interpreter.
"""

import inspect
import math
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from . import recurrent

TORCH_DTYPES = {"fp16": torch.float32, "fp32": torch.float32, "fp64": torch.float32, "bool": torch.bool} | {
    name: torch.int32 for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64")}
"""What holds each of MIL's types here."""


@dataclass
class StateCell:
    """A value that a model with state keeps from one prediction to the next, in place of an input."""

    value: Tensor


@dataclass(frozen=True)
class Operator:
    """A Core ML operator: the function that computes it, its keywords, and which of these are tensors."""

    compute: Callable
    keywords: frozenset[str]
    tensors: frozenset[str]


OPERATORS: dict[str, Operator] = {}
"""Every operator that the runtime knows, by Core ML's name."""


def operator(compute: Callable) -> Callable:
    """Enter `compute` into `OPERATORS` under its own name."""
    hints = typing.get_type_hints(compute)
    keywords = frozenset(inspect.signature(compute).parameters)
    tensors = frozenset(k for k in keywords if hints[k] in (Tensor, Tensor | None, list[Tensor], StateCell))
    OPERATORS[compute.__name__] = Operator(compute, keywords, tensors)
    return compute


# ---- elementwise: torch has the same function of x, or of x and y broadcast as NumPy does ----------------------------

UNARY = {
    "abs": torch.abs, "acos": torch.acos, "asin": torch.asin, "atan": torch.atan, "atanh": torch.atanh,
    "ceil": torch.ceil, "cos": torch.cos, "cosh": torch.cosh, "erf": torch.erf, "exp": torch.exp, "exp2": torch.exp2,
    "floor": torch.floor, "identity": torch.clone, "logical_not": torch.logical_not, "relu": torch.relu,
    "relu6": F.relu6, "round": torch.round, "sigmoid": torch.sigmoid, "sign": torch.sign, "silu": F.silu,
    "sin": torch.sin, "sinh": torch.sinh, "softplus": F.softplus, "softsign": F.softsign, "sqrt": torch.sqrt,
    "square": torch.square, "tan": torch.tan, "tanh": torch.tanh,
}
BINARY = {
    "add": torch.add, "sub": torch.sub, "mul": torch.mul, "real_div": torch.div, "floor_div": torch.floor_divide,
    "mod": torch.remainder, "pow": torch.pow, "maximum": torch.maximum, "minimum": torch.minimum,
    "equal": torch.eq, "not_equal": torch.ne, "greater": torch.gt, "greater_equal": torch.ge, "less": torch.lt,
    "less_equal": torch.le, "logical_and": torch.logical_and, "logical_or": torch.logical_or,
    "logical_xor": torch.logical_xor,
}
for _name, _function in UNARY.items():
    OPERATORS[_name] = Operator(lambda x, _function=_function: _function(x), frozenset("x"), frozenset("x"))
for _name, _function in BINARY.items():
    OPERATORS[_name] = Operator(lambda x, y, _function=_function: _function(x, y), frozenset("xy"), frozenset("xy"))


@operator
def cast(x: Tensor, dtype: str) -> Tensor:
    """`x` as `dtype`; a float becomes an integer by dropping its fraction. fp16 stays float32 here."""
    return x.to(TORCH_DTYPES[dtype])


@operator
def clip(x: Tensor, alpha: float, beta: float) -> Tensor:
    """`x` held between `alpha` and `beta`."""
    return torch.clamp(x, alpha, beta)


@operator
def inverse(x: Tensor, epsilon: float = 1e-4) -> Tensor:
    return 1 / (x + epsilon)


@operator
def log(x: Tensor, epsilon: float = 1e-45) -> Tensor:
    """The natural logarithm of `x + epsilon`."""
    return torch.log(x + epsilon)


@operator
def rsqrt(x: Tensor, epsilon: float = 1e-12) -> Tensor:
    return torch.rsqrt(x + epsilon)


@operator
def select(cond: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.where(cond.bool(), a, b)


# ---- activations -----------------------------------------------------------------------------------------------------

def _per_channel(parameter: Tensor, x: Tensor) -> Tensor:
    """A vector of C values, shaped to broadcast along axis 1 of `x` [N, C, ...]."""
    return parameter.reshape(-1, *[1] * (x.ndim - 2))


@operator
def clamped_relu(x: Tensor, alpha: float, beta: float) -> Tensor:
    return F.leaky_relu(x, alpha).clamp(max=beta)


@operator
def elu(x: Tensor, alpha: float) -> Tensor:
    return F.elu(x, alpha)


@operator
def gelu(x: Tensor, mode: str = "EXACT") -> Tensor:
    if mode == "SIGMOID_APPROXIMATION":
        return x * torch.sigmoid(1.702 * x)
    return F.gelu(x, approximate="tanh" if mode == "TANH_APPROXIMATION" else "none")


@operator
def leaky_relu(x: Tensor, alpha: float) -> Tensor:
    return F.leaky_relu(x, alpha)


@operator
def linear_activation(x: Tensor, alpha: float, beta: float) -> Tensor:
    return alpha * x + beta


@operator
def prelu(x: Tensor, alpha: Tensor) -> Tensor:
    """A leaky ReLU with one slope a channel: `alpha` [C] for `x` [N, C, ...]."""
    return F.prelu(x, alpha)


@operator
def scaled_tanh(x: Tensor, alpha: float, beta: float) -> Tensor:
    return alpha * torch.tanh(beta * x)


@operator
def sigmoid_hard(x: Tensor, alpha: float, beta: float) -> Tensor:
    return (alpha * x + beta).clamp(0, 1)


@operator
def softmax(x: Tensor, axis: int = -1) -> Tensor:
    return torch.softmax(x, axis)


@operator
def softplus_parametric(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """`alpha * log(1 + exp(beta * x))`, with `alpha` and `beta` [C] for `x` [N, C, ...]."""
    return _per_channel(alpha, x) * F.softplus(_per_channel(beta, x) * x)


@operator
def threshold(x: Tensor, alpha: float) -> Tensor:
    return x.clamp(min=alpha)


@operator
def thresholded_relu(x: Tensor, alpha: float) -> Tensor:
    return torch.where(x >= alpha, x, 0)


# ---- convolution, pooling and padding --------------------------------------------------------------------------------

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
_MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVG_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def padding(x: Tensor, window: list[int], strides: list[int], pad_type: str, pad: list[int]) -> list[int]:
    """How many elements go before and after each spatial axis of `x`: [before, after, before, after, ...].

    `window` is the extent of the kernel on each axis, dilation included. `same` gives ceil(size / stride) positions,
    an odd element going to the end (`same_lower`: to the beginning).
    """
    if pad_type == "custom":
        return pad
    if pad_type == "valid":
        return [0] * 2 * len(window)
    amounts = []
    for size, extent, stride in zip(x.shape[2:], window, strides):
        total = max((math.ceil(size / stride) - 1) * stride + extent - size, 0)
        halves = [total // 2, total - total // 2]
        amounts += halves if pad_type == "same" else halves[::-1]
    return amounts


def pad_spatial(x: Tensor, amounts: list[int], value: float = 0.0) -> Tensor:
    """`x` with `amounts` [before, after, ...] of `value` around its spatial axes, the first of them first."""
    last_axis_first = [n for axis in range(len(amounts) - 2, -1, -2) for n in amounts[axis:axis + 2]]
    return F.pad(x, last_axis_first, value=value)


def is_symmetric(amounts: list[int]) -> bool:
    return amounts[::2] == amounts[1::2]


@operator
def conv(x: Tensor, weight: Tensor, strides: list[int], dilations: list[int], pad: list[int], pad_type: str = "valid",
         groups: int = 1, bias: Tensor | None = None) -> Tensor:
    """Convolve `x` [N, C, *size] with `weight` [C_out, C / groups, *kernel]: 1, 2 or 3 spatial axes."""
    window = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilations)]
    amounts = padding(x, window, strides, pad_type, pad)
    if not is_symmetric(amounts):
        x, amounts = pad_spatial(x, amounts), [0] * len(amounts)
    return _CONV[len(window)](x, weight, bias, strides, amounts[::2], dilations, groups)


@operator
def conv_transpose(x: Tensor, weight: Tensor, strides: list[int], dilations: list[int], pad: list[int],
                   pad_type: str = "valid", groups: int = 1, bias: Tensor | None = None,
                   output_shape: list[int] | None = None) -> Tensor:
    """The transpose of `conv`: `weight` is [C, C_out / groups, *kernel], and `pad` is cut off what comes out.

    `output_shape` settles the size where several would do; `same` means size times stride.
    """
    spatial = x.shape[2:]
    full = [(n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(spatial, strides, weight.shape[2:], dilations)]
    before, sizes = pad[::2], [n - a - b for n, a, b in zip(full, pad[::2], pad[1::2])]
    if pad_type == "same":
        sizes = [n * s for n, s in zip(spatial, strides)]
        before = [max(n - size, 0) // 2 for n, size in zip(full, sizes)]
    elif pad_type == "valid":
        before, sizes = [0] * len(full), full
    if output_shape:
        sizes = output_shape[2:]
    missing = [max(a + size - n, 0) for a, size, n in zip(before, sizes, full)]
    y = _CONV_TRANSPOSE[len(full)](x, weight, bias, strides, 0, missing, groups, dilations)
    for axis, (first, size) in enumerate(zip(before, sizes), 2):
        y = y.narrow(axis, first, size)
    return y


@operator
def max_pool(x: Tensor, kernel_sizes: list[int], strides: list[int], pad: list[int], pad_type: str,
             ceil_mode: bool = False) -> Tensor:
    """`x` [N, C, *size]: 1, 2 or 3 spatial axes, with `pad` [before, after, ...] of minus infinity."""
    amounts = padding(x, kernel_sizes, strides, pad_type, pad)
    if not is_symmetric(amounts) or any(2 * n > k for n, k in zip(amounts[::2], kernel_sizes)):
        x, amounts = pad_spatial(x, amounts, -math.inf), [0] * len(amounts)
    return _MAX_POOL[len(kernel_sizes)](x, kernel_sizes, strides, amounts[::2], ceil_mode=ceil_mode)


@operator
def avg_pool(x: Tensor, kernel_sizes: list[int], strides: list[int], pad: list[int], pad_type: str,
             ceil_mode: bool = False, exclude_padding_from_average: bool = False) -> Tensor:
    """`x` [N, C, *size]: 1, 2 or 3 spatial axes, with `pad` [before, after, ...] of zeros, which count or do not."""
    amounts = padding(x, kernel_sizes, strides, pad_type, pad)
    average = _AVG_POOL[len(kernel_sizes)]
    if is_symmetric(amounts) and all(2 * n <= k for n, k in zip(amounts[::2], kernel_sizes)):
        return average(x, kernel_sizes, strides, amounts[::2], ceil_mode, not exclude_padding_from_average)
    averages = average(pad_spatial(x, amounts), kernel_sizes, strides, ceil_mode=ceil_mode)
    if exclude_padding_from_average:
        share = average(pad_spatial(torch.ones_like(x[:1, :1]), amounts), kernel_sizes, strides, ceil_mode=ceil_mode)
        averages = averages / share
    return averages


@operator
def l2_pool(x: Tensor, kernel_sizes: list[int], strides: list[int], pad: list[int], pad_type: str,
            ceil_mode: bool = False) -> Tensor:
    """The square root of the sum of squares in each window."""
    mean = avg_pool(x.square(), kernel_sizes, strides, pad, pad_type, ceil_mode)
    return (mean * math.prod(kernel_sizes)).sqrt()


@operator
def pad(x: Tensor, pad: list[int], mode: str = "constant", constant_val: float = 0.0) -> Tensor:
    """`pad` is [before, after, ...] for the last axes of `x`; `mode` is constant, reflect or replicate."""
    if mode == "constant":
        return pad_spatial(x, pad, constant_val)
    while len(pad) > 2 * max(x.ndim - 2, 1) and pad[:2] == [0, 0]:  # torch reflects and replicates spatial axes only
        pad = pad[2:]
    last_axis_first = [n for axis in range(len(pad) - 2, -1, -2) for n in pad[axis:axis + 2]]
    return F.pad(x, last_axis_first, mode)


@operator
def crop(x: Tensor, crop_height: list[int], crop_width: list[int]) -> Tensor:
    """`x` [..., H, W] without `crop_height` [top, bottom] rows and `crop_width` [left, right] columns."""
    height, width = x.shape[-2:]
    return x[..., crop_height[0]:height - crop_height[1], crop_width[0]:width - crop_width[1]]


# ---- normalization ---------------------------------------------------------------------------------------------------

@operator
def batch_norm(x: Tensor, mean: Tensor, variance: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None,
               epsilon: float = 1e-5) -> Tensor:
    """`x` [N, C, ...] normalized with statistics and parameters [C]."""
    return F.batch_norm(x, mean, variance, gamma, beta, eps=epsilon)


@operator
def instance_norm(x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: float = 1e-5) -> Tensor:
    """`x` [N, C, ...] normalized over all axes but the first two, with parameters [C]."""
    return F.instance_norm(x, weight=gamma, bias=beta, eps=epsilon)


@operator
def layer_norm(x: Tensor, axes: list[int], gamma: Tensor | None = None, beta: Tensor | None = None,
               epsilon: float = 1e-5) -> Tensor:
    """Normalize over `axes`; `gamma` and `beta` have the shape of these axes."""
    axes = [axis % x.ndim for axis in axes]
    shape = [n if axis in axes else 1 for axis, n in enumerate(x.shape)]
    variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    y = (x - mean) * torch.rsqrt(variance + epsilon)
    y = y if gamma is None else y * gamma.reshape(shape)
    return y if beta is None else y + beta.reshape(shape)


@operator
def l2_norm(x: Tensor, epsilon: float = 1e-6) -> Tensor:
    """`x` [..., C, H, W] divided by the Euclidean length of its last three axes."""
    return x * torch.rsqrt(x.square().sum((-3, -2, -1), keepdim=True) + epsilon)


@operator
def local_response_norm(x: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """`x` [N, C, ...] divided by a power of its mean square over `size` neighbouring channels."""
    return F.local_response_norm(x, size, alpha, beta, k)


# ---- linear algebra --------------------------------------------------------------------------------------------------

@operator
def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x` [..., D_in] times the transpose of `weight` [D_out, D_in], plus `bias` [D_out]."""
    return F.linear(x, weight, bias)


@operator
def matmul(x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False) -> Tensor:
    """`x` [..., N, K] times `y` [..., K, M], their last two axes swapped first where that is asked for."""
    return torch.matmul(x.mT if transpose_x else x, y.mT if transpose_y else y)


@operator
def einsum(values: list[Tensor], equation: str) -> Tensor:
    return torch.einsum(equation, *values)


@operator
def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None) -> Tensor:
    """`query` [..., L, E], `key` [..., S, E], `value` [..., S, V] and `attn_mask` [..., L, S]: [..., L, V]."""
    return F.scaled_dot_product_attention(query, key, value, attn_mask)


# ---- recurrent -------------------------------------------------------------------------------------------------------

def _in_order(x: Tensor, direction: str) -> Tensor:
    """A sequence [steps, ...] in the order in which it is read."""
    return x.flip(0) if direction == "reverse" else x


def _steps(sequence: Tensor, output_sequence: bool) -> Tensor:
    """All steps, [steps, batch, H], or the last one, [1, batch, H]."""
    return sequence if output_sequence else sequence[-1:]


@operator
def rnn(x: Tensor, initial_h: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor | None = None,
        direction: str = "forward", output_sequence: bool = False, activation: str = "tanh") -> tuple[Tensor, Tensor]:
    """`x` [steps, batch, I] to [steps or 1, batch, H] and the last state [batch, H], as `recurrent.rnn`.

    With `direction` reverse, here and below, `x` is read from its end, and the steps come in that order.
    """
    sequence, h = recurrent.rnn(_in_order(x, direction), initial_h, weight_ih, weight_hh, bias,
                                recurrent.ACTIVATIONS[activation.lower()])
    return _steps(sequence, output_sequence), h


@operator
def gru(x: Tensor, initial_h: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor | None = None,
        direction: str = "forward", output_sequence: bool = False, recurrent_activation: str = "sigmoid",
        activation: str = "tanh", reset_after: bool = False, input_bias: Tensor | None = None
        ) -> tuple[Tensor, Tensor]:
    """`x` [steps, batch, I] to [steps or 1, batch, H] and the last state [batch, H], as `recurrent.gru`."""
    activations = [recurrent.ACTIVATIONS[name.lower()] for name in (recurrent_activation, activation)]
    sequence, h = recurrent.gru(_in_order(x, direction), initial_h, weight_ih, weight_hh, bias, input_bias, activations,
                                reset_after)
    return _steps(sequence, output_sequence), h


@operator
def lstm(x: Tensor, initial_h: Tensor, initial_c: Tensor, weight_ih: Tensor, weight_hh: Tensor,
         bias: Tensor | None = None, peephole: Tensor | None = None, weight_ih_back: Tensor | None = None,
         weight_hh_back: Tensor | None = None, bias_back: Tensor | None = None, peephole_back: Tensor | None = None,
         direction: str = "forward", output_sequence: bool = False, recurrent_activation: str = "sigmoid",
         cell_activation: str = "tanh", activation: str = "tanh", clip: float = math.inf
         ) -> tuple[Tensor, Tensor, Tensor]:
    """`x` [steps, batch, I] to [steps or 1, batch, H] and the last states h and c [batch, H], as `recurrent.lstm`.

    With `direction` bidirectional each is twice as long: the second half reads `x` from its end, with the weights
    `..._back`, and its steps are in the order of `x`.
    """
    activations = [recurrent.ACTIVATIONS[name.lower()]
                   for name in (recurrent_activation, cell_activation, activation)]
    if direction != "bidirectional":
        sequence, h, c = recurrent.lstm(_in_order(x, direction), initial_h, initial_c, weight_ih, weight_hh, bias,
                                        peephole, activations, clip)
        return _steps(sequence, output_sequence), h, c
    (h, h_back), (c, c_back) = initial_h.chunk(2, -1), initial_c.chunk(2, -1)
    forward = recurrent.lstm(x, h, c, weight_ih, weight_hh, bias, peephole, activations, clip)
    backward = recurrent.lstm(x.flip(0), h_back, c_back, typing.cast(Tensor, weight_ih_back),
                              typing.cast(Tensor, weight_hh_back), bias_back, peephole_back, activations, clip)
    h, c = (torch.cat(states, -1) for states in zip(forward[1:], backward[1:]))
    return torch.cat([forward[0], backward[0].flip(0)], -1) if output_sequence else h[None], h, c


# ---- reductions ------------------------------------------------------------------------------------------------------

def _axes(x: Tensor, axes: list[int] | None) -> list[int]:
    return list(range(x.ndim)) if axes is None else axes


@operator
def reduce_mean(x: Tensor, axes: list[int] | None = None, keep_dims: bool = False) -> Tensor:
    """`x` without `axes` (None: all), or (`keep_dims`) with size 1 there; the reductions below alike."""
    return torch.mean(x, _axes(x, axes), keep_dims)


@operator
def reduce_sum(x: Tensor, axes: list[int] | None = None, keep_dims: bool = False) -> Tensor:
    return torch.sum(x, _axes(x, axes), keep_dims, dtype=x.dtype)


@operator
def reduce_max(x: Tensor, axes: list[int] | None = None, keep_dims: bool = False) -> Tensor:
    return torch.amax(x, _axes(x, axes), keep_dims)


@operator
def reduce_min(x: Tensor, axes: list[int] | None = None, keep_dims: bool = False) -> Tensor:
    return torch.amin(x, _axes(x, axes), keep_dims)


@operator
def reduce_prod(x: Tensor, axes: list[int] | None = None, keep_dims: bool = False) -> Tensor:
    for axis in sorted((axis % x.ndim for axis in _axes(x, axes)), reverse=True):
        x = torch.prod(x, axis, keep_dims, dtype=x.dtype)
    return x


@operator
def reduce_l1_norm(x: Tensor, axes: list[int] | None = None, keep_dims: bool = False) -> Tensor:
    return reduce_sum(x.abs(), axes, keep_dims)


@operator
def reduce_l2_norm(x: Tensor, axes: list[int] | None = None, keep_dims: bool = False) -> Tensor:
    return reduce_sum(x.square(), axes, keep_dims).sqrt()


@operator
def reduce_sum_square(x: Tensor, axes: list[int] | None = None, keep_dims: bool = False) -> Tensor:
    return reduce_sum(x.square(), axes, keep_dims)


@operator
def reduce_log_sum(x: Tensor, axes: list[int] | None = None, keep_dims: bool = False) -> Tensor:
    return reduce_sum(x, axes, keep_dims).log()


@operator
def reduce_log_sum_exp(x: Tensor, axes: list[int] | None = None, keep_dims: bool = False) -> Tensor:
    return torch.logsumexp(x, _axes(x, axes), keep_dims)


@operator
def reduce_argmax(x: Tensor, axis: int = -1, keep_dims: bool = False, output_dtype: str = "int32") -> Tensor:
    """Where the largest value along `axis` is; that axis goes, or (`keep_dims`) has size 1."""
    return torch.argmax(x, axis, keep_dims).to(TORCH_DTYPES[output_dtype])


@operator
def reduce_argmin(x: Tensor, axis: int = -1, keep_dims: bool = False, output_dtype: str = "int32") -> Tensor:
    """Where the smallest value along `axis` is; that axis goes, or (`keep_dims`) has size 1."""
    return torch.argmin(x, axis, keep_dims).to(TORCH_DTYPES[output_dtype])


@operator
def argsort(x: Tensor, axis: int = -1, ascending: bool = False) -> Tensor:
    """The positions along `axis` that sort `x`, of its shape."""
    return torch.argsort(x, dim=axis, descending=not ascending, stable=True).int()


@operator
def topk(x: Tensor, k: int = 1, axis: int = -1, ascending: bool = False, sort: bool = True,
         return_indices: bool = True, output_indices_dtype: str = "int32") -> tuple[Tensor, ...]:
    """The `k` largest (`ascending`: smallest) values along `axis`, and where they are."""
    values, indices = torch.topk(x, k, axis, largest=not ascending, sorted=sort)
    return (values, indices.to(TORCH_DTYPES[output_indices_dtype])) if return_indices else (values,)


@operator
def cumsum(x: Tensor, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Tensor:
    """Running sums along `axis`, from the end if `reverse`, each without its own element if `exclusive`."""
    x = x.flip(axis) if reverse else x
    sums = torch.cumsum(x, axis, dtype=x.dtype)
    sums = sums - x if exclusive else sums
    return sums.flip(axis) if reverse else sums


# ---- shape -----------------------------------------------------------------------------------------------------------

@operator
def shape(x: Tensor) -> Tensor:
    return torch.tensor(x.shape, dtype=torch.int32)


@operator
def reshape(x: Tensor, shape: list[int]) -> Tensor:
    """`x` in another shape: -1 is what is left over, 0 the size that `x` has on that axis."""
    return x.reshape([n or x.shape[axis] for axis, n in enumerate(shape)])


@operator
def flatten2d(x: Tensor, axis: int = 1) -> Tensor:
    """[d₀, …, dₙ] to [d₀ … dₐ₋₁, dₐ … dₙ], cut before `axis`."""
    return x.reshape(math.prod(x.shape[:axis]), -1)


@operator
def transpose(x: Tensor, perm: list[int]) -> Tensor:
    return x.permute(perm)


@operator
def expand_dims(x: Tensor, axes: list[int]) -> Tensor:
    """`x` with an axis of size 1 at each of `axes` of the result."""
    for axis in sorted(axis % (x.ndim + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


@operator
def squeeze(x: Tensor, axes: list[int] | None = None) -> Tensor:
    return x.squeeze() if axes is None else x.squeeze(axes)


@operator
def concat(values: list[Tensor], axis: int, interleave: bool = False) -> Tensor:
    """`values` along `axis`, one after the other or (`interleave`) one element of each in turn."""
    if interleave:
        axis %= values[0].ndim
        return torch.stack(values, axis + 1).flatten(axis, axis + 1)
    return torch.cat(values, axis)


@operator
def stack(values: list[Tensor], axis: int) -> Tensor:
    return torch.stack(values, axis)


@operator
def split(x: Tensor, axis: int, num_splits: int | None = None, split_sizes: list[int] | None = None
          ) -> tuple[Tensor, ...]:
    """`x` cut along `axis` into `split_sizes`, or into `num_splits` equal parts."""
    return torch.split(x, split_sizes or x.shape[axis] // (num_splits or 1), axis)


@operator
def tile(x: Tensor, reps: list[int]) -> Tensor:
    """`x` repeated as often along each axis."""
    return x.repeat(reps)


@operator
def reverse(x: Tensor, axes: list[int] | None = None) -> Tensor:
    return x.flip(_axes(x, axes))


@operator
def reverse_sequence(x: Tensor, lengths: Tensor, seq_axis: int = 0, batch_axis: int = 0) -> Tensor:
    """`x` with the first `lengths[i]` elements along `seq_axis` turned around, in slice i along `batch_axis`."""
    seq_axis, batch_axis = seq_axis % x.ndim, batch_axis % x.ndim
    steps, length = torch.arange(x.shape[seq_axis]), lengths.long()[:, None]
    places = torch.where(steps < length, length - 1 - steps, steps)  # [batch, steps]
    shape = [x.shape[axis] if axis in (seq_axis, batch_axis) else 1 for axis in range(x.ndim)]
    places = places if batch_axis < seq_axis else places.T
    return torch.take_along_dim(x, places.reshape(shape), seq_axis)


@operator
def reshape_like(x: Tensor, ref_tensors: list[Tensor], begins: list[int], ends: list[int], end_masks: list[bool]
                 ) -> Tensor:
    """`x` in the sizes of each reference from its axis `begins` on, up to `ends` or (`end_masks`) to its last."""
    return x.reshape([n for reference, begin, end, is_open in zip(ref_tensors, begins, ends, end_masks)
                      for n in reference.shape[begin:None if is_open else end]])


@operator
def slice_by_index(x: Tensor, begin: list[int], end: list[int], stride: list[int] | None = None,
                   begin_mask: list[bool] | None = None, end_mask: list[bool] | None = None,
                   squeeze_mask: list[bool] | None = None) -> Tensor:
    """`x[begin:end:stride]` on every axis, as NumPy slices it.

    Where a mask is set, `begin` or `end` is left open, or (`squeeze_mask`) the axis is indexed by `begin` and dropped.
    """
    unset = [False] * x.ndim
    for axis in reversed(range(x.ndim)):
        if (squeeze_mask or unset)[axis]:
            x = x.select(axis, begin[axis])
            continue
        step = stride[axis] if stride else 1
        first = None if (begin_mask or unset)[axis] else begin[axis]
        last = None if (end_mask or unset)[axis] else end[axis]
        positions = range(x.shape[axis])[first:last:step]
        if step > 0:
            x = x[(slice(None),) * axis + (slice(first, last, step),)]
        else:  # torch has no negative step
            x = x.index_select(axis, torch.tensor(positions, dtype=torch.int64))
    return x


@operator
def slice_update(x: Tensor, update: Tensor, begin: list[int], end: list[int], stride: list[int] | None = None,
                 begin_mask: list[bool] | None = None, end_mask: list[bool] | None = None,
                 squeeze_mask: list[bool] | None = None) -> Tensor:
    """`x` with `update` in the place that `slice_by_index` takes with the same arguments."""
    places = torch.arange(x.numel()).reshape(x.shape)
    taken = slice_by_index(places, begin, end, stride, begin_mask, end_mask, squeeze_mask)
    return x.flatten().index_copy(0, taken.flatten(), update.flatten()).reshape(x.shape)


@operator
def slice_by_size(x: Tensor, begin: list[int], size: list[int]) -> Tensor:
    """`size` elements of every axis from `begin`; -1 takes all that are left."""
    return x[tuple(slice(b, None if n == -1 else b + n) for b, n in zip(begin, size))]


@operator
def gather(x: Tensor, indices: Tensor, axis: int = 0, batch_dims: int = 0, validate_indices: bool = False) -> Tensor:
    """The elements of `x` at `indices` along `axis`, as `numpy.take`; the first `batch_dims` axes go in step."""
    if batch_dims:
        return torch.stack([gather(a, b, axis % x.ndim - 1, batch_dims - 1) for a, b in zip(x, indices)])
    axis %= x.ndim
    flat = indices.flatten().long() % x.shape[axis]  # a negative index counts from the end
    return x.index_select(axis, flat).reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1:])


@operator
def gather_along_axis(x: Tensor, indices: Tensor, axis: int = 0, validate_indices: bool = False) -> Tensor:
    """`indices` has the shape of `x` but for `axis`, and so has the result."""
    return torch.take_along_dim(x, indices.long() % x.shape[axis], axis)


@operator
def gather_nd(x: Tensor, indices: Tensor, batch_dims: int = 0, validate_indices: bool = False) -> Tensor:
    """The slices of `x` at the coordinates in the last axis of `indices`."""
    if batch_dims:
        return torch.stack([gather_nd(a, b, batch_dims - 1) for a, b in zip(x, indices)])
    return x[tuple(indices.long().unbind(-1))]


def _scattered(data: Tensor, indices: Tensor, updates: Tensor, axis: int, mode: str) -> Tensor:
    """`data` [...] changed at `indices` along `axis` by `updates`; these two have one shape, and indices may repeat."""
    if mode == "update":
        return data.scatter(axis, indices, updates)
    if mode in ("sub", "div"):
        mode, updates = ("add", -updates) if mode == "sub" else ("mul", 1 / updates)
    reduction = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}[mode]
    return data.scatter_reduce(axis, indices, updates, reduction)


@operator
def scatter(data: Tensor, indices: Tensor, updates: Tensor, axis: int = 0, mode: str = "add",
            validate_indices: bool = False) -> Tensor:
    """`data` with the slice at each of `indices` [...] along `axis` changed by one of `updates`, which has the axes of
    `indices` in place of `axis`."""
    axis %= data.ndim
    updates = updates.reshape(*data.shape[:axis], -1, *data.shape[axis + 1:])
    places = (indices.long() % data.shape[axis]).reshape([-1 if i == axis else 1 for i in range(data.ndim)])
    return _scattered(data, places.expand_as(updates), updates, axis, mode)


@operator
def scatter_along_axis(data: Tensor, indices: Tensor, updates: Tensor, axis: int = 0, mode: str = "add",
                       validate_indices: bool = False) -> Tensor:
    """The counterpart of `gather_along_axis`: `indices` and `updates` have one shape."""
    return _scattered(data, indices.long() % data.shape[axis], updates, axis, mode)


@operator
def scatter_nd(data: Tensor, indices: Tensor, updates: Tensor, mode: str = "add", validate_indices: bool = False
               ) -> Tensor:
    """`data` with the slices at the coordinates in the last axis of `indices` changed by `updates`."""
    depth = indices.shape[-1]
    sizes = data.shape[:depth]
    strides = torch.tensor([math.prod(sizes[i + 1:]) for i in range(depth)])
    rows = ((indices.long() % torch.tensor(sizes)) * strides).sum(-1).reshape(-1, 1)
    slices = data.reshape(math.prod(sizes), -1)
    updates = updates.reshape(len(rows), -1)
    return _scattered(slices, rows.expand_as(updates), updates, 0, mode).reshape(data.shape)


@operator
def band_part(x: Tensor, lower: int = -1, upper: int = -1) -> Tensor:
    """`x` [..., H, W] with zeros beyond `lower` diagonals below and `upper` above the main one; -1 keeps all."""
    below = x if lower < 0 else x.triu(-lower)
    return below if upper < 0 else below.tril(upper)


@operator
def pixel_shuffle(x: Tensor, upscale_factor: int) -> Tensor:
    """[N, C r², H, W] to [N, C, H r, W r]; the block varies fastest along the channels."""
    return F.pixel_shuffle(x, upscale_factor)


@operator
def pixel_unshuffle(x: Tensor, downscale_factor: int) -> Tensor:
    """The inverse of `pixel_shuffle`."""
    return F.pixel_unshuffle(x, downscale_factor)


@operator
def depth_to_space(x: Tensor, block_size: int) -> Tensor:
    """[N, C, H, W] to [N, C / b², H b, W b]; unlike `pixel_shuffle`, the block varies slowest along the channels."""
    n, c, h, w = x.shape
    blocks = x.reshape(n, block_size, block_size, c // block_size ** 2, h, w)
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(n, c // block_size ** 2, h * block_size, w * block_size)


@operator
def space_to_depth(x: Tensor, block_size: int) -> Tensor:
    """The inverse of `depth_to_space`."""
    n, c, h, w = x.shape
    blocks = x.reshape(n, c, h // block_size, block_size, w // block_size, block_size)
    return blocks.permute(0, 3, 5, 1, 2, 4).reshape(n, c * block_size ** 2, h // block_size, w // block_size)


@operator
def space_to_batch(x: Tensor, block_shape: list[int], paddings: list[list[int]]) -> Tensor:
    """[N, C, H, W], padded with zeros, to [b₀ b₁ N, C, H / b₀, W / b₁]: a block's pixels go to different pictures."""
    x = pad_spatial(x, [*paddings[0], *paddings[1]])
    n, c, h, w = x.shape
    rows, columns = block_shape
    blocks = x.reshape(n, c, h // rows, rows, w // columns, columns).permute(3, 5, 0, 1, 2, 4)
    return blocks.reshape(n * rows * columns, c, h // rows, w // columns)


@operator
def batch_to_space(x: Tensor, block_shape: list[int], crops: list[list[int]]) -> Tensor:
    """The inverse of `space_to_batch`, where `crops` is what it padded."""
    n, c, h, w = x.shape
    rows, columns = block_shape
    blocks = x.reshape(rows, columns, n // (rows * columns), c, h, w).permute(2, 3, 4, 0, 5, 1)
    return crop(blocks.reshape(n // (rows * columns), c, h * rows, w * columns), *crops)


@operator
def sliding_windows(x: Tensor, axis: int, size: int, stride: int = 1) -> Tensor:
    """Every window of `size` along `axis`, one each `stride`: the windows along `axis`, what is in them on the next."""
    axis %= x.ndim
    return x.unfold(axis, size, stride).movedim(-1, axis + 1)


# ---- making tensors --------------------------------------------------------------------------------------------------

@operator
def fill(shape: list[int], value: float = 0.0) -> Tensor:
    return torch.full(shape, value)


@operator
def fill_like(ref_tensor: Tensor, value: float = 0.0) -> Tensor:
    """`value` everywhere, in the shape of `ref_tensor`."""
    return torch.full(ref_tensor.shape, value)


@operator
def range_1d(end: float, start: float, step: float) -> Tensor:
    """[n]: from `start` up to `end`, which is excluded."""
    values = torch.arange(start, end, step)
    return values if values.is_floating_point() else values.int()


@operator
def one_hot(indices: Tensor, one_hot_vector_size: int, axis: int = -1, on_value: float = 1, off_value: float = 0
            ) -> Tensor:
    """`indices` with a new `axis` of `one_hot_vector_size`."""
    axis %= indices.ndim + 1
    classes = torch.arange(one_hot_vector_size).reshape(-1, *[1] * (indices.ndim - axis))
    values = torch.where(indices.unsqueeze(axis) == classes, on_value, off_value)
    return values if values.is_floating_point() else values.int()


def _generator(seed: int) -> torch.Generator | None:
    """What random numbers come from: a `seed` of 0 or more gives the same ones in every run, -1 others each time."""
    return torch.Generator().manual_seed(seed) if seed >= 0 else None


@operator
def random_normal(shape: list[int], mean: float = 0.0, stddev: float = 1.0, seed: int = -1) -> Tensor:
    """Normally distributed numbers. Core ML's have this distribution too, but are not these; so below."""
    return torch.randn(shape, generator=_generator(seed)) * stddev + mean


@operator
def random_uniform(shape: list[int], low: float = 0.0, high: float = 1.0, seed: int = -1) -> Tensor:
    """Numbers between `low` and `high`, which is excluded."""
    return torch.rand(shape, generator=_generator(seed)) * (high - low) + low


@operator
def random_bernoulli(shape: list[int], prob: float = 0.5, seed: int = -1) -> Tensor:
    """Ones with probability `prob`, else zeros."""
    return (torch.rand(shape, generator=_generator(seed)) < prob).float()


@operator
def random_categorical(x: Tensor, mode: str = "logits", size: int = 1, seed: int = -1) -> Tensor:
    """`size` classes drawn with replacement for each row of logits or (`mode` probs) probabilities `x` [..., C]:
    [..., size], as floats."""
    probabilities = torch.softmax(x, -1) if mode == "logits" else x
    rows = probabilities.reshape(-1, x.shape[-1])
    return rows.multinomial(size, True, generator=_generator(seed)).float().reshape(*x.shape[:-1], size)


@operator
def non_zero(x: Tensor) -> Tensor:
    """The coordinates of the elements that are not 0, one in a row."""
    return torch.nonzero(x).int()


# ---- lists: Python lists of tensors of one shape, None where nothing was written yet ---------------------------------

def _longer(ls: list[Tensor | None], length: int) -> list[Tensor | None]:
    """A copy of a list with room for `length` elements at least."""
    return [*ls, *[None] * (length - len(ls))]


def _elements(ls: list[Tensor | None]) -> list[Tensor]:
    """A list with zeros where nothing was written. Raises ValueError where the shape of these is not known."""
    known = next((element for element in ls if element is not None), None)
    if known is None:
        raise ValueError("nothing was written to the list")
    return [torch.zeros_like(known) if element is None else element for element in ls]


@operator
def make_list(elem_shape: list[int] | list[str], init_length: int = 1, dynamic_length: bool = True,
              dtype: str = "fp32") -> list[Tensor | None]:
    """A list of `init_length` tensors of `elem_shape`, zeros. A name in that shape is a size known only later."""
    if any(isinstance(n, str) for n in elem_shape):
        return [None] * init_length
    return [torch.zeros(typing.cast(list[int], elem_shape), dtype=TORCH_DTYPES[dtype])] * init_length


@operator
def list_length(ls: list[Tensor]) -> Tensor:
    return torch.tensor(len(ls), dtype=torch.int32)


@operator
def list_write(ls: list[Tensor], index: Tensor, value: Tensor) -> list[Tensor | None]:
    """`ls` with `value` at `index`; it grows where it is too short."""
    place = int(index)
    written = _longer(list(ls), place + 1)
    written[place] = value
    return written


@operator
def list_read(ls: list[Tensor], index: Tensor) -> Tensor:
    return _elements(list(ls))[int(index)]


@operator
def list_gather(ls: list[Tensor], indices: Tensor) -> Tensor:
    """The elements of `ls` at `indices` [n], stacked: [n, ...]."""
    elements = _elements(list(ls))
    return torch.stack([elements[i] for i in indices.tolist()])


@operator
def list_scatter(ls: list[Tensor], indices: Tensor, value: Tensor) -> list[Tensor | None]:
    """`ls` with the slices of `value` [n, ...] at `indices` [n]; it grows where it is too short."""
    places = indices.tolist()
    written = _longer(list(ls), max(places, default=-1) + 1)
    for place, element in zip(places, value, strict=True):
        written[place] = element
    return written


# ---- state -----------------------------------------------------------------------------------------------------------

@operator
def read_state(input: StateCell) -> Tensor:
    return input.value


@operator
def coreml_update_state(state: StateCell, value: Tensor) -> Tensor:
    """Keep `value`, and give it back. coremltools writes it as `write_state` and `read_state`."""
    state.value = value
    return value


# ---- resizing --------------------------------------------------------------------------------------------------------

def _grid(size: int, target: int, sampling_mode: str) -> Tensor:
    """Where each of `target` samples lies on an axis of `size` pixels: [target], from 0 to size - 1.

    The five modes are those of MIL's `resize_bilinear`.
    """
    i = torch.arange(target, dtype=torch.float32)
    match sampling_mode:
        case "ALIGN_CORNERS" if target == 1:
            points = i + (size - 1) / 2
        case "STRICT_ALIGN_CORNERS" | "ALIGN_CORNERS":
            points = i * ((size - 1) / max(target - 1, 1))
        case "UNALIGN_CORNERS":
            points = (i + 0.5) * (size / target) - 0.5
        case "OFFSET_CORNERS":
            points = (i + 0.5) * (max(size - 1, 1) / target)
        case _:  # DEFAULT
            points = i * (size / target)
    return points.clamp(0, size - 1)


def _interpolate(x: Tensor, points: Tensor, axis: int) -> Tensor:
    """`x` sampled at fractional `points` of `axis`, linearly between neighbours."""
    low = points.floor().long()
    high = (low + 1).clamp(max=x.shape[axis] - 1)
    weight = (points - low).reshape(-1, *[1] * (-axis - 1))
    return torch.lerp(x.index_select(axis, low), x.index_select(axis, high), weight)


@operator
def resize_bilinear(x: Tensor, target_size_height: int = 1, target_size_width: int = 1,
                    sampling_mode: str = "DEFAULT") -> Tensor:
    """Resize the last two axes of `x`."""
    y = _interpolate(x, _grid(x.shape[-2], target_size_height, sampling_mode), -2)
    return _interpolate(y, _grid(x.shape[-1], target_size_width, sampling_mode), -1)


@operator
def resize_nearest_neighbor(x: Tensor, target_size_height: int, target_size_width: int) -> Tensor:
    """Resize the last two axes of `x`: each sample takes the pixel whose area it falls into."""
    rows = torch.arange(target_size_height) * x.shape[-2] // target_size_height
    columns = torch.arange(target_size_width) * x.shape[-1] // target_size_width
    return x.index_select(-2, rows).index_select(-1, columns)


@operator
def upsample_bilinear(x: Tensor, scale_factor_height: float = 1, scale_factor_width: float = 1,
                      align_corners: bool = True, half_pixel_centers: bool | None = None) -> Tensor:
    """Resize the last two axes of `x` by factors, the sizes rounded down."""
    half_pixel_centers = not align_corners if half_pixel_centers is None else half_pixel_centers
    sampling_mode = "STRICT_ALIGN_CORNERS" if align_corners else "UNALIGN_CORNERS" if half_pixel_centers else "DEFAULT"
    height, width = x.shape[-2:]
    return resize_bilinear(x, int(height * scale_factor_height), int(width * scale_factor_width), sampling_mode)


@operator
def upsample_nearest_neighbor(x: Tensor, scale_factor_height: float = 1, scale_factor_width: float = 1) -> Tensor:
    """Resize the last two axes of `x` by factors, the sizes rounded down."""
    height, width = x.shape[-2:]
    return resize_nearest_neighbor(x, int(height * scale_factor_height), int(width * scale_factor_width))


@operator
def resize(x: Tensor, shape: list[int], resized_dims: int, interpolation_mode: str = "LINEAR",
           sampling_mode: str = "DEFAULT") -> Tensor:
    """Resize the last `resized_dims` axes of `x` to the last entries of `shape`; a 0 there keeps the size."""
    for axis in range(-resized_dims, 0):
        points = _grid(x.shape[axis], shape[axis] or x.shape[axis], sampling_mode)
        if interpolation_mode == "LINEAR":
            x = _interpolate(x, points, axis)
        else:
            # coremltools' test of DEFAULT (iOS17/test_image_resizing.py) takes the nearest pixel, not the one before
            nearest = torch.ceil(points - 0.5) if sampling_mode == "DEFAULT" else torch.floor(points + 0.5)
            x = x.index_select(axis, nearest.long())
    return x


def _corners(boxes: Tensor, mode: str) -> tuple[Tensor, Tensor]:
    """The first and the last (row, column) of `boxes` [N, 4], [N, 2] each, by the four modes of `crop_resize`.

    A box given by its centre reaches half its size to either side.
    """
    one, other = boxes.split(2, -1)
    if mode.endswith("WIDTH_FIRST"):
        one, other = one.flip(-1), other.flip(-1)
    return (one - other / 2, one + other / 2) if mode.startswith("CENTER_SIZE") else (one, other)


def _box_points(first: Tensor, last: Tensor, target: int, sampling_mode: str) -> Tensor:
    """Where each of `target` samples lies between `first` and `last` [N]: [N, target]. The grid is that of `_grid` on
    an axis of last - first + 1 pixels; a box whose ends are swapped is read backwards."""
    i, extent = torch.arange(target, dtype=torch.float32), (last - first)[:, None]
    match sampling_mode:
        case "ALIGN_CORNERS" if target == 1:
            points = i + extent / 2
        case "STRICT_ALIGN_CORNERS" | "ALIGN_CORNERS":
            points = i * (extent / max(target - 1, 1))
        case "UNALIGN_CORNERS":
            points = (i + 0.5) * ((extent + 1) / target) - 0.5
        case "OFFSET_CORNERS":
            points = (i + 0.5) * (extent.clamp(min=1) / target)
        case _:  # DEFAULT
            points = i * ((extent + 1) / target)
    return first[:, None] + points.clamp(extent.clamp(max=0), extent.clamp(min=0))


EDGE = 1e-4
"""How far beyond the outermost pixels, in pixels, a point may come to lie by rounding."""


def _sampled(images: Tensor, rows: Tensor, columns: Tensor, pad_value: float) -> Tensor:
    """`images` [N, C, H, W] at fractional `rows` [N, h] and `columns` [N, w], linearly between pixels: [N, C, h, w]. A
    point beyond the outermost pixels is `pad_value`."""
    height, width = images.shape[-2:]
    beyond = [(points < -EDGE) | (points > size - 1 + EDGE) for points, size in ((rows, height), (columns, width))]
    outside = beyond[0][:, :, None] | beyond[1][:, None]
    batch = torch.arange(len(images))[:, None, None]

    def line(row: Tensor) -> Tensor:  # along the columns, [N, h, w, C]
        left = columns.floor().long().clamp(0, width - 1)
        one, other = (images[batch, :, row[:, :, None], column[:, None]]
                      for column in (left, (left + 1).clamp(max=width - 1)))
        return torch.lerp(one, other, (columns - left)[:, None, :, None])

    top = rows.floor().long().clamp(0, height - 1)
    values = torch.lerp(line(top), line((top + 1).clamp(max=height - 1)), (rows - top)[:, :, None, None])
    return torch.where(outside[..., None], pad_value, values).permute(0, 3, 1, 2)


def crop_boxes(x: Tensor, boxes: Tensor, box_indices: Tensor, target: tuple[int, int], normalized: bool, scale: float,
               box_mode: str, sampling_mode: str, pad_value: float) -> Tensor:
    """The part of `x[box_indices[i]]` [C, H, W] in each of `boxes` [N, 4], resized to `target` (height, width):
    [N, C, height, width]."""
    sizes = torch.tensor(x.shape[-2:]) - 1 if normalized else torch.ones(2)
    first, last = (corner * sizes * scale for corner in _corners(boxes.float(), box_mode))
    rows, columns = (_box_points(first[:, axis], last[:, axis], target[axis], sampling_mode) for axis in (0, 1))
    return _sampled(x[box_indices.long()], rows, columns, pad_value)


def crop_all(x: Tensor, roi: Tensor, *options: Any) -> Tensor:
    """`crop_boxes` for `roi` [N, 1, 4, 1, 1], each box in every image, or [N, 1, 5, 1, 1], where the image's place
    comes first: [N, B or 1, C, height, width]. `options` are those of `crop_boxes` after the places."""
    boxes = roi.reshape(len(roi), -1)
    if boxes.shape[1] == 5:
        return crop_boxes(x, boxes[:, 1:], boxes[:, 0], *options)[:, None]
    pictures = torch.arange(len(x)).repeat(len(boxes))
    crops = crop_boxes(x, boxes.repeat_interleave(len(x), 0), pictures, *options)
    return crops.reshape(len(boxes), len(x), *crops.shape[1:])


@operator
def crop_resize(x: Tensor, roi: Tensor | None = None, boxes: Tensor | None = None, box_indices: Tensor | None = None,
                target_height: int = 1, target_width: int = 1, normalized_coordinates: bool = False,
                spatial_scale: float = 1.0, box_coordinate_mode: str = "CORNERS_HEIGHT_FIRST",
                sampling_mode: str = "DEFAULT", pad_value: float = 0.0) -> Tensor:
    """Parts of `x` [B, C, H, W] resized: for `boxes` [N, 4], from iOS 17 on, [N, C, target_height, target_width]; for
    `roi` before, as `crop_all`."""
    options = ((target_height, target_width), normalized_coordinates, spatial_scale, box_coordinate_mode, sampling_mode,
               pad_value)
    if boxes is None:
        return crop_all(x, typing.cast(Tensor, roi), *options)
    places = torch.arange(len(boxes)) if box_indices is None else box_indices
    return crop_boxes(x, boxes, places, *options)


@operator
def resample(x: Tensor, coordinates: Tensor, sampling_mode: str, padding_mode: str, padding_value: float,
             coordinates_mode: str, align_corners: bool) -> Tensor:
    """`x` [N, C, H, W] at the points `coordinates` [N, H', W', 2], each (column, row)."""
    sizes = torch.tensor([x.shape[-1], x.shape[-2]], dtype=torch.float32)
    points = coordinates.float()
    if coordinates_mode != "unnormalized":
        share = points if coordinates_mode == "normalized_zero_to_one" else (points + 1) / 2
        points = share * (sizes - 1) if align_corners else share * sizes - 0.5
    # torch reflects at the outermost pixels' middles with align_corners, and at their edges without.
    at_middles = padding_mode == "reflection"
    grid = 2 * points / (sizes - 1) - 1 if at_middles else (2 * points + 1) / sizes - 1
    offset = padding_value if padding_mode == "constant" else 0.0
    torch_mode = {"constant": "zeros", "border": "border", "reflection": "reflection", "symmetric": "reflection"}
    return F.grid_sample(x - offset, grid, sampling_mode, torch_mode[padding_mode], at_middles) + offset


@operator
def affine(x: Tensor, transform_matrix: Tensor, output_height: int, output_width: int, sampling_mode: str,
           padding_mode: str, padding_value: float, coordinates_mode: str, align_corners: bool) -> Tensor:
    """`x` [N, C, H, W] turned, moved and scaled: `transform_matrix` [N or 1, 6] leads from an output's (column, row),
    each from -1 to 1, to where it is read."""
    matrix = transform_matrix.reshape(-1, 2, 3).expand(len(x), 2, 3)
    grid = F.affine_grid(matrix, [len(x), x.shape[1], output_height, output_width], align_corners)
    return resample(x, grid, sampling_mode, padding_mode, padding_value, coordinates_mode, align_corners)


# ---- detection -------------------------------------------------------------------------------------------------------

def _overlaps(box: Tensor, boxes: Tensor) -> Tensor:
    """The intersection over the union of a box [4] and each of `boxes` [N, 4], (x, y, width, height) each with the
    centre's x and y: [N], 0 where both are empty."""
    low = torch.maximum(box[:2] - box[2:] / 2, boxes[:, :2] - boxes[:, 2:] / 2)
    high = torch.minimum(box[:2] + box[2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2)
    shared = (high - low).clamp(min=0).prod(-1)
    union = box[2:].prod() + boxes[:, 2:].prod(-1) - shared
    return torch.where(union > 0, shared / union, 0)


def suppressed(boxes: Tensor, scores: Tensor, iou_threshold: float, score_threshold: float, max_boxes: int,
               per_class: bool) -> list[int]:
    """Which of `boxes` [N, 4] with `scores` [N, K] are kept, the best first.

    A box counts with its best class. One whose score is not above `score_threshold` is dropped, and so is one that
    overlaps a better one (`per_class`: of its class) by more than `iou_threshold`. If none is left the best one is
    kept: so do the tests with which coremltools checks Core ML
    (coremltools/converters/mil/mil/ops/tests/iOS14/test_tensor_operation.py).
    """
    best, classes = scores.max(-1)
    order = torch.argsort(best, descending=True, stable=True)
    candidates = order[best[order] > score_threshold]
    kept: list[int] = []
    while len(candidates) and len(kept) < max_boxes:
        chosen = int(candidates[0])
        kept.append(chosen)
        covered = _overlaps(boxes[chosen], boxes[candidates]) > iou_threshold
        covered = covered & (classes[candidates] == classes[chosen]) if per_class else covered
        covered[0] = True
        candidates = candidates[~covered]
    return kept or order[:1].tolist()


def _filled(values: Tensor, length: int, value: float) -> Tensor:
    """`values` [n, ...] with `value` behind, [length, ...]."""
    return torch.cat([values, values.new_full((length - len(values), *values.shape[1:]), value)])


def suppress(boxes: Tensor, scores: Tensor, iou_threshold: float, score_threshold: float, max_boxes: int,
             per_class: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`suppressed` for `boxes` [n, N, 4] and `scores` [n, N, K]: the boxes kept, [n, max_boxes, 4], their scores,
    [n, max_boxes, K], their places, [n, max_boxes], and how many they are, [n]. What is missing to `max_boxes` is 0, in
    the places -1."""
    answers = []
    for one, its_scores in zip(boxes, scores):
        kept = torch.tensor(suppressed(one, its_scores, iou_threshold, score_threshold, max_boxes, per_class),
                            dtype=torch.int32)
        answers.append((_filled(one[kept.long()], max_boxes, 0), _filled(its_scores[kept.long()], max_boxes, 0),
                        _filled(kept, max_boxes, -1), torch.tensor(len(kept), dtype=torch.int32)))
    kept_boxes, kept_scores, places, counts = map(torch.stack, zip(*answers))
    return kept_boxes, kept_scores, places, counts


@operator
def non_maximum_suppression(boxes: Tensor, scores: Tensor, iou_threshold: float, max_boxes: int,
                            score_threshold: float | None = None, per_class_suppression: bool = False
                            ) -> tuple[Tensor, ...]:
    """`suppress`. From iOS 17 on there is no `score_threshold`, the places of the boxes are the last axis of `boxes`
    [n, 4, N], of `scores` [n, K, N] and of what comes back, and their number does not."""
    if score_threshold is not None:
        return suppress(boxes, scores, iou_threshold, score_threshold, max_boxes, per_class_suppression)
    kept, kept_scores, places, _ = suppress(boxes.mT, scores.mT, iou_threshold, -math.inf, max_boxes,
                                            per_class_suppression)
    return kept.mT, kept_scores.mT, places


# ---- quantized activations and the classifier ------------------------------------------------------------------------

def _along(parameter: Tensor | None, x: Tensor, axis: int | None) -> Tensor | float:
    """A scalar, or a vector shaped to broadcast along `axis` of `x`."""
    if parameter is None:
        return 0.0
    if parameter.ndim == 0 or axis is None:
        return parameter
    return parameter.reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])


@operator
def quantize(input: Tensor, scale: Tensor, output_dtype: str, zero_point: Tensor | None = None,
             axis: int | None = None) -> Tensor:
    """`input` over `scale` plus `zero_point`, each one number or, along `axis`, a vector: integers of 8 bits."""
    low, high = (0, 255) if output_dtype == "uint8" else (-128, 127)
    steps = torch.round(input / _along(scale, input, axis)) + _along(zero_point, input, axis)
    return steps.clamp(low, high).int()


@operator
def dequantize(input: Tensor, scale: Tensor, zero_point: Tensor | None = None, axis: int | None = None) -> Tensor:
    """The inverse of `quantize`, with the same parameters."""
    return (input - _along(zero_point, input, axis)) * _along(scale, input, axis)


@operator
def classify(probabilities: Tensor, classes: list[str] | list[int]) -> tuple[list, list[dict]]:
    """The most probable class, and the probability of every class: a list of each, one entry an input."""
    rows = probabilities.reshape(-1, len(classes))
    return [classes[i] for i in rows.argmax(1)], [dict(zip(classes, row)) for row in rows.tolist()]
