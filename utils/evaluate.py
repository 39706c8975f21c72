"""How good is an exported model on a folder of photographs?

`python -m utils.evaluate MODEL DIR [--split test] [--json]`: DIR has one folder a class, or a photos.csv. Photographs
are read and cropped as everywhere in the course (photos.read_photo). A Core ML model is run by coreml_runtime, a
.tflite by LiteRT, an .onnx by ONNX Runtime, so this works on any system. Each gets the pictures as an app hands them
over, pixel values 0..255 in RGB: what scaling a model needs, it must do itself. The exit code is 0, or 2 with one
sentence on stderr where the model or the folder cannot be used.
"""
import argparse
import contextlib
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

import coreml_runtime
from utils import calibration, photos, tflite
from utils.intervals import wilson_interval  # also evaluate.wilson_interval: the notebooks' name for it

BATCH = 32
DEFAULT_THRESHOLD = 0.5  # a smaller top probability turns a photograph away, where the model's metadata names no other
DEFAULT_TEMPERATURE = 1.0  # the model's own probabilities, likewise
CORE_ML = (".mlpackage", ".mlmodel")
SUPPORTED = ".mlpackage and .mlmodel (Core ML), .tflite (LiteRT), .onnx"


class EvaluationError(ValueError):
    """A model or folder that cannot be evaluated. The message says what is wrong, where, and what to do."""


class CoreMLClassifier:
    """An .mlpackage or .mlmodel that takes one picture and answers with probabilities.

    Attributes: labels, list of strings in the order of training; size, (width, height) in pixels; threshold, the top
    probability below which a photograph is turned away; temperature, by which probabilities are changed before that
    (calibration.with_temperature). Raises EvaluationError, coreml_runtime's errors.
    """

    def __init__(self, path, compute_precision="float32"):
        self._model = coreml_runtime.load(path, compute_precision)
        inputs = list(self._model.input_description.values())
        if len(inputs) != 1 or inputs != self._model.image_inputs:
            raise EvaluationError(f"{path}: does not take one picture; convert it with ct.ImageType as its only input.")
        if not self._model.class_labels:
            raise EvaluationError(f"{path}: is no classifier; convert it with ct.ClassifierConfig to give it class "
                                  "labels.")
        self._input = inputs[0]
        self.size = self._input.size
        self._keys = list(self._model.class_labels)
        self.labels = [str(label) for label in self._keys]
        self.threshold, self.temperature = _calibration(path, self._model.metadata.user_defined)

    def probabilities(self, pictures):
        """PIL images of the right size -> array (N, classes), columns in the order of `labels`."""
        answers = self._model.predict([{self._input.name: p.convert(self._input.mode)} for p in pictures])
        tables = [next(v for v in answer.values() if isinstance(v, dict)) for answer in answers]
        return np.array([[table[key] for key in self._keys] for table in tables])


class ArrayClassifier:
    """What .tflite and .onnx have in common: one picture goes in as an array of pixel values 0..255, (1, H, W, 3) or
    (1, 3, H, W), probabilities (1, classes) come out, and the labels are in the file's metadata.

    Attributes as of CoreMLClassifier. Raises EvaluationError.
    """

    def __init__(self, path, shape, labels, metadata, predict):
        if len(shape) != 4 or 3 not in (shape[1], shape[3]) or not all(isinstance(n, int) for n in shape[1:]):
            raise EvaluationError(f"{path}: its input is {'x'.join(map(str, shape))} and not one RGB picture of a "
                                  "fixed size; export it with an input of 1xHxWx3 or 1x3xHxW.")
        if not labels:
            raise EvaluationError(f"{path}: has no class labels; put `labels`, a line a class, into its metadata.")
        self._channels_first = shape[1] == 3
        height, width = shape[2:] if self._channels_first else shape[1:3]
        self.size, self.labels = (width, height), labels
        self.threshold, self.temperature = _calibration(path, metadata)
        self._path, self._predict = path, predict

    def probabilities(self, pictures):
        """PIL images of the right size -> array (N, classes), columns in the order of `labels`."""
        return np.concatenate([self._row(np.asarray(picture.convert("RGB"))[None]) for picture in pictures])

    def _row(self, pixels):
        pixels = pixels.transpose(0, 3, 1, 2) if self._channels_first else pixels
        row = np.asarray(self._predict(pixels), np.float64).reshape(1, -1)
        if row.shape[1] != len(self.labels):
            raise EvaluationError(f"{self._path}: answers with {row.shape[1]} numbers and has {len(self.labels)} class "
                                  "labels; export it with the labels that it was trained on.")
        if not (row.min() >= 0 and abs(row.sum() - 1) < 0.1):  # quantized ones do not add up exactly; NaN fails
            raise EvaluationError(f"{self._path}: its answers are no probabilities; export it with a softmax at the "
                                  "end, and check its numbers against the model it came from.")
        return row


