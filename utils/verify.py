"""Is this exported file the model that was trained? `python -m utils.verify MODEL` prints a line a check.

Nothing is taken from the exporter's word. What the source model answered, and what training did to the pixels, is
written beside the file by `record_reference` when it is exported; the file is then read again, run on the same
photographs, and compared. The checks go from the file's outside to its answers:

| check | what must hold |
| --- | --- |
| reads | the file is whole, and every operator of it is known |
| input | one picture under the recorded name, of the recorded size, in RGB |
| labels | the class labels of training, in its order |
| preprocessing | what the first convolution sees is scale * pixel + bias as in training, channel by channel |
| outputs | probabilities: finite, adding up to 1, and not the same for every photograph |
| parity | every probability of every photograph is the source model's, within the recorded limit |
| float16 | rounded as a phone's Neural Engine rounds, the answers are the same within FLOAT16_LIMIT |
| accuracy | within half a point of the source model's, or one photograph, or the limit that was recorded |
| metadata | author, licence, version and description are filled in |

They stop at the first that does not hold, because what comes after it would only say the same again: with another scale
no probability agrees. The exit code is 0 when all hold, 1 when one does not, 2 when the file or its reference cannot be
read.
"""
import argparse
import functools
import hashlib
import json
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import coreml_runtime
import numpy as np
from coreml_runtime.imports import import_coremltools
from PIL import Image

from utils import classifiers
from utils.backbone import PIXEL_MEAN, PIXEL_STD
from utils.command_line import CourseError, command
from utils.files import written_whole
from utils.paths import PHOTOS

PARITY_LIMIT = 1e-3  # of a probability, for a file that computes and stores float32
FLOAT16_LIMIT = 0.05  # of a probability: rounding moves some by a few thousandths, an overflow changes everything
FLOAT16_PHOTOS = 32  # as many are computed in float16, which takes twice as long
ACCURACY_LIMIT = 0.005  # half a point; of fewer than 200 photographs one is more than that, and always allowed
PIXEL_LIMIT = 1e-3  # relative to the scale; 1/127 for 1/128 is off by 8e-3
SPREAD_LIMIT = 0.05  # that some probability differs by at least, from photograph to photograph
METADATA = ("author", "license", "version", "short_description")


class Refused(Exception):
    """A check does not hold; its arguments are the figure that says so, and the limit."""


@dataclass(frozen=True)
class Check:
    """One line of the report. `holds` is None where an earlier check did not hold and this one was not made."""

    name: str
    holds: bool | None
    figure: str
    limit: str

    def __str__(self):
        mark = {True: "[OK]", False: "[FAIL]", None: "[NOT REACHED]"}[self.holds]
        return f"{mark} {self.name}: {self.figure}" + (f" (limit: {self.limit})" if self.limit else "")


# ---- what the source model answered ----------------------------------------------------------------------------------

def reference_path(model_path):
    """Where the reference of a model is: exported/a.mlpackage -> exported/a.mlpackage.reference.json."""
    model_path = Path(model_path)
    return model_path.with_name(model_path.name + ".reference.json")


