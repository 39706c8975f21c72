"""Inputs of every type that a Core ML file declares, optional inputs, and parameters along channels at any rank."""

import coreml_runtime
import numpy as np
import pytest
from coreml_runtime import InputError, ModelRunError
from coreml_runtime.__main__ import main
from coreml_runtime.imports import import_coremltools
from PIL import Image
from test_neural_network import VECTOR, builder, run, saved

ct = import_coremltools()
Model_pb2 = ct.proto.Model_pb2
ArrayType = ct.proto.FeatureTypes_pb2.ArrayFeatureType
OTHER = np.float32([1.0, 0.5, 2.0, 0.7])

PER_CHANNEL = {
    "prelu": (lambda b: b.add_activation("y", "PRELU", "x", "y", VECTOR), lambda x, c, d: np.where(x >= 0, x, c * x)),
    "softplus": (lambda b: b.add_activation("y", "PARAMETRICSOFTPLUS", "x", "y", [VECTOR, OTHER]),
                 lambda x, c, d: c * np.log1p(np.exp(d * x))),
    "bias": (lambda b: b.add_bias("y", VECTOR, "x", "y", [4]), lambda x, c, d: x + c),
    "bias [C, 1, 1]": (lambda b: b.add_bias("y", VECTOR, "x", "y", [4, 1, 1]), lambda x, c, d: x + c),
    "bias of one": (lambda b: b.add_bias("y", VECTOR[:1], "x", "y", [1]), lambda x, c, d: x + VECTOR[0]),
    "scale": (lambda b: b.add_scale("y", VECTOR, OTHER, True, "x", "y", [4], [4]), lambda x, c, d: x * c + d),
    "batchnorm": (lambda b: b.add_batchnorm("y", 4, VECTOR, OTHER, OTHER, VECTOR, "x", "y", epsilon=0.01),
                  lambda x, c, d: c * (x - d) / np.sqrt(c + 0.01) + d),
}
"""Layers with a parameter per channel, and their definition; c and d are the parameters, shaped as the channels."""


