"""Runs a Core ML pipeline: models one after the other, each reading what the ones before it gave."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

KINDS = ("pipeline", "pipelineClassifier", "pipelineRegressor")
"""The kinds of Core ML model that are pipelines."""


class Pipeline:
    """The models of a pipeline, ready to run.

    Args:
        spec: the model, one of `KINDS` (`Model` in coremltools' Model.proto).
        file: the model's name, for error messages.
        read: makes of a stage what runs it (its errors pass).
    """

    is_batchable = False

    def __init__(self, spec: Any, file: str, read: Callable[[Any], Any]):
        self.file = file
        pipeline = getattr(spec, spec.WhichOneof("Type"))
        models = (pipeline if hasattr(pipeline, "models") else pipeline.pipeline).models
        self.stages = [(read(model), {feature.name: tuple(feature.type.multiArrayType.shape)
                                      for feature in model.description.input}) for model in models]
        self.outputs = [feature.name for feature in spec.description.output]

    @property
    def class_labels(self) -> list[str] | list[int]:
        """The labels of the classifier among the stages; empty where there is none."""
        return next((stage.class_labels for stage, _ in self.stages if stage.class_labels), [])

    @property
    def overflows(self) -> dict[str, str]:
        """What overflowed in any of the stages, as `Interpreter.overflows`."""
        return {name: kind for stage, _ in self.stages for name, kind in stage.overflows.items()}

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        """The pipeline's outputs by name, for the inputs of one prediction."""
        values: dict[str, Any] = dict(inputs)
        for stage, shapes in self.stages:
            answers = stage.run({name: _in_shape(values[name], shape) for name, shape in shapes.items()})
            values.update({name: value[0] if isinstance(value, list) else value for name, value in answers.items()})
        return {name: [values[name]] for name in self.outputs}


def _in_shape(value: Tensor, shape: tuple[int, ...]) -> Tensor:
    """What a stage gave in the shape that the next one declares, where the elements are as many."""
    return value.reshape(shape) if shape and torch.Size(shape).numel() == value.numel() else value
