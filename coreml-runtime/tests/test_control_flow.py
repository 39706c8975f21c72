"""Loops, choices and lists of ML Programs and neural networks against PyTorch, TensorFlow and Python."""

import coreml_runtime
import coreml_runtime.information
import numpy as np
import pytest
import test_neural_network
import torch
from coreml_runtime import ModelFileError, ModelRunError, ml_program, neural_network, nn_control
from coreml_runtime.imports import import_coremltools
from coreml_runtime.ml_program import MLProgram
from test_recurrent import AllOutputs
from torch import nn

ct = import_coremltools()
mb = ct.converters.mil.Builder
NeuralNetworkBuilder = ct.models.neural_network.NeuralNetworkBuilder

COMPARED = {
    "PyTorch": {"while_loop", "cond"},
    "TensorFlow": {"while_loop", "make_list", "list_write", "list_read", "list_gather", "list_scatter"},
    "definition": {"while_loop", "cond", "make_list", "list_length", "list_write", "list_read", "list_gather",
                   "list_scatter"}}
"""The operators that the tests here compare, by what with."""

LAYERS_COMPARED = {"branch", "loop", "loopBreak", "loopContinue", "copy"}
"""The layers that the tests here compare with their definition."""

TOLERANCE = {"float32": 1e-5, "float16": 1e-2}


def operators(program):
    """The operators of a MIL program, those inside others included."""
    def of(block):
        return {op.op_type for op in block.operations} | {
            name for op in block.operations for inner in op.blocks for name in of(inner)}
    return of(program.functions["main"])


def run(program, precision="float32", **inputs):
    """What the runtime makes of a MIL program; nothing is written."""
    runnable = MLProgram(program.functions["main"], "test.mlpackage", precision == "float16")
    found = runnable.run({name: torch.as_tensor(np.asarray(array)) for name, array in inputs.items()})
    return [found[name].numpy() for name in runnable.outputs]


def saved(tmp_path, program, **options):
    """A MIL program as a package, loaded by the runtime."""
    path = tmp_path / "test.mlpackage"
    ct.convert(program, convert_to="mlprogram", compute_precision=ct.precision.FLOAT32, skip_model_load=True,
               pass_pipeline=ct.PassPipeline.EMPTY, minimum_deployment_target=ct.target.iOS17, **options
               ).save(str(path))
    return coreml_runtime.load(path)


# ---- loops -----------------------------------------------------------------------------------------------------------

PYTORCH = {"GRU": lambda: nn.GRU(4, 6), "two layers": lambda: nn.GRU(4, 6, 2),
           "bidirectional, batch first": lambda: nn.GRU(4, 6, bidirectional=True, batch_first=True),
           "without bias": lambda: nn.GRU(4, 6, bias=False)}


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("case", PYTORCH)
def test_a_gru_converted_from_pytorch_is_a_loop_and_answers_as_pytorch_does(case, precision):
    torch.manual_seed(0)
    layer, x = AllOutputs(PYTORCH[case]()).eval(), torch.randn(5, 3, 4)
    program = ct.convert(torch.jit.trace(layer, x), convert_to="milinternal", inputs=[ct.TensorType("x", x.shape)],
                         compute_precision=ct.precision(precision), minimum_deployment_target=ct.target.iOS16)
    assert "while_loop" in operators(program)
    with torch.inference_mode():
        expected = layer(x)
    for one, other in zip(run(program, precision, x=x), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=TOLERANCE[precision])


class Scripted(nn.Module):
    """A loop whose number of rounds depends on the input, and a choice in it."""

    def forward(self, x: torch.Tensor):
        while x.sum() < 100:
            if x[0] > 10:  # noqa: SIM108 - PyTorch scripts no conditional expression of tensors
                x = x * 3
            else:
                x = x * 2
        return x


@pytest.mark.parametrize("start", [0.3, 7.0, 200.0])
def test_a_loop_and_a_choice_scripted_in_pytorch(start):
    network, x = Scripted().eval(), torch.tensor([start, 1.5])
    program = ct.convert(torch.jit.script(network), convert_to="milinternal", inputs=[ct.TensorType("x", x.shape)],
                         compute_precision=ct.precision.FLOAT32)
    assert {"while_loop", "cond"} <= operators(program)
    np.testing.assert_allclose(run(program, x=x)[0], network(x), rtol=1e-6)


