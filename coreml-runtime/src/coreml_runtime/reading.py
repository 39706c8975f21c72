"""Reads a Core ML file: the description and the program in it, checked, and what runs the program."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from . import neural_network, other_models, pipeline
from .errors import ModelFileError, first_line, quoted, told_as
from .imports import import_coremltools
from .interpreter import Interpreter, declared_defaults
from .ml_program import MLProgram, check_operators
from .neural_network import NeuralNetwork
from .other_models import OtherModel
from .pipeline import Pipeline

APPLES_OWN = ("visionFeaturePrint", "audioFeaturePrint", "soundAnalysisPreprocessing", "textClassifier", "wordTagger",
              "wordEmbedding", "gazetteer")
"""Kinds of model whose file says which of Apple's models to use, and does not have it."""

LFS = b"version https://git-lfs.github.com/spec/"
"""How each Git LFS pointer begins (github.com/git-lfs/git-lfs, docs/spec.md)."""


def read_spec(path: Path) -> tuple[Any, str | None]:
    """The model in a file (`Model` in coremltools' Model.proto), and the folder of a package's weights.

    Raises:
        ModelFileError: there is no such file, or it is no Core ML model, or damaged.
    """
    _check_path(path)
    _check_is_no_pointer(path)
    coremltools = import_coremltools()
    try:
        if path.is_dir():
            package = coremltools.models.MLModel(str(path), skip_model_load=True)
            spec, weights_dir = package.get_spec(), package.weights_dir
        else:
            spec, weights_dir = coremltools.proto.Model_pb2.Model.FromString(path.read_bytes()), None
    except Exception as error:
        raise ModelFileError(f"{path}: this is no Core ML model, or it is damaged ({first_line(error)}); "
                             f"export or copy it again") from None
    if spec.WhichOneof("Type") is None:
        raise ModelFileError(f"{path}: this is no Core ML model; give the path of an .mlpackage or .mlmodel")
    return spec, weights_dir


def choose_function(path: Path, description: Any, name: str | None) -> None:
    """Make one of a model's functions the only one that the description tells of. Raises ModelFileError."""
    functions = {function.name: function for function in description.functions}
    name = name or description.defaultFunctionName
    if name and name not in (functions or {"main"}):
        raise ModelFileError(f"{path}: this model has no function '{name}'; it has {quoted(functions or ['main'])}")
    if functions:
        chosen = functions[name or next(iter(functions))]
        description.defaultFunctionName = chosen.name
        description.input.MergeFrom(chosen.input)
        description.output.MergeFrom(chosen.output)
        description.state.MergeFrom(chosen.state)


def read_program(path: Path, spec: Any, weights_dir: str | None, round_to_float16: bool) -> Interpreter | Pipeline:
    """What runs a model, by the kind of the model. Raises ModelFileError, UnknownOperator."""
    with told_as(ModelFileError, f"{path}: the model's program or weights cannot be read"):
        return _read_program(path, spec, weights_dir, round_to_float16)


def _read_program(path: Path, spec: Any, weights_dir: str | None, round_to_float16: bool) -> Interpreter | Pipeline:
    kind = spec.WhichOneof("Type")
    if kind in neural_network.KINDS:
        return NeuralNetwork(spec, path.name, round_to_float16)
    if kind in pipeline.KINDS:
        return Pipeline(spec, path.name, lambda stage: read_program(path, stage, weights_dir, round_to_float16))
    if kind in other_models.KINDS:
        return OtherModel(spec, path.name)
    if kind != "mlProgram":
        raise ModelFileError(f"{path}: {_why_not(kind, spec)}")
    return _read_ml_program(path, spec, weights_dir, round_to_float16)


def _read_ml_program(path: Path, spec: Any, weights_dir: str | None, round_to_float16: bool) -> MLProgram:
    from coremltools.converters.mil.frontend.milproto.load import load as load_mil

    functions = spec.mlProgram.functions
    check_operators((op.type for function in functions.values() for op in operations(function)), path.name)
    _check_weights(spec, weights_dir)
    mil = load_mil(spec, spec.specificationVersion, file_weights_dir=weights_dir)
    name = spec.description.defaultFunctionName or "main"
    program = MLProgram(mil.functions[name], path.name, round_to_float16=round_to_float16)
    program.defaults = declared_defaults(spec.description)
    return program


