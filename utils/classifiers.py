"""One interface to the files that phones run (.mlpackage, .mlmodel, .tflite, .onnx): photographs to probabilities.

`load(path)` gives a Classifier, `predict` runs it on photographs in batches. coreml_runtime runs the Core ML models,
LiteRT a .tflite and ONNX Runtime an .onnx, so this works on any system. Each model gets the pictures as an app hands
them over, pixel values 0..255 in RGB: it must do its own scaling.
"""
import contextlib
import math
import time
from pathlib import Path

import coreml_runtime
import numpy as np
from PIL import Image
from tqdm import tqdm

from utils import photos, tflite
from utils.command_line import CourseError

BATCH_SIZE = 32
DEFAULT_THRESHOLD = 0.5  # a smaller top probability rejects a photograph, unless the model's metadata has another
DEFAULT_TEMPERATURE = 1.0  # the model's own probabilities, likewise
CORE_ML = (".mlpackage", ".mlmodel")
SUPPORTED = ".mlpackage and .mlmodel (Core ML), .tflite (LiteRT), .onnx"


class ModelError(CourseError):
    """A file that is no classifier of pictures, or that cannot be run."""


class Classifier:
    """A model that takes one picture and answers with probabilities; `load` and `of_core_ml` make it.

    Attributes: size, (width, height) of the input in pixels; labels, strings in the order of training; threshold, the
    top probability below which a photograph is rejected; temperature, by which the probabilities are changed before
    that comparison (calibration.with_temperature); seconds, for which the model has computed so far.
    """

    def __init__(self, path, size, labels, metadata, answer):
        """answer: a function from a list of RGB PIL images of `size` to an array (N, classes). Raises ModelError."""
        self.size, self.labels, self.seconds = size, [str(label) for label in labels], 0.0
        self.threshold = _number(path, metadata, "threshold", DEFAULT_THRESHOLD, "between 0 and 1",
                                 lambda x: 0 <= x <= 1)
        self.temperature = _number(path, metadata, "temperature", DEFAULT_TEMPERATURE, "above 0",
                                   lambda x: 0 < x < math.inf)
        self._answer = answer

    def probabilities(self, pictures):
        """A list of RGB PIL images of `size` -> array (N, classes), columns in the order of `labels`, as the file gives
        them: before the temperature."""
        started = time.perf_counter()
        probabilities = self._answer(pictures)
        self.seconds += time.perf_counter() - started
        return probabilities


def load(path, compute_precision="float32"):
    """The Classifier in a file, by its suffix.

    compute_precision: "float32" or "float16", of a Core ML model; the others compute as they are. Raises CourseError,
    ModelError among them, and coreml_runtime's errors.
    """
    path = Path(path)
    if path.suffix in CORE_ML:
        return of_core_ml(coreml_runtime.load(path, compute_precision))
    readers = {".tflite": _of_tflite, ".onnx": _of_onnx}
    if path.suffix not in readers:
        raise ModelError(f"{path}: {path.suffix or 'a file without suffix'} cannot be evaluated; supported: "
                         f"{SUPPORTED}.")
    if compute_precision != "float32":
        raise ModelError(f"{path}: only a Core ML model can be computed in {compute_precision}; leave it out.")
    return readers[path.suffix](path)


def predict(classifier, photographs, unreadable=None):
    """Probabilities (N, classes) of photographs, as the file gives them; shows a progress bar on a terminal.

    photographs: a list of RGB PIL images of the classifier's size, or of paths, which are read, cropped in the middle
    and resized to it. unreadable: a list, to which the paths are added that cannot be read and so have no row; without
    it, the first of these raises PhotoError.
    """
    found = [np.empty((0, len(classifier.labels)))]
    with tqdm(total=len(photographs), unit="photo", disable=None, leave=False) as bar:  # None: only on a terminal
        for start in range(0, len(photographs), BATCH_SIZE):
            batch = photographs[start:start + BATCH_SIZE]
            pictures = []
            for each in batch:
                try:
                    pictures.append(each if isinstance(each, Image.Image) else photos.read_photo(each, classifier.size))
                except photos.PhotoError:
                    if unreadable is None:
                        raise
                    unreadable.append(each)
            if pictures:
                found.append(classifier.probabilities(pictures))
            bar.update(len(batch))
    return np.concatenate(found)


