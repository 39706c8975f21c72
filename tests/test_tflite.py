"""A .tflite gives Keras' answers, carries its labels, and tells what is wrong with a damaged one."""
import zipfile

import numpy as np
import pytest

from utils import tflite
from utils.command_line import CourseError
from utils.silence import quiet

quiet("tensorflow")

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras import layers  # noqa: E402

from utils import tf_coreml  # noqa: E402

SIDE, LABELS = 16, ["Schrittmotor", "grün", "a b"]


@pytest.fixture(scope="module")
def function():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        keras.Input((SIDE, SIDE, 3)), layers.Conv2D(8, 3, strides=2, padding="same"), layers.ReLU(max_value=6),
        layers.DepthwiseConv2D(3, padding="same"), layers.BatchNormalization(), layers.GlobalAveragePooling2D(),
        layers.Dense(3, kernel_initializer=keras.initializers.RandomNormal(stddev=2)), layers.Softmax()])
    image = tf.TensorSpec([1, SIDE, SIDE, 3], tf.float32, name="image")
    # yield, not return: the concrete function keeps no reference to the model, whose variables would be deleted.
    yield tf.function(lambda image: model((image - 127) / 128, training=False)).get_concrete_function(image)


@pytest.fixture(scope="module")
def file(function, tmp_path_factory):
    path = tmp_path_factory.mktemp("tflite") / "model.tflite"
    tflite.convert(tf_coreml.freeze(function), path, LABELS, author="Ä. Nyone", threshold=0.75)
    return path


def pictures():
    return np.random.default_rng(0).integers(0, 256, (4, 1, SIDE, SIDE, 3)).astype("float32")


def test_it_gives_keras_answers(function, file):
    model = tflite.TFLiteModel(file)
    assert model.shape == (1, SIDE, SIDE, 3) and model.dtype == np.float32
    for picture in pictures():
        expected = function(tf.constant(picture)).numpy()
        assert expected.std() > 1e-3
        np.testing.assert_allclose(model.predict(picture), expected, atol=1e-5)
        assert np.abs(model.predict(picture[..., ::-1]) - expected).max() > 1e-5


def test_labels_and_metadata_travel_with_the_file_and_any_unzip_finds_them(file):
    model = tflite.TFLiteModel(file)
    assert model.labels == LABELS and model.metadata == {"author": "Ä. Nyone", "threshold": 0.75}
    with zipfile.ZipFile(file) as archive:
        assert archive.read("labels.txt").decode() == "Schrittmotor\ngrün\na b\n"


def test_metadata_can_be_added_later_and_the_model_stays_as_it_is(file, tmp_path):
    copy = tmp_path / "copy.tflite"
    copy.write_bytes(file.read_bytes())
    for temperature in (0.5, 0.6):
        tflite.add_metadata(copy, temperature=temperature)
    before, after = tflite.TFLiteModel(file), tflite.TFLiteModel(copy)
    assert after.labels == LABELS
    assert after.metadata == {"author": "Ä. Nyone", "threshold": 0.75, "temperature": 0.6}
    assert len(copy.read_bytes()) < len(file.read_bytes()) + 100
    np.testing.assert_array_equal(after.predict(pictures()[0]), before.predict(pictures()[0]))


def test_a_file_without_labels_has_none(function, tmp_path):
    data = tf.lite.TFLiteConverter.from_concrete_functions([tf_coreml.freeze(function)]).convert()
    (tmp_path / "bare.tflite").write_bytes(data)
    model = tflite.TFLiteModel(tmp_path / "bare.tflite")
    assert (model.labels, model.metadata) == ([], {})


def test_a_quantized_file_takes_and_gives_real_values(function, tmp_path):
    converter = tf.lite.TFLiteConverter.from_concrete_functions([tf_coreml.freeze(function)])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([picture] for picture in pictures())
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    (tmp_path / "int8.tflite").write_bytes(converter.convert())
    model = tflite.TFLiteModel(tmp_path / "int8.tflite")
    assert model.dtype == np.uint8
    for picture in pictures():
        np.testing.assert_allclose(model.predict(picture), function(tf.constant(picture)), atol=0.05)


def test_a_function_with_variables_is_refused_because_its_weights_would_be_missing(function, tmp_path):
    with pytest.raises(ValueError, match="freeze it first"):
        tflite.convert(function, tmp_path / "a.tflite")
    assert not (tmp_path / "a.tflite").exists()


@pytest.mark.parametrize("spoil, message", [
    (lambda data: None, "no such file"),
    (lambda data: b"", "LiteRT cannot read it"),
    (lambda data: b"this is no model" * 100, "LiteRT cannot read it"),
    (lambda data: data.replace(b'{"author"', b'["author"'), "labels or metadata are damaged"),
])
def test_a_damaged_file_is_one_sentence(file, tmp_path, spoil, message):
    path, data = tmp_path / "spoilt.tflite", spoil(file.read_bytes())
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(CourseError, match=message) as caught:
        tflite.TFLiteModel(path)
    assert "\n" not in str(caught.value)


def test_two_inputs_are_refused(tmp_path):
    spec = tf.TensorSpec([1, 4], tf.float32)
    function = tf.function(lambda a, b: a + b, input_signature=[spec, spec]).get_concrete_function()
    tflite.convert(function, tmp_path / "two.tflite")
    with pytest.raises(CourseError, match="2 inputs and 1 outputs"):
        tflite.TFLiteModel(tmp_path / "two.tflite")