def _tflite_classifier(path):
    model = tflite.TFLiteModel(path)
    return ArrayClassifier(path, model.shape, model.labels, model.metadata, model.predict)


def _onnx_classifier(path):
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no class in common
        raise EvaluationError(f"{path}: ONNX Runtime cannot read it ({str(error).splitlines()[0]}).") from None
    inputs, metadata = session.get_inputs(), session.get_modelmeta().custom_metadata_map
    if len(inputs) != 1:
        raise EvaluationError(f"{path}: has {len(inputs)} inputs; export it with one picture as its only input.")
    name, dtype = inputs[0].name, np.uint8 if inputs[0].type == "tensor(uint8)" else np.float32
    return ArrayClassifier(path, tuple(inputs[0].shape), metadata.get("labels", "").splitlines(), metadata,
                           lambda pixels: session.run(None, {name: pixels.astype(dtype)})[0])


def load_classifier(path, compute_precision="float32"):
    """The classifier in a file, by its suffix: a CoreMLClassifier or an ArrayClassifier.

    compute_precision: of a Core ML model; the others compute as they are. Raises EvaluationError, coreml_runtime's and
    tflite's errors.
    """
    path = Path(path)
    if path.suffix in CORE_ML:
        return CoreMLClassifier(path, compute_precision)
    readers = {".tflite": _tflite_classifier, ".onnx": _onnx_classifier}
    if path.suffix not in readers:
        raise EvaluationError(f"{path}: {path.suffix or 'a file without suffix'} cannot be evaluated; supported: "
                              f"{SUPPORTED}.")
    if compute_precision != "float32":
        raise EvaluationError(f"{path}: only a Core ML model can be computed in {compute_precision}; leave it out.")
    return readers[path.suffix](path)


def _calibration(path, metadata):
    threshold = _number(path, metadata, "threshold", DEFAULT_THRESHOLD, "between 0 and 1", lambda x: 0 <= x <= 1)
    temperature = _number(path, metadata, "temperature", DEFAULT_TEMPERATURE, "above 0", lambda x: 0 < x < math.inf)
    return threshold, temperature


def _number(path, metadata, key, default, wanted, is_allowed):
    text = metadata.get(key, default)
    with contextlib.suppress(ValueError, TypeError):
        if is_allowed(float(text)):
            return float(text)
    raise EvaluationError(f"{path}: the {key} in its metadata is {text!r}; set a number {wanted}.")


def read_folder(folder, split=None):
    """The table of photographs to evaluate: all of the folder's, or those of one split. Raises EvaluationError,
    PhotoError."""
    folder = Path(folder)
    if split or (folder / "photos.csv").is_file():
        table = photos.read_table(folder)
    else:
        table = photos.find_photos(folder)
        filled = {Path(file).parts[0] for file in table["file"]}
        for each in sorted(folder.iterdir()):
            if each.is_dir() and not each.name.startswith(".") and each.name not in filled:
                raise EvaluationError(f"{each}: no photographs in this class folder. Put some in, or remove the "
                                      "folder.")
    table = table[table["split"] == split] if split else table
    if table.empty:
        raise EvaluationError(f"{folder}: no photographs in the split {split}.")
    return table.reset_index(drop=True)


def evaluate(model_path, folder, split=None, compute_precision="float32", strangers=True):
    """Runs a model on a folder of photographs, without those of `other` where strangers=False; shows a progress bar on a
    terminal.

    Returns a dictionary:
    accuracy, interval: top-1 accuracy 0..1 on the model's classes and its 95 % Wilson interval [low, high]; n: of how
    many; per_class: {label: {accuracy, interval, n}}; confusion: {true label: {predicted label: photographs}};
    seconds_per_photo: of the model alone, without reading; unreadable: the files that could not be read;
    unknown, where the folder has photographs of `other`: threshold; turned_away, the share of those n with a top
    probability below it, after the model's temperature; kept, the share of rightly classified photographs that reach
    it. Raises EvaluationError, photos.PhotoError, coreml_runtime.CoreMLRuntimeError, tflite.TFLiteError.
    """
    model = load_classifier(model_path, compute_precision)
    table = read_folder(folder, split)
    table = table if strangers else table[table["label"] != photos.OTHER].reset_index(drop=True)
    strange = sorted(set(table["label"]) - set(model.labels) - {photos.OTHER})
    if strange:
        raise EvaluationError(f"{folder}: {model_path} does not know the class {', '.join(strange)}; it knows "
                              f"{', '.join(model.labels)}. Rename or remove the folder.")
    probabilities, seconds, unreadable = _run(model, Path(folder), table)
    read = ~table["file"].isin(unreadable).to_numpy()
    if not (table["label"][read] != photos.OTHER).any():
        raise EvaluationError(f"{folder}: no readable photograph of any class that {model_path} knows.")
    calibrated = calibration.with_temperature(probabilities, model.temperature)
    result = summarize(table["label"][read], calibrated, model.labels, model.threshold)
    return {**result, "seconds_per_photo": seconds / int(read.sum()), "unreadable": unreadable}


