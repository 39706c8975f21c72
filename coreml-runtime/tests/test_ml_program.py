"""ML Programs that nobody here made: operators against PyTorch and TensorFlow, small transformers, compressed weights,
several functions and inputs, choices and overflows. What a converter writes is run in float32 and in float16.
"""

import functools

import coreml_runtime
import numpy as np
import pytest
import torch
from coreml_runtime import InputError, ModelFileError, ModelRunError, interpreter
from coreml_runtime.imports import import_coremltools
from coreml_runtime.mil_ops import OPERATORS
from coreml_runtime.ml_program import MLProgram
from hypothesis import assume, given, settings, strategies as st
from torch import nn
from torch.nn import functional as F

ct = import_coremltools()
mb = ct.converters.mil.Builder

EXAMPLES = settings(max_examples=12, deadline=None, derandomize=True)
TOLERANCE = {"float32": 1e-4, "float16": 1e-2}
"""Largest difference allowed, as a fraction of the largest value."""


def converted(network, *examples, precision="float32", target=ct.target.iOS18, **options):
    """A PyTorch network as a MIL program."""
    traced = torch.jit.trace(network.eval(), examples)
    return ct.convert(traced, convert_to="milinternal", inputs=[ct.TensorType(f"x{i}", tuple(x.shape))
                      for i, x in enumerate(examples)], compute_precision=ct.precision(precision),
                      minimum_deployment_target=target, **options)


def answers(program, *examples, precision="float32"):
    """What the runtime makes of a MIL program; nothing is written."""
    runnable = MLProgram(program.functions["main"], "test", precision == "float16")
    found = runnable.run({f"x{i}": torch.as_tensor(x) for i, x in enumerate(examples)})
    return [np.asarray(found[name], np.float64) for name in runnable.outputs]


def assert_agrees(network, *examples, precision="float32", **options):
    """The runtime's answers to a converted network are PyTorch's."""
    with torch.inference_mode():
        expected = network.eval()(*examples)
    expected = [expected] if isinstance(expected, torch.Tensor) else expected
    found = answers(converted(network, *examples, precision=precision, **options), *examples, precision=precision)
    for one, other in zip(expected, found, strict=True):
        assert other.shape == tuple(one.shape)
        assert np.abs(other - one.double().numpy()).max() <= TOLERANCE[precision] * max(one.abs().max(), 1)


