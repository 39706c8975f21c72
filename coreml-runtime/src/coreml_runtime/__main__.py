"""Asks a Core ML model about photographs, or shows what is in it.

    python -m coreml_runtime MODEL PHOTO… [--json] [--compute-precision float16] [--labels FILE]
    python -m coreml_runtime info MODEL [--json]

The exit code is 0, or 2 where a model or a photograph could not be read; stderr says which and why. It is 130 after
Ctrl-C.
"""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from .errors import CoreMLRuntimeError, InputError, ModelFileError, first_line
from .imports import import_coremltools
from .information import as_text, model_information
from .model import ImageInput, Model, load
from .pictures import to_rgb

with contextlib.suppress(ImportError):  # an iPhone's own photographs are HEIC
    import pillow_heif
    pillow_heif.register_heif_opener()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit code is 0 when everything was read and answered, else 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    import_coremltools(with_tensorflow=False)
    return show_information(arguments[1:]) if arguments[:1] == ["info"] else answer_photographs(arguments)


def show_information(arguments: list[str]) -> int:
    """The command `info MODEL`."""
    parser = argparse.ArgumentParser(prog="python -m coreml_runtime info",
                                     description="Show what is in a Core ML model.")
    parser.add_argument("model", metavar="MODEL", help="an .mlpackage or .mlmodel of any kind")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        information = model_information(options.model)
    except CoreMLRuntimeError as error:
        return complain(error)
    print(json.dumps(information, indent=1, ensure_ascii=False) if options.json else as_text(information))
    return 0


def answer_photographs(arguments: list[str]) -> int:
    """The command `MODEL PHOTO…`."""
    parser = argparse.ArgumentParser(
        prog="python -m coreml_runtime", description="Ask a Core ML model about photographs.",
        epilog="`python -m coreml_runtime info MODEL` shows what is in a model.")
    parser.add_argument("model", metavar="MODEL", help="an .mlpackage or .mlmodel that takes one image")
    parser.add_argument("photos", metavar="PHOTO", nargs="+", help="photographs, in any format that Pillow reads")
    parser.add_argument("--json", action="store_true", help="print one JSON list, with one object per photograph")
    parser.add_argument("--compute-precision", choices=["float32", "float16"], default="float32",
                        help="float16 rounds as a phone's Neural Engine does (default: float32)")
    parser.add_argument("--labels", metavar="FILE", help="class labels, one per line in the order of the network's "
                        "outputs, for a network that has none in its file; outputs that are no probabilities go "
                        "through a softmax")
    options = parser.parse_args(arguments)
    try:
        model = load(options.model, options.compute_precision)
        image_input = only_image_input(model)
        labels = read_labels(options.labels, model) if options.labels else []
    except CoreMLRuntimeError as error:
        return complain(error)
    answers, exit_code = [], 0
    for photo in options.photos:
        try:
            answer = describe(model, photo, model.predict({image_input.name: read_photo(photo, image_input)}), labels)
        except CoreMLRuntimeError as error:
            exit_code = complain(error)
            continue
        answers.append(answer)
        if not options.json:
            print(as_line(answer), flush=True)
    if options.json:
        print(json.dumps(answers, indent=1, ensure_ascii=False))
    return exit_code


def complain(error: Exception) -> int:
    print(error, file=sys.stderr, flush=True)
    return 2


def only_image_input(model: Model) -> ImageInput:
    """The model's one input that must be given, which must take an image (else ModelFileError)."""
    inputs = [name for name in model.input_description if name not in model.optional_inputs]
    if len(inputs) != 1 or inputs != [image.name for image in model.image_inputs]:
        names = ", ".join(model.input_description)
        raise ModelFileError(f"{model.path}: this model takes {names}, not one photograph; "
                             f"use coreml_runtime.load and predict")
    return model.image_inputs[0]


