"""Accuracy, interval and refusals of utils.evaluate, with a Core ML model that tells red from green from blue."""
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from utils import classifiers, evaluate, intervals, photos, tflite
from utils.silence import quiet, silent_stderr

quiet("tensorflow", "coremltools")

import coremltools as ct  # noqa: E402
from coremltools.converters.mil import Builder as mb  # noqa: E402

LABELS = ["blau", "grün", "red one"]


def convert(path, classifier=True, inputs=None, **metadata):
    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 3, 8, 8))], opset_version=ct.target.iOS15)
    def colour(image):
        mean = mb.reduce_mean(x=image, axes=[2, 3], keep_dims=False)
        swap = mb.const(val=np.float32([[0, 0, 0.05], [0, 0.05, 0], [0.05, 0, 0]]))
        return mb.softmax(x=mb.matmul(x=mean, y=swap), axis=-1, name="probabilities")

    inputs = inputs or [ct.ImageType(name="image", shape=(1, 3, 8, 8))]
    config = ct.ClassifierConfig(LABELS) if classifier else None
    with silent_stderr():  # its progress bars
        model = ct.convert(colour, inputs=inputs, classifier_config=config, convert_to="mlprogram")
    model.user_defined_metadata.update(metadata)
    model.save(str(path))
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return convert(tmp_path_factory.mktemp("model") / "colour.mlpackage")


def paint(path, colour):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(path.name)).integers(-10, 10, (40, 60, 3))
    Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    """Three classes of four photographs, one blue picture among the red ones; two grey pictures are `other`."""
    colours = {"blau": (20, 20, 200), "grün": (20, 200, 20), "red one": (200, 20, 20), "other": (120, 120, 120)}
    for label, colour in colours.items():
        for i in range(2 if label == "other" else 4):
            paint(tmp_path / "photos" / label / f"{i}.jpg", colours["blau"] if (label, i) == ("red one", 3) else colour)
    return tmp_path / "photos"


def test_a_folder_is_evaluated_class_by_class(model, folder):
    result = evaluate.evaluate(model, folder)
    assert (result["accuracy"], result["n"]) == (11 / 12, 12)
    assert result["interval"] == pytest.approx(intervals.wilson_interval(11, 12), abs=1e-4)
    assert {name: each["accuracy"] for name, each in result["per_class"].items()} == {
        "blau": 1, "grün": 1, "red one": 0.75}
    assert result["confusion"]["red one"] == {"blau": 1, "grün": 0, "red one": 3}
    assert result["unknown"] == {"turned_away": 1.0, "n": 2, "kept": 1.0, "threshold": classifiers.DEFAULT_THRESHOLD}
    assert 0 < result["seconds_per_photo"] < 1 and result["unreadable"] == []
    assert evaluate.confusion_array(result, LABELS).tolist() == [[4, 0, 0], [0, 4, 0], [1, 0, 3]]
    assert evaluate.per_class_table(result).loc["red one", "accuracy"] == 0.75


def test_the_threshold_is_read_from_the_model(folder, tmp_path):
    strict = convert(tmp_path / "strict.mlpackage", threshold="0.9999999")
    unknown = evaluate.evaluate(strict, folder)["unknown"]
    assert unknown["threshold"] == 0.9999999 and unknown["kept"] == 0 and unknown["turned_away"] == 1


def test_the_temperature_is_read_from_the_model_and_applied_before_the_threshold(model, folder, tmp_path):
    sure = convert(tmp_path / "sure.mlpackage", threshold="0.99", temperature="0.001")
    unsure = convert(tmp_path / "unsure.mlpackage", threshold="0.5", temperature="1000")
    found = {path: evaluate.evaluate(path, folder) for path in (model, sure, unsure)}
    assert [each["unknown"]["kept"] for each in found.values()] == [1, 1, 0]
    assert found[unsure]["accuracy"] == found[model]["accuracy"]


def test_without_a_folder_other_nothing_is_said_about_the_unknown(model, folder):
    shutil.rmtree(folder / "other")
    assert "unknown" not in evaluate.evaluate(model, folder)


def test_unknown_objects_are_left_out_where_asked(model, folder):
    known, everything = evaluate.evaluate(model, folder, with_unknown=False), evaluate.evaluate(model, folder)
    assert "unknown" in everything and "unknown" not in known
    assert known["confusion"] == everything["confusion"]


def test_a_split_of_photos_csv_is_evaluated_alone(model, folder):
    rows = ["file,label,session,split"] + [f"blau/{i}.jpg,blau,s{i},{'test' if i < 3 else 'train'}" for i in range(4)]
    (folder / "photos.csv").write_text("\n".join(rows))
    assert evaluate.evaluate(model, folder, split="test")["n"] == 3
    assert evaluate.evaluate(model, folder)["n"] == 4


