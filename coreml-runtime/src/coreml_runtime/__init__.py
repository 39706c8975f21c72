"""Runs Core ML models on any system, without a Mac: `load(path).predict({"image": picture})`.

PyTorch and coremltools are imported when a name is first used, not by `import coreml_runtime`.
"""
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .errors import CoreMLRuntimeError, InputError, ModelFileError, ModelRunError, UnknownOperator
    from .model import ArrayInput, ImageInput, Metadata, Model, ValueInput, load
    from .pictures import to_rgb
    from .state import State

_HOMES = {
    "errors": ("CoreMLRuntimeError", "InputError", "ModelFileError", "ModelRunError", "UnknownOperator"),
    "model": ("ArrayInput", "ImageInput", "Metadata", "Model", "ValueInput", "load"),
    "pictures": ("to_rgb",),
    "state": ("State",),
}
__all__ = ["ArrayInput", "CoreMLRuntimeError", "ImageInput", "InputError", "Metadata", "Model", "ModelFileError",
           "ModelRunError", "State", "UnknownOperator", "ValueInput", "load", "to_rgb"]


def __getattr__(name):
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module("coreml_runtime." + module), name)
    raise AttributeError("module 'coreml_runtime' has no attribute {!r}".format(name))


def __dir__():
    return sorted([*globals(), *__all__])
