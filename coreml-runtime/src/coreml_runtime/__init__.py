"""Runs Core ML models on any system, without a Mac: `load(path).predict({"image": picture})`.

PyTorch and coremltools are imported when a name is first used, not by `import coreml_runtime`.
"""
import importlib

_HOMES = {
    "errors": ("CoreMLRuntimeError", "InputError", "ModelFileError", "UnknownOperator"),
    "model": ("ArrayInput", "ImageInput", "Metadata", "Model", "load"),
    "pictures": ("to_rgb",),
}
__all__ = [name for names in _HOMES.values() for name in names]


def __getattr__(name):
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module("coreml_runtime." + module), name)
    raise AttributeError("module 'coreml_runtime' has no attribute {!r}".format(name))


def __dir__():
    return sorted([*globals(), *__all__])