def record_reference(model_path, table, probabilities, labels, source, size, input_name="image", scale=1 / PIXEL_STD,
                     bias=-PIXEL_MEAN / PIXEL_STD, parity_limit=PARITY_LIMIT, accuracy_limit=None, folder=PHOTOS):
    """Writes what the source model is and answered, beside the exported file, for `verify` to compare.

    table: the test photographs, a DataFrame with `file` and `label`, without `other`; probabilities: the source model's
    for each of them, (N, classes), columns in the order of `labels`. source: the model's name, for the report.
    size, input_name: of the exported file's input, (width, height) in pixels. scale, bias: what training did to pixel
    values 0..255 in RGB, as one number each or three. parity_limit: the largest difference of a probability; wider than
    PARITY_LIMIT only for a file whose weights are compressed or float16. accuracy_limit: by how much the accuracies may
    differ, 0..1; by default ACCURACY_LIMIT, or one photograph. How much accuracy compression costs is a finding of the
    notebook that compresses, and no fault of the file: record the share of photographs whose label it has changed.
    folder: what `file` is relative to.
    Returns the reference's path. Raises CourseError where the shapes do not fit, a limit is negative or not a
    number, or there is nothing to compare.
    """
    probabilities = np.asarray(probabilities, np.float64)
    if not len(table) or probabilities.shape != (len(table), len(labels)):
        raise CourseError(f"{model_path}: probabilities of shape {probabilities.shape} for {len(table)} "
                          f"photographs and {len(labels)} labels; give a row a photograph and a column a label.")
    unknown = sorted(set(table["label"]) - set(labels))
    if unknown:
        raise CourseError(f"{model_path}: photographs of {', '.join(unknown)}, which is no label of the model; "
                          "take them out of the table.")
    limits = {"parity_limit": parity_limit, "accuracy_limit": accuracy_limit}
    if not _are_limits(limits):
        raise CourseError(f"{model_path}: a parity_limit of {parity_limit} and an accuracy_limit of "
                          f"{accuracy_limit}; give a number from 0 on, and one from 0 to 1.")
    reference = {
        "source": source, "input": input_name, "size": list(size), "labels": list(labels),
        "scale": np.broadcast_to(scale, 3).tolist(), "bias": np.broadcast_to(bias, 3).tolist(),
        **limits, "files": list(table["file"]), "truth": list(table["label"]),
        "digests": [_digest(Path(folder) / file) for file in table["file"]],
        "probabilities": np.round(probabilities, 7).tolist()}
    with written_whole(reference_path(model_path)) as unfinished:
        unfinished.write_text(json.dumps(reference, ensure_ascii=False))
    return reference_path(model_path)


def _are_limits(reference):
    """Whether a reference's limits are numbers from 0 on, and a share where there is one; false for NaN."""
    share = reference.get("accuracy_limit")
    return reference["parity_limit"] >= 0 and (share is None or 0 <= share <= 1)


def _digest(path):
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise CourseError(f"{path}: this photograph cannot be read ({error.strerror}); give the folder that the "
                          "model was tested on.") from None


def read_reference(path, folder=PHOTOS):
    """A reference as `record_reference` wrote it: a dictionary, `probabilities` an array.

    Raises CourseError: there is none, it is damaged, or the photographs are not those of then.
    """
    path = Path(path)
    if not path.is_file():
        raise CourseError(f"{path}: there is no such reference; the notebook that exports the model writes it.")
    try:
        reference = json.loads(path.read_text())
        reference["probabilities"] = np.array(reference["probabilities"], np.float64)
        digests = dict(zip(reference["files"], reference["digests"], strict=True))
        if not _are_limits(reference):
            raise ValueError("a limit is negative or not a number")
    except (ValueError, KeyError, TypeError):
        raise CourseError(f"{path}: this reference is damaged; export the model again.") from None
    for file, digest in digests.items():
        if _digest(Path(folder) / file) != digest:
            raise CourseError(f"{Path(folder) / file}: this is another photograph than the one that the source "
                              "model answered for; export the model again, or give the folder of then.")
    return reference


# ---- the checks: each returns whether it holds, its figure and its limit ---------------------------------------------

@dataclass
class Exported:
    """An exported file, its reference and the folder of its photographs, and, each made when a check first needs it:
    model, the coreml_runtime.Model, None for a .tflite or .onnx; classifier, the classifiers.Classifier of it; answers,
    its probabilities (N, classes) of the reference's photographs."""

    path: Path
    reference: dict
    folder: Path

    @functools.cached_property
    def model(self):
        return coreml_runtime.load(self.path) if self.path.suffix in classifiers.CORE_ML else None

    @functools.cached_property
    def classifier(self):
        return classifiers.of_core_ml(self.model) if self.model else classifiers.load(self.path)

    @functools.cached_property
    def answers(self):
        return self.predict(self.classifier, self.reference["files"])

    def predict(self, classifier, files):
        return classifiers.predict(classifier, [self.folder / file for file in files])


def check_reads(exported):
    """Errors pass: such a file cannot be checked any further."""
    if exported.model:
        return True, "Core ML model", ""
    return bool(exported.classifier), exported.path.suffix, ""


def check_input(exported):
    name, (width, height) = exported.reference["input"], exported.reference["size"]
    wanted = f"{name}, {width} x {height} pixels"
    if not exported.model:  # a name is no part of how a .tflite or .onnx is called
        found = "{}, {} x {} pixels".format(name, *exported.classifier.size)
        return found == wanted, found, wanted
    inputs, wanted = list(exported.model.input_description.values()), f"{wanted}, RGB"
    if len(inputs) != 1 or inputs != exported.model.image_inputs:
        return False, f"the inputs are {', '.join(exported.model.input_description)}, not one picture", wanted
    found = f"{inputs[0].name}, {inputs[0].width} x {inputs[0].height} pixels, {inputs[0].color_layout}"
    return found == wanted, found, wanted