def read_photo(path: str | Path, image_input: ImageInput) -> Image.Image:
    """A photograph as `image_input` takes it: upright, cropped to the middle and resized, as Vision's .centerCrop does.
    `to_rgb` says what becomes of transparency and of 16 bits.

    Raises:
        InputError: there is no such file, or Pillow cannot read it, or it is truncated.
    """
    try:
        with Image.open(path) as picture:
            upright = to_rgb(picture).convert(image_input.mode)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such photograph; check the path") from None
    except IsADirectoryError:
        raise InputError(f"{path}: this is a folder; give the photographs in it") from None
    except Exception as error:  # a damaged file can raise almost anything in Pillow
        raise InputError(f"{path}: this photograph cannot be read ({first_line(error)}); give a complete JPEG, PNG or "
                         f"HEIC") from None
    return ImageOps.fit(upright, image_input.size, Image.Resampling.BILINEAR)


def read_labels(path: str, model: Model) -> list[str]:
    """The class labels in a text file, one per line, for a model that has none.

    Raises:
        ModelFileError: the file cannot be read, or has no labels, or the model has labels of its own.
    """
    if model.class_labels:
        raise ModelFileError(f"{model.path}: this model has {len(model.class_labels)} labels of its own; leave out "
                             f"--labels")
    try:
        labels = [line.strip() for line in Path(path).read_text("utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFileError(f"{path}: these labels cannot be read ({first_line(error)}); give a text file in UTF-8 "
                             f"with one label per line") from None
    if not labels:
        raise ModelFileError(f"{path}: there are no labels in this file; give one per line")
    return labels


def label_scores(model: Model, labels: Sequence[str], prediction: dict[str, Any]) -> dict[str, float]:
    """The probability of each label, from the one output with as many numbers. Scores that are not from 0 to 1 with the
    sum 1 are taken to be logits.

    Raises:
        ModelFileError: no output, or more than one, has as many numbers as there are labels.
    """
    outputs = {name: np.asarray(value) for name, value in prediction.items()}
    fitting = [name for name, value in outputs.items() if value.size == len(labels)]
    if len(fitting) != 1:
        sizes = ", ".join(f"'{name}' {value.size}" for name, value in outputs.items())
        raise ModelFileError(f"{model.path}: there are {len(labels)} labels, and the outputs have as many numbers: "
                             f"{sizes}; give a file with one label per number of one output")
    scores = outputs[fitting[0]].astype(np.float64).ravel()
    if scores.min() < 0 or abs(scores.sum() - 1) > 1e-2:  # float16 probabilities do not add up to exactly 1
        scores = np.exp(scores - scores.max())
        scores /= scores.sum()
    return dict(zip(labels, scores.tolist()))


def describe(model: Model, photo: str, prediction: dict[str, Any], labels: Sequence[str] = ()) -> dict[str, Any]:
    """A prediction as JSON: `file` with `classLabel` and `probs`, or, from a model that is no classifier, `outputs`.
    `labels` makes a classifier of a network without labels. Raises ModelFileError where they do not fit."""
    if labels:
        probabilities = label_scores(model, labels, prediction)
        best = max(probabilities, key=lambda name: probabilities[name])
        return {"file": photo, "classLabel": best, "probs": probabilities}
    if model.class_labels:
        label = next((value for value in prediction.values() if isinstance(value, str | int)), None)
        probabilities = next((value for value in prediction.values() if isinstance(value, dict)), {})
        return {"file": photo, "classLabel": label, "probs": probabilities}
    arrays = {name: np.asarray(value) for name, value in prediction.items()}
    return {"file": photo, "outputs": {
        name: {"shape": list(a.shape), "minimum": float(a.min()), "maximum": float(a.max()), "mean": float(a.mean())}
        for name, a in arrays.items()}}


def as_line(answer: dict[str, Any]) -> str:
    """What `describe` made, as one line to read."""
    if "classLabel" in answer:
        probability = answer["probs"].get(answer["classLabel"])
        return f"{answer['file']}: {answer['classLabel']}" + ("" if probability is None else f" {probability:.1%}")
    return f"{answer['file']}: " + "; ".join(
        f"{name} {'x'.join(map(str, o['shape']))}, {o['minimum']:.4g} to {o['maximum']:.4g}, mean {o['mean']:.4g}"
        for name, o in answer["outputs"].items())


def run() -> None:
    """`main` as a program: Ctrl-C, and a reader of its output that leaves (`… | head -1`), end it without a
    traceback."""
    try:
        exit_code = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        exit_code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        exit_code = 1
    sys.exit(exit_code)


if __name__ == "__main__":
    run()