@pytest.mark.parametrize("shape", [(4,), (3, 4), (4, 2, 3), (2, 4, 2, 3), (2, 1, 4, 2, 3)], ids=str)
@pytest.mark.parametrize("case", PER_CHANNEL)
def test_parameters_lie_along_the_channels_at_every_rank(case, shape):
    add, definition = PER_CHANNEL[case]
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    along = (4,) if len(shape) < 3 else (4, 1, 1)
    built = builder(["y"], True, x=shape)
    add(built)
    y = run(built, x=x)["y"]
    assert y.shape == shape
    np.testing.assert_allclose(y, definition(x, VECTOR.reshape(along), OTHER.reshape(along)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", sorted(PER_CHANNEL.keys() - {"bias of one"}))
def test_parameters_for_other_channels_are_refused_with_the_layer(case):
    built = builder(["y"], True, x=(2, 1))
    PER_CHANNEL[case][0](built)
    with pytest.raises(ModelRunError, match=r"'y' cannot be computed from 'x' \(2, 1\)"):
        run(built, x=np.ones((2, 1)))


def test_a_bias_of_places_does_not_make_the_input_larger():
    built = builder(["y"], True, x=(1, 2))
    built.add_bias("y", np.ones((1, 3, 2)), "x", "y", [1, 3, 2])
    with pytest.raises(ModelRunError, match=r"values of the shape \(1, 3, 2\) for the shape \(1, 2\)"):
        run(built, x=np.ones((1, 2)))


def summed(second):
    """A network that answers x + z, where x is [3], and z of the type that `second` sets."""
    built = builder(["y"], x=(3,))
    built.add_elementwise("y", ["x", "z"], "y", "ADD")
    second(built.spec.description.input.add(name="z").type)
    return built


def of_type(name, shape=(), dtype=ArrayType.FLOAT32, isOptional=False, **default):
    def set_type(kind):
        getattr(kind, name).SetInParent()
        if name == "multiArrayType":
            kind.multiArrayType.CopyFrom(ArrayType(shape=shape, dataType=dtype, **default))
        kind.isOptional = isOptional
    return set_type


@pytest.mark.parametrize("second, value", [
    (of_type("doubleType"), 0.5), (of_type("doubleType"), np.float32(0.5)), (of_type("doubleType"), [0.5]),
    (of_type("int64Type"), 3), (of_type("int64Type"), np.int64(3)),
    *((of_type("multiArrayType", (3,), dtype=getattr(ArrayType, dtype)), [1, 2, 3])
      for dtype in ("FLOAT32", "DOUBLE", "FLOAT16", "INT32", "INT8"))])
def test_a_network_takes_numbers_and_arrays_of_every_type(second, value):
    assert run(summed(second), x=[1, 2, 3], z=value)["y"].ravel().tolist() == pytest.approx(
        (np.float32([1, 2, 3]) + np.float32(value)).tolist())


@pytest.mark.parametrize("second, value", [
    (of_type("multiArrayType", (3,), isOptional=True), 0), (of_type("doubleType", isOptional=True), 0),
    (of_type("multiArrayType", (3,), isOptional=True, floatDefaultValue=1.5), 1.5),
    (of_type("multiArrayType", (3,), isOptional=True, dtype=ArrayType.DOUBLE, doubleDefaultValue=2.5), 2.5),
    (of_type("multiArrayType", (3,), isOptional=True, dtype=ArrayType.INT32, intDefaultValue=-4), -4)])
def test_an_optional_input_has_its_declared_default_and_zeros_without_one(second, value):
    assert run(summed(second), x=[1, 2, 3])["y"].ravel().tolist() == [1 + value, 2 + value, 3 + value]


def test_which_inputs_are_optional_is_told_with_the_names():
    built = summed(of_type("doubleType", isOptional=True))
    with pytest.raises(InputError, match=r"the inputs are 'x', 'z' \('z' optional\), not 'z'"):
        run(built, z=1.0)


def test_a_list_may_leave_out_optional_inputs_in_some_predictions(tmp_path):
    path = saved(summed(of_type("doubleType", isOptional=True)).spec, tmp_path / "some.mlmodel")
    model = coreml_runtime.load(path)
    assert model.optional_inputs == ["z"]
    answers = model.predict([{"x": [1, 2, 3]}, {"x": [1, 2, 3], "z": 1}] * 4)
    assert [a["y"].ravel().tolist() for a in answers] == [[1, 2, 3], [2, 3, 4]] * 4


def test_an_optional_input_of_an_ml_program_has_its_default(tmp_path):
    mb = ct.converters.mil.Builder

    @mb.program(input_specs=[mb.TensorSpec((3,)), mb.TensorSpec((3,))], opset_version=ct.target.iOS16)
    def program(x, z):
        return mb.add(x=x, y=z, name="y")

    inputs = [ct.TensorType("x", (3,)), ct.TensorType("z", (3,), default_value=np.full(3, 2.0, np.float32))]
    made = ct.convert(program, convert_to="mlprogram", inputs=inputs, compute_precision=ct.precision.FLOAT32,
                      minimum_deployment_target=ct.target.iOS16)
    made.save(str(tmp_path / "default.mlpackage"))
    model = coreml_runtime.load(tmp_path / "default.mlpackage")
    assert model.optional_inputs == ["z"]
    assert model.predict({"x": [1, 2, 3]})["y"].tolist() == [3, 4, 5]


def identity(*types):
    """A model that answers with its inputs."""
    spec = Model_pb2.Model(specificationVersion=1)
    spec.identity.SetInParent()
    for i, set_type in enumerate(types):
        set_type(spec.description.input.add(name=f"x{i}").type)
        set_type(spec.description.output.add(name=f"y{i}").type)
    return spec


def keyed(name, key):
    return lambda kind: getattr(getattr(kind, name), key).SetInParent()


TYPES = {
    "double": (of_type("doubleType"), 0.1, "many"), "int64": (of_type("int64Type"), 2 ** 53 + 1, 0.5),
    "string": (of_type("stringType"), "Köln", 3),
    "string keys": (keyed("dictionaryType", "stringKeyType"), {"a": 0.1}, {3: 0.1}),
    "int64 keys": (keyed("dictionaryType", "int64KeyType"), {7: 0.1}, {"a": 0.1}),
    "strings": (keyed("sequenceType", "stringType"), ["a", "b"], [1]),
    "int64s": (keyed("sequenceType", "int64Type"), [1, 2], ["a"]),
    "array": (of_type("multiArrayType", (2,), dtype=ArrayType.DOUBLE), np.array([0.1, 1e-300]), "many"),
}


@pytest.mark.parametrize("case", TYPES)
def test_a_value_of_each_type_passes_exactly_and_others_are_refused(tmp_path, case):
    set_type, good, bad = TYPES[case]
    model = coreml_runtime.load(saved(identity(set_type), tmp_path / "identity.mlmodel"))
    answer = model.predict({"x0": good})["y0"]
    assert type(answer) is type(good) and np.array_equal(answer, good)
    with pytest.raises(InputError, match="identity.mlmodel: input 'x0' takes a"):
        model.predict({"x0": bad})


def ranged(low, high):
    built = builder(["y"], x=(3, 8, 8))
    built.add_activation("y", "RELU", "x", "y")
    for bounds in [(3, 3), (low, high), (low, high)]:
        built.spec.description.input[0].type.multiArrayType.shapeRange.sizeRanges.add(
            lowerBound=bounds[0], upperBound=bounds[1])
    return built


@pytest.mark.parametrize("high, words", [(9, "4 to 9"), (-1, "4 or more")])
def test_a_shape_outside_the_range_is_refused_with_the_range(high, words):
    with pytest.raises(InputError, match=rf"shape \(3, {words}, {words}\), not \(3, 2, 5\)"):
        run(ranged(4, high), x=np.ones((3, 2, 5)))
    assert run(ranged(4, high), x=np.ones((3, 4, 5)))["y"].size == 60


def test_a_shape_that_is_not_among_those_listed_is_refused_with_the_list():
    built = builder(["y"], x=(3, 8, 8))
    built.add_activation("y", "RELU", "x", "y")
    for size in (8, 16):
        built.spec.description.input[0].type.multiArrayType.enumeratedShapes.shapes.add(shape=[3, size, size])
    with pytest.raises(InputError, match=r"\(3, 8, 8\) or \(3, 16, 16\), not \(3, 9, 9\)"):
        run(built, x=np.ones((3, 9, 9)))


def picture_network(flexible=None):
    built = builder(["y"], image=(3, 8, 8))
    built.add_pooling("pool", 1, 1, 1, 1, "AVERAGE", "VALID", "image", "y", is_global=True)
    built.set_pre_processing_parameters(["image"])
    if flexible:
        flexible(built.spec.description.input[0].type.imageType)
    return built


def test_a_picture_outside_the_range_is_refused_with_the_range():
    def flexible(image):
        for axis in (image.imageSizeRange.widthRange, image.imageSizeRange.heightRange):
            axis.lowerBound, axis.upperBound = 4, 16
    with pytest.raises(InputError, match="image of 4 to 16 x 4 to 16 pixels, not 20 x 8; resize"):
        run(picture_network(flexible), image=Image.new("RGB", (20, 8)))


# ---- labels in a file ------------------------------------------------------------------------------------------------

@pytest.fixture
def unlabelled(tmp_path):
    """A network that answers with the mean of red, green and blue, and a photo."""
    Image.new("RGB", (8, 8), (3, 9, 6)).save(tmp_path / "photo.png")
    (tmp_path / "labels.txt").write_text("rot\ngrün\nblau\n", "utf-8")
    return saved(picture_network().spec, tmp_path / "means.mlmodel")


def test_labels_in_a_file_make_a_classifier_of_a_network(unlabelled, capsys):
    folder = unlabelled.parent
    assert main([str(unlabelled), str(folder / "photo.png"), "--labels", str(folder / "labels.txt")]) == 0
    shares = np.exp([3.0, 9.0, 6.0])
    assert capsys.readouterr().out.strip().endswith(f"photo.png: grün {shares[1] / shares.sum():.1%}")


@pytest.mark.parametrize("content, message", [
    ("a\nb\n", "there are 2 labels, and the outputs have as many numbers: 'y' 3"), ("\n", "there are no labels"),
    (None, "cannot be read"), (b"\xff\xfe\x00", "cannot be read")])
def test_labels_that_do_not_fit_are_told_in_one_sentence(unlabelled, capsys, content, message):
    file = unlabelled.parent / "other.txt"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main([str(unlabelled), str(unlabelled.parent / "photo.png"), "--labels", str(file)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1
