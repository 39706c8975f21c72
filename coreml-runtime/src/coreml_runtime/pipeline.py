"""Runs a Core ML pipeline: models one after the other, each reading what the ones before it gave."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from .errors import ModelFileError, quoted
from .interpreter import Node, Observe, Until

KINDS = ("pipeline", "pipelineClassifier", "pipelineRegressor")
"""The kinds of Core ML model that are pipelines."""


def stages(spec: Any) -> Any:
    """The models of a pipeline (`Model` in coremltools' Model.proto, one of `KINDS`), in order."""
    pipeline = getattr(spec, spec.WhichOneof("Type"))
    return (pipeline if hasattr(pipeline, "models") else pipeline.pipeline).models


class Pipeline:
    """The models of a pipeline, ready to run.

    Args:
        spec: the model, one of `KINDS` (`Model` in coremltools' Model.proto).
        file: the model's name, for error messages.
        read: makes of a stage what runs it (its errors pass).
    """

    is_batchable = False
    defaults: Mapping[str, Tensor] = {}  # each model fills in those of its own inputs

    def __init__(self, spec: Any, file: str, read: Callable[[Any], Any]):
        self.file = file
        models = stages(spec)
        self.stages = [(read(model), {feature.name: tuple(feature.type.multiArrayType.shape)
                                      for feature in model.description.input}) for model in models]
        self.outputs = [feature.name for feature in spec.description.output]
        self._check_values([model.description for model in models], spec.description)

    def _check_values(self, stages: Iterable[Any], whole: Any) -> None:
        """Raise `ModelFileError` where a model reads what neither the pipeline nor a model before it gives."""
        known = {feature.name for feature in whole.input}
        for reads, gives in [*((stage.input, stage.output) for stage in stages), (whole.output, [])]:
            missing = sorted({feature.name for feature in reads if not feature.type.isOptional} - known)
            if missing:
                raise ModelFileError(f"{self.file}: no model of the pipeline gives {quoted(missing)} to the next one; "
                                     f"export it again")
            known.update(feature.name for feature in gives)

    @property
    def class_labels(self) -> list[str] | list[int]:
        """The labels of the classifier among the stages; empty where there is none."""
        return next((stage.class_labels for stage, _ in self.stages if stage.class_labels), [])

    @property
    def overflows(self) -> dict[str, str]:
        """What overflowed in any of the stages, as `Interpreter.overflows`."""
        return {name: kind for stage, _ in self.stages for name, kind in stage.overflows.items()}

    def run(self, inputs: Mapping[str, Tensor], until: Until | None = None, observe: Observe | None = None
            ) -> dict[str, Any]:
        """The pipeline's outputs by name, for the inputs of one prediction.

        `until` and `observe` follow the operations of all models, as in `Interpreter.run`. A run that `until` stops
        gives the values of the model in which it stopped.
        """
        stopped = False

        def asked(node: Node, values: Mapping[str, Any]) -> bool:
            nonlocal stopped
            stopped = bool(until and until(node, values))
            return stopped

        values: dict[str, Any] = dict(inputs)
        for stage, shapes in self.stages:
            given = {name: _in_shape(values[name], shape) for name, shape in shapes.items() if name in values}
            answers = stage.run({**stage.defaults, **given}, asked, observe)
            if stopped:
                return answers
            values.update({name: value[0] if isinstance(value, list) else value for name, value in answers.items()})
        return {name: [values[name]] for name in self.outputs}


def _in_shape(value: Any, shape: tuple[int, ...]) -> Any:
    """What a stage gave in the shape that the next one declares, where the elements are as many. A number becomes a
    tensor [1]; strings and dictionaries stay as they are."""
    if isinstance(value, int | float):
        return torch.tensor([value])
    if not isinstance(value, Tensor):
        return value
    return value.reshape(shape) if shape and torch.Size(shape).numel() == value.numel() else value