def noise(*shape, seed=0, low=-1.0, high=1.0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * (high - low) + low


class Function(nn.Module):
    """A function of tensors as a network."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *x):
        return self.function(*x)


# ---- one operator each, as coremltools writes it for a function of PyTorch -------------------------------------------

def near(x):
    """Values between -1 and 1."""
    return torch.tanh(x)


WEIGHTS = noise(4, 2, 3, 3, seed=3)
ONE_LINERS = {
    "abs": lambda x, y: torch.abs(x), "acos": lambda x, y: torch.acos(near(x)),
    "asin": lambda x, y: torch.asin(near(x)),
    "atan": lambda x, y: torch.atan(x), "atanh": lambda x, y: torch.atanh(0.9 * near(x)),
    "ceil": lambda x, y: torch.ceil(3 * x), "clip": lambda x, y: torch.clamp(x, -0.3, 0.6),
    "cos": lambda x, y: torch.cos(x), "cosh": lambda x, y: torch.cosh(x), "erf": lambda x, y: torch.erf(x),
    "exp": lambda x, y: torch.exp(x), "exp2": lambda x, y: torch.exp2(x), "floor": lambda x, y: torch.floor(3 * x),
    "inverse": lambda x, y: torch.reciprocal(2 + x), "log": lambda x, y: torch.log(2 + x),
    "round": lambda x, y: torch.round(3 * x), "rsqrt": lambda x, y: torch.rsqrt(2 + x),
    "sign": lambda x, y: torch.sign(x),
    "sin": lambda x, y: torch.sin(x), "sinh": lambda x, y: torch.sinh(x), "sqrt": lambda x, y: torch.sqrt(2 + x),
    "tan": lambda x, y: torch.tan(x), "tanh": lambda x, y: torch.tanh(x),
    "add": lambda x, y: x + y[:, :1], "sub": lambda x, y: x[..., :1] - y, "mul": lambda x, y: x * y[:, :, :1],
    "real_div": lambda x, y: x / (2 + y), "floor_div": lambda x, y: torch.floor_divide(3 * x, 2 + y[:, :1]),
    "pow": lambda x, y: torch.pow(2 + x, 1.7),
    "maximum": lambda x, y: torch.maximum(x, y[:, :1]), "minimum": lambda x, y: torch.minimum(x[..., :1], y),
    "equal": lambda x, y: torch.eq(torch.round(x), torch.round(y)).float(),
    "not_equal": lambda x, y: torch.ne(torch.round(x), torch.round(y)).float(), "greater": lambda x, y: (x > y).float(),
    "greater_equal": lambda x, y: (x >= y).float(), "less": lambda x, y: (x < y).float(),
    "less_equal": lambda x, y: (x <= y).float(), "logical_and": lambda x, y: torch.logical_and(x > 0, y > 0).float(),
    "logical_or": lambda x, y: torch.logical_or(x > 0, y > 0).float(),
    "logical_xor": lambda x, y: torch.logical_xor(x > 0, y > 0).float(),
    "logical_not": lambda x, y: torch.logical_not(x > 0).float(),
    "select": lambda x, y: torch.where(x > 0, x, y[:, :1]),
    "cast": lambda x, y: (3 * x).int().float(), "elu": lambda x, y: F.elu(x, 0.7), "gelu": lambda x, y: F.gelu(x),
    "leaky_relu": lambda x, y: F.leaky_relu(x, 0.1),
    "prelu": lambda x, y: F.prelu(x, torch.tensor([0.1, 0.2, 0.3, 0.4])),
    "relu": lambda x, y: F.relu(x), "relu6": lambda x, y: F.relu6(9 * x), "sigmoid": lambda x, y: torch.sigmoid(x),
    "sigmoid_hard": lambda x, y: F.hardsigmoid(4 * x), "silu": lambda x, y: F.silu(x),
    "softmax": lambda x, y: F.softmax(x, 1), "softplus": lambda x, y: F.softplus(x),
    "instance_norm": lambda x, y: F.instance_norm(x, eps=1e-3), "layer_norm": lambda x, y: F.layer_norm(x, (6, 8)),
    "reduce_mean": lambda x, y: x.mean((2, 3), keepdim=True), "reduce_sum": lambda x, y: x.sum(1),
    "reduce_max": lambda x, y: x.amax((1, 3)), "reduce_min": lambda x, y: x.amin(1),
    "reduce_l2_norm": lambda x, y: torch.linalg.vector_norm(x, 2, 1),
    "reduce_log_sum_exp": lambda x, y: torch.logsumexp(x, 1), "reduce_argmax": lambda x, y: x.argmax(1).float(),
    "reduce_argmin": lambda x, y: x.argmin(3).float(), "argsort": lambda x, y: x.argsort(1).float(),
    "topk": lambda x, y: torch.topk(x, 2, 1)[0], "cumsum": lambda x, y: x.cumsum(2),
    "reshape": lambda x, y: x.reshape(1, 8, 24), "transpose": lambda x, y: x.permute(0, 3, 1, 2),
    "expand_dims": lambda x, y: x[:, None], "squeeze": lambda x, y: F.relu(x).squeeze(0),
    "concat": lambda x, y: torch.cat([x, y], 1), "stack": lambda x, y: torch.stack([x, y], 2),
    "split": lambda x, y: torch.split(x, [1, 3], 1)[1], "tile": lambda x, y: x.repeat(1, 2, 1, 3),
    "reverse": lambda x, y: x.flip(1, 3), "slice_by_index": lambda x, y: x[:, 1:, ::2, -3:],
    "gather": lambda x, y: x.index_select(1, torch.tensor([3, 0, 0])),
    "gather_along_axis": lambda x, y: torch.gather(x, 1, x.argsort(1)),
    "gather_nd": lambda x, y: x[:, [0, 3], [1, 2]],
    "scatter_along_axis": lambda x, y: x.scatter_add(1, x.argsort(1), y),
    "scatter_nd": lambda x, y: x.index_put((torch.tensor([0, 0]), torch.tensor([3, 1])), y[0, :2]),
    "slice_update": lambda x, y: torch.slice_scatter(x, y[:, :2], 1, 1, 3),
    "band_part": lambda x, y: torch.tril(x), "pixel_shuffle": lambda x, y: F.pixel_shuffle(x, 2),
    "pixel_unshuffle": lambda x, y: F.pixel_unshuffle(x, 2), "linear": lambda x, y: F.linear(x, WEIGHTS.reshape(9, 8)),
    "matmul": lambda x, y: x @ y.transpose(2, 3),
    "scaled_dot_product_attention": lambda x, y: F.scaled_dot_product_attention(x, y, y),
    "conv": lambda x, y: F.conv2d(x, WEIGHTS, None, 2, 1, groups=2),
    "conv_transpose": lambda x, y: F.conv_transpose2d(x, WEIGHTS, None, 2, 1),
    "max_pool": lambda x, y: F.max_pool2d(x, 3, 2, 1), "avg_pool": lambda x, y: F.avg_pool2d(x, 3, 2, 1),
    "pad": lambda x, y: F.pad(x, (1, 2, 3, 0), value=0.5),
    "upsample_bilinear": lambda x, y: F.interpolate(x, scale_factor=2.5, mode="bilinear"),
    "upsample_nearest_neighbor": lambda x, y: F.interpolate(x, scale_factor=2, mode="nearest"),
    "resample": lambda x, y: F.grid_sample(x, 0.8 * near(y).permute(0, 2, 3, 1)[..., :2], align_corners=False),
    "fill_like": lambda x, y: torch.full_like(F.relu(x), 2.5) * x,
    "one_hot": lambda x, y: F.one_hot(x.argmax(1), 5).float(),
}
"""Operator: a function of x and y [1, 4, 6, 8] for which coremltools is to write it."""

X, Y = noise(1, 4, 6, 8, seed=1), noise(1, 4, 6, 8, seed=2)
SENSITIVE = {"floor_div", "equal", "not_equal", "greater", "greater_equal", "less", "less_equal", "ceil", "floor",
             "round", "cast", "sign", "argsort", "reduce_argmax", "reduce_argmin", "topk", "one_hot",
             "gather_along_axis",
             "scatter_along_axis", "logical_and", "logical_or", "logical_xor", "logical_not", "select", "resample"}
"""Operators whose results jump, so that rounding what goes in may change a few of them altogether."""


TENSORFLOW_ONE_LINERS = {
    "softsign": lambda tf, x, y: tf.nn.softsign(x), "reduce_prod": lambda tf, x, y: tf.reduce_prod(x, 1),
    "einsum": lambda tf, x, y: tf.einsum("nchw,nwhr->nchr", x, tf.transpose(y, [0, 3, 2, 1])),
    "resize_nearest_neighbor": lambda tf, x, y: tf.image.resize(x, (12, 12), method="nearest"),
    "depth_to_space": lambda tf, x, y: tf.nn.depth_to_space(x, 2),
    "space_to_depth": lambda tf, x, y: tf.nn.space_to_depth(x, 2),
    "space_to_batch": lambda tf, x, y: tf.space_to_batch(x, [2, 3], [[1, 1], [0, 0]]),
    "batch_to_space": lambda tf, x, y: tf.batch_to_space(tf.tile(x, [6, 1, 1, 1]), [2, 3], [[1, 0], [0, 1]]),
    "local_response_norm": lambda tf, x, y: tf.nn.local_response_normalization(x, 1, 1.5, 0.5, 0.75),
    "reverse": lambda tf, x, y: tf.reverse(x, [1, 3]), "band_part": lambda tf, x, y: tf.linalg.band_part(x, 1, 2),
    "gather": lambda tf, x, y: tf.gather(x, [3, 0, 0], axis=1),
    "gather_nd": lambda tf, x, y: tf.gather_nd(x, [[0, 3], [0, 1]]),
    "scatter_nd": lambda tf, x, y: tf.scatter_nd([[3], [1]], y[0, :2], (4, 6, 8)) + x,
    "batch_norm": lambda tf, x, y: tf.compat.v1.nn.fused_batch_norm(x, *np.float32(
        [[1] * 8, [0.2] * 8, [0.1] * 8, [0.6] * 8]), is_training=False)[0],
    "conv": lambda tf, x, y: tf.nn.conv2d(x, WEIGHTS.numpy().reshape(3, 1, 8, 3), 2, "SAME"),
    "conv_transpose": lambda tf, x, y: tf.nn.conv2d_transpose(x, WEIGHTS.numpy().reshape(3, 1, 3, 8), (1, 8, 12, 3), 2),
    "max_pool": lambda tf, x, y: tf.nn.max_pool2d(x, 3, 2, "SAME"),
    "avg_pool": lambda tf, x, y: tf.nn.avg_pool2d(x, 3, 2, "SAME"),
    "pad": lambda tf, x, y: tf.pad(x, [[0, 0], [2, 1], [3, 0], [0, 0]], "REFLECT"),
    "elu": lambda tf, x, y: tf.nn.elu(x), "leaky_relu": lambda tf, x, y: tf.nn.leaky_relu(x, 0.1),
    "relu6": lambda tf, x, y: tf.nn.relu6(9 * x), "log": lambda tf, x, y: tf.math.log(2 + x),
    "topk": lambda tf, x, y: tf.math.top_k(x, 3)[0], "cumsum": lambda tf, x, y: tf.cumsum(x, 2, exclusive=True),
    "select": lambda tf, x, y: tf.where(x > 0, x, y), "one_hot": lambda tf, x, y: tf.one_hot(tf.argmax(x, 1), 5),
    "slice_by_size": lambda tf, x, y: tf.slice(x, [0, 1, 2, 0], [1, 2, 3, 8]),
}
"""The same for TensorFlow, of whose functions Keras' layers are made."""


def written(program):
    """The operators of a MIL program."""
    return {op.op_type for op in program.functions["main"].operations}


def assert_close(name, found, expected, precision):
    assert found.shape == expected.shape
    limit = TOLERANCE[precision] * max(np.abs(expected).max(), 1)
    differing = (np.abs(found - expected) > limit).mean()
    assert differing <= (0.05 if precision == "float16" and name in SENSITIVE else 0), name


@pytest.mark.parametrize("name", ONE_LINERS)
def test_an_operator_answers_as_pytorch_does(name):
    expected = ONE_LINERS[name](X, Y).double().numpy()
    for precision in TOLERANCE:
        program = converted(Function(ONE_LINERS[name]), X, Y, precision=precision)
        assert name in written(program)
        assert_close(name, answers(program, X, Y, precision=precision)[0], expected, precision)


@functools.lru_cache
def tensorflow_program():
    """One MIL program of all of TENSORFLOW_ONE_LINERS, an output each, and TensorFlow's own answers."""
    import tensorflow as tf

    function = tf.function(lambda x0, x1: [each(tf, x0, x1) for each in TENSORFLOW_ONE_LINERS.values()])
    specs = [tf.TensorSpec(X.shape, tf.float32, name=f"x{i}") for i in range(2)]
    program = ct.convert([function.get_concrete_function(*specs)], source="tensorflow", convert_to="milinternal",
                         compute_precision=ct.precision.FLOAT32, minimum_deployment_target=ct.target.iOS18)
    expected = {"Identity" + f"_{i}" * bool(i): np.asarray(y, np.float64)
                for i, y in enumerate(function(X.numpy(), Y.numpy()))}
    return program, {var.name: expected[var.name] for var in program.functions["main"].outputs}


@pytest.mark.parametrize("precision", TOLERANCE)
def test_operators_answer_as_tensorflow_does(precision):
    program, expected = tensorflow_program()
    assert set(TENSORFLOW_ONE_LINERS) <= written(program)
    assert len(expected) == len(TENSORFLOW_ONE_LINERS)
    names = list(TENSORFLOW_ONE_LINERS)
    for (output, one), other in zip(expected.items(), answers(program, X, Y, precision=precision), strict=True):
        assert_close(names[int(output.partition("_")[2] or 0)], other, one, precision)


# ---- shapes, strides and paddings, chosen by hypothesis --------------------------------------------------------------

SIZES, SMALL = st.integers(5, 12), st.integers(1, 3)
PRECISION = st.sampled_from(sorted(TOLERANCE))


@EXAMPLES
@given(SIZES, SIZES, SMALL, SMALL, st.integers(0, 3), st.integers(1, 2), st.sampled_from([1, 2, 4]), st.booleans(),
       PRECISION)
def test_a_convolution_answers_as_pytorchs(height, width, kernel, stride, padding, dilation, groups, bias, precision):
    torch.manual_seed(0)
    assume(min(height, width) + 2 * padding > dilation * (kernel - 1))
    conv = nn.Conv2d(4, 8, kernel, stride, padding, dilation, groups, bias)
    assert_agrees(conv, noise(1, 4, height, width), precision=precision)


@EXAMPLES
@given(SIZES, st.sampled_from([1, 2]), SMALL, SMALL, st.integers(0, 2), st.integers(0, 1), st.sampled_from([1, 2]),
       PRECISION)
def test_a_transposed_convolution_answers_as_pytorchs(size, axes, kernel, stride, padding, extra, groups, precision):
    torch.manual_seed(0)
    assume(extra < stride and padding < kernel)
    assume(padding or not extra)  # coremltools cannot convert it
    kind = nn.ConvTranspose1d if axes == 1 else nn.ConvTranspose2d
    x = noise(1, 4, size) if axes == 1 else noise(1, 4, size, size + 1)
    assert_agrees(kind(4, 6, kernel, stride, padding, extra, groups), x, precision=precision)


@EXAMPLES
@given(SIZES, SIZES, st.integers(1, 4), SMALL, st.integers(0, 2), st.booleans(), st.booleans(), PRECISION)
def test_pooling_answers_as_pytorchs(height, width, kernel, stride, padding, ceil, count, precision):
    assume(2 * padding <= kernel)
    assume(not (ceil and padding and not count))  # coremltools writes another average there than PyTorch computes
    pools = nn.Sequential(nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil)), nn.Sequential(
        nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil and not padding, count_include_pad=count))
    for pool in pools:
        assert_agrees(pool, noise(1, 3, height, width), precision=precision)


