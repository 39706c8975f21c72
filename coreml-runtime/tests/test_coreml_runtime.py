"""coreml_runtime against the frameworks that Core ML models are converted from, and against definitions."""

import functools
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import coreml_runtime
import numpy as np
import pytest
import test_control_flow
import test_ml_program
import test_more_operators
import test_recurrent
import test_state
import torch
from coreml_runtime import InputError, ModelFileError, UnknownOperator, onednn
from coreml_runtime.__main__ import main
from coreml_runtime.imports import import_coremltools
from coreml_runtime.mil_ops import OPERATORS
from coreml_runtime.ml_program import WITH_BLOCKS
from PIL import Image
from torch import nn
from torch.nn import functional as F

ct = import_coremltools()
mb = ct.converters.mil.Builder

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
LABELS = ["floppy drive", "piézo", "relay", "stepper motor"]
SIZE = 48
TOLERANCE = {"float32": 1e-5, "float16": 2e-2}
"""Largest difference allowed, as a fraction of the largest logit. Ten layers of float16, of 11 bits each, add up to
several thousandths."""


def picture(seed: int, size: tuple[int, int] = (SIZE, SIZE), mode: str = "RGB") -> Image.Image:
    """Coloured rectangles over a gradient, with noise: something with edges, areas and a dominant colour."""
    rng = np.random.default_rng(seed)
    width, height = size
    pixels = np.linspace(0, 255, height)[:, None, None] * rng.random(3) + np.zeros((height, width, 3))
    for _ in range(4):
        left, top = rng.integers(0, width), rng.integers(0, height)
        pixels[top:top + height // 3, left:left + width // 3] = rng.integers(0, 256, 3)
    pixels += rng.normal(0, 8, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).convert(mode)


PICTURES = [picture(seed) for seed in range(5)]


# ---- networks to convert ---------------------------------------------------------------------------------------------

def realistic(network: nn.Module) -> nn.Module:
    """The network in eval mode with batch-norm statistics as training leaves them, so that they matter."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
        if isinstance(module, nn.BatchNorm2d | nn.GroupNorm | nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
    return network.eval()


def conv_norm(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
                         nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None, after: nn.Module | None = None):
        super().__init__()
        self.body, self.shortcut, self.after = body, shortcut or nn.Identity(), after or nn.Identity()

    def forward(self, x):
        return self.after(self.body(x) + self.shortcut(x))


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int, activation: nn.Module, gate: nn.Module):
        super().__init__()
        self.gates = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, 8, 1), activation,
                                   nn.Conv2d(8, channels, 1), gate)

    def forward(self, x):
        return x * self.gates(x)


class ConcatPool(nn.Module):
    """fastai's head: average and maximum over the picture, side by side."""

    def forward(self, x):
        return torch.cat([F.adaptive_avg_pool2d(x, 1), F.adaptive_max_pool2d(x, 1)], 1)


class Attention(nn.Module):
    def forward(self, x):
        tokens = x.flatten(2).transpose(1, 2)
        return F.scaled_dot_product_attention(tokens, tokens, tokens).mean(1)


def resnet() -> nn.Module:
    return nn.Sequential(
        conv_norm(3, 16, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        Residual(nn.Sequential(conv_norm(16, 16), nn.ReLU(), conv_norm(16, 16)), after=nn.ReLU()),
        Residual(nn.Sequential(conv_norm(16, 32, stride=2), nn.ReLU(), conv_norm(32, 32)),
                 shortcut=conv_norm(16, 32, 1, 2), after=nn.ReLU()),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 4))


def mobilenet_v2() -> nn.Module:
    return nn.Sequential(
        conv_norm(3, 16, stride=2), nn.ReLU6(),
        Residual(nn.Sequential(conv_norm(16, 48, 1), nn.ReLU6(), conv_norm(48, 48, groups=48), nn.ReLU6(),
                               conv_norm(48, 16, 1))),
        conv_norm(16, 64, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(64, 4))


def mobilenet_v3() -> nn.Module:
    return nn.Sequential(
        conv_norm(3, 16, stride=2), nn.Hardswish(),
        Residual(nn.Sequential(conv_norm(16, 48, 1), nn.Hardswish(), conv_norm(48, 48, 5, groups=48), nn.Hardswish(),
                               SqueezeExcite(48, nn.ReLU(), nn.Hardsigmoid()), conv_norm(48, 16, 1))),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 32), nn.Hardswish(), nn.Linear(32, 4))


def efficientnet() -> nn.Module:
    return nn.Sequential(
        nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 16, 3, 2, bias=False), nn.BatchNorm2d(16), nn.SiLU(),
        Residual(nn.Sequential(conv_norm(16, 48, 1), nn.SiLU(), conv_norm(48, 48, 5, groups=48), nn.SiLU(),
                               SqueezeExcite(48, nn.SiLU(), nn.Sigmoid()), conv_norm(48, 16, 1))),
        ConcatPool(), nn.Flatten(), nn.BatchNorm1d(32), nn.Linear(32, 16, bias=False), nn.ReLU(), nn.Linear(16, 4))


def convnext() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 32, 4, 4), nn.GroupNorm(4, 32), nn.GELU(), nn.Conv2d(32, 32, 7, padding=3, groups=32),
        nn.GELU(), nn.AvgPool2d(2), Attention(), nn.LayerNorm(32), nn.Linear(32, 4))


def assorted() -> nn.Module:
    """What remains of the layers that image networks use."""
    return nn.Sequential(
        nn.ReflectionPad2d(1), nn.Conv2d(3, 16, 3, dilation=2), nn.PReLU(16), nn.ReplicationPad2d(2),
        nn.Conv2d(16, 16, 3, 2, groups=4), nn.LeakyReLU(0.1), nn.InstanceNorm2d(16, affine=True),
        nn.ConvTranspose2d(16, 8, 3, 2, 1, output_padding=1), nn.ELU(0.7), nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Upsample(scale_factor=0.5, mode="bilinear"), nn.Softplus(), nn.PixelUnshuffle(2), nn.Tanh(),
        nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), nn.MaxPool2d(2, ceil_mode=True), nn.Mish(),
        nn.Flatten(), nn.LazyLinear(4))


TORCH_NETWORKS = [resnet, mobilenet_v2, mobilenet_v3, efficientnet, convnext, assorted]
PRECISIONS = ["float32", "float16"]
SCALE, BIAS = 1 / 127.5, -1.0


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("coreml")


@functools.lru_cache
def torch_network(build) -> nn.Module:
    torch.manual_seed(0)
    network = build()
    network(torch.zeros(2, 3, SIZE, SIZE))
    return realistic(network)


def convert_torch(folder: Path, build, front_end: str, precision: str) -> Path:
    """The network as an .mlpackage with an image input and logits for its output; converted once a session."""
    path = folder / f"{build.__name__}-{front_end}-{precision}.mlpackage"
    if not path.exists():
        network, example = torch_network(build), torch.zeros(1, 3, SIZE, SIZE)
        source = (torch.jit.trace(network, example) if front_end == "trace"
                  else torch.export.export(network, (example,)).run_decompositions({}))
        save(path, source, precision, inputs=[ct.ImageType("image", example.shape, SCALE, [BIAS] * 3)],
             outputs=[ct.TensorType("logits", dtype=np.float32)])
    return path


def save(path: Path, source, precision: str, **options) -> None:
    options = {"minimum_deployment_target": ct.target.iOS16} | options
    ct.convert(source, convert_to="mlprogram", compute_precision=ct.precision(precision), skip_model_load=True,
               **options).save(str(path))


def torch_logits(build, pictures) -> np.ndarray:
    x = torch.from_numpy(np.stack([np.asarray(p, np.float32) for p in pictures])).permute(0, 3, 1, 2)
    with torch.inference_mode():
        return torch_network(build)(x * SCALE + BIAS).numpy()


@functools.lru_cache
def keras_network():
    import keras
    layers = keras.layers
    keras.utils.set_random_seed(0)

    x = inputs = keras.Input((SIZE, SIZE, 3), batch_size=1)
    x = layers.Rescaling(SCALE, BIAS)(x)
    x = layers.Conv2D(16, 3, 2, padding="same", use_bias=False)(x)
    x = layers.ReLU(6)(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, 2, padding="same", use_bias=False)(x)
    x = layers.Activation("silu")(layers.BatchNormalization()(x))
    x = layers.Concatenate()([layers.AveragePooling2D(3, 2, padding="same")(x),
                              layers.MaxPooling2D(3, 2, padding="same")(x)])
    gates = layers.Dense(32, "sigmoid")(layers.Dense(8, "relu")(layers.GlobalAveragePooling2D(keepdims=True)(x)))
    x = layers.Conv2D(32, 1, activation="hard_swish")(layers.Multiply()([x, gates]))
    x = layers.LeakyReLU(0.2)(layers.ZeroPadding2D(((0, 1), (0, 1)))(x))
    x = layers.SeparableConv2D(32, 3, activation="elu")(x)
    x = layers.Dropout(0.3)(layers.GlobalMaxPooling2D()(x))
    x = layers.Dense(4, "softmax", kernel_initializer=keras.initializers.RandomNormal(stddev=8))(x)
    network = keras.Model(inputs, x)
    rng = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            n = layer.gamma.shape[0]
            layer.set_weights([rng.uniform(0.5, 1.5, n), rng.normal(0, 0.3, n), rng.normal(0, 0.3, n),
                               rng.uniform(0.05, 0.5, n)])
    return network


