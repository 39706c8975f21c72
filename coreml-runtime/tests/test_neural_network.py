"""The neural networks (.mlmodel) of coreml_runtime against definitions, PyTorch and Keras.

Each layer type is compared with its definition in the specification's words, written here in NumPy and independently of
the runtime; where sizes, strides and paddings vary, hypothesis chooses them.
"""

import functools
import itertools
import math
from pathlib import Path

import coreml_runtime
import numpy as np
import pytest
import test_control_flow
import test_more_operators
import test_recurrent
import torch
from coreml_runtime import ModelFileError, ModelRunError, UnknownOperator, neural_network, nn_control, onednn
from coreml_runtime.__main__ import main
from coreml_runtime.imports import import_coremltools
from coreml_runtime.model import Model
from coreml_runtime.nn_layers import LAYERS
from hypothesis import given, settings, strategies as st
from PIL import Image
from torch import nn
from torch.nn import functional as F

ct = import_coremltools()
datatypes, quantization_utils = ct.models.datatypes, ct.models.neural_network.quantization_utils
NeuralNetworkBuilder = ct.models.neural_network.NeuralNetworkBuilder

README = Path(__file__).parents[1] / "README.md"
LABELS = ["floppy drive", "piézo", "relay", "stepper motor"]
EXAMPLES = settings(max_examples=40, deadline=None, derandomize=True)


def builder(outputs, exact=False, mode=None, **inputs):
    """A NeuralNetworkBuilder with arrays of the given shapes as inputs; `exact`: they keep their number of axes."""
    return NeuralNetworkBuilder([(name, datatypes.Array(*shape)) for name, shape in inputs.items()],
                                [(name, None) for name in outputs], mode=mode, disable_rank5_shape_mapping=exact)


def run(built, compute_precision="float32", **inputs):
    """What the runtime answers; the file is not written."""
    program = neural_network.NeuralNetwork(built.spec, "built.mlmodel", compute_precision == "float16")
    return Model(Path("built.mlmodel"), built.spec.description, program, compute_precision).predict(inputs)


def run_one(add, x, exact=False):
    """The answer of a network with one layer, which `add(builder, input, output)` adds, without the two axes that the
    old specification puts before channels, height and width."""
    built = builder(["y"], exact, x=x.shape)
    add(built, "x", "y")
    y = run(built, x=x)["y"]
    return y if exact or y.ndim < 5 else y[0, 0]


# ---- each layer type against its definition --------------------------------------------------------------------------

RNG = np.random.default_rng(5)
X = RNG.normal(0, 1.5, (4, 6, 6)).astype(np.float32)
Y = RNG.normal(0, 1.5, (4, 6, 6)).astype(np.float32)
VECTOR = np.float32([0.1, 0.3, 0.5, 0.9])
OTHER_VECTOR = np.float32([1.0, 0.5, 2.0, 0.7])
PER_CHANNEL = VECTOR.reshape(4, 1, 1)
OTHER_PER_CHANNEL = OTHER_VECTOR.reshape(4, 1, 1)
MATRIX = RNG.normal(0, 0.3, (5, 144)).astype(np.float32)
TABLE = RNG.normal(0, 1, (3, 7)).astype(np.float32)
PICTURE_PLACES = np.arange(36, dtype=np.float32).reshape(1, 6, 6)


def activation(name, params=None):
    return lambda b, x, y, o: b.add_activation(o, name, x, o, params=params)


def unary(mode, **options):
    return lambda b, x, y, o: b.add_unary(o, x, o, mode, **options)


def elementwise(mode, alpha=None):
    return lambda b, x, y, o: b.add_elementwise(o, [x, y] if alpha is None else [x], o, mode, alpha=alpha)


def reduce(mode, axis):
    return lambda b, x, y, o: b.add_reduce(o, x, o, axis, mode, epsilon=0.1)


def one_by_one(*steps):
    """Layers one after the other."""
    def add(b, x, y, o):
        for i, step in enumerate(steps, 1):
            made = o if step is steps[-1] else f"{o} {i}"
            step(b, x, y, made)
            x = made
    return add


def with_field(add, layer, field, value):
    """A layer with a field that the builder does not set."""
    def add_and_set(b, x, y, o):
        add(b, x, y, o)
        setattr(getattr(b.nn_spec.layers[-1], layer), field, value)
    return add_and_set


def normalized(x, axes, epsilon):
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon)