@EXAMPLES
@given(SIZES, SIZES, SIZES, SIZES, st.sampled_from(["bilinear", "nearest", "corners"]), PRECISION)
def test_resizing_answers_as_pytorchs(height, width, rows, columns, mode, precision):
    if mode == "nearest":
        rows, columns = height * (1 + rows % 3), width * (1 + columns % 3)
    options = {"mode": "bilinear", "align_corners": True} if mode == "corners" else {"mode": mode}
    assert_agrees(Function(lambda x: F.interpolate(x, (rows, columns), **options)), noise(1, 2, height, width),
                  precision=precision)


@EXAMPLES
@given(st.permutations(range(4)), st.integers(-4, 3), st.booleans(), st.integers(0, 4), st.integers(1, 3), PRECISION)
def test_shapes_and_reductions_answer_as_pytorchs(order, axis, keep, begin, step, precision):
    def network(x):
        y = x.permute(order)
        parts = y.mean(axis, keep), y.amax(axis, keep), y.sum((0, axis % 3 + 1)), y[:, ::step], y[..., begin:]
        return (*parts, torch.softmax(y, axis), torch.cat([y, y.flip(axis)], axis))

    assert_agrees(Function(network), noise(5, 6, 7, 8), precision=precision)


# ---- networks --------------------------------------------------------------------------------------------------------