def _run(model, folder, table):
    """Probabilities of the readable photographs, the seconds that the model took, and the unreadable files."""
    probabilities, seconds, unreadable = [], 0.0, []
    with tqdm(total=len(table), unit="photo", disable=None) as bar:  # disable=None: only on a terminal
        for start in range(0, len(table), BATCH):
            pictures = []
            for file in table["file"][start:start + BATCH]:
                try:
                    pictures.append(photos.read_photo(folder / file, model.size))
                except photos.PhotoError:
                    unreadable.append(file)
            started = time.perf_counter()
            if pictures:
                probabilities.append(model.probabilities(pictures))
            seconds += time.perf_counter() - started
            bar.update(min(BATCH, len(table) - start))
    return np.concatenate(probabilities or [np.empty((0, len(model.labels)))]), seconds, unreadable


def summarize(true_labels, probabilities, labels, threshold=DEFAULT_THRESHOLD):
    """accuracy, interval, n, per_class, confusion and unknown of `evaluate`, from probabilities (N, classes).

    true_labels: N class names, `other` among them or not; labels: the names of the columns.
    """
    truth, labels = np.asarray(true_labels, dtype=object), list(labels)
    predicted = np.array(labels, dtype=object)[probabilities.argmax(axis=1)]
    kept = (probabilities.max(axis=1) >= threshold) & (predicted != photos.OTHER)
    known, right = truth != photos.OTHER, truth == predicted
    rows = [name for name in labels if (truth[known] == name).any()]
    result = _share(right[known])
    result["per_class"] = {name: _share(right[truth == name]) for name in rows}
    counts = pd.crosstab(truth[known], predicted[known]).reindex(index=rows, columns=labels, fill_value=0)
    result["confusion"] = {name: {other: int(n) for other, n in row.items()} for name, row in counts.iterrows()}
    if not known.all():
        result["unknown"] = {"turned_away": float((~kept[~known]).mean()), "n": int((~known).sum()),
                             "kept": float(kept[known & right].mean()) if right[known].any() else 0.0,
                             "threshold": threshold}
    return result


def _share(right):
    correct, n = int(right.sum()), len(right)
    return {"accuracy": correct / n, "interval": [round(bound, 4) for bound in wilson_interval(correct, n)], "n": n}


def per_class_table(result):
    """`per_class` of a result as a DataFrame: index class, columns accuracy, low, high, n."""
    rows = {name: (each["accuracy"], *each["interval"], each["n"]) for name, each in result["per_class"].items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["accuracy", "low", "high", "n"])


def confusion_array(result, labels):
    """`confusion` of a result as integers (classes, classes), rows and columns in the order of `labels`."""
    return pd.DataFrame(result["confusion"]).T.reindex(index=labels, columns=labels, fill_value=0).to_numpy()


def report(result):
    """A result as text for a terminal."""
    low, high = result["interval"]
    lines = [f"accuracy {result['accuracy']:.1%} on {result['n']} photographs, 95 % interval {low:.1%} to {high:.1%}"]
    width = max(map(len, result["per_class"]))
    for name, each in result["per_class"].items():
        wrong = {k: v for k, v in result["confusion"][name].items() if v and k != name}
        taken = "".join(f", {n} taken for {label}" for label, n in wrong.items())
        lines.append(f"  {name:{width}}  {each['accuracy']:7.1%} of {each['n']}{taken}")
    if "unknown" in result:
        unknown = result["unknown"]
        lines.append(f"none of these: {unknown['turned_away']:.1%} of {unknown['n']} turned away, "
                     f"{unknown['kept']:.1%} of the right ones kept, at a threshold of {unknown['threshold']:g}")
    lines.append(f"{1000 * result['seconds_per_photo']:.1f} ms a photograph")
    lines += [f"could not be read: {file}" for file in result["unreadable"]]
    return "\n".join(lines)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m utils.evaluate",
                                     description="How good is an exported model on photographs?")
    parser.add_argument("model", metavar="MODEL", help=f"supported: {SUPPORTED}")
    parser.add_argument("folder", metavar="DIR", help="holds one folder of photographs a class, or a photos.csv")
    parser.add_argument("--split", choices=photos.SPLITS, help="only these photographs (default: all)")
    parser.add_argument("--compute-precision", choices=["float32", "float16"], default="float32",
                        help="float16 rounds as a phone's Neural Engine does (default: float32)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = parser.parse_args(arguments)
    try:
        result = evaluate(options.model, options.folder, options.split, options.compute_precision)
    except (EvaluationError, photos.PhotoError, coreml_runtime.CoreMLRuntimeError, tflite.TFLiteError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    print(json.dumps(result, indent=1, ensure_ascii=False) if options.json else report(result))
    return 0


if __name__ == "__main__":
    # coremltools imports TensorFlow where it is installed: seconds that reading a model does not need.
    sys.modules.setdefault("tensorflow", None)
    sys.exit(main())
