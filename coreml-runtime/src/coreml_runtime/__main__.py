"""Ask a Core ML model about photographs: `python -m coreml_runtime MODEL PHOTO… [--json]`."""

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from .errors import CoreMLRuntimeError, InputError, ModelFileError
from .model import ImageInput, Model, load

with contextlib.suppress(ImportError):  # an iPhone's own photographs are HEIC
    import pillow_heif
    pillow_heif.register_heif_opener()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit code is 0 when every photograph was answered, else 2."""
    parser = argparse.ArgumentParser(prog="python -m coreml_runtime", description=__doc__.split(":")[0] + ".")
    parser.add_argument("model", metavar="MODEL", help="an .mlpackage or .mlmodel that takes one image")
    parser.add_argument("photos", metavar="PHOTO", nargs="+", help="photographs, in any format that Pillow reads")
    parser.add_argument("--json", action="store_true", help="print one JSON list, with an object a photograph")
    parser.add_argument("--compute-precision", choices=["float32", "float16"], default="float32",
                        help="float16 rounds as a phone's Neural Engine does (default: float32)")
    options = parser.parse_args(arguments)
    try:
        model = load(options.model, options.compute_precision)
        image_input = only_image_input(model)
    except CoreMLRuntimeError as error:
        return complain(error)
    answers, exit_code = [], 0
    for photo in options.photos:
        try:
            answer = describe(model, photo, model.predict({image_input.name: read_photo(photo, image_input)}))
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
    """The model's one input, which must take an image (else ModelFileError)."""
    inputs = list(model.input_description.values())
    if len(inputs) != 1 or not model.image_inputs:
        names = ", ".join(model.input_description)
        raise ModelFileError(f"{model.path}: this model takes {names}, not one photograph; "
                             f"use coreml_runtime.load and predict")
    return model.image_inputs[0]


def read_photo(path: str | Path, image_input: ImageInput) -> Image.Image:
    """A photograph as `image_input` takes it: upright, cropped to the middle and resized, as Vision's .centerCrop does.

    Raises:
        InputError: there is no such file, or it is no photograph that Pillow can read, or truncated.
    """
    try:
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture)
            if upright.mode.startswith("I;16"):
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            upright = upright.convert("RGB").convert(image_input.mode)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such photograph; check the path") from None
    except IsADirectoryError:
        raise InputError(f"{path}: this is a folder; give the photographs in it") from None
    except Exception as error:  # a damaged file can raise almost anything in Pillow
        why = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise InputError(f"{path}: this photograph cannot be read ({why}); give a whole JPEG, PNG or HEIC") from None
    return ImageOps.fit(upright, image_input.size, Image.Resampling.BILINEAR)


def describe(model: Model, photo: str, prediction: dict[str, Any]) -> dict[str, Any]:
    """A prediction as JSON: `file` with `classLabel` and `probs`, or, from a model that is no classifier, `outputs`."""
    if model.class_labels:
        label = next(value for value in prediction.values() if not isinstance(value, dict | np.ndarray))
        probabilities = next(value for value in prediction.values() if isinstance(value, dict))
        return {"file": photo, "classLabel": label, "probs": probabilities}
    arrays = {name: np.asarray(value) for name, value in prediction.items()}
    return {"file": photo, "outputs": {
        name: {"shape": list(a.shape), "minimum": float(a.min()), "maximum": float(a.max()), "mean": float(a.mean())}
        for name, a in arrays.items()}}


def as_line(answer: dict[str, Any]) -> str:
    """What `describe` made, as one line to read."""
    if "classLabel" in answer:
        return f"{answer['file']}: {answer['classLabel']} {answer['probs'][answer['classLabel']]:.1%}"
    return f"{answer['file']}: " + "; ".join(
        f"{name} {'x'.join(map(str, o['shape']))}, {o['minimum']:.4g} to {o['maximum']:.4g}, mean {o['mean']:.4g}"
        for name, o in answer["outputs"].items())


if __name__ == "__main__":
    # coremltools imports TensorFlow where it is installed, to convert from it: seconds that reading does not need.
    sys.modules.setdefault("tensorflow", None)
    sys.exit(main())