def test_an_unreadable_picture_is_listed_and_the_others_count(model, folder):
    (folder / "blau" / "0.jpg").write_text("not a picture")
    result = evaluate.evaluate(model, folder)
    assert result["unreadable"] == ["blau/0.jpg"] and result["n"] == 11


def test_json_goes_to_stdout_alone(model, folder, capfd):
    assert evaluate.main([str(model), str(folder), "--json"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["n"] == 12 and err == ""


def test_the_report_names_accuracy_interval_and_confusions(model, folder, capsys):
    (folder / "blau" / "0.jpg").write_text("not a picture")
    assert evaluate.main([str(model), str(folder)]) == 0
    out = capsys.readouterr().out
    assert "accuracy 90.9% on 11 photographs, 95 % interval" in out
    assert "75.0% of 4, 1 taken for blau" in out and "could not be read: blau/0.jpg" in out


def refused(arguments, capfd, exit_code=2):
    assert evaluate.main([str(a) for a in arguments]) == exit_code
    out, err = capfd.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and "Traceback" not in err
    return err


def empty(folder):
    shutil.rmtree(folder)
    folder.mkdir()


def spoil_all(folder):
    for path in folder.glob("*/*.jpg"):
        path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("change, says", [
    (empty, "no photographs found"),
    (shutil.rmtree, "no such folder"),
    (lambda folder: empty(folder / "blau"), "blau: no photographs in this class folder"),
    (lambda folder: (folder / "blau").rename(folder / "azur"),
     "does not know the class azur; it knows blau, grün, red one"),
    (spoil_all, "no readable photograph of any class"),
], ids=["empty folder", "no folder", "empty class", "unknown class", "all unreadable"])
def test_a_folder_that_cannot_be_used_is_refused_in_one_sentence(model, folder, change, says, capfd):
    change(folder)
    assert says in refused([model, folder], capfd, exit_code=1)


def test_a_model_that_is_no_classifier_is_refused(folder, tmp_path, capfd):
    path = convert(tmp_path / "features.mlpackage", classifier=False)
    assert "is no classifier" in refused([path, folder], capfd)


def test_a_model_that_takes_no_picture_is_refused(folder, tmp_path, capfd):
    path = convert(tmp_path / "array.mlpackage", inputs=[ct.TensorType(name="image", shape=(1, 3, 8, 8))])
    assert "does not take one picture" in refused([path, folder], capfd)


@pytest.mark.parametrize("key, odd", [("threshold", "half"), ("threshold", "1.5"), ("temperature", "0"),
                                      ("temperature", "inf"), ("temperature", "warm")])
def test_a_number_in_the_metadata_that_cannot_be_is_refused(folder, tmp_path, key, odd, capfd):
    path = convert(tmp_path / "odd.mlpackage", **{key: odd})
    assert f"{key} in its metadata is '{odd}'" in refused([path, folder], capfd)


@pytest.mark.parametrize("name, says", [
    ("missing.mlpackage", "there is no such file"), ("model.h5", "supported: .mlpackage"),
    ("broken.mlpackage", "is no Core ML model"), ("broken.tflite", "cannot read it"),
    ("broken.onnx", "cannot read it")])
def test_a_file_that_is_no_model_is_refused(folder, tmp_path, name, says, capfd):
    if name != "missing.mlpackage":
        (tmp_path / name).write_bytes(b"\0" * 100)
    assert says in refused([tmp_path / name, folder], capfd)


def swap_and_average(image, mean, matmul, softmax):
    """The network of `convert` in another framework: red first, as the photographs are; the labels are blue first."""
    return softmax(matmul(mean(image), np.float32([[0, 0, 0.05], [0, 0.05, 0], [0.05, 0, 0]])))


def convert_to_tflite(path, labels=LABELS, softmax=True, side=8, **metadata):
    import tensorflow as tf

    image = tf.TensorSpec([1, side, side, 3], tf.float32, name="image")
    function = tf.function(lambda image: swap_and_average(
        image, lambda x: tf.reduce_mean(x, [1, 2]), tf.matmul, tf.nn.softmax if softmax else tf.identity))
    tflite.convert(function.get_concrete_function(image), path, labels, **metadata)
    return path


def convert_to_onnx(path, labels=LABELS, softmax=True, side=8, **metadata):
    import onnx
    from onnx import TensorProto, helper

    matrix = helper.make_tensor("matrix", TensorProto.FLOAT, [3, 3], [0, 0, 0.05, 0, 0.05, 0, 0.05, 0, 0])
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3])
    nodes = [helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=0),
             helper.make_node("MatMul", ["mean", "matrix"], ["product"]),
             helper.make_node("Softmax" if softmax else "Identity", ["product"], ["probabilities"])]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, side, side])
    answer = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 3])
    model = helper.make_model(helper.make_graph(nodes, "colour", [image], [answer], [matrix, axes]),
                              opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {"labels": "\n".join(labels), **{k: str(v) for k, v in metadata.items()}})
    onnx.save(model, path)
    return path