def convert_keras(folder: Path, precision: str) -> Path:
    """A Keras classifier as an .mlpackage with labels and metadata; converted once a session."""
    path = folder / f"keras-{precision}.mlpackage"
    if not path.exists():
        import tensorflow as tf
        network = keras_network()
        spec = tf.TensorSpec((1, SIZE, SIZE, 3), tf.float32, name="image")
        concrete = tf.function(lambda image: network(image, training=False)).get_concrete_function(spec)
        model = ct.convert([concrete], source="tensorflow", convert_to="mlprogram", skip_model_load=True,
                           inputs=[ct.ImageType("image", (1, SIZE, SIZE, 3))],
                           classifier_config=ct.ClassifierConfig(LABELS), compute_precision=ct.precision(precision),
                           minimum_deployment_target=ct.target.iOS15)
        model.author, model.license, model.version = "A class", "Apache-2.0", "1.2"
        model.short_description, model.user_defined_metadata["course"] = "Four parts", "yes"
        model.input_description["image"] = "a photograph"
        model.save(str(path))
    return path


@pytest.fixture(scope="session")
def classifier(folder):
    return coreml_runtime.load(convert_keras(folder, "float32"))


def operators(path: Path) -> set[str]:
    """The operators that a package uses."""
    main_function = ct.utils.load_spec(str(path)).mlProgram.functions["main"]
    ops = main_function.block_specializations[main_function.opset].operations
    return {op.type for op in ops} & OPERATORS.keys()


# ---- agreement with the source framework -----------------------------------------------------------------------------

@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("front_end", ["trace", "export"])
@pytest.mark.parametrize("build", TORCH_NETWORKS)
def test_answers_as_pytorch_does(folder, build, front_end, precision):
    model = coreml_runtime.load(convert_torch(folder, build, front_end, precision), precision)
    expected = torch_logits(build, PICTURES)
    answers = [model.predict({"image": p})["logits"] for p in PICTURES]
    difference = np.abs(np.concatenate(answers) - expected).max() / np.abs(expected).max()
    print(f"{build.__name__} {front_end} {precision}: {difference:.1e}")
    assert np.ptp(expected, axis=0).max() > 0.05 * np.abs(expected).max(), "the pictures are not told apart"
    assert difference < TOLERANCE[precision]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_answers_as_keras_does(folder, precision):
    model = coreml_runtime.load(convert_keras(folder, precision), precision)
    expected = np.concatenate([keras_network()(np.asarray(p, np.float32)[None], training=False) for p in PICTURES])
    answers = np.array([list(model.predict({"image": p})["classLabel_probs"].values()) for p in PICTURES])
    print(f"keras {precision}: {np.abs(answers - expected).max():.1e}")
    assert np.ptp(expected, axis=0).max() > 0.05, "the pictures are not told apart"
    assert np.abs(answers - expected).max() < {"float32": 1e-5, "float16": 5e-3}[precision]


@pytest.mark.skipif(sys.platform != "darwin", reason="Core ML itself runs on a Mac only")
@pytest.mark.parametrize("build", TORCH_NETWORKS)
def test_answers_as_apples_core_ml_does(folder, build):
    path = convert_torch(folder, build, "trace", "float32")
    apple = ct.models.MLModel(str(path), compute_units=ct.ComputeUnit.CPU_ONLY)
    model = coreml_runtime.load(path)
    for p in PICTURES:
        expected = apple.predict({"image": p})["logits"]
        assert np.abs(model.predict({"image": p})["logits"] - expected).max() < 1e-3 * np.abs(expected).max()


# ---- agreement with the operators' definitions -----------------------------------------------------------------------

RNG = np.random.default_rng(3)
X = RNG.normal(0, 1.5, (1, 4, 6, 6)).astype(np.float32)
Y = RNG.normal(0, 1.5, (1, 4, 6, 6)).astype(np.float32)
CHANNELS = [np.float32([0.1, 0.3, 0.5, 0.9]), np.float32([1.0, 0.5, 2.0, 0.7])]
WEIGHT = RNG.normal(0, 0.5, (4, 2, 3, 3)).astype(np.float32)
TX, TY = torch.from_numpy(X), torch.from_numpy(Y)