def _why_not(kind: str | None, spec: Any) -> str:
    """Why a kind of model is not run, and what to do, to stand behind the file's name."""
    if kind in APPLES_OWN:
        return (f"this Core ML model is or has in it a {kind}, Apple's own, as Create ML uses it: what it computes is "
                f"in iOS and macOS and not in the file; run it there, or train a model without it")
    if kind == "customModel":
        return (f"this Core ML model is or has in it a custom model of class {spec.customModel.className}: its code is "
                f"in the app, not in the file; run it in that app, or convert the model without it")
    if kind == "linkedModel":
        return "this Core ML model is or has in it a link to another file; give the file that it links to"
    return (f"this Core ML model is or has in it a {kind or 'model without a type'}, which the runtime does not know; "
            f"convert it to an ML Program or a neural network")


def _check_is_no_pointer(path: Path) -> None:
    """Raise `ModelFileError` where Git LFS has not fetched a file, or one in a package, and left a pointer to it."""
    for file in [path] if path.is_file() else (file for file in path.rglob("*") if file.is_file()):
        with file.open("rb") as content:
            if content.read(len(LFS)) == LFS:
                raise ModelFileError(f"{file}: this is a Git LFS pointer, not the file itself; run `git lfs pull` in "
                                     f"its repository")


def _check_path(path: Path) -> None:
    folders = path.absolute().parents
    if ".mlmodelc" in (folder.suffix for folder in (path, *folders)):
        raise ModelFileError(f"{path}: this is compiled for Apple's systems (.mlmodelc); give the .mlpackage or "
                             f".mlmodel that it was compiled from")
    package = next((folder for folder in folders if folder.suffix == ".mlpackage"), None)
    if package and path.exists() and (package / "Manifest.json").is_file():
        raise ModelFileError(f"{path}: this is a part of a package; give the whole package, {package}")
    if not path.exists():
        raise ModelFileError(f"{path}: there is no such file or folder; give the path of an .mlpackage or .mlmodel")
    if path.is_dir() and not (path / "Manifest.json").is_file():
        raise ModelFileError(f"{path}: this folder is no Core ML package, it has no Manifest.json; "
                             f"give the path of an .mlpackage or .mlmodel")


def operations(function: Any) -> Iterator[Any]:
    """Every operation of a function of the file, those in nested blocks included."""
    blocks = list(function.block_specializations.values())
    while blocks:
        for op in blocks.pop().operations:
            blocks.extend(op.blocks)
            yield op


def _check_weights(spec: Any, weights_dir: str | None) -> None:
    """Raise ValueError where a weight lies beyond the end of its file, which coremltools would read all the same.

    In a blob file, 64 bytes of metadata (sentinel uint32, type uint32, size uint64, offset uint64) say where a weight's
    bytes are (coremltools, mlmodel/src/MILBlob/Blob/StorageFormat.hpp).
    """
    files: dict[str, np.memmap] = {}
    for function in spec.mlProgram.functions.values():
        for blob in (blob for op in operations(function) for blob in _blobs(op)):
            name = os.path.basename(blob.fileName)
            if name not in files:
                files[name] = np.memmap(os.path.join(weights_dir or "", name), np.uint8, "r")
            data, metadata = files[name], files[name][blob.offset:blob.offset + 24]
            if len(metadata) < 24 or metadata[8:].view(np.uint64).sum() > len(data):
                raise ValueError(f"{name} is truncated")


def _blobs(op: Any) -> Iterator[Any]:
    """Where an operation's weights are, for each that is in a file."""
    arguments = (binding.value for argument in op.inputs.values() for binding in argument.arguments)
    for value in (*op.attributes.values(), *arguments):
        if value.WhichOneof("value") == "blobFileValue":
            yield value.blobFileValue
