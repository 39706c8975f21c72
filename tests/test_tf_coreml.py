"""tf-coreml beside today's TensorFlow: it converts, its hiccups of 2018 are there, and nothing stays behind."""
import sys

import numpy as np
import pytest
from PIL import Image

from utils.silence import quiet

quiet("tensorflow", "coremltools")

import coreml_runtime  # noqa: E402
import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras import layers  # noqa: E402

from utils import tf_coreml  # noqa: E402

SIDE = 16
IMAGE = tf.TensorSpec([1, SIDE, SIDE, 3], tf.float32, name="image")


def network(*body):
    """A small Keras classifier with random weights and statistics; an untrained one answers the same to everything."""
    keras.utils.set_random_seed(0)
    wide = keras.initializers.RandomNormal(stddev=2)
    head = [layers.GlobalAveragePooling2D(), layers.Dense(4, kernel_initializer=wide), layers.Softmax()]
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *body, *head])
    random = np.random.default_rng(0)
    for layer in model.layers:
        layer.set_weights([random.uniform(0.5, 1.5, w.shape) if "Norm" in type(layer).__name__ else w
                           for w in layer.get_weights()])
    return model


def frozen(model, training=False):
    function = tf.function(lambda image: model(image, training=training), input_signature=[IMAGE])
    return tf_coreml.freeze(function.get_concrete_function()).graph.as_graph_def()


@pytest.fixture(scope="module")
def normed():
    return network(layers.Conv2D(8, 3, strides=2, use_bias=False), layers.BatchNormalization(), layers.ReLU())


def pictures(n=4):
    return np.random.default_rng(1).integers(0, 256, (n, SIDE, SIDE, 3), dtype=np.uint8)


def answers(path, photos):
    model = coreml_runtime.load(path)
    name = model.image_inputs[0].name
    predictions = model.predict([{name: Image.fromarray(photo)} for photo in photos])
    tables = [next(v for v in each.values() if isinstance(v, dict)) for each in predictions]
    return np.array([[table[label] for label in "abcd"] for table in tables])