def check_labels(exported):
    labels = exported.model.class_labels if exported.model else exported.classifier.labels
    found, wanted = ", ".join(map(str, labels)) or "none", ", ".join(exported.reference["labels"])
    return found == wanted, found, wanted


def check_preprocessing(exported):
    found, bias = read_preprocessing(exported.model)
    scale, wanted = np.diag(exported.reference["scale"]), np.array(exported.reference["bias"])
    figure = f"scale {_numbers(np.diag(found))}, bias {_numbers(bias)}"
    limit = f"scale {_numbers(np.diag(scale))}, bias {_numbers(wanted)}, to {PIXEL_LIMIT:g} of the scale"
    unit = np.abs(scale).max()
    if np.abs(found - np.diag(np.diag(found))).max() > PIXEL_LIMIT * unit:
        return False, f"{figure}, and channels are mixed", limit
    difference = max(np.abs(found - scale).max(), np.abs(bias - wanted).max() / 255)  # of the contrast, the brightness
    return difference <= PIXEL_LIMIT * unit, figure, limit


def check_outputs(exported):
    limit = f"finite, sum 1, spread at least {SPREAD_LIMIT:g}"
    try:
        answers = exported.answers
    except (classifiers.ModelError, coreml_runtime.CoreMLRuntimeError) as error:
        return False, str(error), limit
    if not np.isfinite(answers).all():
        return False, f"{np.isnan(answers).any(1).sum()} of {len(answers)} answers are not finite", limit
    sums, spread = np.abs(answers.sum(1) - 1).max(), np.ptp(answers, axis=0).max()
    holds = sums <= 0.02 and spread >= SPREAD_LIMIT  # quantized probabilities add up to 1 within a hundredth
    return holds, f"sums within {sums:.1g} of 1, largest spread {spread:.2g}", limit


def check_parity(exported):
    differences = np.abs(exported.answers - exported.reference["probabilities"]).max(1)
    worst, limit = int(differences.argmax()), exported.reference["parity_limit"]
    figure = f"{differences[worst]:.1e} on {exported.reference['files'][worst]}, the worst of {len(differences)}"
    return differences[worst] <= limit, figure, f"{limit:g}"


def check_float16(exported):
    chosen = _evenly_spaced(len(exported.answers), FLOAT16_PHOTOS)
    half = exported.predict(classifiers.load(exported.path, "float16"), exported.reference["files"][chosen])
    difference = np.abs(half - exported.answers[chosen]).max()
    figure = ("answers are not finite: a value is beyond 65504" if np.isnan(difference)
              else f"{difference:.1e} on {len(chosen)} photographs")
    return difference <= FLOAT16_LIMIT, figure, f"{FLOAT16_LIMIT:g}"


def check_accuracy(exported):
    reference, n = exported.reference, len(exported.answers)
    labels = np.array(reference["labels"])
    found, source = ((labels[p.argmax(1)] == reference["truth"]).sum()
                     for p in (exported.answers, reference["probabilities"]))
    recorded = reference.get("accuracy_limit")
    # A recorded share is of all photographs: where fewer are checked, they may be just the ones that changed.
    most = n * ACCURACY_LIMIT if recorded is None else len(reference["digests"]) * recorded
    most = max(1, math.floor(most + 1e-6))  # a share of n, times n, may lie a little below a whole number
    return (abs(found - source) <= most, f"{found / n:.1%}, the source {source / n:.1%}",
            f"{most / n:.1%} apart, {most} of {n} photographs")


def check_metadata(exported):
    empty = [name for name in METADATA if not getattr(exported.model.metadata, name)]
    if empty:
        return False, f"{', '.join(empty)} empty", "all filled in"
    return True, f"{', '.join(METADATA)} filled in", ""


CHECKS = {"reads": check_reads, "input": check_input, "labels": check_labels, "preprocessing": check_preprocessing,
          "outputs": check_outputs, "parity": check_parity, "float16": check_float16, "accuracy": check_accuracy,
          "metadata": check_metadata}
