"""TensorFlow Lite files, which Google calls LiteRT today: what an Android app runs.

`convert` writes one. Labels and a few words travel with it as files in a zip archive at its end, where TensorFlow
Lite's metadata puts a model's associated files (https://ai.google.dev/edge/litert/conversion/tensorflow/metadata):
`labels.txt`, one line per class, and `metadata.json`. An interpreter does not see them, any unzip does. `TFLiteModel`
runs a .tflite; it needs LiteRT and no TensorFlow.
"""
import json
import os
import zipfile
from pathlib import Path

import numpy as np

from utils.command_line import CourseError
from utils.files import written_whole
from utils.silence import silent_stderr

LABELS, METADATA = "labels.txt", "metadata.json"


def convert(frozen_function, path, labels=(), **metadata):
    """Writes a concrete function without variables (tf_coreml.freeze makes one) as a .tflite.

    Given a function with variables, the converter of TensorFlow 2.21 leaves the weights of a Keras 3 model out, and the
    file answers NaN. labels: the classes in the order of training; metadata: author, threshold and whatever else is to
    travel with the file, numbers or strings. Raises ValueError for a function with variables.
    """
    import tensorflow as tf

    if frozen_function.graph.variables or frozen_function.captured_inputs:
        raise ValueError("The function has variables, and their values would be missing in the file; freeze it first.")
    with silent_stderr():
        data = tf.lite.TFLiteConverter.from_concrete_functions([frozen_function]).convert()
    _write(path, data, "".join(f"{label}\n" for label in labels), metadata)


def add_metadata(path, **metadata):
    """Puts more numbers or strings into the metadata of a .tflite that `convert` wrote; those of the same name change.

    Raises zipfile.BadZipFile for a file without labels and metadata.
    """
    data = Path(path).read_bytes()
    with zipfile.ZipFile(path) as archive:
        labels, before = archive.read(LABELS).decode(), json.loads(archive.read(METADATA))
        # The archive begins where the model ends.
        model = data[:min(entry.header_offset for entry in archive.infolist())]
    _write(path, model, labels, {**before, **metadata})


def _write(path, model, labels, metadata):
    with written_whole(path) as unfinished:
        unfinished.write_bytes(model)
        with zipfile.ZipFile(unfinished, "a") as archive:
            archive.writestr(LABELS, labels)
            archive.writestr(METADATA, json.dumps(metadata, ensure_ascii=False))


class TFLiteModel:
    """A .tflite with one input and one output, run by LiteRT on the CPU, one input at a time.

    Attributes: shape and dtype of the input; labels, list of strings, empty where the file has none; metadata, a
    dictionary. Raises CourseError.
    """

    def __init__(self, path):
        from ai_edge_litert.interpreter import Interpreter

        self.path = Path(path)
        if not self.path.is_file():
            raise CourseError(f"{path}: there is no such file; give the path of a .tflite")
        try:
            with silent_stderr():  # it tells which delegate it uses
                self._interpreter = Interpreter(str(path), num_threads=os.cpu_count())
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise CourseError(f"{path}: LiteRT cannot read it ({reason}); export or copy it again.") from None
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        if len(inputs) != 1 or len(outputs) != 1:
            raise CourseError(f"{path}: has {len(inputs)} inputs and {len(outputs)} outputs; one of each is supported.")
        self._input, self._output = inputs[0], outputs[0]
        self.shape, self.dtype = tuple(int(n) for n in self._input["shape"]), np.dtype(self._input["dtype"])
        self.labels, self.metadata = self._associated_files()

    def _associated_files(self):
        if not zipfile.is_zipfile(self.path):
            return [], {}
        try:
            with zipfile.ZipFile(self.path) as archive:
                names = archive.namelist()
                labels = archive.read(LABELS).decode().split("\n")[:-1] if LABELS in names else []
                return labels, json.loads(archive.read(METADATA)) if METADATA in names else {}
        except (zipfile.BadZipFile, ValueError) as error:
            raise CourseError(f"{self.path}: its labels or metadata are damaged ({error}); export it again.") from None

    def predict(self, array):
        """The output for one input of the model's shape. Where the file is quantized, numbers go in and come out as the
        real values that its scale and zero point stand for."""
        self._interpreter.set_tensor(self._input["index"], _quantize(np.asarray(array, np.float32), self._input))
        self._interpreter.invoke()
        return _dequantize(self._interpreter.get_tensor(self._output["index"]), self._output)


def _quantize(values, tensor):
    scale, zero_point = tensor["quantization"]
    if not np.issubdtype(tensor["dtype"], np.integer):
        return values.astype(tensor["dtype"])
    limits = np.iinfo(tensor["dtype"])
    return np.clip(np.rint(values / (scale or 1)) + zero_point, limits.min, limits.max).astype(tensor["dtype"])


def _dequantize(values, tensor):
    scale, zero_point = tensor["quantization"]
    return (values.astype(np.float32) - zero_point) * scale if scale else values
