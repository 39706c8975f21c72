"""Runs Core ML image models on any system, without a Mac: `load(path).predict({"image": picture})`."""

from .errors import CoreMLRuntimeError, InputError, ModelFileError, UnknownOperator
from .model import ArrayInput, ImageInput, Metadata, Model, load

__all__ = ["ArrayInput", "CoreMLRuntimeError", "ImageInput", "InputError", "Metadata", "Model", "ModelFileError",
           "UnknownOperator", "load"]