def of_core_ml(model):
    """The Classifier of a coreml_runtime.Model that is loaded already. Raises ModelError."""
    inputs, labels = list(model.input_description.values()), model.class_labels
    if len(inputs) != 1 or inputs != model.image_inputs:
        raise ModelError(f"{model.path}: does not take one picture; convert it with ct.ImageType as its only input.")
    if not labels:
        raise ModelError(f"{model.path}: is no classifier; convert it with ct.ClassifierConfig to give it class "
                         "labels.")
    image = inputs[0]

    def answer(pictures):
        answers = model.predict([{image.name: picture.convert(image.mode)} for picture in pictures])
        tables = [next(value for value in each.values() if isinstance(value, dict)) for each in answers]
        return np.array([[table[label] for label in labels] for table in tables])

    return Classifier(model.path, image.size, labels, model.metadata.user_defined, answer)


def _of_tflite(path):
    model = tflite.TFLiteModel(path)
    return _of_arrays(path, model.shape, model.labels, model.metadata, model.predict)


def _of_onnx(path):
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no class in common
        raise ModelError(f"{path}: ONNX Runtime cannot read it ({str(error).splitlines()[0]}).") from None
    inputs, metadata = session.get_inputs(), session.get_modelmeta().custom_metadata_map
    if len(inputs) != 1:
        raise ModelError(f"{path}: has {len(inputs)} inputs; export it with one picture as its only input.")
    name, dtype = inputs[0].name, np.uint8 if inputs[0].type == "tensor(uint8)" else np.float32
    return _of_arrays(path, tuple(inputs[0].shape), metadata.get("labels", "").splitlines(), metadata,
                      lambda pixels: session.run(None, {name: pixels.astype(dtype)})[0])


def _of_arrays(path, shape, labels, metadata, run):
    """The Classifier of a file that knows arrays only, with the labels in its metadata.

    shape: of its input, (1, H, W, 3) or (1, 3, H, W). run: a function from pixel values 0..255 of this shape to
    probabilities (1, classes).
    """
    if len(shape) != 4 or 3 not in (shape[1], shape[3]) or not all(isinstance(n, int) for n in shape[1:]):
        raise ModelError(f"{path}: its input is {'x'.join(map(str, shape))} and not one RGB picture of a fixed size; "
                         "export it with an input of 1xHxWx3 or 1x3xHxW.")
    if not labels:
        raise ModelError(f"{path}: has no class labels; put `labels`, one line per class, into its metadata.")
    channels_first = shape[1] == 3
    height, width = shape[2:] if channels_first else shape[1:3]

    def answer(pictures):
        return np.concatenate([row(np.asarray(picture.convert("RGB"))[None]) for picture in pictures])

    def row(pixels):
        found = run(pixels.transpose(0, 3, 1, 2) if channels_first else pixels)
        found = np.asarray(found, np.float64).reshape(1, -1)
        if found.shape[1] != len(labels):
            raise ModelError(f"{path}: answers with {found.shape[1]} numbers and has {len(labels)} class labels; "
                             "export it with the labels that it was trained on.")
        if not (found.min() >= 0 and abs(found.sum() - 1) < 0.1):  # quantized ones do not add up exactly; NaN fails
            raise ModelError(f"{path}: its answers are no probabilities; export it with a softmax at the end, and "
                             "check its numbers against the model it came from.")
        return found

    return Classifier(path, (width, height), labels, metadata, answer)


def _number(path, metadata, key, default, wanted, is_allowed):
    text = metadata.get(key, default)
    with contextlib.suppress(ValueError, TypeError):
        if is_allowed(float(text)):
            return float(text)
    raise ModelError(f"{path}: the {key} in its metadata is {text!r}; set a number {wanted}.")
