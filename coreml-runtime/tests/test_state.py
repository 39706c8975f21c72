"""Models with state (iOS 18) against PyTorch and Python."""

import coreml_runtime
import numpy as np
import pytest
import torch
from coreml_runtime import InputError, ml_program
from coreml_runtime.imports import import_coremltools
from torch import nn

ct = import_coremltools()
mb = ct.converters.mil.Builder

COMPARED = {"PyTorch": {"read_state", "coreml_update_state"}, "definition": {"read_state", "coreml_update_state"}}
"""The operators that the tests here compare, by what with."""

LAYERS_COMPARED: set[str] = set()
"""The layers that the tests here compare with their definition."""


class Accumulator(nn.Module):
    """Adds up what it gets, and answers with twice the sum."""

    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.zeros(2, 3))

    def forward(self, x):
        self.total.add_(x)
        return self.total * 2


class Cache(nn.Module):
    """Attention over the keys and values of all steps so far, as language models on iOS 18 keep them."""

    def __init__(self):
        super().__init__()
        self.project = nn.Linear(4, 12)
        self.register_buffer("keys", torch.zeros(1, 5, 4))
        self.register_buffer("values", torch.zeros(1, 5, 4))

    def forward(self, x, place):
        query, key, value = self.project(x).chunk(3, -1)
        self.keys[:] = self.keys * (1 - place[..., None]) + key * place[..., None]
        self.values[:] = self.values * (1 - place[..., None]) + value * place[..., None]
        return torch.softmax(query @ self.keys.transpose(1, 2), -1) @ self.values


def converted(path, network, examples, states):
    """A PyTorch network whose buffers are states, as a package."""
    traced = torch.jit.trace(network.eval(), examples)
    ct.convert(traced, inputs=[ct.TensorType(name, tuple(x.shape)) for name, x in zip("xp", examples)],
               outputs=[ct.TensorType("y")], minimum_deployment_target=ct.target.iOS18, skip_model_load=True,
               states=[ct.StateType(ct.TensorType(shape=tuple(getattr(network, name).shape)), name=name)
                       for name in states]).save(str(path))
    return path


@pytest.fixture(scope="module")
def accumulator(tmp_path_factory):
    path = converted(tmp_path_factory.mktemp("state") / "sum.mlpackage", Accumulator(), (torch.zeros(2, 3),), ["total"])
    return coreml_runtime.load(path)


def steps(count):
    """So many inputs [2, 3] of numbers that float16 holds."""
    return np.random.default_rng(0).integers(-4, 5, (count, 2, 3)).astype(np.float32)


def test_a_state_is_kept_from_one_prediction_to_the_next(accumulator):
    state, inputs = accumulator.make_state(), steps(4)
    for i, x in enumerate(inputs):
        np.testing.assert_array_equal(accumulator.predict({"x": x}, state)["y"], inputs[:i + 1].sum(0) * 2)
    assert repr(state) == "<State of sum.mlpackage: total (2, 3)>"


def test_states_do_not_know_of_each_other(accumulator):
    one, other = accumulator.make_state(), accumulator.make_state()
    x, y = steps(2)
    accumulator.predict({"x": x}, one)
    np.testing.assert_array_equal(accumulator.predict({"x": y}, state=other)["y"], y * 2)
    np.testing.assert_array_equal(accumulator.predict({"x": y}, one)["y"], (x + y) * 2)


def test_a_state_can_be_read_and_written(accumulator):
    state = accumulator.make_state()
    np.testing.assert_array_equal(state.read_state("total"), np.zeros((2, 3)))
    assert state.read_state("total").dtype == np.float16
    x, y = steps(2)
    state.write_state("total", x)
    np.testing.assert_array_equal(accumulator.predict({"x": y}, state)["y"], (x + y) * 2)
    read = state.read_state("total")
    np.testing.assert_array_equal(read, x + y)
    read[:] = 7
    np.testing.assert_array_equal(state.read_state("total"), x + y)


@pytest.mark.parametrize("precision, tolerance", [("float32", 2e-3), ("float16", 1e-2)])
def test_a_cache_of_keys_and_values_answers_as_pytorch_does(tmp_path, precision, tolerance):
    torch.manual_seed(0)
    network = Cache()
    example = torch.randn(1, 1, 4), torch.zeros(1, 5)
    path = converted(tmp_path / "cache.mlpackage", network, example, ["keys", "values"])
    network.keys.zero_(), network.values.zero_()  # tracing has filled them
    model = coreml_runtime.load(path, compute_precision=precision)
    state = model.make_state()
    for i in range(5):
        x, place = torch.randn(1, 1, 4), torch.eye(5)[i:i + 1]
        with torch.inference_mode():
            expected = network(x, place)
        found = model.predict({"x": x.numpy(), "p": place.numpy()}, state)["y"]
        np.testing.assert_allclose(found, expected, atol=tolerance)
    np.testing.assert_allclose(state.read_state("keys"), network.keys.detach(), atol=tolerance)


