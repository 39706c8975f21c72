"""Lets torchvision be imported beside a CPU build of PyTorch. Import this before torchvision, timm or fastai.

PyPI's torchvision for Linux is built against CUDA. Its compiled operators do not load beside a CPU build of PyTorch,
and `import torchvision` stops at "operator torchvision::nms does not exist". Declaring its two operators (non-maximum
suppression, used by object detectors only) is enough: models and transforms do not call them.
"""
import importlib.util
from pathlib import Path

import torch

_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_library = None  # the declarations live as long as this object


def _load_compiled_operators():
    folder = Path(importlib.util.find_spec("torchvision").origin).parent
    for path in [*folder.glob("_C*.so"), *folder.glob("_C*.pyd"), *folder.glob("_C*.dll")]:
        try:
            torch.ops.load_library(str(path))
        except OSError:  # built against a CUDA that is not here
            pass


def declare_missing_operators():
    """Declares torchvision::nms and torchvision::qnms where the compiled ones do not load. Harmless when called
    again."""
    global _library
    _load_compiled_operators()
    missing = [name for name in ("nms", "qnms") if not hasattr(torch.ops.torchvision, name)]
    if missing:
        _library = torch.library.Library("torchvision", "FRAGMENT")
        for name in missing:
            _library.define(name + _SIGNATURE)


declare_missing_operators()