def test_a_loop_over_a_tensor_array_of_tensorflow(tmp_path):
    """A recurrent network as TensorFlow 2 writes one: a list of the steps is read, another one is written."""
    import tensorflow as tf
    rng = np.random.default_rng(0)
    w, r = (tf.constant(rng.normal(0, 0.5, shape), tf.float32) for shape in ((4, 6), (6, 6)))

    @tf.function(input_signature=[tf.TensorSpec((5, 3, 4), name="x")])
    def function(x):
        steps = tf.TensorArray(tf.float32, 5, element_shape=(3, 4)).unstack(x)
        states = tf.TensorArray(tf.float32, 5, element_shape=(3, 6))

        def body(i, h, states):
            h = tf.tanh(steps.read(i) @ w + h @ r)
            return i + 1, h, states.write(i, h)

        *_, states = tf.while_loop(lambda i, h, states: i < 5, body, (0, tf.zeros((3, 6)), states))
        return states.stack()

    path = tmp_path / "tensorflow.mlpackage"
    ct.convert([function.get_concrete_function()], source="tensorflow", convert_to="mlprogram", skip_model_load=True,
               compute_precision=ct.precision.FLOAT32, minimum_deployment_target=ct.target.iOS16).save(str(path))
    x = rng.normal(0, 1, (5, 3, 4)).astype(np.float32)
    model = coreml_runtime.load(path)
    names = set(coreml_runtime.information.model_information(path)["operations"])
    assert COMPARED["TensorFlow"] <= names
    found, = model.predict({"x": x}).values()
    np.testing.assert_allclose(found, function(tf.constant(x)), atol=1e-5)


def halving():
    """x is halved until it is below `limit`; the second output counts the rounds."""
    @mb.program(input_specs=[mb.TensorSpec((1,)), mb.TensorSpec((1,))], opset_version=ct.target.iOS17)
    def program(x, limit):
        def condition(value, count):
            return mb.squeeze(x=mb.greater(x=value, y=limit))

        def body(value, count):
            return mb.mul(x=value, y=0.5), mb.add(x=count, y=1)

        return mb.while_loop(_cond=condition, _body=body, loop_vars=(x, np.int32(0)))
    return program


def test_a_loop_of_a_package_runs_as_often_as_its_condition_says(tmp_path):
    model = saved(tmp_path, halving())
    for x, expected in ((0.5, [0.5, 0]), (8.0, [1.0, 3]), (100.0, [0.78125, 7])):
        found = model.predict({"x": np.float32([x]), "limit": np.float32([1])})
        assert [value.item() for value in found.values()] == expected
    assert not model.program.is_batchable
    assert [list(each.values())[1].item() for each in model.predict(
        [{"x": np.float32([x]), "limit": np.float32([1])} for x in (1, 2, 4, 8)])] == [0, 1, 2, 3]


def test_a_loop_that_does_not_end_is_given_up(monkeypatch):
    monkeypatch.setattr(ml_program, "LOOP_LIMIT", 20)
    with pytest.raises(ModelRunError, match="the while_loop '.*' cannot be computed .* not ended after 20 rounds"):
        run(halving(), x=[1.0], limit=[-1.0])


# ---- lists -----------------------------------------------------------------------------------------------------------

LISTS = {
    "list_write in a fixed list": (
        lambda x, ls: mb.list_gather(ls=mb.list_write(ls=ls, index=1, value=x), indices=[1, 0]),
        lambda x: np.stack([x, np.zeros_like(x)])),
    "list_write past the end": (
        lambda x, ls: mb.list_gather(ls=mb.list_write(ls=ls, index=4, value=x), indices=[4, 3]),
        lambda x: np.stack([x, np.zeros_like(x)])),
    "list_read": (lambda x, ls: mb.list_read(ls=mb.list_write(ls=ls, index=0, value=x), index=0), lambda x: x),
    "list_read of what was not written": (lambda x, ls: mb.list_read(ls=ls, index=1), lambda x: np.zeros_like(x)),
    "list_scatter": (
        lambda x, ls: mb.list_gather(ls=mb.list_scatter(ls=ls, indices=[1, 0], value=mb.stack(values=[x, x], axis=0)),
                                     indices=[0, 1]),
        lambda x: np.stack([x, x])),
    "list_scatter past the end": (
        lambda x, ls: mb.list_gather(ls=mb.list_scatter(ls=ls, indices=[3], value=mb.expand_dims(x=x, axes=[0])),
                                     indices=[2, 3]),
        lambda x: np.stack([np.zeros_like(x), x])),
    "list_length": (lambda x, ls: mb.add(x=mb.reduce_sum(x=mb.mul(x=x, y=0.0)), y=mb.cast(
        x=mb.list_length(ls=mb.list_write(ls=ls, index=6, value=x)), dtype="fp32")), lambda x: 7.0),
    "make_list": (lambda x, ls: mb.list_gather(ls=ls, indices=[0, 1]), lambda x: np.zeros((2, *x.shape))),
}
"""What is done with a list of two tensors of the shape of x, and what comes out."""