BODIES = {
    "a strided convolution": [layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")],
    "a convolution without padding": [layers.Conv2D(8, 5, padding="valid", activation="sigmoid")],
    "a dilated convolution": [layers.Conv2D(8, 3, dilation_rate=2, padding="same", activation="tanh")],
    "a depthwise convolution": [layers.DepthwiseConv2D(5, strides=2, padding="same"), layers.ReLU(max_value=6)],
    "batch norm": [layers.Conv2D(8, 3, use_bias=False), layers.BatchNormalization(), layers.ReLU()],
    "max pooling": [layers.MaxPooling2D(2)], "average pooling": [layers.AveragePooling2D(2, padding="same")],
    "zero padding": [layers.ZeroPadding2D(1), layers.Conv2D(8, 3), layers.ELU()],
    "leaky ReLU": [layers.Conv2D(8, 3), layers.LeakyReLU()],
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_converted_network_gives_keras_answers(body, tmp_path):
    model, photos = network(*body), pictures()
    tf_coreml.convert(tf_coreml.prepare(frozen(model), ["Identity:0"]), tmp_path / "a.mlmodel", ["Identity:0"],
                      image_input_names="image:0", image_scale=1 / 128, red_bias=-1, green_bias=-1, blue_bias=-1,
                      class_labels=list("abcd"))
    expected = model.predict(photos / 128 - 1, verbose=0)
    assert expected.std(axis=1).min() > 1e-3  # not an answer that any network gives
    assert np.abs(answers(tmp_path / "a.mlmodel", photos) - expected).max() <= 1e-3
    assert np.abs(answers(tmp_path / "a.mlmodel", photos[..., ::-1].copy()) - expected).max() > 1e-3


def test_the_file_says_what_was_asked_for_and_runs_since_ios_11(normed, tmp_path):
    spec = tf_coreml.convert(tf_coreml.prepare(frozen(normed), ["Identity:0"]), tmp_path / "a.mlmodel", ["Identity:0"],
                             image_input_names="image:0", image_scale=0.5, red_bias=1, green_bias=2, blue_bias=3,
                             is_bgr=True, class_labels=list("abcd"), metadata={"author": "A class", "version": "1.0"})
    about = coreml_runtime.load(tmp_path / "a.mlmodel").metadata
    assert (about.author, about.version, about.license) == ("A class", "1.0", "")
    assert spec.specificationVersion == 1 and (tmp_path / "a.mlmodel").stat().st_size > 1000
    scaler = spec.neuralNetworkClassifier.preprocessing[0].scaler
    assert (scaler.channelScale, scaler.redBias, scaler.greenBias, scaler.blueBias) == (0.5, 1, 2, 3)
    assert spec.description.input[0].type.imageType.ColorSpace.Name(
        spec.description.input[0].type.imageType.colorSpace) == "BGR"
    assert list(spec.neuralNetworkClassifier.stringClassLabels.vector) == list("abcd")


def hiccup(graph, path, outputs=("Identity:0",)):
    with pytest.raises(Exception) as caught:
        tf_coreml.convert(graph, path, outputs)
    assert not path.exists()
    return str(caught.value)


def test_an_output_name_without_its_number_is_refused(normed, tmp_path):
    graph = tf_coreml.prepare(frozen(normed), ["Identity"])
    assert "does not contain a tensor with this name" in hiccup(graph, tmp_path / "a.mlmodel", ["Identity"])
    tf_coreml.convert(graph, tmp_path / "a.mlmodel", ["Identity:0"])


def test_an_operator_of_later_years_is_refused_until_the_graph_is_prepared(normed, tmp_path):
    graph = frozen(normed)
    assert hiccup(graph, tmp_path / "a.mlmodel") == "Shape Translator missing for OP of type AddV2."
    tf_coreml.convert(tf_coreml.prepare(graph, ["Identity:0"]), tmp_path / "a.mlmodel", ["Identity:0"])


def test_batch_norm_in_training_mode_cannot_be_frozen(normed):
    with pytest.raises(ValueError, match="incompatible with expected resource"):
        frozen(normed, training=True)


def test_a_batch_norm_with_a_switch_between_training_and_inference_is_refused(tmp_path):
    ones = tf.ones(3)

    @tf.function(input_signature=[IMAGE, tf.TensorSpec([], tf.bool, name="is_training")])
    def two_phases(image, is_training):
        mean, variance = tf.cond(is_training, lambda: tf.nn.moments(image, [0, 1, 2]), lambda: (ones, ones))
        return tf.nn.batch_normalization(image, mean, variance, ones, ones, 1e-3)

    graph = tf_coreml.freeze(two_phases.get_concrete_function()).graph.as_graph_def()
    assert hiccup(graph, tmp_path / "a.mlmodel") == "Unsupported Ops of type: Switch,Merge"


def test_a_fused_batch_norm_of_todays_kind_is_folded_into_its_convolution(tmp_path):
    random = np.random.default_rng(0)
    kernel, (gamma, beta, mean, variance) = random.normal(size=(3, 3, 3, 8)), random.uniform(0.5, 2, (4, 8))

    @tf.function(input_signature=[IMAGE])
    def fused(image):
        x = tf.nn.conv2d(image, tf.constant(kernel, tf.float32), 1, "SAME")
        x, *_ = tf.compat.v1.nn.fused_batch_norm(x, *np.float32([gamma, beta, mean, variance]), is_training=False)
        return tf.reduce_mean(tf.nn.relu(x), [1, 2])

    graph = tf_coreml.freeze(fused.get_concrete_function()).graph.as_graph_def()
    assert "FusedBatchNormV3" in tf_coreml.summary(graph)
    assert "FusedBatchNormV3" in hiccup(graph, tmp_path / "a.mlmodel")
    folded = tf_coreml.prepare(graph, ["Identity:0"])
    assert "BatchNorm" not in tf_coreml.summary(folded)
    spec = tf_coreml.convert(folded, tmp_path / "a.mlmodel", ["Identity:0"])
    array = random.normal(size=(1, SIDE, SIDE, 3)).astype("float32")
    assert spec.description.input[0].name == "image__0"
    found = coreml_runtime.load(tmp_path / "a.mlmodel").predict({"image__0": array[0].transpose(2, 0, 1)})
    np.testing.assert_allclose(found["Identity__0"].reshape(1, -1), fused(array), atol=1e-4)


def test_the_graph_before_preparing_is_left_as_it_was(normed):
    graph = frozen(normed)
    before = graph.SerializeToString(deterministic=True)
    assert tf_coreml.prepare(graph, ["Identity:0"]) != graph
    assert graph.SerializeToString(deterministic=True) == before


def test_numpy_and_tensorflow_are_todays_again_after_a_conversion(normed, tmp_path):
    tf_coreml.convert(tf_coreml.prepare(frozen(normed), ["Identity:0"]), tmp_path / "a.mlmodel", ["Identity:0"])
    hiccup(frozen(normed), tmp_path / "b.mlmodel")
    assert not hasattr(np, "int")
    assert sys.modules["tensorflow"] is tf and tf.__version__.startswith("2.")


def test_a_missing_tfcoreml_is_one_sentence_and_tensorflow_stays(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "tfcoreml"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "meta_path", [])
    with pytest.raises(ImportError, match="tfcoreml is missing: run `make setup`, or `pip install --no-deps"):
        tf_coreml.import_tfcoreml()
    assert sys.modules["tensorflow"] is tf


def test_the_summary_names_the_tensors_and_counts_the_nodes(normed):
    lines = tf_coreml.summary(frozen(normed)).splitlines()
    assert lines[:2] == [f"inputs  image:0 1x{SIDE}x{SIDE}x3", "outputs Identity:0"]
    assert "1 Conv2D" in lines[2] and "AddV2" in lines[2]