def lrn(x, alpha, beta, size, k):
    squares = np.stack([(x[max(c - (size - 1) // 2, 0):c + size // 2 + 1] ** 2).sum(0) for c in range(len(x))])
    return x / (k + alpha / size * squares) ** beta


def softmax(x, axis):
    return np.exp(x) / np.exp(x).sum(axis, keepdims=True)


def channels_last(x):
    return x.transpose(1, 2, 0)


OLD_LAYERS = {
    # activations
    "activation relu": (activation("RELU"), lambda x, y: np.maximum(x, 0)),
    "activation leaky relu": (activation("LEAKYRELU", [0.2]), lambda x, y: np.where(x >= 0, x, 0.2 * x)),
    "activation thresholded relu": (activation("THRESHOLDEDRELU", 0.8), lambda x, y: np.where(x >= 0.8, x, 0)),
    "activation prelu": (activation("PRELU", VECTOR), lambda x, y: np.where(x >= 0, x, PER_CHANNEL * x)),
    "activation prelu of one slope": (activation("PRELU", np.float32([0.3])),
                                      lambda x, y: np.where(x >= 0, x, 0.3 * x)),
    "activation tanh": (activation("TANH"), lambda x, y: np.tanh(x)),
    "activation scaled tanh": (activation("SCALED_TANH", [1.7, 0.6]), lambda x, y: 1.7 * np.tanh(0.6 * x)),
    "activation sigmoid": (activation("SIGMOID"), lambda x, y: 1 / (1 + np.exp(-x))),
    "activation hard sigmoid": (activation("SIGMOID_HARD", [0.3, 0.4]), lambda x, y: np.clip(0.3 * x + 0.4, 0, 1)),
    "activation linear": (activation("LINEAR", [2.0, -0.5]), lambda x, y: 2 * x - 0.5),
    "activation elu": (activation("ELU", 0.6), lambda x, y: np.where(x >= 0, x, 0.6 * np.expm1(x))),
    "activation softsign": (activation("SOFTSIGN"), lambda x, y: x / (1 + np.abs(x))),
    "activation softplus": (activation("SOFTPLUS"), lambda x, y: np.log1p(np.exp(x))),
    "activation parametric softplus": (activation("PARAMETRICSOFTPLUS", [VECTOR, OTHER_VECTOR]),
                                       lambda x, y: PER_CHANNEL * np.log1p(np.exp(OTHER_PER_CHANNEL * x))),
    # functions of one value; the absolute value keeps the argument where a function is defined
    "unary abs": (unary("abs", scale=2.0, shift=-1.0), lambda x, y: np.abs(2 * x - 1)),
    "unary sqrt": (one_by_one(unary("abs"), unary("sqrt", shift=0.5)), lambda x, y: np.sqrt(np.abs(x) + 0.5)),
    "unary rsqrt": (one_by_one(unary("abs"), unary("rsqrt", epsilon=0.1)), lambda x, y: (np.abs(x) + 0.1) ** -0.5),
    "unary inverse": (one_by_one(unary("abs"), unary("inverse", epsilon=0.1)), lambda x, y: 1 / (np.abs(x) + 0.1)),
    "unary power": (one_by_one(unary("abs"), unary("power", alpha=1.7)), lambda x, y: np.abs(x) ** 1.7),
    "unary exp": (unary("exp", scale=0.5), lambda x, y: np.exp(0.5 * x)),
    "unary log": (one_by_one(unary("abs"), unary("log", shift=0.1)), lambda x, y: np.log(np.abs(x) + 0.1)),
    "unary threshold": (unary("threshold", alpha=0.4), lambda x, y: np.maximum(x, 0.4)),
    # several values
    "add": (elementwise("ADD"), lambda x, y: x + y),
    "add a number": (elementwise("ADD", 0.7), lambda x, y: x + 0.7),
    "add channels": (lambda b, x, y, o: (b.add_reduce(o + " sum", y, o + " sum", "HW", "sum"),
                                         b.add_elementwise(o, [x, o + " sum"], o, "ADD")),
                     lambda x, y: x + y.sum((1, 2), keepdims=True)),
    "multiply": (elementwise("MULTIPLY"), lambda x, y: x * y),
    "multiply a number": (elementwise("MULTIPLY", -1.5), lambda x, y: -1.5 * x),
    "average": (elementwise("AVE"), lambda x, y: (x + y) / 2),
    "max": (elementwise("MAX"), np.maximum),
    "min": (elementwise("MIN"), np.minimum),
    "dot": (elementwise("DOT"), lambda x, y: (x * y).sum(0, keepdims=True)),
    "dot of unit vectors": (elementwise("COS"), lambda x, y: (x * y).sum(0, keepdims=True)
                            / np.sqrt((x * x).sum(0) * (y * y).sum(0))),
    # weights
    "innerProduct": (lambda b, x, y, o: b.add_inner_product(o, MATRIX, np.arange(5.0), 144, 5, True, x, o),
                     lambda x, y: (MATRIX @ x.reshape(-1) + np.arange(5)).reshape(5, 1, 1)),
    "innerProduct without bias": (lambda b, x, y, o: b.add_inner_product(o, MATRIX, None, 144, 5, False, x, o),
                                  lambda x, y: (MATRIX @ x.reshape(-1)).reshape(5, 1, 1)),
    "embedding": (one_by_one(lambda b, x, y, o: b.add_slice(o, x, o, "width", 0, 1),
                             lambda b, x, y, o: b.add_slice(o, x, o, "height", 0, 1),
                             lambda b, x, y, o: b.add_permute(o, [1, 0, 2, 3], x, o), unary("abs"),
                             lambda b, x, y, o: b.add_embedding(o, TABLE, np.float32([1, 2, 3]), 7, 3, True, x, o)),
                  lambda x, y: (TABLE[:, np.abs(x[:, 0, 0]).astype(int)].T + np.float32([1, 2, 3])
                                )[:, None, :, None, None]),
    "scale": (lambda b, x, y, o: b.add_scale(o, VECTOR, OTHER_VECTOR, True, x, o, [4], [4]),
              lambda x, y: PER_CHANNEL * x + OTHER_PER_CHANNEL),
    "scale each place": (lambda b, x, y, o: b.add_scale(o, PICTURE_PLACES, None, False, x, o, [1, 6, 6]),
                         lambda x, y: PICTURE_PLACES * x),
    "scale by a number": (lambda b, x, y, o: b.add_scale(o, np.float32([1.5]), X, True, x, o, [1], [4, 6, 6]),
                          lambda x, y: 1.5 * x + X),
    "bias": (lambda b, x, y, o: b.add_bias(o, VECTOR, x, o, [4]), lambda x, y: x + PER_CHANNEL),
    "bias each place": (lambda b, x, y, o: b.add_bias(o, X, x, o, [4, 6, 6]), lambda x, y: x + X),
    "loadConstant": (lambda b, x, y, o: (b.add_load_constant(o + " data", o + " data", X, [4, 6, 6]),
                                         b.add_elementwise(o, [x, o + " data"], o, "ADD")), lambda x, y: x + X),
    # normalization
    "batchnorm": (lambda b, x, y, o: b.add_batchnorm(o, 4, VECTOR, OTHER_VECTOR, OTHER_VECTOR, VECTOR, x, o,
                                                     epsilon=0.01),
                  lambda x, y: PER_CHANNEL * (x - OTHER_PER_CHANNEL) / np.sqrt(PER_CHANNEL + 0.01) + OTHER_PER_CHANNEL),
    "batchnorm of the instance": (lambda b, x, y, o: b.add_batchnorm(
        o, 4, VECTOR, OTHER_VECTOR, None, None, x, o, True, True, 0.01),
        lambda x, y: PER_CHANNEL * normalized(x, (1, 2), 0.01) + OTHER_PER_CHANNEL),
    "batchnorm of the batch": (with_field(lambda b, x, y, o: b.add_batchnorm(
        o, 4, VECTOR, OTHER_VECTOR, None, None, x, o, True, True, 0.01), "batchnorm", "instanceNormalization", False),
        lambda x, y: PER_CHANNEL * normalized(x, (1, 2), 0.01) + OTHER_PER_CHANNEL),
    "mvn": (lambda b, x, y, o: b.add_mvn(o, x, o, True, True, 0.01), lambda x, y: normalized(x, (0, 1, 2), 0.01)),
    "mvn of each channel": (lambda b, x, y, o: b.add_mvn(o, x, o, False, True, 0.01),
                            lambda x, y: normalized(x, (1, 2), 0.01)),
    "mvn of the mean alone": (lambda b, x, y, o: b.add_mvn(o, x, o, False, False),
                              lambda x, y: x - x.mean((1, 2), keepdims=True)),
    "l2normalize": (lambda b, x, y, o: b.add_l2_normalize(o, x, o, 0.5), lambda x, y: x / np.sqrt((x * x).sum() + 0.5)),
    "lrn": (lambda b, x, y, o: b.add_lrn(o, x, o, 0.5, 0.75, 3, 1.5), lambda x, y: lrn(x, 0.5, 0.75, 3, 1.5)),
    "softmax": (lambda b, x, y, o: b.add_softmax(o, x, o), lambda x, y: softmax(x, 0)),
    # reductions
    "reduce sum": (reduce("sum", "CHW"), lambda x, y: x.sum(keepdims=True)),
    "reduce avg": (reduce("avg", "HW"), lambda x, y: x.mean((1, 2), keepdims=True)),
    "reduce prod": (reduce("prod", "H"), lambda x, y: x.prod(1, keepdims=True)),
    "reduce logsum": (one_by_one(unary("abs"), reduce("logsum", "W")),
                      lambda x, y: np.log(np.abs(x) + 0.1).sum(2, keepdims=True)),
    "reduce sumsquare": (reduce("sumsquare", "C"), lambda x, y: (x * x).sum(0, keepdims=True)),
    "reduce L1": (reduce("L1", "HW"), lambda x, y: np.abs(x).sum((1, 2), keepdims=True)),
    "reduce L2": (reduce("L2", "HW"), lambda x, y: np.sqrt((x * x).sum((1, 2), keepdims=True))),
    "reduce max": (reduce("max", "C"), lambda x, y: x.max(0, keepdims=True)),
    "reduce min": (reduce("min", "CHW"), lambda x, y: x.min(keepdims=True)),
    "reduce argmax": (reduce("argmax", "C"), lambda x, y: x.argmax(0)[None]),
    # shape and size
    "flatten": (lambda b, x, y, o: b.add_flatten(o, 0, x, o), lambda x, y: x.reshape(-1, 1, 1)),
    "flatten channels last": (lambda b, x, y, o: b.add_flatten(o, 1, x, o),
                              lambda x, y: channels_last(x).reshape(-1, 1, 1)),
    "reshape": (lambda b, x, y, o: b.add_reshape(o, x, o, [2, 9, 8], 0), lambda x, y: x.reshape(2, 9, 8)),
    "reshape channels last": (lambda b, x, y, o: b.add_reshape(o, x, o, [2, 9, 8], 1),
                              lambda x, y: channels_last(x).reshape(9, 8, 2).transpose(2, 0, 1)),
    "reshape to a sequence": (lambda b, x, y, o: b.add_reshape(o, x, o, [3, 2, 4, 6], 0),
                              lambda x, y: x.reshape(3, 1, 2, 4, 6)),
    "permute": (lambda b, x, y, o: b.add_permute(o, [0, 3, 1, 2], x, o), lambda x, y: x.transpose(2, 0, 1)),
    "permute the sequence": (lambda b, x, y, o: b.add_permute(o, [2, 0, 1, 3], x, o),
                             lambda x, y: x.transpose(1, 0, 2)[:, None, None]),
    "concat": (lambda b, x, y, o: b.add_elementwise(o, [x, y], o, "CONCAT"), lambda x, y: np.concatenate([x, y])),
    "concat the sequence": (with_field(elementwise("CONCAT"), "concat", "sequenceConcat", True),
                            lambda x, y: np.stack([x, y])[:, None]),
    "split": (lambda b, x, y, o: b.add_split(o, x, [o, o + " second"]), lambda x, y: x[:2]),
    "sequenceRepeat": (lambda b, x, y, o: b.add_sequence_repeat(o, 3, x, o), lambda x, y: np.stack([x] * 3)[:, None]),
    "slice channels": (lambda b, x, y, o: b.add_slice(o, x, o, "channel", 1, -1), lambda x, y: x[1:-1]),
    "slice height": (lambda b, x, y, o: b.add_slice(o, x, o, "height", 0, 5, 2), lambda x, y: x[:, 0:5:2]),
    "slice width": (with_field(lambda b, x, y, o: b.add_slice(o, x, o, "width", 0, 6), "slice", "startIndex", -4),
                    lambda x, y: x[:, :, 2:]),
    "crop": (lambda b, x, y, o: b.add_crop(o, 0, 1, 2, 1, [0, 0], [x], o), lambda x, y: x[:, 2:-1, :-1]),
    "crop to another's size": (lambda b, x, y, o: (b.add_slice(o + " small", y, o + " small", "height", 0, 2),
                                                   b.add_crop(o, 0, 0, 0, 0, [3, 0], [x, o + " small"], o)),
                               lambda x, y: x[:, 3:5]),
    "padding": (lambda b, x, y, o: b.add_padding(o, 1, 0, 2, 3, 0.5, x, o),
                lambda x, y: np.pad(x, [(0, 0), (2, 3), (1, 0)], constant_values=0.5)),
    "padding reflection": (lambda b, x, y, o: b.add_padding(o, 1, 0, 2, 3, 0, x, o, "reflection"),
                           lambda x, y: np.pad(x, [(0, 0), (2, 3), (1, 0)], mode="reflect")),
    "padding replication": (lambda b, x, y, o: b.add_padding(o, 1, 0, 2, 3, 0, x, o, "replication"),
                            lambda x, y: np.pad(x, [(0, 0), (2, 3), (1, 0)], mode="edge")),
    "reorganizeData space to depth": (
        lambda b, x, y, o: b.add_reorganize_data(o, x, o, "SPACE_TO_DEPTH", 2),
        lambda x, y: np.concatenate([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)])),
    "reorganizeData depth to space": (
        lambda b, x, y, o: b.add_reorganize_data(o, x, o, "DEPTH_TO_SPACE", 2),
        lambda x, y: x.reshape(2, 2, 1, 6, 6).transpose(2, 3, 0, 4, 1).reshape(1, 12, 12)),
    "reorganizeData pixel shuffle": (
        lambda b, x, y, o: b.add_reorganize_data(o, x, o, "PIXEL_SHUFFLE", 2),
        lambda x, y: F.pixel_shuffle(torch.from_numpy(x), 2).numpy()),
}
"""Layers of specification 1 to 3 (with one later option): how each is added, and what it computes by definition."""


def sampled(x, rows):
    """`x` [..., 6, 6] at fractional rows and columns, by NumPy's own linear interpolation."""
    def on(axis, y):
        return np.apply_along_axis(lambda v: np.interp(rows, np.arange(6), v), axis, y)
    return on(-1, on(-2, x))


OLD_LAYERS |= {
    "upsample": (lambda b, x, y, o: b.add_upsample(o, 2, 3, x, o), lambda x, y: x.repeat(2, 1).repeat(3, 2)),
    "upsample bilinear": (lambda b, x, y, o: b.add_upsample(o, 2, 2, x, o, "BILINEAR"),
                          lambda x, y: sampled(x, np.minimum(np.arange(12) / 2, 5))),
    "upsample aligned": (lambda b, x, y, o: b.add_upsample(o, 2, 2, x, o, "BILINEAR", "ALIGN_CORNERS_TRUE"),
                         lambda x, y: sampled(x, np.linspace(0, 5, 12))),
    "upsample by a fraction": (lambda b, x, y, o: b.add_upsample(o, 1.5, 1.5, x, o, "BILINEAR", "ALIGN_CORNERS_FALSE"),
                               lambda x, y: sampled(x, np.clip((np.arange(9) + 0.5) / 1.5 - 0.5, 0, 5))),
    "resizeBilinear": (lambda b, x, y, o: b.add_resize_bilinear(o, x, o, 4, 4, "STRICT_ALIGN_ENDPOINTS_MODE"),
                       lambda x, y: sampled(x, np.linspace(0, 5, 4))),
    "resizeBilinear to one": (lambda b, x, y, o: b.add_resize_bilinear(o, x, o, 1, 1, "ALIGN_ENDPOINTS_MODE"),
                              lambda x, y: sampled(x, [2.5])),
    "resizeBilinear as upsample": (lambda b, x, y, o: b.add_resize_bilinear(o, x, o, 9, 9, "UPSAMPLE_MODE"),
                                   lambda x, y: sampled(x, np.minimum(np.arange(9) * 6 / 9, 5))),
    "resizeBilinear of regions": (lambda b, x, y, o: b.add_resize_bilinear(o, x, o, 4, 4, "ROI_ALIGN_MODE"),
                                  lambda x, y: sampled(x, (np.arange(4) + 0.5) * 5 / 4)),
}


@functools.cache
def answers(kind):
    """One network that holds all of a table, an output a case, and its answers for X and Y."""
    exact = kind == "new"
    table, shape = (NEW_LAYERS, (1, *X.shape)) if exact else (OLD_LAYERS, X.shape)
    built = builder([f"case {i}" for i in range(len(table))], exact, x=shape, y=shape)
    for i, (add, _) in enumerate(table.values()):
        add(built, "x", "y", f"case {i}")
    found = run(built, x=X.reshape(shape), y=Y.reshape(shape))
    return {case: found[f"case {i}"] for i, case in enumerate(table)}


@pytest.mark.parametrize("case", OLD_LAYERS)
def test_a_layer_computes_what_its_definition_says(case):
    expected = np.asarray(OLD_LAYERS[case][1](X, Y))
    found = answers("old")[case]
    assert found.shape == (1,) * (5 - expected.ndim) + expected.shape
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)


# ---- layers of specification 4 and 5, on tensors of any shape --------------------------------------------------------

def simple(name):
    return lambda b, x, y, o: getattr(b, f"add_{name}")(o, x, o)


def of_two(name):
    return lambda b, x, y, o: getattr(b, f"add_{name}")(o, [x, y], o)


def reduction(name, **options):
    return lambda b, x, y, o: getattr(b, f"add_reduce_{name}")(o, x, o, **options)


def positive(add):
    """The layer after the absolute value."""
    return one_by_one(lambda b, x, y, o: b.add_unary(o, x, o, "abs"), add)


def bounded(add):
    """The layer after the sine: values from -1 to 1."""
    return one_by_one(simple("sin"), add)


def loaded(data, add):
    """A layer that reads `data` too, which the network holds."""
    def add_both(b, x, y, o):
        b.add_load_constant_nd(o + " data", o + " data", np.float32(data), np.shape(data))
        add(b, x, o + " data", o)
    return add_both


NEW_LAYERS = {
    "ceil": (simple("ceil"), lambda x, y: np.ceil(x)), "floor": (simple("floor"), lambda x, y: np.floor(x)),
    "sign": (simple("sign"), lambda x, y: np.sign(x)), "round": (simple("round"), lambda x, y: np.round(x)),
    "exp2": (simple("exp2"), lambda x, y: 2 ** x), "sin": (simple("sin"), lambda x, y: np.sin(x)),
    "cos": (simple("cos"), lambda x, y: np.cos(x)), "sinh": (simple("sinh"), lambda x, y: np.sinh(x)),
    "cosh": (simple("cosh"), lambda x, y: np.cosh(x)), "tanh": (simple("tanh"), lambda x, y: np.tanh(x)),
    "tan": (bounded(simple("tan")), lambda x, y: np.tan(np.sin(x))),
    "asin": (bounded(simple("asin")), lambda x, y: np.arcsin(np.sin(x))),
    "acos": (bounded(simple("acos")), lambda x, y: np.arccos(np.sin(x))),
    "atan": (simple("atan"), lambda x, y: np.arctan(x)),
    "asinh": (simple("asinh"), lambda x, y: np.arcsinh(x)),
    "acosh": (one_by_one(simple("cosh"), simple("acosh")), lambda x, y: np.abs(x)),
    "atanh": (one_by_one(simple("tanh"), simple("atanh")), lambda x, y: x),
    "erf": (simple("erf"), lambda x, y: np.vectorize(math.erf)(x)),
    "gelu": (simple("gelu"), lambda x, y: x / 2 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))),
    "gelu sigmoid": (lambda b, x, y, o: b.add_gelu(o, x, o, "SIGMOID_APPROXIMATION"),
                     lambda x, y: x / (1 + np.exp(-1.702 * x))),
    "clip": (lambda b, x, y, o: b.add_clip(o, x, o, -0.5, 0.7), lambda x, y: np.clip(x, -0.5, 0.7)),
    "clampedReLU": (lambda b, x, y, o: b.add_clamped_relu(o, x, o, 0.2, 1.0),
                    lambda x, y: np.minimum(np.where(x >= 0, x, 0.2 * x), 1)),
    "copy": (one_by_one(simple("sin"), simple("copy")), lambda x, y: np.sin(x)),
    "addBroadcastable": (loaded(PER_CHANNEL, of_two("add_broadcastable")), lambda x, y: x + PER_CHANNEL),
    "multiplyBroadcastable": (of_two("multiply_broadcastable"), lambda x, y: x * y),
    "subtractBroadcastable": (of_two("subtract_broadcastable"), lambda x, y: x - y),
    "divideBroadcastable": (of_two("divide_broadcastable"), lambda x, y: x / y),
    "maxBroadcastable": (of_two("max_broadcastable"), np.maximum),
    "minBroadcastable": (of_two("min_broadcastable"), np.minimum),
    "modBroadcastable": (loaded([0.75], of_two("mod_broadcastable")), lambda x, y: np.mod(x, 0.75)),
    "floorDivBroadcastable": (loaded([0.75], of_two("floor_div_broadcastable")), lambda x, y: np.floor(x / 0.75)),
    "powBroadcastable": (positive(loaded([1.7], of_two("pow_broadcastable"))), lambda x, y: np.abs(x) ** 1.7),
    "equal": (lambda b, x, y, o: (b.add_floor(o + " x", x, o + " x"), b.add_equal(o, [o + " x"], o, alpha=1.0)),
              lambda x, y: np.floor(x) == 1),
    "notEqual": (lambda b, x, y, o: (b.add_floor(o + " x", x, o + " x"), b.add_not_equal(o, [o + " x"], o, alpha=1.0)),
                 lambda x, y: np.floor(x) != 1),
    "lessThan": (lambda b, x, y, o: b.add_less_than(o, [x, y], o), np.less),
    "lessEqual": (lambda b, x, y, o: b.add_less_than(o, [x, y], o, use_less_than_equal=True), np.less_equal),
    "greaterThan": (lambda b, x, y, o: b.add_greater_than(o, [x], o, alpha=0.5), lambda x, y: x > 0.5),
    "greaterEqual": (lambda b, x, y, o: b.add_greater_than(o, [x, y], o, use_greater_than_equal=True),
                     np.greater_equal),
    **{f"logical{mode.title()}": (
        lambda b, x, y, o, mode=mode: (b.add_greater_than(o + " x", [x], o + " x"),
                                       b.add_greater_than(o + " y", [y], o + " y"),
                                       b.add_logical(o, [o + " x", o + " y"], o, mode.upper())), definition)
       for mode, definition in {"and": lambda x, y: (x > 0) & (y > 0), "or": lambda x, y: (x > 0) | (y > 0),
                                "xor": lambda x, y: (x > 0) ^ (y > 0)}.items()},
    "logicalNot": (one_by_one(lambda b, x, y, o: b.add_greater_than(o, [x], o),
                             lambda b, x, y, o: b.add_logical(o, [x], o, "NOT")), lambda x, y: x <= 0),
    "whereBroadcastable": (lambda b, x, y, o: (b.add_greater_than(o + " x", [x], o + " x"),
                                               b.add_where_broadcastable(o, [o + " x", x, y], o)),
                           lambda x, y: np.where(x > 0, x, y)),
    "batchedMatmul": (lambda b, x, y, o: b.add_batched_mat_mul(o, [x, y], o, transpose_b=True),
                      lambda x, y: x @ y.swapaxes(-1, -2)),
    "batchedMatmul with weights": (lambda b, x, y, o: b.add_batched_mat_mul(
        o, [x], o, weight_matrix_rows=6, weight_matrix_columns=4, W=MATRIX.reshape(-1)[:24].reshape(6, 4), bias=VECTOR),
        lambda x, y: x @ MATRIX.reshape(-1)[:24].reshape(6, 4) + VECTOR),
    "innerProduct": (lambda b, x, y, o: b.add_inner_product(o, MATRIX, None, 144, 5, False, x, o),
                     lambda x, y: (MATRIX @ x.reshape(-1)).reshape(1, 5, 1, 1)),
    "embeddingND": (positive(lambda b, x, y, o: (
        b.add_expand_dims(o + " e", x, o + " e", [-1]), b.add_squeeze(o + " s", o + " e", o + " s", [0]),
        b.add_embedding_nd(o, o + " s", o, 7, 3, TABLE, np.float32([1, 2, 3])))),
        lambda x, y: TABLE.T[np.abs(x[0]).astype(int)] + np.float32([1, 2, 3])),
    "softmaxND": (lambda b, x, y, o: b.add_softmax_nd(o, x, o, -1), lambda x, y: softmax(x, -1)),
    "layerNormalization": (lambda b, x, y, o: b.add_layer_normalization(o, x, o, [6], np.arange(1.0, 7), np.arange(6.0),
                                                                        0.01),
                           lambda x, y: np.arange(1, 7) * normalized(x, -1, 0.01) + np.arange(6)),
    "reduceSum": (reduction("sum", axes=[1, -1], keepdims=False), lambda x, y: x.sum((1, 3))),
    "reduceSum of all": (reduction("sum", reduce_all=True, keepdims=False), lambda x, y: x.sum()[None]),
    "reduceMean": (reduction("mean", axes=[-2, -1]), lambda x, y: x.mean((2, 3), keepdims=True)),
    "reduceMax": (reduction("max", axes=[1]), lambda x, y: x.max(1, keepdims=True)),
    "reduceMin": (reduction("min", axes=[1]), lambda x, y: x.min(1, keepdims=True)),
    "reduceProd": (reduction("prod", axes=[1, 2]), lambda x, y: x.prod((1, 2), keepdims=True)),
    "reduceL1": (reduction("l1", axes=[1]), lambda x, y: np.abs(x).sum(1, keepdims=True)),
    "reduceL2": (reduction("l2", axes=[1]), lambda x, y: np.sqrt((x * x).sum(1, keepdims=True))),
    "reduceSumSquare": (reduction("sumsquare", axes=[1]), lambda x, y: (x * x).sum(1, keepdims=True)),
    "reduceLogSum": (positive(reduction("logsum", axes=[1])), lambda x, y: np.log(np.abs(x).sum(1, keepdims=True))),
    "reduceLogSumExp": (reduction("logsumexp", axes=[1]), lambda x, y: np.log(np.exp(x).sum(1, keepdims=True))),
    "argMax": (lambda b, x, y, o: b.add_argmax(o, x, o, 1), lambda x, y: x.argmax(1)[:, None]),
    "argMin": (lambda b, x, y, o: b.add_argmin(o, x, o, -1, keepdims=False), lambda x, y: x.argmin(-1)),
    "argSort": (lambda b, x, y, o: b.add_argsort(o, x, o, 1, descending=True), lambda x, y: (-x).argsort(1)),
    "topK": (lambda b, x, y, o: b.add_topk(o, [x], [o, o + " places"], 2, 1), lambda x, y: -np.sort(-x, 1)[:, :2]),
    "topK places": (lambda b, x, y, o: b.add_topk(o, [x], [o + " values", o], 2, 1, True),
                    lambda x, y: x.argsort(1)[:, :2]),
    "cumSum": (lambda b, x, y, o: b.add_cumsum(o, [x], o, 1, reverse=True, exclusive=True),
               lambda x, y: x[:, ::-1].cumsum(1)[:, ::-1] - x),
    "constantPad": (lambda b, x, y, o: b.add_constant_pad(o, [x], o, 0.5, pad_amounts=[0, 0, 1, 0, 0, 2, 3, 0]),
                    lambda x, y: np.pad(x, [(0, 0), (1, 0), (0, 2), (3, 0)], constant_values=0.5)),
    "concatND": (lambda b, x, y, o: b.add_concat_nd(o, [x, y], o, -1), lambda x, y: np.concatenate([x, y], -1)),
    "concatND interleaved": (lambda b, x, y, o: b.add_concat_nd(o, [x, y], o, 1, True),
                             lambda x, y: np.stack([x, y], 2).reshape(1, 8, 6, 6)),
    "splitND": (lambda b, x, y, o: b.add_split_nd(o, x, [o + " first", o], 1, split_sizes=[1, 3]),
                lambda x, y: x[:, 1:]),
    "splitND uneven": (lambda b, x, y, o: b.add_split_nd(o, x, [o, o + " 2", o + " 3", o + " 4"], 2, num_splits=4),
                       lambda x, y: x[:, :, :2]),
    "stack": (lambda b, x, y, o: b.add_stack(o, [x, y], o, 1), lambda x, y: np.stack([x, y], 1)),
    "transpose": (lambda b, x, y, o: b.add_transpose(o, [0, 2, 3, 1], x, o), lambda x, y: x.transpose(0, 2, 3, 1)),
    "expandDims": (one_by_one(lambda b, x, y, o: b.add_reduce_sum(o, x, o, [1], keepdims=False),
                             lambda b, x, y, o: b.add_expand_dims(o, x, o, [-1, 1])),
                   lambda x, y: x.sum(1)[:, None, ..., None]),
    "squeeze": (lambda b, x, y, o: b.add_squeeze(o, x, o, [0]), lambda x, y: x[0]),
    "flattenTo2D": (lambda b, x, y, o: b.add_flatten_to_2d(o, x, o, 2), lambda x, y: x.reshape(4, 36)),
    "reshapeStatic": (lambda b, x, y, o: b.add_reshape_static(o, x, o, (1, 9, -1)), lambda x, y: x.reshape(1, 9, 16)),
    "rankPreservingReshape": (lambda b, x, y, o: b.add_rank_preserving_reshape(o, x, o, (0, 2, -1, 0)),
                              lambda x, y: x.reshape(1, 2, 12, 6)),
    "reshapeLike": (one_by_one(lambda b, x, y, o: b.add_flatten_to_2d(o, x, o, 2),
                              lambda b, x, y, o: b.add_reshape_like(o, [x, y], o)), lambda x, y: x),
    "broadcastToStatic": (one_by_one(lambda b, x, y, o: b.add_reduce_sum(o, x, o, [1]),
                                    lambda b, x, y, o: b.add_broadcast_to_static(o, x, o, (1, 2, 6, 6))),
                          lambda x, y: np.repeat(x.sum(1, keepdims=True), 2, 1)),
    "broadcastToLike": (one_by_one(lambda b, x, y, o: b.add_reduce_sum(o, x, o, [1]),
                                  lambda b, x, y, o: b.add_broadcast_to_like(o, [x, y], o)),
                        lambda x, y: np.repeat(x.sum(1, keepdims=True), 4, 1)),
    "getShape": (simple("get_shape"), lambda x, y: np.array([1, 4, 6, 6])),
    "tile": (lambda b, x, y, o: b.add_tile(o, x, o, [2, 1, 3]), lambda x, y: np.tile(x, [2, 1, 3])),
    "reverse": (lambda b, x, y, o: b.add_reverse(o, x, o, [False, True, False, True]),
                lambda x, y: x[:, ::-1, :, ::-1]),
    "sliceStatic": (lambda b, x, y, o: b.add_slice_static(
        o, x, o, [0, 1, 5, 1], [1, 0, 0, -1], [1, 1, -2, 2], [False] * 4, [True, False, True, False],
        [False, True, False, False]), lambda x, y: x[:, 1, ::-2, 1:-1:2]),
    "gather": (loaded([3, 0, -1], lambda b, x, y, o: b.add_gather(o, [x, y], o, 1)), lambda x, y: x[:, [3, 0, 3]]),
    "gatherAlongAxis": (lambda b, x, y, o: (b.add_argsort(o + " order", x, o + " order", 1),
                                            b.add_gather_along_axis(o, [x, o + " order"], o, 1)),
                        lambda x, y: np.sort(x, 1)),
    "oneHot": (one_by_one(lambda b, x, y, o: b.add_argmax(o, x, o, 1, keepdims=False),
                         lambda b, x, y, o: b.add_one_hot(o, [x], o, 5, 1, 2.0, -1.0)),
               lambda x, y: np.where(x.argmax(1)[:, None] == np.arange(5).reshape(5, 1, 1), 2, -1)),
    "matrixBandPart": (lambda b, x, y, o: b.add_matrix_band_part(o, x, o, 1, 2),
                       lambda x, y: np.tril(np.triu(x, -1), 2)),
    "lowerTriangular": (lambda b, x, y, o: b.add_lower_triangular(o, x, o, -1), lambda x, y: np.tril(x, -1)),
    "upperTriangular": (lambda b, x, y, o: b.add_upper_triangular(o, x, o, 1), lambda x, y: np.triu(x, 1)),
    "loadConstantND": (loaded(X, of_two("add_broadcastable")), lambda x, y: x + X),
    "fillStatic": (lambda b, x, y, o: (b.add_fill_static(o + " data", o + " data", (1, 4, 1, 1), 2.5),
                                       b.add_multiply_broadcastable(o, [x, o + " data"], o)), lambda x, y: 2.5 * x),
    "fillLike": (lambda b, x, y, o: b.add_fill_like(o, x, o, 2.5), lambda x, y: np.full_like(x, 2.5)),
}
"""Layers of specification 4 and 5: how each is added, and what it computes by definition."""


@pytest.mark.parametrize("case", NEW_LAYERS)
def test_a_layer_of_later_specifications_computes_what_its_definition_says(case):
    expected = np.asarray(NEW_LAYERS[case][1](X[None], Y[None]), np.float32)
    found = answers("new")[case]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


# ---- sizes, strides and paddings as hypothesis chooses them ----------------------------------------------------------

def noise(*shape):
    return np.random.default_rng(math.prod(shape)).normal(0, 1, shape).astype(np.float32)


def same_amounts(size, kernel, stride, top_left_heavy):
    """Padding before and after by SamePadding's formula."""
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return (total - total // 2, total // 2) if top_left_heavy else (total // 2, total - total // 2)


def windows(x, kernel, stride, dilation=(1, 1), counts=None):
    """Every position of a kernel on `x` [C, H, W] with the values under it: (row, column), [C, h, w]."""
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    counts = counts or [(n - e) // s + 1 for n, e, s in zip(x.shape[1:], extents, stride)]
    for row, column in itertools.product(*map(range, counts)):
        top, left = row * stride[0], column * stride[1]
        yield (row, column), x[:, top:top + extents[0]:dilation[0], left:left + extents[1]:dilation[1]]


def by_windows(x, kernel, stride, compute, dilation=(1, 1), counts=None):
    """What `compute` makes of the values under each position: [.., rows, columns]."""
    cells = {place: compute(values) for place, values in windows(x, kernel, stride, dilation, counts)}
    rows, columns = max(cells)
    return np.array([[cells[i, j] for j in range(columns + 1)] for i in range(rows + 1)]).transpose(2, 0, 1)


sides = st.tuples(st.integers(4, 9), st.integers(4, 9))
kernels = st.tuples(st.integers(1, 4), st.integers(1, 4))
strides = st.tuples(st.integers(1, 3), st.integers(1, 3))
dilations = st.tuples(st.integers(1, 2), st.integers(1, 2))
edges = st.lists(st.integers(0, 3), min_size=4, max_size=4)  # top, bottom, left, right
paddings = st.one_of(edges, st.sampled_from(["BOTTOM_RIGHT_HEAVY", "TOP_LEFT_HEAVY"]))


def edge_amounts(padding, sizes, kernel, stride):
    """[(before, after), (before, after)] of the two axes."""
    if isinstance(padding, list):
        return [tuple(padding[:2]), tuple(padding[2:])]
    return [same_amounts(n, k, s, padding == "TOP_LEFT_HEAVY") for n, k, s in zip(sizes, kernel, stride)]


def padding_arguments(padding):
    if isinstance(padding, str):
        return {"same_padding_asymmetry_mode": padding}
    return dict(zip(["padding_top", "padding_bottom", "padding_left", "padding_right"], padding))


@EXAMPLES
@given(sides, kernels, strides, dilations, paddings, st.sampled_from([(1, 3, 2), (2, 4, 6), (4, 4, 4), (3, 3, 6)]),
       st.booleans())
def test_convolution_of_any_size_stride_padding_dilation_and_group(size, kernel, stride, dilation, padding, channels,
                                                                    has_bias):
    groups, inputs, outputs = channels
    x, weights, bias = noise(inputs, *size), noise(*kernel, inputs // groups, outputs), noise(outputs)
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    amounts = edge_amounts(padding, size, extents, stride)
    if any(n + sum(a) < e for n, a, e in zip(size, amounts, extents)):
        return  # the kernel does not fit
    found = run_one(lambda b, i, o: b.add_convolution(
        o, inputs // groups, outputs, *kernel, *stride, "valid" if isinstance(padding, list) else "same", groups,
        weights, bias, has_bias, input_name=i, output_name=o, dilation_factors=list(dilation),
        **padding_arguments(padding)), x)

    def compute(values):
        per_group = [np.einsum("chw,hwco->o", values[g * inputs // groups:(g + 1) * inputs // groups],
                               weights[..., g * outputs // groups:(g + 1) * outputs // groups]) for g in range(groups)]
        return np.concatenate(per_group) + has_bias * bias

    expected = by_windows(np.pad(x, [(0, 0), *amounts]), kernel, stride, compute, dilation)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def transposed(x, weights, stride, groups):
    """Each value of `x` [C, H, W] spreads its kernel, of [C, out / groups, h, w], around itself; nothing is cut."""
    inputs, per_group, *kernel = weights.shape
    y = np.zeros((groups, per_group, *((n - 1) * s + k for n, s, k in zip(x.shape[1:], stride, kernel))), np.float32)
    for c, i, j in np.ndindex(*x.shape):
        rows, columns = (slice(n * s, n * s + k) for n, s, k in zip((i, j), stride, kernel))
        y[c * groups // inputs, :, rows, columns] += x[c, i, j] * weights[c]
    return y.reshape(-1, *y.shape[2:])


@EXAMPLES
@given(st.tuples(st.integers(2, 5), st.integers(2, 5)), kernels, strides,
       st.one_of(st.lists(st.integers(0, 1), min_size=4, max_size=4), st.just("BOTTOM_RIGHT_HEAVY"), st.just("shape")),
       st.sampled_from([(1, 3, 2), (2, 4, 6)]))
def test_deconvolution_of_any_size_stride_and_padding(size, kernel, stride, padding, channels):
    groups, inputs, outputs = channels
    x, weights = noise(inputs, *size), noise(inputs, outputs // groups, *kernel)
    full = transposed(x, weights, stride, groups)
    if padding == "shape":
        sizes = [max(n - 1, 1) for n in full.shape[1:]]
    elif padding == "BOTTOM_RIGHT_HEAVY":
        sizes = [n * s for n, s in zip(size, stride)]
    else:
        sizes = [n - a - b for n, a, b in zip(full.shape[1:], padding[::2], padding[1::2])]
    if min(sizes) < 1:
        return
    before = padding[::2] if isinstance(padding, list) else [max(n - m, 0) // 2 for n, m in zip(full.shape[1:], sizes)]
    longer = np.pad(full, [(0, 0), *((0, max(m - n, 0)) for n, m in zip(full.shape[1:], sizes))])
    expected = longer[:, before[0]:before[0] + sizes[0], before[1]:before[1] + sizes[1]]
    options = padding_arguments(padding) if isinstance(padding, list) else {}
    found = run_one(lambda b, i, o: b.add_convolution(
        o, inputs, outputs, *kernel, *stride, "valid" if isinstance(padding, list) else "same", groups,
        weights.transpose(2, 3, 0, 1), None, False, True, sizes if padding == "shape" else None, i, o, **options), x)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


POOLS = {"MAX": np.nanmax, "L2": lambda v, axis: np.sqrt(np.nansum(v * v, axis))}


@EXAMPLES
@given(sides, kernels, strides, paddings, st.sampled_from(["MAX", "AVERAGE", "L2"]), st.booleans())
def test_pooling_of_any_size_stride_and_padding(size, kernel, stride, padding, kind, excludes):
    x = noise(2, *size)
    amounts = edge_amounts(padding, size, kernel, stride)
    if any(n + sum(a) < k for n, a, k in zip(size, amounts, kernel)) or any(
            max(a) >= k for a, k in zip(amounts, kernel)):
        return  # the window does not fit, or lies in the padding altogether
    found = run_one(lambda b, i, o: b.add_pooling(
        o, *kernel, *stride, kind, "VALID" if isinstance(padding, list) else "SAME", i, o, excludes, False,
        **padding_arguments(padding)), x)
    average = np.nanmean if excludes else lambda v, axis: np.nansum(v, axis) / math.prod(kernel)
    pool = POOLS.get(kind, average)
    expected = by_windows(np.pad(x, [(0, 0), *amounts], constant_values=np.nan), kernel, stride,
                          lambda v: pool(v, axis=(1, 2)))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@EXAMPLES
@given(sides, kernels, strides, st.tuples(st.integers(0, 2), st.integers(0, 2)),
       st.sampled_from(["MAX", "AVERAGE", "L2"]), st.booleans())
def test_pooling_to_the_last_pixel_follows_caffe(size, kernel, stride, padding, kind, excludes):
    x = noise(2, *size)
    if any(p >= k for p, k in zip(padding, kernel)) or any(s > k for s, k in zip(stride, kernel)):
        return
    counts = []
    for n, k, s, p in zip(size, kernel, stride, padding):  # the specification's formula
        count = math.ceil((n + 2 * p - k) / s) + 1
        counts.append(count - 1 if any(padding) and (count - 1) * s >= n + p else count)
    found = run_one(lambda b, i, o: b.add_pooling(
        o, *kernel, *stride, kind, "INCLUDE_LAST_PIXEL", i, o, excludes, False,
        *(n for p in padding for n in (p, p))), x)
    inside = np.pad(np.ones((1, *size)), [(0, 0), *((p, p) for p in padding)], constant_values=0 if excludes else 1)
    far = [(0, 0), *((0, k * s) for k, s in zip(kernel, stride))]
    divisors = by_windows(np.pad(inside, far), kernel, stride, lambda v: v.sum((1, 2)), counts=counts)
    padded = np.pad(np.pad(x, [(0, 0), *((p, p) for p in padding)], constant_values=np.nan), far,
                    constant_values=np.nan)
    pool = POOLS.get(kind, np.nansum)
    expected = by_windows(padded, kernel, stride, lambda v: pool(v, axis=(1, 2)), counts=counts)
    expected = expected / divisors if kind == "AVERAGE" else expected
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind, function", [
    ("MAX", np.max), ("AVERAGE", np.mean), ("L2", lambda x, axis, keepdims: np.sqrt((x * x).sum(axis, keepdims=True)))])
def test_global_pooling_takes_the_whole_picture(kind, function):
    found = run_one(lambda b, i, o: b.add_pooling(o, 1, 1, 1, 1, kind, "VALID", i, o, is_global=True), X)
    np.testing.assert_allclose(found, function(X, axis=(1, 2), keepdims=True), rtol=1e-5)


@EXAMPLES
@given(sides, st.lists(st.integers(0, 3), min_size=4, max_size=4), st.sampled_from(["constant", "edge", "reflect"]))
def test_padding_of_any_amount(size, amounts, mode):
    x, (left, right, top, bottom) = noise(3, *size), amounts
    kind = {"edge": "replication", "reflect": "reflection"}.get(mode, mode)
    found = run_one(lambda b, i, o: b.add_padding(o, left, right, top, bottom, 0, i, o, kind), x)
    np.testing.assert_array_equal(found, np.pad(x, [(0, 0), (top, bottom), (left, right)], mode=mode))


@EXAMPLES
@given(sides, st.lists(st.integers(0, 1), min_size=4, max_size=4))
def test_crop_of_any_amount(size, amounts):
    x, (left, right, top, bottom) = noise(3, *size), amounts
    found = run_one(lambda b, i, o: b.add_crop(o, left, right, top, bottom, [0, 0], [i], o), x)
    np.testing.assert_array_equal(found, x[:, top:size[0] - bottom, left:size[1] - right])


@EXAMPLES
@given(st.integers(1, 3), st.permutations([0, 1, 2, 3]), st.sampled_from([(3, 4, 6), (6, 2, 6), (1, 72, 1)]),
       st.sampled_from([0, 1]))
def test_reshape_and_permute_in_any_order(sequence, axes, target, order):
    x = noise(sequence, 3, 4, 6)  # sequence, channels, height, width
    built = builder(["y", "z"], x=(3, 4, 6))
    built.add_reshape("y", "x", "y", target, order)
    built.add_permute("z", axes, "x", "z")
    program = neural_network.NeuralNetwork(built.spec, "built.mlmodel")
    answer = program.run({"x": torch.from_numpy(x[:, None])})
    flat = (x.transpose(0, 2, 3, 1) if order else x).reshape(sequence, -1)
    channels, height, width = target
    expected = (flat.reshape(sequence, height, width, channels).transpose(0, 3, 1, 2) if order
                else flat.reshape(sequence, *target))
    np.testing.assert_array_equal(answer["y"][0][:, 0], expected)
    np.testing.assert_array_equal(answer["z"][0][:, 0], x.transpose(axes))


# ---- weights of fewer bits -------------------------------------------------------------------------------------------

def small_network():
    """A classifier of pictures with the layers whose weights coremltools quantizes."""
    built = builder(["probabilities"], mode="classifier", image=(3, 12, 10))
    built.add_convolution("conv", 3, 8, 3, 3, 2, 2, "same", 1, noise(3, 3, 3, 8), noise(8), True, input_name="image",
                          output_name="conv")
    built.add_activation("relu", "RELU", "conv", "relu")
    built.add_convolution("up", 8, 4, 2, 2, 2, 2, "valid", 2, noise(2, 2, 8, 2), None, False, True, None, "relu", "up")
    built.add_batchnorm("norm", 4, VECTOR, OTHER_VECTOR, OTHER_VECTOR, VECTOR, "up", "norm")
    built.add_scale("scale", OTHER_VECTOR, VECTOR, True, "norm", "scale", [4], [4])
    built.add_bias("bias", VECTOR, "scale", "bias", [4])
    built.add_load_constant("constant", "constant", noise(4, 12, 10), [4, 12, 10])
    built.add_elementwise("sum", ["bias", "constant"], "sum", "ADD")
    built.add_pooling("pool", 1, 1, 1, 1, "AVERAGE", "VALID", "sum", "pool", is_global=True)
    built.add_inner_product("logits", noise(4, 4), noise(4), 4, 4, True, "pool", "logits")
    built.add_softmax("probabilities", "logits", "probabilities")
    built.set_class_labels(LABELS, prediction_blob="probabilities")
    built.set_pre_processing_parameters(["image"], False, -0.9, -1.0, -1.1, image_scale=1 / 127.5)
    return built


def picture(seed, size=(10, 12), mode="RGB"):
    """A gradient, a rectangle and noise in colours that the seed chooses."""
    rng = np.random.default_rng(seed)
    pixels = np.linspace(0, 255, size[1])[:, None, None] * rng.random(3) + np.zeros((size[1], size[0], 3))
    pixels[:size[1] // 2, rng.integers(size[0]):] = rng.integers(0, 256, 3)
    return Image.fromarray(np.clip(pixels + rng.normal(0, 8, pixels.shape), 0, 255).astype(np.uint8)).convert(mode)


def probabilities(model, p, name="image"):
    return np.array(list(model.predict({name: p})["probabilities"].values()))


def saved(spec, path):
    ct.utils.save_spec(spec, str(path))
    return path


@pytest.mark.parametrize("bits", [16, 8, 5, 4, 1])
@pytest.mark.parametrize("kind", [ct.models._QUANTIZATION_MODE_LINEAR_QUANTIZATION,
                                  ct.models._QUANTIZATION_MODE_LOOKUP_TABLE_LINEAR])
def test_quantized_weights_answer_as_the_weights_that_they_stand_for(tmp_path, bits, kind, monkeypatch):
    monkeypatch.setattr(quantization_utils, "_optimize_nn", lambda layers: None)  # it fails on today's NumPy
    spec = small_network().spec
    quantization_utils._quantize_spec_weights(spec, bits, kind)
    plain = type(spec).FromString(spec.SerializeToString())
    if bits < 16:
        quantization_utils._dequantize_nn_spec(plain.neuralNetworkClassifier)
    else:
        for layer in plain.neuralNetworkClassifier.layers:
            for field, message in getattr(layer, layer.WhichOneof("layer")).ListFields():
                if field.message_type and field.message_type.name == "WeightParams":
                    message.floatValue.extend(np.frombuffer(message.float16Value, np.float16).astype(np.float32))
                    message.ClearField("float16Value")
    small, whole, original = (coreml_runtime.load(saved(each, tmp_path / name)) for each, name in [
        (spec, "small.mlmodel"), (plain, "plain.mlmodel"), (small_network().spec, "original.mlmodel")])
    found = probabilities(small, picture(1))
    np.testing.assert_allclose(found, probabilities(whole, picture(1)), rtol=1e-4, atol=1e-6)
    assert np.abs(found - probabilities(original, picture(1))).max() > 1e-7, "nothing was quantized"


@pytest.mark.parametrize("spoil", [
    lambda layer: layer.convolution.weights.floatValue.pop(),
    lambda layer: setattr(layer.convolution, "outputChannels", 9),
    lambda layer: (layer.convolution.weights.ClearField("floatValue"),
                   setattr(layer.convolution.weights, "float16Value", b"\0" * 430)),
], ids=["a weight is missing", "more channels", "half floats missing"])
def test_weights_that_do_not_fit_are_refused_with_the_layer(tmp_path, spoil):
    spec = small_network().spec
    spoil(spec.neuralNetworkClassifier.layers[0])
    with pytest.raises(ModelFileError, match="spoilt.mlmodel: the weights of the layer 'conv' do not fit"):
        coreml_runtime.load(saved(spec, tmp_path / "spoilt.mlmodel"))


# ---- whole networks against PyTorch and Keras ------------------------------------------------------------------------

SIZE = 32


def torch_network():
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
            self.depthwise = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.BatchNorm2d(8), nn.SiLU(),
                                           nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8))
            self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Conv2d(4, 8, 1),
                                      nn.Hardsigmoid())
            self.pool = nn.MaxPool2d(3, 2, 1)
            self.up = nn.Sequential(nn.ConvTranspose2d(8, 8, 2, 2), nn.LeakyReLU(0.1), nn.AvgPool2d(2))
            self.head = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 4))

        def forward(self, x):
            x = self.stem(x)
            x = x + self.depthwise(x)
            x = self.up(self.pool(x * self.gate(x)))
            return self.head(torch.cat([F.adaptive_avg_pool2d(x, 1), F.adaptive_max_pool2d(x, 1)], 1))

    torch.manual_seed(0)
    network = Network().eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network


@functools.cache
def converted_from_torch():
    traced = torch.jit.trace(torch_network(), torch.zeros(1, 3, SIZE, SIZE))
    return ct.convert(traced, convert_to="neuralnetwork", minimum_deployment_target=ct.target.iOS14,
                      inputs=[ct.ImageType("image", (1, 3, SIZE, SIZE), 1 / 127.5, [-1, -1, -1])]).get_spec()


def keras_network():
    import keras
    from keras import layers
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((SIZE, SIZE, 3), batch_size=1)
    x = layers.ReLU(6)(layers.BatchNormalization()(layers.Conv2D(8, 3, 2, padding="same")(x)))
    x = layers.Add()([x, layers.DepthwiseConv2D(3, padding="same", activation="tanh")(x)])
    x = layers.Concatenate()([layers.AveragePooling2D(3, 2, padding="same")(x),
                              layers.MaxPooling2D(3, 2, padding="same")(x)])
    x = layers.LeakyReLU(0.2)(layers.ZeroPadding2D(((0, 1), (0, 1)))(x))
    x = layers.UpSampling2D(2)(layers.SeparableConv2D(8, 3, activation="elu")(x))
    x = layers.GlobalAveragePooling2D()(layers.Conv2DTranspose(8, 3, 2, padding="same", activation="softplus")(x))
    head = layers.Dense(4, "softmax", kernel_initializer=keras.initializers.RandomNormal(stddev=1))
    return keras.Model(inputs, head(x))


@functools.cache
def converted_from_keras():
    import tensorflow as tf
    network = keras_network()
    shape = (1, SIZE, SIZE, 3)
    function = tf.function(lambda image: network(image)).get_concrete_function(tf.TensorSpec(shape, name="image"))
    model = ct.convert([function], source="tensorflow", convert_to="neuralnetwork",
                       inputs=[ct.ImageType("image", shape, 1 / 127.5, [-1, -1, -1])],
                       classifier_config=ct.ClassifierConfig(LABELS))
    return network, model.get_spec()


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("neural_networks")


def test_a_network_converted_from_pytorch_answers_as_pytorch_does(folder):
    model = coreml_runtime.load(saved(converted_from_torch(), folder / "torch.mlmodel"))
    pictures = [picture(i, (SIZE, SIZE)) for i in range(5)]
    x = torch.from_numpy(np.stack([np.asarray(p, np.float32) for p in pictures])).permute(0, 3, 1, 2)
    with torch.inference_mode():
        expected = torch_network()(x / 127.5 - 1).numpy()
    found = np.concatenate([next(iter(a.values())) for a in model.predict([{"image": p} for p in pictures])])
    assert np.ptp(expected, axis=0).max() > 0.05, "the pictures are not told apart"
    assert model.program.is_batchable
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_a_network_converted_from_keras_answers_as_keras_does(folder):
    network, spec = converted_from_keras()
    model = coreml_runtime.load(saved(spec, folder / "keras.mlmodel"))
    pictures = [picture(i, (SIZE, SIZE)) for i in range(5)]
    expected = network.predict_on_batch(np.stack([np.asarray(p, np.float32) for p in pictures]) / 127.5 - 1)
    answers = model.predict([{"image": p} for p in pictures])
    found = [[a[model.output_names[0] if isinstance(a[model.output_names[0]], dict) else model.output_names[1]][label]
              for label in LABELS] for a in answers]
    assert np.ptp(expected, axis=0).max() > 1e-3, "the pictures are not told apart"
    np.testing.assert_allclose(found, expected, atol=1e-5)


def add_keras_layer(built, layer, inputs):
    """A Keras layer of EfficientNet-Lite0 as converters of 2018 wrote it."""
    kind, name, weights = type(layer).__name__, layer.name, layer.get_weights()
    if kind in ("Conv2D", "DepthwiseConv2D"):
        kernel = weights[0].transpose(0, 1, 3, 2) if kind == "DepthwiseConv2D" else weights[0]
        groups = weights[0].shape[2] if kind == "DepthwiseConv2D" else 1
        built.add_convolution(name, kernel.shape[2], kernel.shape[3], *kernel.shape[:2], *layer.strides, "same", groups,
                              kernel, None, False, input_name=inputs[0], output_name=name)
    elif kind == "BatchNormalization":
        built.add_batchnorm(name, len(weights[0]), *weights, inputs[0], name, epsilon=layer.epsilon)
    elif kind == "ReLU":  # to 6, as -max(-relu(x), -6)
        built.add_activation(name + "_relu", "RELU", inputs[0], name + "_relu")
        built.add_unary(name + "_limit", name + "_relu", name + "_limit", "threshold", alpha=-6, scale=-1)
        built.add_activation(name, "LINEAR", name + "_limit", name, [-1, 0])
    elif kind == "Add":
        built.add_elementwise(name, inputs, name, "ADD")
    elif kind == "GlobalAveragePooling2D":
        built.add_pooling(name, 1, 1, 1, 1, "AVERAGE", "VALID", inputs[0], name, is_global=True)
    else:
        built.add_inner_product(name, weights[0].T, weights[1], *weights[0].shape, True, inputs[0], name)


@functools.cache
def efficientnet():
    """EfficientNet-Lite0 in Keras, and as a classifier in a spec of version 1 such as Turi Create exports."""
    from utils.backbone import PIXEL_MEAN, PIXEL_STD, keras_backbone
    network = keras_backbone(include_top=True)
    built = NeuralNetworkBuilder([("data", datatypes.Array(3, 224, 224))], [("probabilities", None)], mode="classifier")
    for layer in network.layers[1:]:
        before = layer.input if isinstance(layer.input, list) else [layer.input]
        names = [tensor._keras_history.operation.name for tensor in before]
        add_keras_layer(built, layer, ["data" if name == "image" else name for name in names])
    built.add_softmax("probabilities", "logits", "probabilities")
    built.set_class_labels([f"class {i}" for i in range(1000)], prediction_blob="probabilities")
    bias = -PIXEL_MEAN / PIXEL_STD
    built.set_pre_processing_parameters(["data"], False, bias, bias, bias, image_scale=1 / PIXEL_STD)
    return network, built.spec


def test_efficientnet_written_layer_by_layer_answers_as_keras_does(folder):
    import keras

    from utils import paths, photos
    from utils.backbone import scale_pixels
    network, spec = efficientnet()
    assert spec.specificationVersion == 1
    table = photos.read_table(paths.TABLETOP)
    pixels = photos.read_photos(paths.TABLETOP, table[table["split"] == "test"].iloc[[0, 50, 100]], (224, 224))
    logits = network.predict_on_batch(scale_pixels(pixels.astype(np.float32)))
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    model = coreml_runtime.load(saved(spec, folder / "efficientnet.mlmodel"))
    found = np.array([probabilities(model, Image.fromarray(p), "data") for p in pixels])
    print(f"EfficientNet-Lite0: {np.abs(found - expected).max():.1e}")
    assert expected.max() > 0.1, "nothing is recognised"
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert len(model.program.nodes) < len(spec.neuralNetworkClassifier.layers) / 2, "nothing was joined"


@pytest.mark.skipif(not onednn.is_available(), reason="this build of PyTorch has no oneDNN")
def test_a_build_of_pytorch_without_onednn_answers_the_same(folder, monkeypatch):
    path = saved(converted_from_torch(), folder / "torch.mlmodel")
    p = {"image": picture(3, (SIZE, SIZE))}
    packed = next(iter(coreml_runtime.load(path).predict(p).values()))
    monkeypatch.setattr(onednn, "is_available", lambda: False)
    np.testing.assert_allclose(next(iter(coreml_runtime.load(path).predict(p).values())), packed, rtol=1e-4, atol=1e-5)


CHAINS = {
    "batch norm": ["norm"], "ReLU": ["relu"], "batch norm, ReLU": ["norm", "relu"], "leaky ReLU": ["leaky"],
    "sigmoid": ["norm", "sigmoid"], "tanh": ["tanh"], "ReLU6": ["norm", "relu", "limit", "negative"],
    "ReLU6 of tf-coreml": ["norm", "relu", "negative", "floor", "negative"],
    "ReLU, then another limit": ["relu", "limit", "half"], "ReLU, then a floor": ["relu", "negative", "floor", "half"],
    "ReLU, then a ceiling below": ["relu", "floor", "negative"], "sum read elsewhere": ["norm", "relu", "read"],
}


@pytest.mark.parametrize("case", CHAINS)
def test_what_follows_a_convolution_is_computed_with_it_or_alone_with_the_same_result(case, monkeypatch):
    steps = {"norm": lambda b, i, o: b.add_batchnorm(o, 4, VECTOR, OTHER_VECTOR, OTHER_VECTOR, VECTOR, i, o),
             "relu": lambda b, i, o: b.add_activation(o, "RELU", i, o),
             "leaky": lambda b, i, o: b.add_activation(o, "LEAKYRELU", i, o, [0.2]),
             "sigmoid": lambda b, i, o: b.add_activation(o, "SIGMOID", i, o),
             "tanh": lambda b, i, o: b.add_activation(o, "TANH", i, o),
             "limit": lambda b, i, o: b.add_unary(o, i, o, "threshold", alpha=-0.5, scale=-1),
             "floor": lambda b, i, o: b.add_unary(o, i, o, "threshold", alpha=-0.5),
             "negative": lambda b, i, o: b.add_activation(o, "LINEAR", i, o, [-1, 0]),
             "half": lambda b, i, o: b.add_activation(o, "LINEAR", i, o, [-0.5, 0]),
             "read": lambda b, i, o: b.add_elementwise(o, [i, "conv"], o, "ADD")}
    built = builder(["y"], x=X.shape)
    built.add_convolution("conv", 4, 4, 3, 3, 1, 1, "same", 1, noise(3, 3, 4, 4), VECTOR, True, input_name="x",
                          output_name="conv")
    name = "conv"
    for i, step in enumerate(CHAINS[case]):
        after = "y" if i == len(CHAINS[case]) - 1 else step
        steps[step](built, name, after)
        name = after
    joined = run(built, x=X)["y"]
    if onednn.is_available():
        assert ("ReLU6" in case) <= (len(neural_network.NeuralNetwork(built.spec, case).nodes) == 1)
    monkeypatch.setattr(onednn, "is_available", lambda: False)
    np.testing.assert_allclose(joined, run(built, x=X)["y"], rtol=1e-4, atol=1e-5)


# ---- pictures, classifiers, regressors, pipelines --------------------------------------------------------------------

def means(layout, is_bgr=False, **preprocessing):
    """A network that answers with the mean of each channel as the layers see them."""
    channels = 1 if layout == "L" else 3
    built = builder(["means"], image=(channels, 8, 10))
    built.add_pooling("means", 1, 1, 1, 1, "AVERAGE", "VALID", "image", "means", is_global=True)
    built.set_pre_processing_parameters(["image"], is_bgr, **preprocessing)
    return built


@pytest.mark.parametrize("is_bgr, order", [(False, [0, 1, 2]), (True, [2, 1, 0])])
def test_pictures_are_scaled_and_biased_channel_by_channel(is_bgr, order):
    p = picture(2, (10, 8))
    built = means("RGB", is_bgr, red_bias=1.0, green_bias=2.0, blue_bias=3.0, image_scale=0.5)
    expected = (np.asarray(p, np.float32).mean((0, 1)) * 0.5 + [1, 2, 3])[order]
    np.testing.assert_allclose(run(built, image=p)["means"].reshape(-1), expected, rtol=1e-5)


def test_a_gray_picture_has_a_bias_of_its_own():
    p = picture(2, (10, 8), "L")
    found = run(means("L", gray_bias=-1.0, red_bias=9.0, image_scale=2.0), image=p)["means"]
    np.testing.assert_allclose(found.item(), np.asarray(p, np.float32).mean() * 2 - 1, rtol=1e-5)


def test_a_mean_picture_is_subtracted():
    built, p, mean = means("RGB"), picture(2, (10, 8)), noise(3, 8, 10) * 50
    built.nn_spec.preprocessing[0].meanImage.meanImage.extend(mean.flatten())
    expected = (np.asarray(p, np.float32).transpose(2, 0, 1) - mean).mean((1, 2))
    np.testing.assert_allclose(run(built, image=p)["means"].reshape(-1), expected, rtol=1e-4)


def test_preprocessing_for_no_image_is_refused():
    built = means("RGB")
    built.nn_spec.preprocessing[0].featureName = "photo"
    with pytest.raises(ModelFileError, match="built.mlmodel: the preprocessing is for 'photo', which is no image"):
        run(built, image=picture(2, (10, 8)))


@pytest.fixture(scope="session")
def classifier(folder):
    built = small_network()
    built.spec.description.metadata.author = "A class"
    return coreml_runtime.load(saved(built.spec, folder / "classifier.mlmodel"))


def test_a_classifier_answers_with_its_label_and_the_probability_of_each(classifier):
    answer = classifier.predict({"image": picture(3)})
    assert classifier.class_labels == LABELS and list(answer["probabilities"]) == LABELS
    assert answer["classLabel"] == max(LABELS, key=answer["probabilities"].get)
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    assert classifier.metadata.author == "A class" and classifier.image_inputs[0].size == (10, 12)


def test_class_labels_may_be_numbers_and_the_probabilities_come_from_the_named_layer():
    built = builder(["scores"], mode="classifier", x=(3, 1, 1))
    built.add_softmax("soft", "x", "soft")
    built.add_activation("scores", "LINEAR", "soft", "scores", [-1, 0])
    built.set_class_labels([7, 8, 9], prediction_blob="soft")
    answer = run(built, x=np.float32([0, 2, 1]).reshape(3, 1, 1))
    assert answer["classLabel"] == 8 and list(answer["scores"]) == [7, 8, 9] and answer["scores"][8] > 0.6


def test_as_many_probabilities_as_labels_are_needed():
    built = small_network()
    built.nn_spec.stringClassLabels.vector.append("resistor")
    with pytest.raises(ModelFileError, match="gives 4 probabilities for 5 class labels"):
        run(built, image=picture(3))


def test_a_regressor_answers_with_a_number():
    built = builder(["y"], mode="regressor", x=(4, 6, 6))
    built.add_pooling("pool", 1, 1, 1, 1, "MAX", "VALID", "x", "pool", is_global=True)
    built.add_reduce("y", "pool", "y", "CHW", "sum")
    built.spec.description.output[0].type.doubleType.SetInParent()
    built.spec.description.predictedFeatureName = "y"
    answer = run(built, x=X)["y"]
    assert isinstance(answer, float) and answer == pytest.approx(X.max((1, 2)).sum(), rel=1e-5)


def test_a_batch_is_computed_together_and_answers_as_each_alone(classifier):
    pictures = [picture(i) for i in range(9)]
    together = classifier.predict([{"image": p} for p in pictures])
    assert classifier.program.is_batchable
    for answer, p in zip(together, pictures, strict=True):
        alone = classifier.predict({"image": p})
        assert answer["classLabel"] == alone["classLabel"]
        assert answer["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-6)


def test_a_network_that_mixes_the_batch_is_run_one_input_at_a_time():
    built = means("RGB")
    built.add_batchnorm("norm", 3, VECTOR[:3], VECTOR[:3], None, None, "image", "norm", True, True)
    built.nn_spec.layers[-1].batchnorm.instanceNormalization = False
    built.add_pooling("max", 1, 1, 1, 1, "MAX", "VALID", "norm", "max", is_global=True)
    built.spec.description.output[0].name = "max"
    program = neural_network.NeuralNetwork(built.spec, "built.mlmodel")
    assert not program.is_batchable
    model = Model(Path("built.mlmodel"), built.spec.description, program, "float32")
    pictures = [{"image": picture(i, (10, 8))} for i in range(4)]
    for answer, each in zip(model.predict(pictures), pictures, strict=True):
        np.testing.assert_array_equal(answer["max"], model.predict(each)["max"])


def test_arrays_come_in_the_declared_shape_and_type():
    built = NeuralNetworkBuilder([("x", datatypes.Array(8))], [("y", datatypes.Array(8))])
    built.add_activation("y", "RELU", "x", "y")
    built.spec.description.output[0].type.multiArrayType.dataType = ct.proto.FeatureTypes_pb2.ArrayFeatureType.DOUBLE
    found = run(built, x=np.arange(-4.0, 4))["y"]
    assert found.dtype == np.float64 and found.tolist() == [0, 0, 0, 0, 0, 1, 2, 3]


def test_float16_rounds_every_result_and_overflows():
    built = builder(["y"], x=(2,))
    built.add_activation("large", "LINEAR", "x", "large", [1000, 0])
    built.add_activation("y", "LINEAR", "large", "y", [0.001, 0])
    x = np.float32([2.0003, 200])
    np.testing.assert_allclose(run(built, x=x)["y"].reshape(-1), x, rtol=1e-6)
    half = run(built, "float16", x=x)["y"].reshape(-1)
    assert half[0] == np.float16(half[0]) and half[0] == pytest.approx(2, rel=1e-3) and np.isinf(half[1])


def pipeline(kind, *specs):
    """The models one after the other, with the inputs of the first and the outputs of the last."""
    spec = ct.proto.Model_pb2.Model(specificationVersion=1)
    stages = getattr(spec, kind)
    (stages if hasattr(stages, "models") else stages.pipeline).models.extend(specs)
    spec.description.CopyFrom(specs[-1].description)
    del spec.description.input[:]
    spec.description.input.extend(specs[0].description.input)
    return spec


def test_a_pipeline_gives_each_model_what_those_before_it_gave(tmp_path):
    features = NeuralNetworkBuilder([("image", datatypes.Array(3, 8, 10))], [("features", datatypes.Array(3))])
    features.add_pooling("features", 1, 1, 1, 1, "AVERAGE", "VALID", "image", "features", is_global=True)
    features.set_pre_processing_parameters(["image"], image_scale=1 / 255)
    head = NeuralNetworkBuilder([("features", datatypes.Array(3))], [("probabilities", None)], mode="classifier")
    head.add_softmax("probabilities", "features", "probabilities")
    head.set_class_labels(["red", "green", "blue"], prediction_blob="probabilities")
    path = saved(pipeline("pipelineClassifier", features.spec, head.spec), tmp_path / "pipeline.mlmodel")
    model, p = coreml_runtime.load(path), picture(4, (10, 8))
    shares = np.exp(np.asarray(p, np.float32).mean((0, 1)) / 255)
    expected = dict(zip(["red", "green", "blue"], (shares / shares.sum()).tolist()))
    answers = model.predict([{"image": p}] * 2)
    assert model.class_labels == ["red", "green", "blue"]
    for answer in answers:
        assert answer["probabilities"] == pytest.approx(expected, rel=1e-5)
        assert answer["classLabel"] == max(expected, key=expected.get)


def test_a_run_of_a_pipeline_can_be_watched_and_stopped_in_any_of_its_models(tmp_path):
    first, second = builder(["half"], x=(4,)), builder(["y"], half=(4,))
    first.add_activation("halving", "LINEAR", "x", "half", [0.5, 0])
    second.add_activation("shifting", "LINEAR", "half", "shifted", [1, 3])
    second.add_activation("clipping", "RELU", "shifted", "y")
    path = saved(pipeline("pipeline", first.spec, second.spec), tmp_path / "two.mlmodel")
    program, x, seen = coreml_runtime.load(path).program, torch.tensor([-8.0, -2.0, 2.0, 8.0]), []
    outputs = program.run({"x": x}, observe=lambda node, values: seen.append(
        (node.name, values[node.outputs[0]].flatten())))
    assert [name for name, _ in seen] == ["halving", "shifting", "clipping"]
    assert outputs["y"][0].flatten().tolist() == seen[-1][1].tolist() == [0, 2, 4, 7]
    stopped = program.run({"x": x}, until=lambda node, values: node.name == "clipping")
    assert stopped["shifted"].flatten().tolist() == [-1, 2, 4, 7] and "y" not in stopped
    assert program.run({"x": x}, until=lambda node, values: False).keys() == {"y"}


def test_a_pipeline_in_which_a_model_lacks_an_input_is_refused(tmp_path):
    lonely = builder(["y"], unknown=(4,))
    lonely.add_activation("y", "RELU", "unknown", "y")
    path = saved(pipeline("pipeline", small_network().spec, lonely.spec), tmp_path / "gap.mlmodel")
    with pytest.raises(ModelFileError, match="gap.mlmodel: no model of the pipeline gives 'unknown' to the next one"):
        coreml_runtime.load(path)


def test_a_pipeline_with_a_model_that_is_not_read_names_its_kind(tmp_path):
    other = ct.proto.Model_pb2.Model(specificationVersion=1)
    other.itemSimilarityRecommender.SetInParent()
    path = saved(pipeline("pipeline", small_network().spec, other), tmp_path / "films.mlmodel")
    with pytest.raises(ModelFileError, match="is or has in it a itemSimilarityRecommender"):
        coreml_runtime.load(path)


# ---- what is not known, and what is damaged --------------------------------------------------------------------------

def test_an_unknown_layer_is_named_with_the_model(tmp_path, monkeypatch):
    built = small_network()
    built.nn_spec.layers.add(name="extra", input=["pool"], output=["z"]).sinh.SetInParent()
    path = saved(built.spec, tmp_path / "new.mlmodel")
    monkeypatch.delitem(LAYERS, "sinh")  # stands for a layer that a later coremltools brings
    with pytest.raises(UnknownOperator, match=r"new.mlmodel: .* not know the Core ML layer sinh \('extra'\)"):
        coreml_runtime.load(path)


def test_an_unknown_field_of_a_layer_is_named_with_the_model(tmp_path):
    built = small_network()
    next(each for each in built.nn_spec.layers if each.name == "logits").innerProduct.int8DynamicQuantize = True
    path = saved(built.spec, tmp_path / "int8.mlmodel")
    with pytest.raises(UnknownOperator, match="int8.mlmodel: .* the field 'int8DynamicQuantize' of the Core ML layer"):
        coreml_runtime.load(path)


def test_an_input_that_the_layer_would_ignore_is_refused():
    built = builder(["y"], x=(4, 6, 6), weights=(4, 4, 3))
    built.add_activation("y", "RELU", "x", "y")
    built.nn_spec.layers[0].input.append("weights")
    with pytest.raises(UnknownOperator, match="the layer 'y' .activation. has 2 inputs"):
        run(built, x=X, weights=np.zeros((4, 4, 3), np.float32))


def test_a_layer_that_fails_is_named_with_its_type_and_the_shapes_that_it_got():
    built = means("RGB")
    built.add_inner_product("dense", np.ones((2, 3), np.float32), None, 3, 2, False, "image", "dense")
    built.spec.description.output[0].name = "dense"
    with pytest.raises(ModelRunError, match=r"built.mlmodel: the innerProduct 'dense' cannot be computed from 'image' "
                                            r"\(1, 1, 3, 8, 10\) \(mat1 and mat2") as raised:
        run(built, image=picture(1, (10, 8)))
    assert "\n" not in str(raised.value) and isinstance(raised.value.__cause__, RuntimeError)


def test_a_network_that_fails_on_noise_is_run_one_input_at_a_time():
    built = means("RGB")
    built.add_inner_product("dense", np.ones((2, 3), np.float32), None, 3, 2, False, "image", "dense")
    assert not neural_network.NeuralNetwork(built.spec, "built.mlmodel").is_batchable


@pytest.mark.parametrize("layer, output, message", [
    ("x", "z", "the model answers with 'z', which no layer makes before"),
    ("nothing", "y", "the layer 'y' reads 'nothing', which no layer makes before")])
def test_a_value_that_no_layer_makes_is_told_when_the_network_is_read(layer, output, message):
    built = builder([output], x=(4,))
    built.add_activation("y", "RELU", layer, "y")
    with pytest.raises(ModelFileError, match=message):
        neural_network.NeuralNetwork(built.spec, "built.mlmodel")


def test_a_mean_picture_of_another_size_is_told_in_one_sentence():
    built = means("RGB")
    step = built.nn_spec.preprocessing.add(featureName="image")
    step.meanImage.meanImage.extend([0.0] * 3 * 8 * 10)
    program = neural_network.NeuralNetwork(built.spec, "built.mlmodel")
    with pytest.raises(ModelRunError, match="the mean picture of 'image' has 10 x 8 pixels, not 12 x 8"):
        program.run({"image": torch.zeros(1, 3, 8, 12)})


def test_an_image_output_of_a_network_with_five_axes_is_a_picture():
    built = NeuralNetworkBuilder([("x", datatypes.Array(3, 8, 10))], [("y", datatypes.Array(3, 8, 10))])
    built.add_activation("y", "LINEAR", "x", "y", [1, 0])
    image = built.spec.description.output[0].type.imageType
    image.width, image.height, image.colorSpace = 10, 8, 20
    x = np.random.default_rng(0).integers(0, 256, (3, 8, 10)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(run(built, x=x)["y"]), x.transpose(1, 2, 0))


def test_an_output_that_is_not_what_the_model_declares_is_told_in_one_sentence():
    built = builder(["y"], x=(5,))
    built.add_activation("y", "RELU", "x", "y")
    built.spec.description.output[0].type.imageType.colorSpace = 20
    with pytest.raises(ModelRunError, match=r"the output 'y', of the shape \(1, 1, 5, 1, 1\), is not what") as raised:
        run(built, x=np.zeros(5))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("case", ["text", "empty", "truncated"])
def test_a_file_that_is_no_model_is_told_in_one_sentence(classifier, tmp_path, case):
    whole = classifier.path.read_bytes()
    path = tmp_path / "bad.mlmodel"
    path.write_bytes({"text": b"not a model\n", "empty": b"", "truncated": whole[:len(whole) * 2 // 3]}[case])
    with pytest.raises(ModelFileError, match="bad.mlmodel") as raised:
        coreml_runtime.load(path)
    assert "\n" not in str(raised.value)


def test_the_command_line_answers_for_an_mlmodel(classifier, tmp_path, capsys):
    picture(3).save(tmp_path / "photo.png")
    assert main([str(classifier.path), str(tmp_path / "photo.png")]) == 0
    label = classifier.predict({"image": picture(3)})["classLabel"]
    assert f"photo.png: {label} " in capsys.readouterr().out


# ---- the README ------------------------------------------------------------------------------------------------------

COMPARED_ELSEWHERE = {"convolution", "pooling"}  # in the tests with hypothesis


def layer_types(spec):
    return {layer.WhichOneof("layer") for layer in getattr(spec, spec.WhichOneof("Type")).layers}


def layer_table():
    """The README's table: each layer, and what these tests compare it with."""
    by_definition = {case.split()[0] for case in (*OLD_LAYERS, *NEW_LAYERS)} | COMPARED_ELSEWHERE
    for module in (test_recurrent, test_control_flow, test_more_operators):
        by_definition |= module.LAYERS_COMPARED
    found = {"PyTorch": layer_types(converted_from_torch()),
             "Keras": layer_types(converted_from_keras()[1]) | layer_types(efficientnet()[1]),
             "definition": by_definition}
    rows = [f"| `{name}` | {', '.join(source for source, names in found.items() if name in names)} |"
            for name in sorted({*LAYERS, *nn_control.KINDS}, key=str.lower)]
    return "\n".join(["| layer | compared with |", "| --- | --- |", *rows])


def test_every_layer_is_compared_with_something_and_the_readme_says_with_what():
    table = layer_table()
    assert "|  |" not in table, "a layer without a test"
    assert table in README.read_text(), f"the table in {README.name} is out of date; it should be\n{table}"