VECTOR = np.float32([1.5, -2.0, 3.0])


@pytest.mark.parametrize("case", LISTS)
def test_lists_hold_what_was_written_and_zeros_elsewhere(case):
    @mb.program(input_specs=[mb.TensorSpec((3,))], opset_version=ct.target.iOS16)
    def program(x):
        return LISTS[case][0](x, mb.make_list(init_length=2, dynamic_length=True, elem_shape=(3,)))

    np.testing.assert_array_equal(run(program, x=VECTOR)[0], LISTS[case][1](VECTOR))


def test_a_list_that_a_loop_fills(tmp_path):
    @mb.program(input_specs=[mb.TensorSpec((3,))], opset_version=ct.target.iOS17)
    def program(x):
        def condition(i, ls):
            return mb.less(x=i, y=4)

        def body(i, ls):
            power = mb.pow(x=x, y=mb.cast(x=i, dtype="fp32"))
            return mb.add(x=i, y=1), mb.list_write(ls=ls, index=i, value=power)

        _, filled = mb.while_loop(_cond=condition, _body=body, loop_vars=(
            np.int32(0), mb.make_list(init_length=4, dynamic_length=False, elem_shape=(3,))))
        return mb.list_gather(ls=filled, indices=[0, 1, 2, 3])

    found, = saved(tmp_path, program).predict({"x": VECTOR}).values()
    np.testing.assert_allclose(found, [VECTOR ** i for i in range(4)])


def test_an_element_of_unknown_shape_that_was_not_written_is_told():
    @mb.program(input_specs=[mb.TensorSpec((3,))], opset_version=ct.target.iOS16)
    def program(x):
        ls = mb.make_list(init_length=2, dynamic_length=True, elem_shape=("size_of_an_element",))
        return mb.list_read(ls=ls, index=1, name="nothing"), x

    with pytest.raises(ModelRunError, match="the list_read 'nothing' cannot be .*nothing was written to the list"):
        run(program, x=VECTOR)


# ---- neural networks -------------------------------------------------------------------------------------------------

def inside(network):
    """A builder for a network in a layer."""
    return NeuralNetworkBuilder(nn_spec=network, disable_rank5_shape_mapping=True)


def constant(built, name, value):
    built.add_load_constant_nd(name, name, np.float32([value]), (1,))


def counted(condition=None, rounds=None, count=None):
    """A network that doubles x in a loop; the body's builder comes with it."""
    built = test_neural_network.builder(["y"], exact=True, x=(1,), limit=(1,), n=(1,))
    built.add_copy("start", "x", "y")
    layer = built.add_loop("loop", input_name=count, condition=condition, max_iterations=rounds)
    body = inside(layer.loop.bodyNetwork)
    body.add_elementwise("double", ["y"], "doubled", "MULTIPLY", alpha=2.0)
    body.add_copy("keep", "doubled", "y")
    if condition:
        inside(layer.loop.conditionNetwork).add_less_than("compare", ["y", "limit"], condition)
    return built, body


def doubled(built, x=1.0, limit=0.0, n=0.0):
    return test_neural_network.run(built, x=np.float32([x]), limit=np.float32([limit]), n=np.float32([n]))["y"].item()


def test_a_loop_of_a_network_runs_so_many_rounds():
    assert doubled(counted(rounds=3)[0], x=1.5) == 12
    assert doubled(counted()[0], x=1.5) == 1.5
    built, _ = counted(rounds=3, count="n")
    assert [doubled(built, n=n) for n in (0, 1, 5)] == [1, 2, 32]


def test_a_loop_of_a_network_runs_while_its_condition_holds():
    built, _ = counted(condition="go on")
    assert [doubled(built, x=x, limit=100) for x in (1, 7, 200)] == [128, 112, 200]
    built, _ = counted(condition="go on", rounds=2)
    assert [doubled(built, x=x, limit=100) for x in (1, 60, 200)] == [4, 120, 200]


