"""What notebook 03 shows of ONNX: what "adaptive" means, and a network's layer on its way into a file."""
import math

import torch
from torch import nn

from utils.silence import silent_stderr, silent_stdout

EXPORTERS = {"TorchScript": False, "dynamo": True}  # the old and the new one: torch.onnx.export's argument dynamo


def windows(size, outputs):
    """The inputs that each output of an adaptive pool sees, along one side: a list of (first, last + 1).

    size: length of the input; outputs: length of the output. The formula of PyTorch's AdaptivePooling.h.
    """
    return [(i * size // outputs, math.ceil((i + 1) * size / outputs)) for i in range(outputs)]


def export_onnx(model, path, exporter="dynamo", shape=(1, 16, 8, 8), dynamic=()):
    """Writes an ONNX file of a model. exporter: a key of EXPORTERS; shape: of the example input, NCHW; dynamic: the
    axes that may have another length at run time, of 0 (batch), 2 (height) and 3 (width).

    Raises what the exporter raises, and keeps its reports, which show this machine's folders, out of the notebook.
    """
    named = {axis: {0: "batch", 2: "height", 3: "width"}[axis] for axis in dynamic}
    if EXPORTERS[exporter]:
        options = {"dynamic_shapes": [{axis: torch.export.Dim(name, min=2) for axis, name in named.items()}]}
    else:
        options = {"dynamic_axes": {"image": named}}
    model = model if isinstance(model, nn.Sequential) else nn.Sequential(model)
    with silent_stdout(), silent_stderr():
        torch.onnx.export(model.eval(), (torch.zeros(shape),), path, input_names=["image"], output_names=["output"],
                          dynamo=EXPORTERS[exporter], verbose=False, **options)