def same_padding(x: torch.Tensor, kernel: int, stride: int, value: float = 0, lower: bool = False) -> torch.Tensor:
    total = max((-(-6 // stride) - 1) * stride + kernel - 6, 0)
    before = total - total // 2 if lower else total // 2
    return F.pad(x, [before, total - before] * 2, value=value)


def nearest(x: np.ndarray, factor: int) -> np.ndarray:
    return x.repeat(factor, -2).repeat(factor, -1)


def sampled(x: np.ndarray, rows: list[float]) -> np.ndarray:
    """`x` at fractional rows and the same columns, by NumPy's own linear interpolation."""
    grid = np.arange(x.shape[-1])
    def on(axis, y):
        return np.apply_along_axis(lambda v: np.interp(rows, grid, v), axis, y)
    return on(-1, on(-2, x))


POINTS = np.float32([[[[1, 2], [4.5, 3]], [[-0.5, 0], [-3, 8]]]])  # column and row; the last two lie outside
POOL = dict(kernel_sizes=[3, 3], strides=[2, 2])
BY_DEFINITION = {
    # elementwise; |x| and the like keep the arguments where the function is defined
    "abs": (lambda x, y: mb.abs(x=x), lambda x, y: np.abs(x)),
    "acos": (lambda x, y: mb.acos(x=mb.sin(x=x)), lambda x, y: np.arccos(np.sin(x))),
    "asin": (lambda x, y: mb.asin(x=mb.sin(x=x)), lambda x, y: np.arcsin(np.sin(x))),
    "atan": (lambda x, y: mb.atan(x=x), lambda x, y: np.arctan(x)),
    "atanh": (lambda x, y: mb.atanh(x=mb.tanh(x=x)), lambda x, y: x),
    "ceil": (lambda x, y: mb.ceil(x=x), lambda x, y: np.ceil(x)),
    "clip": (lambda x, y: mb.clip(x=x, alpha=-0.5, beta=0.7), lambda x, y: np.clip(x, -0.5, 0.7)),
    "cos": (lambda x, y: mb.cos(x=x), lambda x, y: np.cos(x)),
    "cosh": (lambda x, y: mb.cosh(x=x), lambda x, y: np.cosh(x)),
    "erf": (lambda x, y: mb.erf(x=x), lambda x, y: torch.erf(TX).numpy()),
    "exp": (lambda x, y: mb.exp(x=x), lambda x, y: np.exp(x)),
    "exp2": (lambda x, y: mb.exp2(x=x), lambda x, y: 2 ** x),
    "floor": (lambda x, y: mb.floor(x=x), lambda x, y: np.floor(x)),
    "identity": (lambda x, y: mb.add(x=mb.identity(x=x), y=1.0), lambda x, y: x + 1),
    "inverse": (lambda x, y: mb.inverse(x=x, epsilon=0.01), lambda x, y: 1 / (x + 0.01)),
    "log": (lambda x, y: mb.log(x=mb.abs(x=x), epsilon=0.1), lambda x, y: np.log(np.abs(x) + 0.1)),
    "round": (lambda x, y: mb.round(x=x), lambda x, y: np.round(x)),
    "rsqrt": (lambda x, y: mb.rsqrt(x=mb.abs(x=x), epsilon=0.1), lambda x, y: (np.abs(x) + 0.1) ** -0.5),
    "sign": (lambda x, y: mb.sign(x=x), lambda x, y: np.sign(x)),
    "sin": (lambda x, y: mb.sin(x=x), lambda x, y: np.sin(x)),
    "sinh": (lambda x, y: mb.sinh(x=x), lambda x, y: np.sinh(x)),
    "sqrt": (lambda x, y: mb.sqrt(x=mb.abs(x=x)), lambda x, y: np.sqrt(np.abs(x))),
    "square": (lambda x, y: mb.square(x=x), lambda x, y: x * x),
    "tan": (lambda x, y: mb.tan(x=mb.tanh(x=x)), lambda x, y: np.tan(np.tanh(x))),
    "tanh": (lambda x, y: mb.tanh(x=x), lambda x, y: np.tanh(x)),
    "add": (lambda x, y: mb.add(x=x, y=CHANNELS[0].reshape(4, 1, 1)), lambda x, y: x + CHANNELS[0].reshape(4, 1, 1)),
    "sub": (lambda x, y: mb.sub(x=1.0, y=x), lambda x, y: 1 - x),
    "mul": (lambda x, y: mb.mul(x=x, y=y), lambda x, y: x * y),
    "real_div": (lambda x, y: mb.real_div(x=x, y=y), lambda x, y: x / y),
    "floor_div": (lambda x, y: mb.floor_div(x=x, y=0.3), lambda x, y: np.floor_divide(x, np.float32(0.3))),
    "mod": (lambda x, y: mb.mod(x=x, y=0.75), lambda x, y: np.mod(x, 0.75)),
    "pow": (lambda x, y: mb.pow(x=mb.abs(x=x), y=1.7), lambda x, y: np.abs(x) ** 1.7),
    "maximum": (lambda x, y: mb.maximum(x=x, y=y), np.maximum),
    "minimum": (lambda x, y: mb.minimum(x=x, y=y), np.minimum),
    "equal": (lambda x, y: mb.cast(x=mb.equal(x=mb.floor(x=x), y=mb.floor(x=y)), dtype="fp32"),
              lambda x, y: np.floor(x) == np.floor(y)),
    "not_equal": (lambda x, y: mb.cast(x=mb.not_equal(x=mb.floor(x=x), y=mb.floor(x=y)), dtype="fp32"),
                  lambda x, y: np.floor(x) != np.floor(y)),
    "greater": (lambda x, y: mb.cast(x=mb.greater(x=x, y=y), dtype="fp32"), lambda x, y: x > y),
    "greater_equal": (lambda x, y: mb.cast(x=mb.greater_equal(x=x, y=x), dtype="fp32"), lambda x, y: x >= x),
    "less": (lambda x, y: mb.cast(x=mb.less(x=x, y=y), dtype="fp32"), lambda x, y: x < y),
    "less_equal": (lambda x, y: mb.cast(x=mb.less_equal(x=x, y=0.5), dtype="fp32"), lambda x, y: x <= 0.5),
    "logical_and": (lambda x, y: mb.cast(x=mb.logical_and(x=mb.less(x=x, y=0.0), y=mb.less(x=y, y=0.0)), dtype="fp32"),
                    lambda x, y: (x < 0) & (y < 0)),
    "logical_or": (lambda x, y: mb.cast(x=mb.logical_or(x=mb.less(x=x, y=0.0), y=mb.less(x=y, y=0.0)), dtype="fp32"),
                   lambda x, y: (x < 0) | (y < 0)),
    "logical_xor": (lambda x, y: mb.cast(x=mb.logical_xor(x=mb.less(x=x, y=0.0), y=mb.less(x=y, y=0.0)), dtype="fp32"),
                    lambda x, y: (x < 0) ^ (y < 0)),
    "logical_not": (lambda x, y: mb.cast(x=mb.logical_not(x=mb.less(x=x, y=0.0)), dtype="fp32"), lambda x, y: x >= 0),
    "select": (lambda x, y: mb.select(cond=mb.less(x=x, y=0.0), a=y, b=x), lambda x, y: np.where(x < 0, y, x)),
    "cast": (lambda x, y: mb.cast(x=mb.cast(x=x, dtype="int32"), dtype="fp32"), lambda x, y: np.trunc(x)),
    # activations
    "clamped_relu": (lambda x, y: mb.clamped_relu(x=x, alpha=0.2, beta=1.0),
                     lambda x, y: np.minimum(1, np.where(x >= 0, x, 0.2 * x))),
    "elu": (lambda x, y: mb.elu(x=x, alpha=0.6), lambda x, y: np.where(x > 0, x, 0.6 * np.expm1(x))),
    "gelu": (lambda x, y: mb.gelu(x=x, mode="TANH_APPROXIMATION"), lambda x, y: F.gelu(TX, approximate="tanh").numpy()),
    "gelu sigmoid": (lambda x, y: mb.gelu(x=x, mode="SIGMOID_APPROXIMATION"),
                     lambda x, y: x / (1 + np.exp(-1.702 * x))),
    "leaky_relu": (lambda x, y: mb.leaky_relu(x=x, alpha=0.1), lambda x, y: np.where(x > 0, x, 0.1 * x)),
    "linear_activation": (lambda x, y: mb.linear_activation(x=x, alpha=2.0, beta=-0.5), lambda x, y: 2 * x - 0.5),
    "prelu": (lambda x, y: mb.prelu(x=x, alpha=CHANNELS[0]),
              lambda x, y: np.where(x > 0, x, CHANNELS[0].reshape(4, 1, 1) * x)),
    "relu": (lambda x, y: mb.relu(x=x), lambda x, y: np.maximum(x, 0)),
    "relu6": (lambda x, y: mb.relu6(x=mb.mul(x=x, y=4.0)), lambda x, y: np.clip(4 * x, 0, 6)),
    "scaled_tanh": (lambda x, y: mb.scaled_tanh(x=x, alpha=1.7, beta=0.6), lambda x, y: 1.7 * np.tanh(0.6 * x)),
    "sigmoid": (lambda x, y: mb.sigmoid(x=x), lambda x, y: 1 / (1 + np.exp(-x))),
    "sigmoid_hard": (lambda x, y: mb.sigmoid_hard(x=x, alpha=0.3, beta=0.4), lambda x, y: np.clip(0.3 * x + 0.4, 0, 1)),
    "silu": (lambda x, y: mb.silu(x=x), lambda x, y: x / (1 + np.exp(-x))),
    "softmax": (lambda x, y: mb.softmax(x=x, axis=1), lambda x, y: np.exp(x) / np.exp(x).sum(1, keepdims=True)),
    "softplus": (lambda x, y: mb.softplus(x=x), lambda x, y: np.log1p(np.exp(x))),
    "softplus_parametric": (lambda x, y: mb.softplus_parametric(x=x, alpha=CHANNELS[0], beta=CHANNELS[1]),
                            lambda x, y: CHANNELS[0].reshape(4, 1, 1)
                            * np.log1p(np.exp(CHANNELS[1].reshape(4, 1, 1) * x))),
    "softsign": (lambda x, y: mb.softsign(x=x), lambda x, y: x / (1 + np.abs(x))),
    "threshold": (lambda x, y: mb.threshold(x=x, alpha=0.4), lambda x, y: np.maximum(x, 0.4)),
    "thresholded_relu": (lambda x, y: mb.thresholded_relu(x=x, alpha=0.8), lambda x, y: np.where(x >= 0.8, x, 0)),
    # convolution, pooling and padding
    "conv": (lambda x, y: mb.conv(x=x, weight=WEIGHT, strides=[2, 2], pad_type="same", groups=2),
             lambda x, y: F.conv2d(same_padding(TX, 3, 2), torch.from_numpy(WEIGHT), stride=2, groups=2).numpy()),
    "conv same_lower": (lambda x, y: mb.conv(x=x, weight=WEIGHT, strides=[2, 2], pad_type="same_lower", groups=2),
                        lambda x, y: F.conv2d(same_padding(TX, 3, 2, lower=True), torch.from_numpy(WEIGHT), stride=2,
                                              groups=2).numpy()),
    "conv custom": (lambda x, y: mb.conv(x=x, weight=WEIGHT, pad_type="custom", pad=[0, 2, 1, 0], dilations=[2, 1],
                                         groups=2),
                    lambda x, y: F.conv2d(F.pad(TX, [1, 0, 0, 2]), torch.from_numpy(WEIGHT), dilation=(2, 1),
                                          groups=2).numpy()),
    "conv_transpose": (lambda x, y: mb.conv_transpose(x=x, weight=WEIGHT, strides=[2, 2], pad_type="custom",
                                                      pad=[1, 0, 0, 1]),
                       lambda x, y: F.conv_transpose2d(TX, torch.from_numpy(WEIGHT), stride=2)[..., 1:, :-1].numpy()),
    "conv_transpose same": (lambda x, y: mb.conv_transpose(x=x, weight=WEIGHT, strides=[2, 2], pad_type="same"),
                            lambda x, y: F.conv_transpose2d(TX, torch.from_numpy(WEIGHT), stride=2
                                                            )[..., :12, :12].numpy()),
    "max_pool": (lambda x, y: mb.max_pool(x=x, pad_type="same", **POOL),
                 lambda x, y: F.max_pool2d(same_padding(TX, 3, 2, -np.inf), 3, 2).numpy()),
    "max_pool custom": (lambda x, y: mb.max_pool(x=x, pad_type="custom", pad=[1, 1, 1, 1], ceil_mode=True, **POOL),
                        lambda x, y: F.max_pool2d(TX, 3, 2, 1, ceil_mode=True).numpy()),
    "avg_pool": (lambda x, y: mb.avg_pool(x=x, pad_type="same", exclude_padding_from_average=True, **POOL),
                 lambda x, y: (F.avg_pool2d(same_padding(TX, 3, 2), 3, 2)
                               / F.avg_pool2d(same_padding(torch.ones_like(TX), 3, 2), 3, 2)).numpy()),
    "avg_pool same_lower": (lambda x, y: mb.avg_pool(x=x, pad_type="same_lower", **POOL),
                            lambda x, y: F.avg_pool2d(same_padding(TX, 3, 2, lower=True), 3, 2).numpy()),
    "avg_pool valid": (lambda x, y: mb.avg_pool(x=x, pad_type="valid", **POOL),
                       lambda x, y: F.avg_pool2d(TX, 3, 2).numpy()),
    "l2_pool": (lambda x, y: mb.l2_pool(x=x, pad_type="valid", **POOL), lambda x, y: F.lp_pool2d(TX, 2, 3, 2).numpy()),
    "pad": (lambda x, y: mb.pad(x=x, pad=[1, 0, 0, 2], mode="constant", constant_val=0.5),
            lambda x, y: np.pad(x, [(0, 0), (0, 0), (1, 0), (0, 2)], constant_values=0.5)),
    "pad reflect": (lambda x, y: mb.pad(x=x, pad=[0, 0, 0, 0, 2, 1, 0, 3], mode="reflect"),
                    lambda x, y: np.pad(x, [(0, 0), (0, 0), (2, 1), (0, 3)], mode="reflect")),
    "pad replicate": (lambda x, y: mb.pad(x=x, pad=[2, 1, 0, 3], mode="replicate"),
                      lambda x, y: np.pad(x, [(0, 0), (0, 0), (2, 1), (0, 3)], mode="edge")),
    "crop": (lambda x, y: mb.crop(x=x, crop_height=[1, 2], crop_width=[0, 1]), lambda x, y: x[..., 1:-2, :-1]),
    # normalization
    "batch_norm": (lambda x, y: mb.batch_norm(x=x, mean=CHANNELS[0], variance=CHANNELS[1], gamma=CHANNELS[1],
                                              beta=CHANNELS[0], epsilon=0.01),
                   lambda x, y: F.batch_norm(TX, *map(torch.from_numpy, CHANNELS + CHANNELS[::-1]), eps=0.01).numpy()),
    "instance_norm": (lambda x, y: mb.instance_norm(x=x, gamma=CHANNELS[0], beta=CHANNELS[1], epsilon=0.01),
                      lambda x, y: F.instance_norm(TX, weight=torch.from_numpy(CHANNELS[0]),
                                                   bias=torch.from_numpy(CHANNELS[1]), eps=0.01).numpy()),
    "layer_norm": (lambda x, y: mb.layer_norm(x=x, axes=[1, 3], epsilon=0.01),
                   lambda x, y: (x - x.mean((1, 3), keepdims=True)) / np.sqrt(x.var((1, 3), keepdims=True) + 0.01)),
    "l2_norm": (lambda x, y: mb.l2_norm(x=x, epsilon=0.01), lambda x, y: x / np.sqrt((x * x).sum() + 0.01)),
    "local_response_norm": (lambda x, y: mb.local_response_norm(x=x, size=3, alpha=0.5, beta=0.75, k=1.5),
                            lambda x, y: F.local_response_norm(TX, 3, 0.5, 0.75, 1.5).numpy()),
    # linear algebra
    "linear": (lambda x, y: mb.linear(x=x, weight=WEIGHT.reshape(12, 6), bias=np.arange(12, dtype=np.float32)),
               lambda x, y: x @ WEIGHT.reshape(12, 6).T + np.arange(12)),
    "matmul": (lambda x, y: mb.matmul(x=x, y=y, transpose_y=True), lambda x, y: x @ y.swapaxes(-1, -2)),
    "einsum": (lambda x, y: mb.einsum(values=(x, mb.transpose(x=y, perm=[0, 3, 2, 1])), equation="nchw,nwhr->nchr"),
               lambda x, y: np.einsum("nchw,nrhw->nchr", x, y)),
    # reductions
    "reduce_mean": (lambda x, y: mb.reduce_mean(x=x, axes=[-2, -1], keep_dims=True),
                    lambda x, y: x.mean((-2, -1), keepdims=True)),
    "reduce_sum": (lambda x, y: mb.reduce_sum(x=x, axes=[1]), lambda x, y: x.sum(1)),
    "reduce_max": (lambda x, y: mb.reduce_max(x=x, axes=[2, 3]), lambda x, y: x.max((2, 3))),
    "reduce_min": (lambda x, y: mb.reduce_min(x=x, axes=[1]), lambda x, y: x.min(1)),
    "reduce_prod": (lambda x, y: mb.reduce_prod(x=x, axes=[1, 3]), lambda x, y: x.prod((1, 3))),
    "reduce_l1_norm": (lambda x, y: mb.reduce_l1_norm(x=x, axes=[1]), lambda x, y: np.abs(x).sum(1)),
    "reduce_l2_norm": (lambda x, y: mb.reduce_l2_norm(x=x, axes=[1]), lambda x, y: np.sqrt((x * x).sum(1))),
    "reduce_sum_square": (lambda x, y: mb.reduce_sum_square(x=x, axes=[1]), lambda x, y: (x * x).sum(1)),
    "reduce_log_sum": (lambda x, y: mb.reduce_log_sum(x=mb.abs(x=x), axes=[1]), lambda x, y: np.log(np.abs(x).sum(1))),
    "reduce_log_sum_exp": (lambda x, y: mb.reduce_log_sum_exp(x=x, axes=[1]), lambda x, y: np.log(np.exp(x).sum(1))),
    "reduce_argmax": (lambda x, y: mb.reduce_argmax(x=x, axis=1), lambda x, y: x.argmax(1)),
    "reduce_argmin": (lambda x, y: mb.reduce_argmin(x=x, axis=-1), lambda x, y: x.argmin(-1)),
    "argsort": (lambda x, y: mb.argsort(x=x, axis=1, ascending=True), lambda x, y: x.argsort(1)),
    "topk": (lambda x, y: mb.topk(x=x, k=2, axis=1)[0], lambda x, y: np.sort(x, 1)[:, :1:-1]),
    "topk indices": (lambda x, y: mb.topk(x=x, k=2, axis=1, ascending=True)[1], lambda x, y: x.argsort(1)[:, :2]),
    "cumsum": (lambda x, y: mb.cumsum(x=x, axis=1), lambda x, y: x.cumsum(1)),
    "cumsum exclusive": (lambda x, y: mb.cumsum(x=x, axis=1, exclusive=True, reverse=True),
                         lambda x, y: x[:, ::-1].cumsum(1)[:, ::-1] - x),
    # shape
    "shape": (lambda x, y: mb.cast(x=mb.shape(x=mb.non_zero(x=mb.relu(x=x))), dtype="fp32"),
              lambda x, y: np.array([(x > 0).sum(), 4])),
    "non_zero": (lambda x, y: mb.non_zero(x=mb.relu(x=x)), lambda x, y: np.argwhere(x > 0)),
    "reshape": (lambda x, y: mb.reshape(x=x, shape=[2, -1, 9]),
                lambda x, y: x.reshape(2, 8, 9)),
    "flatten2d": (lambda x, y: mb.flatten2d(x=x, axis=2), lambda x, y: x.reshape(4, 36)),
    "transpose": (lambda x, y: mb.transpose(x=x, perm=[0, 2, 3, 1]), lambda x, y: x.transpose(0, 2, 3, 1)),
    "expand_dims": (lambda x, y: mb.expand_dims(x=mb.reduce_sum(x=x, axes=[1]), axes=[-1, 1]),
                    lambda x, y: x.sum(1)[:, None, ..., None]),
    "squeeze": (lambda x, y: mb.squeeze(x=mb.relu(x=x), axes=[0]), lambda x, y: np.maximum(x, 0)[0]),
    "concat": (lambda x, y: mb.concat(values=(x, y), axis=1), lambda x, y: np.concatenate([x, y], 1)),
    "concat interleave": (lambda x, y: mb.concat(values=(x, y), axis=1, interleave=True),
                          lambda x, y: np.stack([x, y], 2).reshape(1, 8, 6, 6)),
    "stack": (lambda x, y: mb.stack(values=(x, y), axis=2), lambda x, y: np.stack([x, y], 2)),
    "split": (lambda x, y: mb.split(x=x, split_sizes=[1, 3], axis=1)[1], lambda x, y: x[:, 1:]),
    "split even": (lambda x, y: mb.split(x=x, num_splits=2, axis=2)[1], lambda x, y: x[:, :, 3:]),
    "tile": (lambda x, y: mb.tile(x=x, reps=[1, 2, 1, 3]), lambda x, y: np.tile(x, [1, 2, 1, 3])),
    "reverse": (lambda x, y: mb.reverse(x=x, axes=[1, 3]), lambda x, y: x[:, ::-1, :, ::-1]),
    "slice_by_index": (lambda x, y: mb.slice_by_index(x=x, begin=[0, 1, 5, 1], end=[1, 0, 0, -1], stride=[1, 1, -2, 2],
                                                      end_mask=[True, False, True, False],
                                                      squeeze_mask=[False, True, False, False]),
                       lambda x, y: x[:, 1, ::-2, 1:-1:2]),
    "slice_by_size": (lambda x, y: mb.slice_by_size(x=x, begin=[0, 1, 2, 0], size=[1, 2, -1, 5]),
                      lambda x, y: x[:, 1:3, 2:, :5]),
    "gather": (lambda x, y: mb.gather(x=x, indices=np.int32([[3, 0], [1, 1]]), axis=1),
               lambda x, y: x[:, [[3, 0], [1, 1]]]),
    "gather_along_axis": (lambda x, y: mb.gather_along_axis(x=x, indices=np.int32(X.argsort(1)), axis=1),
                          lambda x, y: np.sort(x, 1)),
    "gather_nd": (lambda x, y: mb.gather_nd(x=x, indices=np.int32([[0, 3], [0, 1]])), lambda x, y: x[[0, 0], [3, 1]]),
    "slice_update": (lambda x, y: mb.slice_update(x=x,
                                                  update=mb.slice_by_size(x=y, begin=[0, 0, 0, 0], size=[1, 2, 3, 6]),
                                                  begin=[0, 1, 5, 0], end=[1, 3, 0, 6], stride=[1, 1, -2, 1],
                                                  end_mask=[False, False, True, False]),
                     lambda x, y: np.concatenate([
                         x[:, :1],
                         np.stack([x[:, 1:3, i] if i % 2 == 0 else y[:, :2, (5 - i) // 2] for i in range(6)], 2),
                         x[:, 3:]], 1)),
    "scatter": (lambda x, y: mb.scatter(data=x, indices=np.int32([2, 0, 2]), updates=mb.slice_by_size(
        x=y, begin=[0, 0, 0, 0], size=[1, 3, 6, 6]), axis=1, mode="add"),
        lambda x, y: x + np.stack([y[:, 1], 0 * y[:, 0], y[:, 0] + y[:, 2], 0 * y[:, 0]], 1)),
    "scatter update": (lambda x, y: mb.scatter(data=x, indices=np.int32([3, 1]), updates=mb.slice_by_size(
        x=y, begin=[0, 0, 0, 0], size=[1, 2, 6, 6]), axis=1, mode="update"),
        lambda x, y: np.stack([x[:, 0], y[:, 1], x[:, 2], y[:, 0]], 1)),
    "scatter_along_axis": (lambda x, y: mb.scatter_along_axis(data=x, indices=np.int32(X.argsort(1)), updates=y, axis=1,
                                                              mode="sub"),
                           lambda x, y: x - np.take_along_axis(y, x.argsort(1).argsort(1), 1)),
    "scatter_nd": (lambda x, y: mb.scatter_nd(data=x, indices=np.int32([[0, 3], [0, 1]]), updates=mb.slice_by_size(
        x=mb.squeeze(x=y, axes=[0]), begin=[0, 0, 0], size=[2, 6, 6]), mode="max"),
        lambda x, y: np.stack([x[:, 0], np.maximum(x[:, 1], y[:, 1]), x[:, 2], np.maximum(x[:, 3], y[:, 0])], 1)),
    "space_to_batch": (lambda x, y: mb.space_to_batch(x=x, block_shape=[2, 3], paddings=[[1, 1], [0, 0]]),
                       lambda x, y: np.concatenate([np.pad(x, [(0, 0), (0, 0), (1, 1), (0, 0)])[..., i::2, j::3]
                                                    for i in range(2) for j in range(3)])),
    "batch_to_space": (lambda x, y: mb.batch_to_space(
        x=mb.space_to_batch(x=x, block_shape=[2, 3], paddings=[[1, 1], [0, 0]]),
        block_shape=[2, 3], crops=[[1, 1], [0, 0]]), lambda x, y: x),
    "sliding_windows": (lambda x, y: mb.sliding_windows(x=x, axis=2, size=3, stride=2),
                        lambda x, y: np.stack([x[:, :, 0:3], x[:, :, 2:5]], 2)),
    "band_part": (lambda x, y: mb.band_part(x=x, lower=1, upper=2), lambda x, y: np.tril(np.triu(x, -1), 2)),
    "pixel_shuffle": (lambda x, y: mb.pixel_shuffle(x=x, upscale_factor=2),
                      lambda x, y: F.pixel_shuffle(TX, 2).numpy()),
    "pixel_unshuffle": (lambda x, y: mb.pixel_unshuffle(x=x, downscale_factor=np.uint32(2)),
                        lambda x, y: F.pixel_unshuffle(TX, 2).numpy()),
    "depth_to_space": (lambda x, y: mb.depth_to_space(x=x, block_size=2),
                       lambda x, y: x.reshape(1, 2, 2, 1, 6, 6).transpose(0, 3, 4, 1, 5, 2).reshape(1, 1, 12, 12)),
    "space_to_depth": (lambda x, y: mb.space_to_depth(x=x, block_size=2),
                       lambda x, y: np.concatenate([x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)], 1)),
    # making tensors
    "fill": (lambda x, y: mb.add(x=mb.fill(shape=mb.shape(x=mb.non_zero(x=mb.relu(x=x))), value=2.5), y=1.0),
             lambda x, y: np.full(((x > 0).sum(), 4), 3.5)),
    "fill_like": (lambda x, y: mb.fill_like(ref_tensor=mb.relu(x=x), value=2.5), lambda x, y: np.full_like(x, 2.5)),
    "range_1d": (lambda x, y: mb.range_1d(end=mb.reduce_sum(x=mb.cast(x=mb.greater(x=x, y=0.0), dtype="int32")),
                                          start=2, step=3), lambda x, y: np.arange(2, (x > 0).sum(), 3)),
    "one_hot": (lambda x, y: mb.one_hot(indices=mb.reduce_argmax(x=x, axis=1), one_hot_vector_size=5, axis=1),
                lambda x, y: (x.argmax(1)[:, None] == np.arange(5).reshape(5, 1, 1))),
    # resizing
    "resize_bilinear": (lambda x, y: mb.resize_bilinear(x=x, target_size_height=4, target_size_width=4),
                        lambda x, y: sampled(x, [0, 1.5, 3, 4.5])),
    "resize_bilinear offset": (lambda x, y: mb.resize_bilinear(x=x, target_size_height=4, target_size_width=4,
                                                               sampling_mode="OFFSET_CORNERS"),
                               lambda x, y: sampled(x, [0.625, 1.875, 3.125, 4.375])),
    "resize_bilinear align": (lambda x, y: mb.resize_bilinear(x=x, target_size_height=1, target_size_width=1,
                                                              sampling_mode="ALIGN_CORNERS"),
                              lambda x, y: sampled(x, [2.5])),
    "resize_nearest_neighbor": (lambda x, y: mb.resize_nearest_neighbor(x=x, target_size_height=12,
                                                                        target_size_width=12),
                                lambda x, y: nearest(x, 2)),
    "upsample_bilinear": (lambda x, y: mb.upsample_bilinear(x=x, scale_factor_height=2, scale_factor_width=2),
                          lambda x, y: F.interpolate(TX, scale_factor=2, mode="bilinear", align_corners=True).numpy()),
    "upsample_nearest_neighbor": (lambda x, y: mb.upsample_nearest_neighbor(x=x, scale_factor_height=3,
                                                                            scale_factor_width=3),
                                  lambda x, y: nearest(x, 3)),
    "resize": (lambda x, y: mb.resize(x=x, shape=[9, 9], resized_dims=np.uint32(2), sampling_mode="UNALIGN_CORNERS"),
               lambda x, y: F.interpolate(TX, 9, mode="bilinear").numpy()),
    "resize nearest": (lambda x, y: mb.resize(x=x, shape=[12, 12], resized_dims=np.uint32(2),
                                              interpolation_mode="NEAREST_NEIGHBOR"), lambda x, y: nearest(x, 2)),
    "resample": (lambda x, y: mb.resample(x=x, coordinates=POINTS, sampling_mode="bilinear", padding_mode="constant",
                                          padding_value=0.5, coordinates_mode="unnormalized", align_corners=True),
                 lambda x, y: np.stack([x[..., 2, 1], (x[..., 3, 4] + x[..., 3, 5]) / 2, (x[..., 0, 0] + 0.5) / 2,
                                        np.full((1, 4), 0.5)], -1).reshape(1, 4, 2, 2)),
    "resample border": (lambda x, y: mb.resample(x=x, coordinates=POINTS / 5, sampling_mode="nearest",
                                                 padding_mode="border", padding_value=0.0,
                                                 coordinates_mode="normalized_zero_to_one", align_corners=True),
                        lambda x, y: np.stack([x[..., 2, 1], x[..., 3, 4], x[..., 0, 0], x[..., 5, 0]], -1
                                              ).reshape(1, 4, 2, 2)),
    "resample reflection": (lambda x, y: mb.resample(x=x, coordinates=POINTS, sampling_mode="bilinear",
                                                     padding_mode="reflection", padding_value=0.0,
                                                     coordinates_mode="unnormalized", align_corners=True),
                            lambda x, y: np.stack([x[..., 2, 1], (x[..., 3, 4] + x[..., 3, 5]) / 2,
                                                   (x[..., 0, 0] + x[..., 0, 1]) / 2, x[..., 2, 3]], -1
                                                  ).reshape(1, 4, 2, 2)),
    "resample symmetric": (lambda x, y: mb.resample(x=x, coordinates=POINTS, sampling_mode="bilinear",
                                                    padding_mode="symmetric", padding_value=0.0,
                                                    coordinates_mode="unnormalized", align_corners=True),
                           lambda x, y: np.stack([x[..., 2, 1], (x[..., 3, 4] + x[..., 3, 5]) / 2, x[..., 0, 0],
                                                  x[..., 3, 2]], -1).reshape(1, 4, 2, 2)),
    "affine": (lambda x, y: mb.affine(x=x, transform_matrix=np.float32([[0, -1, 0.2, 0.5, 0, 0]]), output_height=5,
                                      output_width=4, sampling_mode="bilinear", padding_mode="constant",
                                      padding_value=0.0, coordinates_mode="normalized_minus_one_to_one",
                                      align_corners=True),
               lambda x, y: F.grid_sample(
                   TX, F.affine_grid(torch.tensor([[[0, -1, 0.2], [0.5, 0, 0]]]), [1, 4, 5, 4], True),
                   align_corners=True).numpy()),
    # quantized activations and attention
    "quantize": (lambda x, y: mb.dequantize(input=mb.quantize(input=x, scale=0.1, output_dtype="int8"), scale=0.1),
                 lambda x, y: np.round(x / 0.1) * 0.1),
    "dequantize": (lambda x, y: mb.dequantize(input=mb.quantize(
        input=x, scale=CHANNELS[1], zero_point=np.int8([1, 2, 3, 4]), output_dtype="int8", axis=1),
        scale=CHANNELS[1], zero_point=np.int8([4, 3, 2, 1]), axis=1),
        lambda x, y: (np.round(x / CHANNELS[1].reshape(4, 1, 1)) + np.float32([-3, -1, 1, 3]).reshape(4, 1, 1))
        * CHANNELS[1].reshape(4, 1, 1)),
    "scaled_dot_product_attention": (lambda x, y: mb.scaled_dot_product_attention(query=x, key=y, value=x),
                                     lambda x, y: F.scaled_dot_product_attention(TX, TY, TX).numpy()),
}
"""Each operator's arguments at work: how it is written in MIL, and what it is by definition (NumPy or torch)."""


@pytest.fixture(scope="session")
def definitions(folder):
    """One program that holds all of BY_DEFINITION, an output a case, and its answers for X and Y."""
    path = folder / "definitions.mlpackage"

    @mb.program(input_specs=[mb.TensorSpec(X.shape), mb.TensorSpec(Y.shape)], opset_version=ct.target.iOS18)
    def program(x, y):
        return tuple(mb.identity(x=case(x, y), name=f"case_{i}") for i, (case, _) in enumerate(BY_DEFINITION.values()))

    save(path, program, "float32", minimum_deployment_target=ct.target.iOS18, pass_pipeline=ct.PassPipeline.EMPTY)
    answers = coreml_runtime.load(path).predict({"x": X, "y": Y})
    return {case: answers[f"case_{i}"] for i, case in enumerate(BY_DEFINITION)}


@pytest.mark.parametrize("case", BY_DEFINITION)
def test_an_operator_computes_what_its_definition_says(definitions, case):
    expected = np.asarray(BY_DEFINITION[case][1](X, Y))
    assert definitions[case].shape == expected.shape
    np.testing.assert_allclose(definitions[case], expected, rtol=1e-4, atol=1e-5)


FUSED = {
    "relu": (lambda x: mb.relu(x=x), torch.relu),
    "relu6": (lambda x: mb.relu6(x=x), F.relu6),
    "clip": (lambda x: mb.clip(x=x, alpha=-0.3, beta=0.8), lambda x: x.clamp(-0.3, 0.8)),
    "leaky_relu": (lambda x: mb.leaky_relu(x=x, alpha=0.2), lambda x: F.leaky_relu(x, 0.2)),
    "sigmoid": (lambda x: mb.sigmoid(x=x), torch.sigmoid),
    "silu": (lambda x: mb.silu(x=x), F.silu),
    "tanh": (lambda x: mb.tanh(x=x), torch.tanh),
}


@pytest.mark.skipif(not onednn.is_available(), reason="this build of PyTorch has no oneDNN")
@pytest.mark.parametrize("case", onednn.ACTIVATIONS)
def test_an_activation_is_computed_with_its_convolution_unless_the_sum_is_read_elsewhere(tmp_path, case):
    @mb.program(input_specs=[mb.TensorSpec(X.shape)], opset_version=ct.target.iOS16)
    def program(x):
        alone, shared = (mb.conv(x=x, weight=WEIGHT, strides=[2, 2], pad_type="same", groups=2) for _ in range(2))
        activate = FUSED[case][0]
        return mb.identity(x=activate(alone), name="fused"), mb.add(x=activate(shared), y=shared, name="sum")

    save(tmp_path / "fused.mlpackage", program, "float32", pass_pipeline=ct.PassPipeline.EMPTY)
    model = coreml_runtime.load(tmp_path / "fused.mlpackage")
    assert [node.op_type for node in model.program.nodes].count(case) == 1
    convolved = F.conv2d(same_padding(TX, 3, 2), torch.from_numpy(WEIGHT), stride=2, groups=2)
    expected = FUSED[case][1](convolved)
    answer = model.predict({"x": X})
    np.testing.assert_allclose(answer["fused"], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(answer["sum"], expected + convolved, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not onednn.is_available(), reason="this build of PyTorch has no oneDNN")
@pytest.mark.parametrize("groups", [1, 6])
@pytest.mark.parametrize("pad_type", ["same", "same_lower", "valid", "custom"])
def test_a_packed_convolution_pads_unevenly_and_takes_other_sizes(groups, pad_type):
    weight = torch.from_numpy(RNG.standard_normal((6, 6 // groups, 3, 5)).astype("float32"))
    arguments = dict(strides=[2, 2], dilations=[1, 1], pad=[0, 1, 3, 1], pad_type=pad_type, groups=groups)
    packed = onednn.PackedConv(weight, input_shape=(1, 6, 8, 8), **arguments)
    for size in (8, 8), (7, 10), (8, 8), (9, 7):
        x = torch.from_numpy(RNG.standard_normal((2, 6, *size)).astype("float32"))
        torch.testing.assert_close(packed(x), OPERATORS["conv"].compute(x, weight, **arguments), rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not onednn.is_available(), reason="this build of PyTorch has no oneDNN")
@pytest.mark.parametrize("groups", [1, 2])
def test_weights_are_packed_once_for_each_number_of_inputs_stacked(groups):
    weight = torch.from_numpy(RNG.standard_normal((64, 32 // groups, 1, 1)).astype("float32"))
    arguments = dict(strides=[1, 1], dilations=[1, 1], pad=[0] * 4, groups=groups)
    packed = onednn.PackedConv(weight, input_shape=(1, 32, 9, 9), **arguments)
    for count in 1, 4, 1, 4, 4:
        x = torch.from_numpy(RNG.standard_normal((count, 32, 9, 9)).astype("float32"))
        torch.testing.assert_close(packed(x), OPERATORS["conv"].compute(x, weight, **arguments), rtol=1e-4, atol=1e-4)
    assert sorted(count for *_, count in packed.packed) == [1, 4] and not hasattr(packed, "weight")


def test_a_list_runs_in_stacks_of_one_size_and_the_rest_one_by_one(folder, monkeypatch):
    model = coreml_runtime.load(convert_torch(folder, efficientnet, "trace", "float32"))
    sizes, run = [], model._run
    monkeypatch.setattr(model, "_run", lambda inputs: sizes.append(len(inputs)) or run(inputs))
    for count in 3, 4, 10:
        assert len(model.predict([{"image": PICTURES[0]}] * count)) == count
    assert sizes == [1, 1, 1, 4, 4, 4, 1, 1]


def test_a_build_of_pytorch_without_onednn_answers_the_same(folder, monkeypatch):
    path = convert_torch(folder, efficientnet, "trace", "float32")
    packed = coreml_runtime.load(path).predict({"image": PICTURES[0]})["logits"]
    monkeypatch.setattr(onednn, "is_available", lambda: False)
    np.testing.assert_allclose(coreml_runtime.load(path).predict({"image": PICTURES[0]})["logits"], packed, rtol=1e-4,
                               atol=1e-5)


# ---- what predict takes and gives ------------------------------------------------------------------------------------

def test_a_classifier_answers_with_its_label_and_the_probability_of_each(classifier):
    answer = classifier.predict({"image": PICTURES[0]})
    assert list(answer) == ["classLabel", "classLabel_probs"]
    probabilities = answer["classLabel_probs"]
    assert list(probabilities) == LABELS
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert answer["classLabel"] == max(probabilities, key=probabilities.get)


def test_a_model_tells_its_input_labels_and_metadata(classifier):
    assert classifier.class_labels == LABELS
    image, = classifier.image_inputs
    assert (image.name, image.size, image.color_layout, image.mode) == ("image", (SIZE, SIZE), "RGB", "RGB")
    assert image.short_description == "a photograph"
    about = classifier.metadata
    assert (about.author, about.license, about.version) == ("A class", "Apache-2.0", "1.2")
    assert about.short_description == "Four parts" and about.user_defined["course"] == "yes"


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("build", [resnet, mobilenet_v3, convnext])
def test_a_batch_is_computed_together_and_answers_as_each_alone(folder, build, precision):
    model = coreml_runtime.load(convert_torch(folder, build, "trace", "float32"), precision)
    pictures = [{"image": picture(seed)} for seed in range(11)]
    alone = np.concatenate([model.predict(each)["logits"] for each in pictures])
    together = np.concatenate([each["logits"] for each in model.predict(pictures)])
    assert model.program.is_batchable
    assert np.abs(together - alone).max() < {"float32": 1e-5, "float16": 5e-3}[precision] * np.abs(alone).max()


def test_a_batch_of_classifications_answers_as_each_alone(classifier):
    answers = classifier.predict([{"image": p} for p in PICTURES])
    assert classifier.program.is_batchable
    for answer, p in zip(answers, PICTURES, strict=True):
        alone = classifier.predict({"image": p})
        assert answer["classLabel"] == alone["classLabel"]
        assert answer["classLabel_probs"] == pytest.approx(alone["classLabel_probs"], abs=1e-6)


ACROSS_THE_BATCH = {
    "softmax over the first axis": lambda x: mb.softmax(x=x, axis=0),
    "sum over all axes": lambda x: mb.reduce_sum(x=x, axes=[0, 1, 2, 3]),
    "fixed shape": lambda x: mb.reshape(x=mb.reduce_sum(x=mb.reshape(x=x, shape=[4, 36]), axes=[0]), shape=[1, 36]),
    "running sum": lambda x: mb.cumsum(x=x, axis=0),
    "slice of the first axis": lambda x: mb.slice_by_index(x=x, begin=[0, 0, 0, 0], end=[1, 2, 3, 3]),
}


@pytest.mark.parametrize("case", ACROSS_THE_BATCH)
def test_a_program_that_works_across_the_batch_is_run_one_input_at_a_time(tmp_path, case):
    @mb.program(input_specs=[mb.TensorSpec(X.shape)], opset_version=ct.target.iOS16)
    def program(x):
        return mb.identity(x=ACROSS_THE_BATCH[case](x), name="y")

    save(tmp_path / "across.mlpackage", program, "float32")
    model = coreml_runtime.load(tmp_path / "across.mlpackage")
    inputs = [X, Y, -X, -Y, X + Y]
    together = model.predict([{"x": x} for x in inputs])
    assert not model.program.is_batchable
    for answer, x in zip(together, inputs, strict=True):
        np.testing.assert_array_equal(answer["y"], model.predict({"x": x})["y"])


def channel_means(folder: Path, layout: str, channels: int) -> coreml_runtime.Model:
    """A model that answers with the mean of each channel, as the program sees them."""
    path = folder / f"means-{layout}.mlpackage"

    @mb.program(input_specs=[mb.TensorSpec((1, channels, 8, 10))], opset_version=ct.target.iOS16)
    def program(image):
        return mb.reduce_mean(x=image, axes=[2, 3], name="means")

    save(path, program, "float32", inputs=[ct.ImageType("image", (1, channels, 8, 10), color_layout=layout)])
    return coreml_runtime.load(path)


@pytest.mark.parametrize("layout, order", [("RGB", [0, 1, 2]), ("BGR", [2, 1, 0])])
def test_channels_arrive_in_the_declared_order(tmp_path, layout, order):
    p = picture(2, (10, 8))
    means = channel_means(tmp_path, layout, 3).predict({"image": p})["means"]
    np.testing.assert_allclose(means[0], np.asarray(p, np.float32).mean((0, 1))[order], rtol=1e-5)


def test_a_gray_image_is_taken_as_one_channel(tmp_path):
    p = picture(2, (10, 8), "L")
    means = channel_means(tmp_path, "G", 1).predict({"image": p})["means"]
    np.testing.assert_allclose(means, [[np.asarray(p, np.float32).mean()]], rtol=1e-5)


def test_a_flexible_image_input_takes_every_allowed_size_and_no_other(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    size = ct.RangeDim(16, 40, default=32)
    save(tmp_path / "flexible.mlpackage", torch.jit.trace(network, torch.zeros(1, 3, 32, 32)), "float32",
         inputs=[ct.ImageType("image", (1, 3, size, size))], outputs=[ct.TensorType("y", dtype=np.float32)])
    model = coreml_runtime.load(tmp_path / "flexible.mlpackage")
    for size in [(16, 20), (40, 33)]:
        p = picture(1, size)
        expected = network(torch.from_numpy(np.asarray(p, np.float32)).permute(2, 0, 1)[None]).detach().numpy()
        np.testing.assert_allclose(model.predict({"image": p})["y"], expected, rtol=1e-4, atol=1e-3)
    with pytest.raises(InputError, match="not 41 x 20"):
        model.predict({"image": picture(1, (41, 20))})


def test_an_image_output_is_a_picture(tmp_path):
    network = nn.Conv2d(3, 3, 1)
    with torch.no_grad():
        network.weight.copy_(-torch.eye(3).reshape(3, 3, 1, 1))
        network.bias.fill_(255.4)
    save(tmp_path / "negative.mlpackage", torch.jit.trace(network.eval(), torch.zeros(1, 3, 8, 10)), "float32",
         inputs=[ct.ImageType("image", (1, 3, 8, 10))], outputs=[ct.ImageType("negative", color_layout="BGR")])
    p = picture(3, (10, 8))
    answer = coreml_runtime.load(tmp_path / "negative.mlpackage").predict({"image": p})["negative"]
    assert answer.mode == "RGB" and answer.size == (10, 8)
    np.testing.assert_array_equal(np.asarray(answer), 255 - np.asarray(p)[..., ::-1])


def test_arrays_come_back_in_the_declared_type(definitions):
    assert definitions["add"].dtype == np.float32
    assert definitions["argsort"].dtype == np.int32


# ---- precision and compressed weights --------------------------------------------------------------------------------

def test_float16_rounds_every_result_of_a_float32_program(folder):
    path = convert_torch(folder, mobilenet_v2, "trace", "float32")
    half, full = (coreml_runtime.load(path, precision).predict({"image": PICTURES[0]})["logits"]
                  for precision in ("float16", "float32"))
    assert np.array_equal(half, half.astype(np.float16)) and not np.array_equal(full, full.astype(np.float16))


def test_float16_overflows_as_a_half_does(tmp_path):
    @mb.program(input_specs=[mb.TensorSpec((1, 2))], opset_version=ct.target.iOS16)
    def program(x):
        return mb.mul(x=mb.mul(x=x, y=1000.0), y=0.001, name="y")

    save(tmp_path / "large.mlpackage", program, "float32")
    x = {"x": np.float32([[2, 200]])}
    np.testing.assert_allclose(coreml_runtime.load(tmp_path / "large.mlpackage").predict(x)["y"], x["x"], rtol=1e-6)
    half = coreml_runtime.load(tmp_path / "large.mlpackage", "float16").predict(x)["y"]
    assert half[0, 0] == pytest.approx(2, rel=1e-3) and np.isinf(half[0, 1])


COMPRESSIONS = {
    "palettized": lambda o: (o.palettize_weights, o.OpPalettizerConfig(nbits=4, weight_threshold=0)),
    "affine": lambda o: (o.linear_quantize_weights, o.OpLinearQuantizerConfig(weight_threshold=0)),
    "pruned": lambda o: (o.prune_weights, o.OpMagnitudePrunerConfig(target_sparsity=0.5, weight_threshold=0)),
}


@pytest.mark.parametrize("case", COMPRESSIONS)
def test_compressed_weights_answer_as_the_weights_that_they_stand_for(folder, tmp_path, case):
    optimize = ct.optimize.coreml
    path = convert_torch(folder, resnet, "trace", "float32")
    compress, config = COMPRESSIONS[case](optimize)
    compressed = compress(ct.models.MLModel(str(path), skip_model_load=True), optimize.OptimizationConfig(config))
    compressed.save(str(tmp_path / "compressed.mlpackage"))
    optimize.decompress_weights(compressed).save(str(tmp_path / "plain.mlpackage"))
    small, plain, original = (coreml_runtime.load(p).predict({"image": PICTURES[1]})["logits"]
                              for p in (tmp_path / "compressed.mlpackage", tmp_path / "plain.mlpackage", path))
    np.testing.assert_allclose(small, plain, rtol=1e-5, atol=1e-5)
    assert np.abs(small - original).max() > 1e-4, "nothing was compressed"


# ---- bad input: one sentence -----------------------------------------------------------------------------------------

def assert_one_sentence(message: str) -> None:
    assert message and "\n" not in message.strip() and len(message) < 400, message


@pytest.mark.parametrize("data, what", [
    ({"image": picture(0, (47, 48))}, "image of 48 x 48 pixels, not 47 x 48; resize"),
    ({"image": picture(0, mode="L")}, r"mode is RGB, not L; convert it with image.convert\(\"RGB\"\)"),
    ({"image": picture(0, mode="RGBA")}, "not RGBA"),
    ({"image": np.zeros((SIZE, SIZE, 3))}, "takes a PIL.Image.Image, not numpy.ndarray"),
    ({"image": "photo.jpg"}, "not str"),
    ({}, "the inputs are 'image', not none"),
    ({"picture": PICTURES[0]}, "the inputs are 'image', not 'picture'"),
    ({"image": PICTURES[0], "mask": PICTURES[1]}, "not 'image', 'mask'"),
    (PICTURES, "a dictionary of inputs or a list of these, not PIL.Image.Image"),
])
def test_a_wrong_input_is_told_in_one_sentence(classifier, data, what):
    with pytest.raises(InputError, match=what) as raised:
        classifier.predict(data)
    assert_one_sentence(str(raised.value))
    assert "keras-float32.mlpackage" in str(raised.value)


@pytest.mark.parametrize("value, what", [(X[:, :3], r"shape \(1, 4, 6, 6\), not \(1, 3, 6, 6\)"), ("text", "not str")])
def test_a_wrong_array_is_told_in_one_sentence(folder, definitions, value, what):
    with pytest.raises(InputError, match=what) as raised:
        coreml_runtime.load(folder / "definitions.mlpackage").predict({"x": value, "y": Y})
    assert_one_sentence(str(raised.value))


def spoilt(source: Path, target: Path, case: str) -> Path:
    """A copy of a good package, spoilt."""
    if case == "text":
        target.write_text("not a model\n")
    elif case == "empty file":
        target.touch()
    elif case == "folder":
        target.mkdir()
    elif case != "missing":
        shutil.copytree(source, target)
        inside = target / "Data/com.apple.CoreML"
        file = inside / ("weights/weight.bin" if "weights" in case else "model.mlmodel")
        if "missing" in case:
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[:file.stat().st_size * 2 // 3])
    return target


@pytest.mark.parametrize("case", ["text", "empty file", "folder", "missing", "truncated program", "truncated weights",
                                  "missing program", "missing weights"])
def test_a_file_that_is_no_model_is_told_in_one_sentence(folder, tmp_path, case):
    path = spoilt(convert_torch(folder, resnet, "trace", "float32"), tmp_path / "bad.mlpackage", case)
    with pytest.raises(ModelFileError) as raised:
        coreml_runtime.load(path)
    assert_one_sentence(str(raised.value))
    assert "bad.mlpackage" in str(raised.value)


def test_a_model_of_another_kind_is_told_to_be_one(tmp_path):
    spec = ct.proto.Model_pb2.Model(specificationVersion=1)
    spec.itemSimilarityRecommender.SetInParent()
    ct.utils.save_spec(spec, str(tmp_path / "films.mlmodel"))
    message = "films.mlmodel: this Core ML model is or has in it a itemSimilarityRecommender, which .* not know;"
    with pytest.raises(ModelFileError, match=message) as raised:
        coreml_runtime.load(tmp_path / "films.mlmodel")
    assert_one_sentence(str(raised.value))


def test_an_unknown_operator_is_named_with_the_file(tmp_path, monkeypatch):
    @mb.program(input_specs=[mb.TensorSpec(X.shape)], opset_version=ct.target.iOS16)
    def program(x):
        return mb.softsign(x=x)

    save(tmp_path / "new.mlpackage", program, "float32", pass_pipeline=ct.PassPipeline.EMPTY)
    monkeypatch.delitem(OPERATORS, "softsign")  # stands for an operator that a later coremltools brings
    with pytest.raises(UnknownOperator, match="new.mlpackage: .* operator softsign;") as raised:
        coreml_runtime.load(tmp_path / "new.mlpackage")
    assert_one_sentence(str(raised.value))


def test_an_unknown_compute_precision_is_refused(folder):
    with pytest.raises(ValueError, match="bfloat16"):
        coreml_runtime.load(folder, "bfloat16")


# ---- the command line ------------------------------------------------------------------------------------------------

@pytest.fixture
def photos(tmp_path):
    """Two good photographs, one of them taken with the phone turned, and bad ones."""
    wide = picture(4, (96, 64))
    wide.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned 90 degrees clockwise
    wide.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    (tmp_path / "text.jpg").write_text("not a photograph")
    wide.save(tmp_path / "whole.jpg")
    (tmp_path / "truncated.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:1500])
    return tmp_path


def test_the_command_line_answers_one_line_a_photograph(classifier, photos, capsys):
    assert main([str(classifier.path), str(photos / "upright.png"), str(photos / "turned.png")]) == 0
    out, err = capsys.readouterr()
    upright, turned = out.splitlines()
    assert re.fullmatch(r".*upright\.png: (floppy drive|piézo|relay|stepper motor) \d+\.\d%", upright)
    assert turned == upright.replace("upright", "turned"), "a turned photograph is read upright"
    assert err == ""


def test_the_command_line_crops_to_the_middle_and_prints_json(classifier, photos, capsys):
    assert main([str(classifier.path), str(photos / "upright.png"), "--json"]) == 0
    answer, = json.loads(capsys.readouterr().out)
    middle = picture(4, (96, 64)).resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=(16, 0, 80, 64))
    expected = classifier.predict({"image": middle})
    assert answer == {"file": str(photos / "upright.png"), "classLabel": expected["classLabel"],
                      "probs": expected["classLabel_probs"]}


def test_the_command_line_sums_up_outputs_that_are_no_classes(folder, photos, capsys):
    path = convert_torch(folder, resnet, "trace", "float32")
    assert main([str(path), str(photos / "upright.png"), "--json", "--compute-precision", "float16"]) == 0
    answer, = json.loads(capsys.readouterr().out)
    logits = answer["outputs"]["logits"]
    assert logits["shape"] == [1, 4] and logits["minimum"] < logits["mean"] < logits["maximum"]


def test_the_command_line_answers_the_good_photographs_among_bad_ones(classifier, photos, capsys):
    names = ["text.jpg", "upright.png", "truncated.jpg", "missing.jpg", "."]
    assert main([str(classifier.path), *(str(photos / name) for name in names), "--json"]) == 2
    out, err = capsys.readouterr()
    assert [answer["file"] for answer in json.loads(out)] == [str(photos / "upright.png")]
    assert len(err.splitlines()) == 4
    for name, line in zip(["text.jpg", "truncated.jpg", "missing.jpg", str(photos)], err.splitlines()):
        assert name in line
        assert_one_sentence(line)


def test_the_command_line_refuses_a_model_that_takes_no_photograph(folder, definitions, photos, capsys):
    assert main([str(folder / "definitions.mlpackage"), str(photos / "upright.png")]) == 2
    assert "takes x, y, not one photograph" in capsys.readouterr().err


@pytest.mark.parametrize("mode, expected", [("RGBA", 255), ("I;16", 100)])
def test_the_command_line_lays_transparency_over_white_and_scales_16_bits(tmp_path, capsys, mode, expected):
    pixels = {"RGBA": np.zeros((8, 10, 4), np.uint8), "I;16": np.full((8, 10), 100 * 257, np.uint16)}[mode]
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    path = channel_means(tmp_path, "RGB", 3).path
    assert main([str(path), str(tmp_path / "photo.png"), "--json"]) == 0
    means = json.loads(capsys.readouterr().out)[0]["outputs"]["means"]
    assert (means["minimum"], means["maximum"]) == (expected, expected)


def test_integer_labels_are_printed_as_json(tmp_path, photos, capsys):
    @mb.program(input_specs=[mb.TensorSpec((1, 3, 8, 10))], opset_version=ct.target.iOS16)
    def program(image):
        return mb.softmax(x=mb.reduce_mean(x=image, axes=[2, 3]), axis=1, name="probabilities")

    save(tmp_path / "digits.mlpackage", program, "float32", inputs=[ct.ImageType("image", (1, 3, 8, 10))],
         classifier_config=ct.ClassifierConfig([4, 7, 9]))
    assert main([str(tmp_path / "digits.mlpackage"), str(photos / "upright.png"), "--json"]) == 0
    answer, = json.loads(capsys.readouterr().out)
    assert answer["classLabel"] in (4, 7, 9) and list(answer["probs"]) == ["4", "7", "9"]


def test_info_shows_what_is_in_a_classifier(classifier, capsys):
    assert main(["info", str(classifier.path)]) == 0
    text, err = capsys.readouterr()
    assert err == ""
    for line in (f"{classifier.path}: mlProgram, specification 6, ", f"input: image, RGB image, {SIZE} x {SIZE} pixels",
                 "output: classLabel, string", "4 labels: floppy drive, piézo, relay, stepper motor",
                 "author: A class", "course: yes", "1 classify"):
        assert line in text


def test_info_prints_one_json_object(folder, capsys):
    path = convert_torch(folder, resnet, "trace", "float32")
    assert main(["info", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["specification"], found["labels"]) == ("mlProgram", 7, [])
    assert found["bytes"] == sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    image, = found["inputs"]
    assert (image["type"], image["width"], image["height"], image["color_layout"]) == ("image", SIZE, SIZE, "RGB")
    assert found["outputs"][0]["name"] == "logits" and found["outputs"][0]["dtype"] == "float32"
    assert found["operations"]["conv"] > 5 and "const" not in found["operations"]


def test_info_shows_models_that_the_runtime_does_not_run(tmp_path, capsys):
    spec = ct.proto.Model_pb2.Model(specificationVersion=1)
    spec.treeEnsembleClassifier.int64ClassLabels.vector.extend([3, 5])
    spec.description.input.add(name="age").type.doubleType.SetInParent()
    ct.utils.save_spec(spec, str(tmp_path / "trees.mlmodel"))
    assert main(["info", str(tmp_path / "trees.mlmodel")]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["input: age, double", "2 labels: 3, 5"]


@pytest.mark.parametrize("content", [None, "", "not a model\n"])
def test_info_about_no_model_is_one_sentence_and_exit_code_2(tmp_path, capsys, content):
    if content is not None:
        (tmp_path / "none.mlmodel").write_text(content)
    assert main(["info", str(tmp_path / "none.mlmodel")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "none.mlmodel" in err
    assert_one_sentence(err)


def test_a_fresh_process_prints_answers_and_nothing_else(classifier, photos):
    done = subprocess.run([sys.executable, "-m", "coreml_runtime", classifier.path, photos / "upright.png"],
                          cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("ended_by, exit_code, said", [("reader", 1, ""), ("Ctrl-C", 130, "Interrupted.")])
def test_a_command_that_is_ended_early_shows_no_traceback(classifier, photos, ended_by, exit_code, said):
    command = [sys.executable, "-m", "coreml_runtime", classifier.path, *[photos / "upright.png"] * 3000]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               # a background job, as a test run may be, ignores Ctrl-C and passes that on
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    assert "upright.png" in process.stdout.readline()
    if ended_by == "reader":
        process.stdout.close()
    else:
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert process.stderr.read().strip() == said
    assert process.wait(60) == exit_code


# ---- the README ------------------------------------------------------------------------------------------------------

def operator_table(folder: Path) -> str:
    """The README's table: each operator, and what these tests compare it with."""
    found = {"PyTorch": set(), "Keras": set(), "definition": {case.split()[0] for case in BY_DEFINITION}}
    for build in TORCH_NETWORKS:
        for front_end in ("trace", "export"):
            found["PyTorch"] |= operators(convert_torch(folder, build, front_end, "float32"))
    found["Keras"] |= operators(convert_keras(folder, "float32"))
    found["PyTorch"] |= set(test_ml_program.ONE_LINERS)
    found["TensorFlow"] = set(test_ml_program.TENSORFLOW_ONE_LINERS)
    for module in (test_recurrent, test_control_flow, test_state, test_more_operators):
        found = {source: names | module.COMPARED.get(source, set()) for source, names in found.items()}
    sources = ("PyTorch", "Keras", "TensorFlow", "definition")
    rows = [f"| `{name}` | {', '.join(source for source in sources if name in found[source])} |"
            for name in sorted({*OPERATORS, *WITH_BLOCKS})]
    return "\n".join(["| operator | compared with |", "| --- | --- |", *rows])


def test_every_operator_is_compared_with_something_and_the_readme_says_with_what(folder):
    table = operator_table(folder)
    assert "|  |" not in table, "an operator without a test"
    assert table in README.read_text(), f"the table in {README.name} is out of date; it should be\n{table}"