@pytest.mark.parametrize("kind, expected", [("loop_break", 16), ("loop_continue", 128)])
def test_a_round_may_be_ended_from_a_choice_inside_it(kind, expected):
    """From 16 on: break ends the loop; continue only leaves out what comes after, here counting by tens."""
    built, body = counted(rounds=7)
    body.add_greater_than("large", ["y"], "is large", use_greater_than_equal=True, alpha=16.0)
    choice = body.add_branch("choice", "is large")
    getattr(inside(choice.branch.ifBranch), f"add_{kind}")("end")
    body.add_elementwise("tens", ["tens"], "more tens", "ADD", alpha=10.0)
    body.add_copy("keep tens", "more tens", "tens")
    constant(built, "tens", 0.0)
    built.spec.description.output.add(name="tens").type.multiArrayType.dataType = 65568
    layers = list(built.nn_spec.layers)  # the constant has to come first
    del built.nn_spec.layers[:]
    built.nn_spec.layers.extend([layers[-1], *layers[:-1]])
    found = test_neural_network.run(built, x=np.float32([1]), limit=np.zeros(1), n=np.zeros(1))
    assert (found["y"].item(), found["tens"].item()) == (expected, 30)


def branched(with_else=True):
    """y = 2 x where x > 0, else -3 x."""
    built = test_neural_network.builder(["y"], exact=True, x=(1,))
    built.add_greater_than("compare", ["x"], "is positive")
    layer = built.add_branch("choice", "is positive")
    inside(layer.branch.ifBranch).add_elementwise("double", ["x"], "y", "MULTIPLY", alpha=2.0)
    if with_else:
        inside(layer.branch.elseBranch).add_elementwise("triple", ["x"], "y", "MULTIPLY", alpha=-3.0)
    return built


def test_a_branch_of_a_network_runs_one_of_its_two_networks():
    assert [test_neural_network.run(branched(), x=np.float32([x]))["y"].item() for x in (5, -5)] == [10, 15]


def test_a_value_that_the_other_branch_would_have_made_is_told():
    assert test_neural_network.run(branched(False), x=np.float32([5]))["y"].item() == 10
    with pytest.raises(ModelRunError, match="built.mlmodel: none of the layers that ran has made 'y'"):
        test_neural_network.run(branched(False), x=np.float32([-5]))


def test_layers_inside_a_loop_are_looked_through(tmp_path):
    built, body = counted(rounds=1)
    body.nn_spec.layers.add(name="mine", input=["y"], output=["z"]).custom.className = "Mine"
    ct.models.utils.save_spec(built.spec, str(tmp_path / "loop.mlmodel"))
    counts = coreml_runtime.information.model_information(tmp_path / "loop.mlmodel")["operations"]
    assert counts == {"copy": 2, "custom": 1, "loop": 1, "multiply": 1}
    with pytest.raises(coreml_runtime.CoreMLRuntimeError, match="'mine' is a custom layer"):
        coreml_runtime.load(tmp_path / "loop.mlmodel")


def test_a_loop_of_a_network_that_does_not_end_is_given_up(monkeypatch):
    monkeypatch.setattr(nn_control, "LOOP_LIMIT", 20)
    built, _ = counted(condition="go on")
    with pytest.raises(ModelRunError, match="built.mlmodel: the loop 'loop' cannot be run .it has not ended after 20"):
        doubled(built, x=-1, limit=0)


def test_a_layer_that_fails_in_a_loop_is_named_with_the_shapes_that_it_got():
    built, body = counted(rounds=1)
    body.add_inner_product("dense", np.ones((2, 3), np.float32), None, 3, 2, False, "y", "z")
    with pytest.raises(ModelRunError, match=r"the innerProduct 'dense' cannot be computed from 'y' \(1,\)"):
        doubled(built)


def test_what_ends_a_round_must_be_in_a_loop():
    built = branched()
    inside(built.nn_spec.layers[-1].branch.elseBranch).add_loop_break("stray")
    with pytest.raises(ModelFileError, match="built.mlmodel: the layer 'stray' ends a round of a loop, but is in none"):
        neural_network.NeuralNetwork(built.spec, "built.mlmodel")


def test_a_network_with_a_loop_is_run_one_input_at_a_time():
    built = test_neural_network.means("RGB")
    layer = built.add_loop("loop", max_iterations=2)
    inside(layer.loop.bodyNetwork).add_activation("half", "LINEAR", "image", "half", [0.5, 0.0])
    built.spec.description.output[0].name = "half"
    program = neural_network.NeuralNetwork(built.spec, "built.mlmodel")
    assert not program.is_batchable
    image = torch.full((1, 3, 8, 10), 4.0)
    assert torch.equal(program.run({"image": image})["half"][0].flatten(), torch.full((240,), 2.0))
