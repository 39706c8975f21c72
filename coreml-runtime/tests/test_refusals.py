"""What the runtime cannot run, told in one sentence that says what is the matter and what to do."""

import shutil

import coreml_runtime
import numpy as np
import pytest
from coreml_runtime import ModelFileError, ModelRunError, UnknownOperator
from coreml_runtime.__main__ import main
from coreml_runtime.imports import import_coremltools
from PIL import Image
from test_neural_network import builder, pipeline, run, saved

ct = import_coremltools()
mb = ct.converters.mil.Builder
POINTER = ("version https://git-lfs.github.com/spec/v1\n"
           "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n")


def refused(path, error=ModelFileError):
    """What is said about a model, which must be one sentence that names the file."""
    with pytest.raises(error) as raised:
        coreml_runtime.load(path)
    message = str(raised.value)
    assert "\n" not in message and len(message) < 500 and path.name in message
    return message


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """An ML Program with weights in a file."""
    @mb.program(input_specs=[mb.TensorSpec((1, 64))], opset_version=ct.target.iOS16)
    def program(x):
        return mb.linear(x=x, weight=np.ones((64, 64), np.float32), name="y")

    path = tmp_path_factory.mktemp("package") / "whole.mlpackage"
    ct.convert(program, convert_to="mlprogram", compute_precision=ct.precision.FLOAT32).save(str(path))
    return path


def test_a_git_lfs_pointer_is_told_with_the_command_that_fetches_the_file(tmp_path):
    (tmp_path / "pointer.mlmodel").write_text(POINTER)
    assert "is a Git LFS pointer, not the file itself; run `git lfs pull`" in refused(tmp_path / "pointer.mlmodel")


@pytest.mark.parametrize("name", ["model.mlmodel", "weights/weight.bin"])
def test_a_git_lfs_pointer_in_a_package_is_told_with_its_name(package, tmp_path, name):
    shutil.copytree(package, tmp_path / "copy.mlpackage")
    (tmp_path / "copy.mlpackage/Data/com.apple.CoreML" / name).write_text(POINTER)
    assert f"{name}: this is a Git LFS pointer" in refused(tmp_path / "copy.mlpackage")


@pytest.mark.parametrize("name", ["Manifest.json", "Data/com.apple.CoreML/model.mlmodel",
                                  "Data/com.apple.CoreML/weights", "Data/com.apple.CoreML/weights/weight.bin"])
def test_a_part_of_a_package_is_told_with_the_package_to_give(package, name, monkeypatch):
    assert f"this is a part of a package; give the whole package, {package}" in refused(package / name)
    monkeypatch.chdir((package / name).parent)
    assert "part of a package" in refused((package / name).relative_to((package / name).parent))


@pytest.mark.parametrize("name", ["some.mlmodelc", "some.mlmodelc/model.mil", "missing.mlmodelc"])
def test_a_compiled_model_is_told_to_be_one(tmp_path, name):
    (tmp_path / "some.mlmodelc").mkdir()
    assert "this is compiled for Apple's systems (.mlmodelc); give the .mlpackage" in refused(tmp_path / name)


def test_a_custom_layer_is_told_by_its_class(tmp_path):
    built = builder(["y"], x=(3, 8, 8))
    built.nn_spec.layers.add(name="swish", input=["x"], output=["y"]).custom.className = "MySwish"
    message = refused(saved(built.spec, tmp_path / "layer.mlmodel"), UnknownOperator)
    assert "'swish' is a custom layer of class MySwish: its code is in the app, not in the file" in message


def of_kind(kind, **fields):
    spec = ct.proto.Model_pb2.Model(specificationVersion=1)
    getattr(spec, kind).SetInParent()
    for field, value in fields.items():
        setattr(getattr(spec, kind), field, value)
    return spec


def test_a_custom_model_is_told_by_its_class_also_in_a_pipeline(tmp_path):
    custom = of_kind("customModel", className="MyModel")
    for name, spec in {"alone": custom, "piped": pipeline("pipeline", custom)}.items():
        assert "a custom model of class MyModel: its code is in the app" in refused(
            saved(spec, tmp_path / f"{name}.mlmodel"))


@pytest.mark.parametrize("kind", ["visionFeaturePrint", "audioFeaturePrint", "soundAnalysisPreprocessing",
                                  "textClassifier", "wordTagger", "wordEmbedding", "gazetteer"])
def test_apples_own_models_are_told_to_be_in_ios_and_not_in_the_file(tmp_path, kind):
    classifier = pipeline("pipelineClassifier", of_kind(kind), of_kind("glmClassifier"))
    message = refused(saved(classifier, tmp_path / "created.mlmodel"))
    assert f"{kind}, Apple's own" in message and "in iOS and macOS and not in the file" in message


@pytest.mark.parametrize("kind, words", [
    ("linkedModel", "a link to another file"), ("itemSimilarityRecommender", "which the runtime does not know"),
    ("bayesianProbitRegressor", "which the runtime does not know"), ("glmClassifier", "has no class labels")])
def test_other_kinds_are_told_by_name(tmp_path, kind, words):
    assert words in refused(saved(of_kind(kind), tmp_path / "kind.mlmodel"))


def failing_networks():
    """Networks that load and fail when they run, with an input and what the message names."""
    on_image = builder(["y"], image=(3, 8, 8))
    on_image.add_inner_product("fc", np.ones((1, 3)), None, 3, 1, False, "image", "y")
    on_image.set_pre_processing_parameters(["image"])
    yield on_image, {"image": Image.new("RGB", (8, 8))}, "the innerProduct 'fc' .* from 'image' \\(1, 1, 3, 8, 8\\)"
    fixed = builder(["y"], x=(4, 8, 8))
    fixed.add_reshape("r", "x", "y", [1, 16, 16], 0)
    for _ in range(3):
        fixed.spec.description.input[0].type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=1, upperBound=-1)
    yield fixed, {"x": np.ones((4, 4, 4))}, "the reshape 'r' cannot be computed from 'x' \\(1, 1, 4, 4, 4\\)"


@pytest.mark.parametrize("built, inputs, words", [*failing_networks()], ids=["inner product of 3", "fixed reshape"])
def test_a_layer_that_fails_is_named_with_the_shapes_and_the_command_ends_with_2(built, inputs, words, tmp_path,
                                                                               capsys):
    with pytest.raises(ModelRunError, match=words):
        run(built, **inputs)
    if "image" in inputs:
        inputs["image"].save(tmp_path / "photo.png")
        path = saved(built.spec, tmp_path / "failing.mlmodel")
        assert main([str(path), str(tmp_path / "photo.png")]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and "innerProduct 'fc'" in err


def test_a_tree_without_an_end_is_refused(tmp_path):
    spec = of_kind("treeEnsembleRegressor")
    spec.description.input.add(name="x").type.doubleType.SetInParent()
    spec.description.output.add(name="y").type.doubleType.SetInParent()
    spec.treeEnsembleRegressor.treeEnsemble.nodes.add(nodeId=0, trueChildNodeId=1, falseChildNodeId=2)
    spec.treeEnsembleRegressor.treeEnsemble.nodes.add(nodeId=1, trueChildNodeId=0, falseChildNodeId=2)
    assert "tree 0 has 0 roots" in refused(saved(spec, tmp_path / "circle.mlmodel"))
