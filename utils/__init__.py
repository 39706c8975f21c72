"""The small package behind the notebooks of "Mobile deployment of deep learning models". Its rooms:

| room | what lives there |
| --- | --- |
| `paths` | where photographs and exported files are, and which seed trains |
| `files` | a file appears whole or not at all; its size |
| `silence` | imports without start-up messages |
| `lesson` | the check of the environment, expected failures, exercises |
| `photos` | the table of photographs; reading one; splits; the health check |
| `capture` | photographs, videos and Wikimedia Commons into one collection |
| `backbone` | EfficientNet-Lite0 with the same ImageNet weights in PyTorch and Keras |
| `torchvision_cpu` | torchvision beside a CPU build of PyTorch |
| `torch_recipe` | how notebook 02 trains, with fastai |
| `keras_recipe` | how notebook 05 trains, with Keras |
| `turi` | what Turi Create needs so that it runs here |
| `tf_coreml` | the same for tf-coreml |
| `tflite` | TensorFlow Lite files |
| `onnx_story` | what notebook 03 shows of ONNX |
| `classifiers` | one interface to .mlpackage, .mlmodel, .tflite and .onnx, and the batch loop |
| `evaluate` | how good is an exported file on photographs |
| `verify` | is it the model that was trained |
| `intervals` | Wilson's interval, differences with paired sessions |
| `calibration` | temperature, threshold, rejection, averages over frames |
| `findings` | what a number usually comes to, and whether this one is unusual |
| `compression` | fewer bits per weight |
| `camera` | what a phone's camera does to a picture |
| `routes` | the table of routes from a trained model to a phone |
| `plots` | the figures |
| `command_line` | one root of errors, one way for commands to end |
| `coreml_runtime` | the runtime's earlier name |
"""
import sys
from pathlib import Path

from utils import command_line

if sys.version_info < (3, 9):  # notebook 04's Python, into which the runtime is not installed: only its pictures.py
    sys.path.append(str(Path(__file__).resolve().parent.parent / "coreml-runtime" / "src"))

command_line.end_quietly_as_a_command()