OTHERS = {".tflite": convert_to_tflite, ".onnx": convert_to_onnx}


@pytest.mark.parametrize("suffix", OTHERS)
def test_other_formats_give_the_core_ml_files_answers(model, folder, tmp_path, suffix):
    found = evaluate.evaluate(OTHERS[suffix](tmp_path / f"colour{suffix}"), folder)
    expected = evaluate.evaluate(model, folder)
    assert {**found, "seconds_per_photo": 0} == {**expected, "seconds_per_photo": 0}


@pytest.mark.parametrize("suffix", OTHERS)
def test_the_probabilities_of_other_formats_are_the_core_ml_files(model, folder, tmp_path, suffix):
    pictures = [Image.open(path).resize((8, 8)) for path in sorted(folder.glob("*/*.jpg"))]
    found = classifiers.load(OTHERS[suffix](tmp_path / f"colour{suffix}"))
    assert found.size == (8, 8) and found.labels == LABELS
    np.testing.assert_allclose(found.probabilities(pictures),
                               classifiers.load(model).probabilities(pictures), atol=1e-5)


def test_files_and_pictures_get_the_same_probabilities_in_batches(model, folder, monkeypatch):
    monkeypatch.setattr(classifiers, "BATCH_SIZE", 5)
    classifier, files = classifiers.load(model), sorted(folder.glob("*/*.jpg"))
    found = classifiers.predict(classifier, files)
    assert found.shape == (14, 3) and classifier.seconds > 0
    pictures = [photos.read_photo(file, classifier.size) for file in files]
    np.testing.assert_array_equal(found, classifiers.predict(classifier, pictures))
    np.testing.assert_array_equal(found[::-1], classifiers.predict(classifier, files[::-1]))
    assert classifiers.predict(classifier, []).shape == (0, 3)


def test_a_file_that_cannot_be_read_is_listed_or_refused(model, folder):
    (folder / "blau" / "1.jpg").write_text("not a picture")
    classifier, files, unreadable = classifiers.load(model), sorted(folder.glob("*/*.jpg")), []
    assert len(classifiers.predict(classifier, files, unreadable)) == 13 and unreadable == [files[1]]
    with pytest.raises(photos.PhotoError, match="1.jpg"):
        classifiers.predict(classifier, files)


def test_the_temperature_does_not_change_what_the_file_answers(model, folder, tmp_path):
    warm, files = convert(tmp_path / "warm.mlpackage", temperature="5"), sorted(folder.glob("*/*.jpg"))
    plain, found = (classifiers.predict(classifiers.load(path), files) for path in (model, warm))
    np.testing.assert_array_equal(found, plain)


@pytest.mark.parametrize("suffix", OTHERS)
def test_the_threshold_of_other_formats_is_read(folder, tmp_path, suffix):
    strict = OTHERS[suffix](tmp_path / f"strict{suffix}", threshold=0.9999999)
    assert evaluate.evaluate(strict, folder)["unknown"]["threshold"] == 0.9999999


@pytest.mark.parametrize("suffix", OTHERS)
@pytest.mark.parametrize("spoilt, says", [
    ({"labels": ()}, "has no class labels"), ({"labels": [*LABELS, "x"]}, "answers with 3 numbers and has 4 class"),
    ({"softmax": False}, "are no probabilities"), ({"threshold": "half"}, "threshold in its metadata is 'half'"),
], ids=["no labels", "a label too many", "no softmax", "an odd threshold"])
def test_an_other_format_that_cannot_be_used_is_refused(folder, tmp_path, suffix, spoilt, says, capfd):
    assert says in refused([OTHERS[suffix](tmp_path / f"spoilt{suffix}", **spoilt), folder], capfd)


def test_an_input_of_unknown_size_is_refused(folder, tmp_path, capfd):
    assert "not one RGB picture of a fixed size" in refused(
        [convert_to_onnx(tmp_path / "any.onnx", side="side"), folder], capfd)


def test_only_core_ml_models_are_computed_in_float16(folder, tmp_path, capfd):
    path = convert_to_tflite(tmp_path / "colour.tflite")
    assert "only a Core ML model" in refused([path, folder, "--compute-precision", "float16"], capfd)