def test_each_function_of_a_package_keeps_its_own_state(tmp_path):
    for name, factor in (("once", 1.0), ("thrice", 3.0)):
        class Scaled(Accumulator):
            def forward(self, x, factor=factor):
                self.total.add_(x * factor)
                return self.total * 1.0
        converted(tmp_path / f"{name}.mlpackage", Scaled(), (torch.zeros(2, 3),), ["total"])
    description = ct.utils.MultiFunctionDescriptor()
    for name in ("once", "thrice"):
        description.add_function(str(tmp_path / f"{name}.mlpackage"), "main", name)
    description.default_function_name = "once"
    ct.utils.save_multifunction(description, str(tmp_path / "both.mlpackage"))
    x = steps(1)[0]
    for options, factor in (({}, 1), ({"function_name": "thrice"}, 3)):
        model = coreml_runtime.load(tmp_path / "both.mlpackage", **options)
        state = model.make_state()
        model.predict({"x": x}, state)
        np.testing.assert_array_equal(model.predict({"x": x}, state)["y"], 2 * factor * x)


def test_a_state_inside_a_loop(tmp_path):
    @mb.program(input_specs=[mb.TensorSpec((2,), dtype=ct.converters.mil.mil.types.fp16),
                             mb.StateTensorSpec((2,), dtype=ct.converters.mil.mil.types.fp16)],
                opset_version=ct.target.iOS18)
    def program(x, total):
        def body(i):
            mb.coreml_update_state(state=total, value=mb.add(x=mb.read_state(input=total), y=x))
            return mb.add(x=i, y=1)

        mb.while_loop(_cond=lambda i: mb.less(x=i, y=3), _body=body, loop_vars=(np.int32(0),))
        return mb.identity(x=mb.read_state(input=total), name="y")

    runnable = ml_program.MLProgram(program.functions["main"], "test")
    cells = runnable.make_state()
    for total in (3, 6):
        found = runnable.run({"x": torch.tensor([1.0, -2.0]), **cells})
        assert found["y"].tolist() == [total, -2 * total]


def test_a_program_that_is_run_without_its_state_begins_with_zeros(accumulator):
    x = torch.from_numpy(steps(1)[0])
    for _ in range(2):
        assert torch.equal(accumulator.program.run({"x": x})["y"], x * 2)


def test_a_model_without_state_has_an_empty_one(tmp_path):
    network = torch.jit.trace(nn.ReLU(), torch.zeros(2))
    ct.convert(network, inputs=[ct.TensorType("x", (2,))], outputs=[ct.TensorType("y")], skip_model_load=True,
               minimum_deployment_target=ct.target.iOS18).save(str(tmp_path / "relu.mlpackage"))
    model = coreml_runtime.load(tmp_path / "relu.mlpackage")
    state = model.make_state()
    assert state.cells == {}
    assert model.predict({"x": np.float32([-1, 2])}, state)["y"].tolist() == [0, 2]


@pytest.mark.parametrize("call, message", [
    (lambda model: model.predict({"x": steps(1)[0]}), r"this model keeps a state; make one with model.make_state\(\)"),
    (lambda model: model.predict([{"x": steps(1)[0]}], model.make_state()), "a state goes with one input at a time"),
    (lambda model: model.predict({"x": steps(1)[0]}, {"total": 1}), "the state is not one of this model's"),
    (lambda model: model.make_state().read_state("sum"), "the model keeps no state 'sum'; it keeps 'total'"),
    (lambda model: model.make_state().write_state("total", np.zeros((3, 2))),
     r"the state 'total' takes numbers of shape \(2, 3\), not float64 of shape \(3, 2\)"),
    (lambda model: model.make_state().write_state("total", "text"),
     "the state 'total' takes numbers of shape .*, not <U4 of shape")])
def test_a_state_that_does_not_fit_is_told_in_one_sentence(accumulator, call, message):
    with pytest.raises(InputError, match=f"^sum.mlpackage: {message}") as raised:
        call(accumulator)
    assert "\n" not in str(raised.value)
