"""What is in a Core ML file, without running it: also for kinds and operators that the runtime does not run."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import neural_network, nn_control, other_models, pipeline
from .errors import ModelFileError, told_as
from .model import describe_feature, read_metadata
from .reading import choose_function, operations, read_spec

SHOWN_LABELS = 20
"""How many labels the text for people shows; ImageNet's thousand would hide the rest."""


def model_information(path: str | Path) -> dict[str, Any]:
    """A model's kind, inputs, outputs, labels, metadata and operations, as values that JSON takes.

    Returns:
        `file`; `bytes` (of a package: all its files); `kind`, as Core ML's specification names it; `specification`, the
        version; `stages`, the kinds of a pipeline's models; `functions`, the names of an ML Program's; `inputs` and
        `outputs`, one dictionary each; `labels`; `metadata`; `operations`, how many of each operator or layer in
        all functions and stages.

    Raises:
        ModelFileError: there is no such file, or it is no Core ML model, or damaged.
    """
    path = Path(path)
    spec, _ = read_spec(path)
    with told_as(ModelFileError, f"{path}: the model's description cannot be read"):
        return _information(path, spec)


def _information(path: Path, spec: Any) -> dict[str, Any]:
    functions = [function.name for function in spec.description.functions]
    choose_function(path, spec.description, None)
    models = list(_models(spec))
    counts = Counter(name for model in models for name in _operations(model))
    return {
        "file": str(path), "bytes": _size(path), "kind": spec.WhichOneof("Type"),
        "specification": spec.specificationVersion, "stages": [model.WhichOneof("Type") for model in models[1:]],
        "functions": functions,
        "inputs": [_feature(feature) for feature in spec.description.input],
        "outputs": [_feature(feature) for feature in spec.description.output],
        "labels": next((labels for labels in map(_labels, models) if labels), []),
        "metadata": asdict(read_metadata(spec.description)),
        "operations": dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))}


def as_text(information: dict[str, Any]) -> str:
    """What `model_information` gives, as lines to read; what is empty is left out."""
    i, kilobytes, total = information, information["bytes"] / 1e3, sum(information["operations"].values())
    size = f"{kilobytes / 1e3:.2f} MB" if kilobytes >= 100 else f"{kilobytes:.1f} kB"
    lines = [f"{i['file']}: {i['kind']}, specification {i['specification']}, {size}"]
    lines += [f"{what}: {', '.join(i[what])}" for what in ("stages", "functions") if i[what]]
    lines += [f"{what}: {_feature_text(feature)}" for what in ("input", "output") for feature in i[what + "s"]]
    if i["labels"]:
        lines.append(f"{len(i['labels'])} labels: {', '.join(map(str, i['labels'][:SHOWN_LABELS]))}"
                     + ", …" * (len(i["labels"]) > SHOWN_LABELS))
    about = {**i["metadata"], **i["metadata"]["user_defined"]}
    lines += [f"{key}: {value}" for key, value in about.items() if value and key != "user_defined"]
    if i["operations"]:
        lines.append(f"{total} operation{'s' * (total > 1)}: "
                     + ", ".join(f"{count} {name}" for name, count in i["operations"].items()))
    return "\n".join(lines)


def _models(spec: Any) -> Iterator[Any]:
    """A model and, of a pipeline, the models in it."""
    yield spec
    if spec.WhichOneof("Type") in pipeline.KINDS:
        for stage in pipeline.stages(spec):
            yield from _models(stage)


def _operations(spec: Any) -> list[str]:
    """The operator or layer type of each operation; constants that are stored as they are do not count."""
    kind = spec.WhichOneof("Type")
    if kind == "mlProgram":
        functions = spec.mlProgram.functions.values()
        return [op.type for function in functions for op in operations(function) if op.type != "const"]
    if kind in neural_network.KINDS:
        return [layer.WhichOneof("layer") or "without a type" for layer in nn_control.all_layers(getattr(spec, kind))]
    return []


def _labels(spec: Any) -> list[Any]:
    """The class labels that a model's message or an ML Program's `classify` holds."""
    kind = spec.WhichOneof("Type")
    if kind == "mlProgram":
        found = (op.inputs["classes"].arguments[0].value.immediateValue.list.values
                 for function in spec.mlProgram.functions.values()
                 for op in operations(function) if op.type == "classify")
        tensors = (value.immediateValue.tensor for value in next(found, []))
        return [getattr(tensor, tensor.WhichOneof("value")).values[0] for tensor in tensors]
    if kind in other_models.KINDS:
        return other_models.class_labels(getattr(spec, kind))
    return neural_network.read_labels(getattr(spec, kind)) if kind and kind.endswith("Classifier") else []


def _feature(feature: Any) -> dict[str, Any]:
    kind = feature.type.WhichOneof("Type")
    described = {"type": kind.removesuffix("Type").replace("multiArray", "array") if kind else "unknown"}
    if kind in ("imageType", "multiArrayType"):
        return described | asdict(describe_feature(feature))
    return {"name": feature.name} | described


def _feature_text(feature: dict[str, Any]) -> str:
    """An input or output in a few words: `image, RGB image, 224 x 224`."""
    text = f"{feature['name']}, {feature['type']}"
    if feature["type"] == "image":
        text = f"{feature['name']}, {feature['color_layout']} image, {feature['width']} x {feature['height']} pixels"
    elif feature["type"] == "array":
        text += f" {' x '.join(map(str, feature['shape'])) or 'of no declared shape'}, {feature['dtype']}"
    flexible = any(feature.get(key) for key in ("sizes", "size_range", "shapes", "shape_range"))
    return text + (", or another size" if flexible else "") + (f": {feature['short_description']}"
                                                               if feature.get("short_description") else "")


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())