CORE_ML_ONLY = {"preprocessing": "not read back from a {}; parity would show it", "float16": "not computed for a {}",
                "metadata": "not looked for in a {}"}


def _numbers(values):
    """Three numbers, or one if they are the same."""
    values = [f"{value:.6g}" for value in values]
    return values[0] if len(set(values)) == 1 else "[" + ", ".join(values) + "]"


def read_preprocessing(model):
    """What a Core ML model does to pixels before its first convolution: (matrix (3, 3), bias (3,)), so that the
    convolution sees matrix @ [red, green, blue] + bias.

    Whatever does it (a scaler, a layer, operators of the program), it is measured: four pictures of one colour each go
    in, and the value in the middle of what the first convolution reads is taken. Raises Refused: there is none.
    """
    image = model.image_inputs[0]
    seen = [_before_first_convolution(model.program, image.to_tensor(Image.new("RGB", image.size, colour)), image.name)
            for colour in [(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)]]
    bias, columns = seen[0], seen[1:]
    return np.stack([(column - bias) / 255 for column in columns], axis=1), bias


def _before_first_convolution(program, picture, name):
    """What the first convolution reads in the middle of its input: (channels,). Raises Refused: there is none."""
    seen = []

    def is_convolution(node, values):
        if node.op_type in ("conv", "convolution"):
            seen.append(values[node.tensors["x"]])
        return bool(seen)

    program.run({name: picture}, until=is_convolution)
    if not seen:
        raise Refused("no convolution to read it before", "a network that begins with one")
    x = seen[0].reshape(-1, *seen[0].shape[-3:])
    return x[0, :, x.shape[-2] // 2, x.shape[-1] // 2].double().numpy()


def _evenly_spaced(count, most):
    """Places of at most `most` (None: all) out of `count`."""
    return np.unique(np.linspace(0, count - 1, min(count, most or count)).astype(int))


def verify(model_path, reference_file=None, folder=PHOTOS, most=None):
    """The checks of a file, in order: a list of Check.

    reference_file: by default, the one beside the file. folder: where the reference's photographs are. most: at most so
    many of these, evenly spaced; None for all.
    Raises CourseError and coreml_runtime.CoreMLRuntimeError, which are ValueErrors.
    """
    reference = read_reference(reference_file or reference_path(model_path), folder)
    chosen = _evenly_spaced(len(reference["files"]), most)
    for key in "files", "truth", "probabilities":
        reference[key] = np.array(reference[key])[chosen]
    exported, checks = Exported(Path(model_path), reference, Path(folder)), []
    for name, check in CHECKS.items():
        failed = next((each.name for each in checks if not each.holds), None)
        if failed:
            checks.append(Check(name, None, f"{failed} does not hold", ""))
        elif name in CORE_ML_ONLY and not exported.model:
            checks.append(Check(name, True, CORE_ML_ONLY[name].format(exported.path.suffix), ""))
        else:
            try:
                holds, figure, limit = check(exported)
            except Refused as refused:
                holds, (figure, limit) = False, refused.args
            checks.append(Check(name, bool(holds), figure, limit))
    return checks


def outcome(model_path, most=None):
    """What the checks of a file come to, in a line: `all 9 checks hold`, the first that does not, or why it cannot be
    checked. most: as for verify."""
    try:
        checks = verify(model_path, most=most)
    except ValueError as error:
        return f"not checked: {error}"
    return next((str(check) for check in checks if not check.holds), f"all {len(checks)} checks hold")


@command
def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m utils.verify",
                                     description="Is an exported file the model that was trained?")
    parser.add_argument("model", metavar="MODEL", help=f"supported: {classifiers.SUPPORTED}")
    parser.add_argument("--source", metavar="FILE", help="what the source model answered (default: the file "
                        "MODEL.reference.json, which the notebook that exports the model writes)")
    parser.add_argument("--photos", metavar="DIR", default=PHOTOS,
                        help="the folder of the photographs (default: PHOTOS)")
    parser.add_argument("--json", action="store_true", help="print one JSON list and nothing else")
    options = parser.parse_args(arguments)
    import_coremltools(with_tensorflow=False)  # it would load TensorFlow, in seconds, only to convert from it
    checks = verify(options.model, options.source, options.photos)
    print(json.dumps([asdict(check) for check in checks], indent=1, ensure_ascii=False) if options.json
          else "\n".join(map(str, checks)))
    return 0 if all(check.holds for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