class Block(nn.Module):
    """A block of a vision transformer."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.norms = heads, nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x):
        n, tokens, width = x.shape
        q, k, v = self.qkv(self.norms[0](x)).reshape(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v)
        x = x + self.out(attended.transpose(1, 2).reshape(n, tokens, width))
        return x + self.mlp(self.norms[1](x))


class VisionTransformer(nn.Module):
    """Patches, a class token, learned positions, two blocks; Dosovitskiy et al. 2020, small."""

    def __init__(self, width=24, heads=3):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.token, self.positions = nn.Parameter(torch.randn(1, 1, width)), nn.Parameter(torch.randn(1, 17, width))
        self.blocks, self.norm = nn.Sequential(Block(width, heads), Block(width, heads)), nn.LayerNorm(width)
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        patches = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), patches], 1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("target", [ct.target.iOS15, ct.target.iOS18], ids=["iOS15", "iOS18"])
def test_a_vision_transformer_answers_as_pytorchs(precision, target):
    torch.manual_seed(0)
    assert_agrees(VisionTransformer(), noise(1, 3, 32, 32), precision=precision, target=target)


def two_inputs():
    """A network with two inputs and two outputs."""
    return Function(lambda a, b: (a * 2 + b.mean(), torch.cat([a, a + 1], 1)))


def save(path, source, **options):
    model = ct.convert(source, convert_to="mlprogram", skip_model_load=True, **{
        "compute_precision": ct.precision.FLOAT32, "minimum_deployment_target": ct.target.iOS18} | options)
    model.save(str(path))
    return path


def test_several_inputs_and_array_outputs_in_their_types(tmp_path):
    a, b = noise(1, 3, 4), noise(2, 2)
    path = save(tmp_path / "two.mlpackage", torch.jit.trace(two_inputs(), (a, b)),
                inputs=[ct.TensorType("a", a.shape), ct.TensorType("b", b.shape)],
                outputs=[ct.TensorType("sum", dtype=np.float16), ct.TensorType("both", dtype=np.float32)])
    model = coreml_runtime.load(path)
    answer = model.predict({"a": a.numpy(), "b": b.numpy()})
    assert (answer["sum"].dtype, answer["both"].dtype) == (np.float16, np.float32)
    for found, expected in zip(answer.values(), two_inputs()(a, b)):
        np.testing.assert_allclose(found, expected, atol=2e-3)
    with pytest.raises(InputError, match="the inputs are 'a', 'b', not 'a'"):
        model.predict({"a": a.numpy()})


@pytest.mark.parametrize("shape", [ct.EnumeratedShapes([(1, 3, 4), (1, 3, 9)]), (1, 3, ct.RangeDim(4, 9, default=4))],
                         ids=["enumerated", "a range"])
def test_a_flexible_array_takes_every_allowed_shape_and_no_other(tmp_path, shape):
    network = Function(lambda a: torch.softmax(a, 2))
    path = save(tmp_path / "flexible.mlpackage", torch.jit.trace(network, noise(1, 3, 4)),
                inputs=[ct.TensorType("a", shape)], outputs=[ct.TensorType("y")])
    model = coreml_runtime.load(path)
    for size in (4, 9):
        a = noise(1, 3, size)
        np.testing.assert_allclose(model.predict({"a": a.numpy()})["y"], network(a), atol=1e-5)
    with pytest.raises(InputError, match=r"not \(1, 3, 10\)"):
        model.predict({"a": np.zeros((1, 3, 10))})


def test_a_choice_runs_one_branch_with_the_values_around_it(tmp_path):
    @mb.program(input_specs=[mb.TensorSpec((1, 4))], opset_version=ct.target.iOS16)
    def program(x):
        doubled = mb.mul(x=x, y=2.0)
        positive = mb.greater(x=mb.reduce_sum(x=x, axes=[0, 1]), y=0.0)
        chosen = mb.cond(pred=positive, _true_fn=lambda: mb.add(x=mb.relu(x=doubled), y=1.0), _false_fn=lambda: x)
        return mb.identity(x=chosen, name="y")

    model = coreml_runtime.load(save(tmp_path / "choice.mlpackage", program, minimum_deployment_target=ct.target.iOS16,
                                     pass_pipeline=ct.PassPipeline.EMPTY))
    x = np.float32([[1, -2, 3, 4]])
    np.testing.assert_allclose(model.predict({"x": x})["y"], [[3, 1, 7, 9]])
    np.testing.assert_allclose(model.predict({"x": -x})["y"], -x)
    assert [each["y"].tolist() for each in model.predict([{"x": x}, {"x": -x}])] == [[[3, 1, 7, 9]], (-x).tolist()]


OFFSET = noise(1, 64, seed=5)


@pytest.fixture(scope="module")
def two_functions(tmp_path_factory):
    """A package with the functions `double` and `halve`."""
    folder = tmp_path_factory.mktemp("functions")
    functions = ct.utils.MultiFunctionDescriptor()
    for name, factor in {"double": 2, "halve": 0.5}.items():
        network = Function(lambda a, factor=factor: a * factor + OFFSET)
        save(folder / f"{name}.mlpackage", torch.jit.trace(network, noise(1, 64)), inputs=[ct.TensorType("a", (1, 64))],
             outputs=[ct.TensorType(name)])
        functions.add_function(str(folder / f"{name}.mlpackage"), src_function_name="main", target_function_name=name)
    functions.default_function_name = "halve"
    ct.utils.save_multifunction(functions, str(folder / "both.mlpackage"))
    return folder / "both.mlpackage"


def test_each_function_of_a_package_is_run_by_its_name_and_the_default_without(two_functions):
    a = noise(1, 64)
    for name, key, factor in (("double", "double", 2), ("halve", "halve", 0.5), (None, "halve", 0.5)):
        answer = coreml_runtime.load(two_functions, function_name=name).predict({"a": a.numpy()})
        np.testing.assert_allclose(answer[key], a * factor + OFFSET, atol=1e-5)


def test_a_function_that_is_not_there_is_told_in_one_sentence(two_functions):
    with pytest.raises(ModelFileError, match="no function 'treble'; it has 'double', 'halve'"):
        coreml_runtime.load(two_functions, function_name="treble")


# ---- looking inside a run --------------------------------------------------------------------------------------------

@pytest.fixture
def three_steps(tmp_path):
    @mb.program(input_specs=[mb.TensorSpec((1, 2))], opset_version=ct.target.iOS16)
    def program(x):
        return mb.relu(x=mb.sub(x=mb.mul(x=x, y=3.0, name="product"), y=5.0, name="difference"), name="y")

    return coreml_runtime.load(save(tmp_path / "steps.mlpackage", program, minimum_deployment_target=ct.target.iOS16,
                                    pass_pipeline=ct.PassPipeline.EMPTY)).program


ONE_AND_TWO = {"x": torch.tensor([[1.0, 2.0]])}


def test_observe_sees_each_operation_with_what_it_read_and_made(three_steps):
    seen = []
    outputs = three_steps.run(ONE_AND_TWO, observe=lambda node, values: seen.append(
        (node.op_type, [values[name].tolist() for name in (node.tensors["x"], *node.outputs)])))
    assert seen == [("mul", [[[1, 2]], [[3, 6]]]), ("sub", [[[3, 6]], [[-2, 1]]]), ("relu", [[[-2, 1]], [[0, 1]]])]
    assert {name: value.tolist() for name, value in outputs.items()} == {"y": [[0, 1]]}


def test_until_stops_before_an_operation_and_gives_the_values_that_it_would_have_read(three_steps):
    values = three_steps.run(ONE_AND_TWO, until=lambda node, values: node.op_type == "relu")
    assert values["difference"].tolist() == [[-2, 1]] and "y" not in values and "product" not in values
    assert three_steps.run(ONE_AND_TWO, until=lambda node, values: False)["y"].tolist() == [[0, 1]]


def test_run_node_may_be_overridden(three_steps, monkeypatch):
    class Doubled(MLProgram):
        def run_node(self, node, values):
            super().run_node(node, values)
            values[node.outputs[0]] = values[node.outputs[0]] * 2

    monkeypatch.setattr(three_steps, "__class__", Doubled)
    assert three_steps.run(ONE_AND_TWO)["y"].tolist() == [[max(0, 2 * (2 * 3 * x - 5)) * 2 for x in (1, 2)]]


def test_an_operation_that_fails_is_named_with_its_type_and_the_shapes_that_it_got(three_steps):
    three_steps.nodes[0].parameters["z"] = 1
    with pytest.raises(ModelRunError, match=r"steps.mlpackage: the mul 'product' cannot be .* from 'x' \(1, 3\)"):
        three_steps.run({"x": torch.zeros(1, 3)})


# ---- precision and compressed weights --------------------------------------------------------------------------------

def test_an_overflow_is_told_by_the_operation_and_the_operator(tmp_path):
    @mb.program(input_specs=[mb.TensorSpec((1, 2))], opset_version=ct.target.iOS16)
    def program(x):
        large = mb.mul(x=x, y=1000.0, name="too_large")
        return mb.mul(x=mb.mul(x=large, y=0.001, name="still_infinite"), y=1.0, name="y")

    path = save(tmp_path / "large.mlpackage", program, minimum_deployment_target=ct.target.iOS16,
                pass_pipeline=ct.PassPipeline.EMPTY)
    half, full = coreml_runtime.load(path, "float16"), coreml_runtime.load(path)
    half.predict([{"x": np.float32([[1, 2]])}] * 4)
    assert half.overflows == {}
    half.predict({"x": np.float32([[1, 200]])})
    full.predict({"x": np.float32([[1, 200]])})
    assert half.overflows == {"too_large": "mul"} and full.overflows == {}
    again = coreml_runtime.load(path, "float16")
    again.predict({"x": np.float32([[1, 200]])})
    again.predict([{"x": np.float32([[1, 2]])}] * 4)
    assert again.overflows == {"too_large": "mul"}, "trying whether inputs can be stacked has forgotten it"


KEEPING_ARGUMENTS = {"relu": {}, "relu6": {}, "reshape": {"shape": [2, -1]}, "transpose": {"perm": [0, 2, 1]},
                     "expand_dims": {"axes": [0]}, "squeeze": {}, "concat": {"axis": 1},
                     "split": {"axis": 1, "num_splits": 2}}


@pytest.mark.parametrize("name", sorted(interpreter.KEEPING))
def test_operators_that_keep_values_make_no_new_ones_of_what_is_rounded(name):
    x = (torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0)) * 100).half().float()
    results = OPERATORS[name].compute(**{"values": [x, x]} if name == "concat" else {"x": x}, **KEEPING_ARGUMENTS[name])
    for result in results if isinstance(results, tuple) else (results,):
        assert result.numel() and torch.equal(result, result.half().float())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("value, largest", [(-7.5, 7.5), (np.inf, np.inf), (-np.inf, np.inf), (np.nan, np.nan)])
def test_the_largest_value_is_found_wherever_it_lies_in_memory(layout, value, largest):
    x = torch.ones(2, 3, 4, 5).contiguous(memory_format=layout)
    x[1, 2, 3, 1] = value
    for view in (x, x.permute(0, 2, 3, 1), x[:, 1:, :, 1:4:2], x[1:].expand(3, 3, 4, 5), x[1, 2, 3, 1]):
        assert np.array_equal(interpreter._largest(view), largest, equal_nan=True)


def compressions():
    """{name: a function that compresses a model's weights as iOS 18 can}."""
    optimize = ct.optimize.coreml

    def apply(compress, config, **options):
        return lambda model: compress(model, optimize.OptimizationConfig(config), **options)

    blocks = optimize.OpLinearQuantizerConfig(dtype="int4", granularity="per_block", block_size=8, weight_threshold=0)
    groups = optimize.OpPalettizerConfig(nbits=3, granularity="per_grouped_channel", group_size=4, weight_threshold=0)
    half = optimize.OpMagnitudePrunerConfig(target_sparsity=0.5, weight_threshold=0)
    table = optimize.OpPalettizerConfig(nbits=4, weight_threshold=0)
    eight = optimize.OpLinearQuantizerConfig(weight_threshold=0)
    prune = apply(optimize.prune_weights, half)
    return {"affine": apply(optimize.linear_quantize_weights, eight),
            "blockwise": apply(optimize.linear_quantize_weights, blocks),
            "look-up tables by groups": apply(optimize.palettize_weights, groups), "sparse": prune,
            "sparse look-up table": lambda m: apply(
                optimize.palettize_weights, table, joint_compression=True)(prune(m)),
            "sparse affine": lambda m: apply(optimize.linear_quantize_weights, eight, joint_compression=True)(prune(m))}


@pytest.mark.parametrize("case", compressions())
def test_weights_compressed_for_ios_18_answer_as_the_weights_that_they_stand_for(tmp_path, case):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 16, 8)).eval()
    x = noise(1, 8, 6, 6)
    original = save(tmp_path / "original.mlpackage", torch.jit.trace(network, x), inputs=[ct.TensorType("x", x.shape)],
                    outputs=[ct.TensorType("y")])
    small = compressions()[case](ct.models.MLModel(str(original), skip_model_load=True))
    small.save(str(tmp_path / "small.mlpackage"))
    assert b"constexpr_" in small.get_spec().SerializeToString()
    ct.optimize.coreml.decompress_weights(small).save(str(tmp_path / "plain.mlpackage"))
    found, plain, full = (coreml_runtime.load(tmp_path / f"{name}.mlpackage").predict({"x": x.numpy()})["y"]
                          for name in ("small", "plain", "original"))
    np.testing.assert_allclose(found, plain, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(full, network(x).detach(), atol=1e-4)
    assert np.abs(found - full).max() > 1e-4, "nothing was compressed"
