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
import hashlib
import json
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

import coreml_runtime
from utils import evaluate, photos
from utils.backbone import IMAGE_SIZE, PIXEL_MEAN, PIXEL_STD
from utils.files import written_whole
from utils.paths import PHOTOS

PARITY_LIMIT = 1e-3  # of a probability, for a file that computes and stores float32
FLOAT16_LIMIT = 0.05  # of a probability: rounding moves some by a few thousandths, an overflow changes everything
FLOAT16_PHOTOS = 32  # as many are computed in float16, which takes twice as long
ACCURACY_LIMIT = 0.005  # half a point; of fewer than 200 photographs one is more than that, and always allowed
PIXEL_LIMIT = 1e-3  # relative to the scale; 1/127 for 1/128 is off by 8e-3
SPREAD_LIMIT = 0.05  # that some probability differs by at least, from photograph to photograph
METADATA = ("author", "license", "version", "short_description")


class VerificationError(ValueError):
    """A file or reference that cannot be checked. The message says what is wrong, where, and what to do."""


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


def record_reference(model_path, table, probabilities, labels, source, input_name="image",
                     size=(IMAGE_SIZE, IMAGE_SIZE), scale=1 / PIXEL_STD, bias=-PIXEL_MEAN / PIXEL_STD,
                     parity_limit=PARITY_LIMIT, accuracy_limit=None, folder=PHOTOS):
    """Writes what the source model is and answered, beside the exported file, for `verify` to compare.

    table: the test photographs, a DataFrame with `file` and `label`, without `other`; probabilities: the source model's
    for each of them, (N, classes), columns in the order of `labels`. source: the model's name, for the report.
    input_name, size: of the exported file's input, (width, height) in pixels. scale, bias: what training did to pixel
    values 0..255 in RGB, as one number each or three. parity_limit: the largest difference of a probability; wider than
    PARITY_LIMIT only for a file whose weights are compressed or float16. accuracy_limit: by how much the accuracies may
    differ, 0..1; by default ACCURACY_LIMIT, or one photograph. How much accuracy compression costs is a finding of the
    notebook that compresses, and no fault of the file: record the share of photographs whose label it has changed.
    folder: what `file` is relative to.
    Returns the reference's path. Raises VerificationError where the shapes do not fit, a limit is negative or not a
    number, or there is nothing to compare.
    """
    probabilities = np.asarray(probabilities, np.float64)
    if not len(table) or probabilities.shape != (len(table), len(labels)):
        raise VerificationError(f"{model_path}: probabilities of shape {probabilities.shape} for {len(table)} "
                                f"photographs and {len(labels)} labels; give a row a photograph and a column a label.")
    strange = sorted(set(table["label"]) - set(labels))
    if strange:
        raise VerificationError(f"{model_path}: photographs of {', '.join(strange)}, which is no label of the model; "
                                "take them out of the table.")
    limits = {"parity_limit": parity_limit, "accuracy_limit": accuracy_limit}
    if not _are_limits(limits):
        raise VerificationError(f"{model_path}: a parity_limit of {parity_limit} and an accuracy_limit of "
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
        raise VerificationError(f"{path}: this photograph cannot be read ({error.strerror}); give the folder that the "
                                "model was tested on.") from None


def read_reference(path, folder=PHOTOS):
    """A reference as `record_reference` wrote it: a dictionary, `probabilities` an array.

    Raises VerificationError: there is none, it is damaged, or the photographs are not those of then.
    """
    path = Path(path)
    if not path.is_file():
        raise VerificationError(f"{path}: there is no such reference; the notebook that exports the model writes it.")
    try:
        reference = json.loads(path.read_text())
        reference["probabilities"] = np.array(reference["probabilities"], np.float64)
        digests = dict(zip(reference["files"], reference["digests"], strict=True))
        if not _are_limits(reference):
            raise ValueError("a limit is negative or not a number")
    except (ValueError, KeyError, TypeError):
        raise VerificationError(f"{path}: this reference is damaged; export the model again.") from None
    for file, digest in digests.items():
        if _digest(Path(folder) / file) != digest:
            raise VerificationError(f"{Path(folder) / file}: this is another photograph than the one that the source "
                                    "model answered for; export the model again, or give the folder of then.")
    return reference


# ---- the checks: each returns its figure and its limit, or raises Refused --------------------------------------------

class _Verification:
    """One file, its reference, and what the checks share: the loaded model and its answers."""

    def __init__(self, path, reference, folder):
        self.path, self.reference, self.folder = Path(path), reference, Path(folder)
        self.is_core_ml = self.path.suffix in evaluate.CORE_ML
        self.classifier = self.model = self.answers = None

    def reads(self):
        """The model is loaded. Errors pass: such a file can't be checked any further."""
        if self.is_core_ml:
            self.model = coreml_runtime.load(self.path)
            kind = "Core ML model"
        else:
            self.classifier = evaluate.load_classifier(self.path)
            kind = self.path.suffix
        return kind, ""

    def input(self):
        name, size = self.reference["input"], tuple(self.reference["size"])
        wanted = f"{name}, {size[0]} x {size[1]} pixels" + (", RGB" if self.is_core_ml else "")
        if self.is_core_ml:
            inputs = list(self.model.input_description.values())
            if len(inputs) != 1 or inputs != self.model.image_inputs:
                raise Refused("the inputs are " + ", ".join(self.model.input_description) + ", not one picture", wanted)
            found = f"{inputs[0].name}, {inputs[0].width} x {inputs[0].height} pixels, {inputs[0].color_layout}"
        else:  # a name is no part of how a .tflite or .onnx is called
            found = f"{name}, {self.classifier.size[0]} x {self.classifier.size[1]} pixels"
        return _same(found, wanted)

    def labels(self):
        labels = self.model.class_labels if self.is_core_ml else self.classifier.labels
        return _same(", ".join(map(str, labels)) or "none", ", ".join(self.reference["labels"]))

    def preprocessing(self):
        if not self.is_core_ml:
            return f"not read back from a {self.path.suffix}; parity would show it", ""
        found, bias = read_preprocessing(self.model)
        scale, wanted = np.diag(self.reference["scale"]), np.array(self.reference["bias"])
        figure = f"scale {_numbers(np.diag(found))}, bias {_numbers(bias)}"
        limit = f"scale {_numbers(self.reference['scale'])}, bias {_numbers(wanted)}, to {PIXEL_LIMIT:g} of the scale"
        unit = np.abs(scale).max()
        if np.abs(found - scale).max() > PIXEL_LIMIT * unit or np.abs(bias - wanted).max() > PIXEL_LIMIT * unit * 255:
            mixed = np.abs(found - np.diag(np.diag(found))).max() > PIXEL_LIMIT * unit
            raise Refused(figure + ", and channels are mixed" * bool(mixed), limit)
        return figure, limit

    def outputs(self):
        if self.is_core_ml:
            self.classifier = evaluate.CoreMLClassifier(self.path)
        limit = f"finite, sum 1, spread at least {SPREAD_LIMIT:g}"
        try:
            self.answers = self._answer(self.classifier, self.reference["files"])
        except (evaluate.EvaluationError, coreml_runtime.CoreMLRuntimeError) as error:
            raise Refused(str(error), limit) from None
        if not np.isfinite(self.answers).all():
            raise Refused(f"{np.isnan(self.answers).any(1).sum()} of {len(self.answers)} answers are not finite", limit)
        sums = np.abs(self.answers.sum(1) - 1).max()
        spread = np.ptp(self.answers, axis=0).max()
        figure = f"sums within {sums:.1g} of 1, largest spread {spread:.2g}"
        if sums > 0.02 or spread < SPREAD_LIMIT:  # the sum of quantized probabilities is off by up to a hundredth
            raise Refused(figure, limit)
        return figure, limit

    def parity(self):
        differences = np.abs(self.answers - self.reference["probabilities"]).max(1)
        worst, limit = int(differences.argmax()), self.reference["parity_limit"]
        figure = f"{differences[worst]:.1e} on {self.reference['files'][worst]}, the worst of {len(differences)}"
        if not differences[worst] <= limit:
            raise Refused(figure, f"{limit:g}")
        return figure, f"{limit:g}"

    def float16(self):
        if not self.is_core_ml:
            return f"not computed for a {self.path.suffix}", ""
        chosen = _evenly_spaced(len(self.answers), FLOAT16_PHOTOS)
        half = self._answer(evaluate.CoreMLClassifier(self.path, "float16"), self.reference["files"][chosen])
        difference = np.abs(half - self.answers[chosen]).max()
        figure = f"{difference:.1e} on {len(chosen)} photographs"
        if not difference <= FLOAT16_LIMIT:  # false for NaN, too
            raise Refused("answers are not finite: a value is beyond 65504" if np.isnan(difference) else figure,
                          f"{FLOAT16_LIMIT:g}")
        return figure, f"{FLOAT16_LIMIT:g}"

    def accuracy(self):
        truth, labels = self.reference["truth"], np.array(self.reference["labels"])
        found, source = ((labels[p.argmax(1)] == truth).sum() for p in (self.answers, self.reference["probabilities"]))
        n, recorded = len(self.answers), self.reference.get("accuracy_limit")
        # A recorded share is of all photographs: where fewer are checked, they may be just the ones that changed.
        most = n * ACCURACY_LIMIT if recorded is None else len(self.reference["digests"]) * recorded
        most = max(1, math.floor(most + 1e-6))  # a share of n, times n, may lie a little below a whole number
        figure = f"{found / n:.1%}, the source {source / n:.1%}"
        limit = f"{most / n:.1%} apart, {most} of {n} photographs"
        if abs(found - source) > most:
            raise Refused(figure, limit)
        return figure, limit

    def metadata(self):
        if not self.is_core_ml:
            return f"not looked for in a {self.path.suffix}", ""
        empty = [name for name in METADATA if not getattr(self.model.metadata, name)]
        if empty:
            raise Refused(f"{', '.join(empty)} empty", "all filled in")
        return ", ".join(METADATA) + " filled in", ""

    def _answer(self, classifier, files):
        answers = []
        for start in tqdm(range(0, len(files), evaluate.BATCH), unit="batch", disable=None, leave=False):
            batch = files[start:start + evaluate.BATCH]
            answers.append(classifier.probabilities(
                [photos.read_photo(self.folder / file, classifier.size) for file in batch]))
        return np.concatenate(answers)


CHECKS = ("reads", "input", "labels", "preprocessing", "outputs", "parity", "float16", "accuracy", "metadata")


def _same(found, wanted):
    if found != wanted:
        raise Refused(found, wanted)
    return found, wanted


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
    image, program = model.image_inputs[0], model._program
    seen = [_before_first_convolution(program, image.to_tensor(Image.new("RGB", image.size, colour)), image.name)
            for colour in [(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)]]
    bias, columns = seen[0], seen[1:]
    return np.stack([(column - bias) / 255 for column in columns], axis=1), bias


def _before_first_convolution(program, picture, name):
    program = program.stages[0][0] if hasattr(program, "stages") else program  # a pipeline's first model
    with torch.inference_mode():
        values = program._start({name: picture})
        for node in program.nodes:
            if node.op_type in ("conv", "convolution"):
                x = values[node.tensors["x"]]
                return x.reshape(-1, *x.shape[-3:])[0, :, x.shape[-2] // 2, x.shape[-1] // 2].double().numpy()
            program.run_node(node, values)
    raise Refused("no convolution to read it before", "a network that begins with one")


def _evenly_spaced(count, most):
    """Places of at most `most` (None: all) out of `count`."""
    return np.unique(np.linspace(0, count - 1, min(count, most or count)).astype(int))


def verify(model_path, reference_file=None, folder=PHOTOS, most=None):
    """The checks of a file, in order: a list of Check.

    reference_file: by default, the one beside the file. folder: where the reference's photographs are. most: at most so
    many of these, evenly spaced; None for all.
    Raises VerificationError, and what reading a damaged file raises: coreml_runtime.CoreMLRuntimeError,
    evaluate.EvaluationError, tflite.TFLiteError, photos.PhotoError (all ValueErrors).
    """
    reference = read_reference(reference_file or reference_path(model_path), folder)
    chosen = _evenly_spaced(len(reference["files"]), most)
    for key in "files", "truth", "probabilities":
        reference[key] = np.array(reference[key])[chosen]
    verification, checks = _Verification(model_path, reference, folder), []
    for name in CHECKS:
        if checks and not checks[-1].holds:
            checks.append(Check(name, None, f"{next(c.name for c in checks if c.holds is False)} does not hold", ""))
            continue
        try:
            checks.append(Check(name, True, *getattr(verification, name)()))
        except Refused as refused:
            checks.append(Check(name, False, *refused.args))
    return checks


def outcome(model_path, most=None):
    """What the checks of a file come to, in a line: `all 9 checks hold`, the first that does not, or why it cannot be
    checked. most: as for verify."""
    try:
        checks = verify(model_path, most=most)
    except ValueError as error:
        return f"not checked: {error}"
    return next((str(check) for check in checks if not check.holds), f"all {len(checks)} checks hold")


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m utils.verify",
                                     description="Is an exported file the model that was trained?")
    parser.add_argument("model", metavar="MODEL", help=f"supported: {evaluate.SUPPORTED}")
    parser.add_argument("--source", metavar="FILE", help="what the source model answered (default: the file "
                        "MODEL.reference.json, which the notebook that exports the model writes)")
    parser.add_argument("--photos", metavar="DIR", default=PHOTOS,
                        help="the folder of the photographs (default: PHOTOS)")
    parser.add_argument("--json", action="store_true", help="print one JSON list and nothing else")
    options = parser.parse_args(arguments)
    try:
        checks = verify(options.model, options.source, options.photos)
    except ValueError as error:  # of this module, of the runtimes, of photos: one sentence each
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    print(json.dumps([asdict(check) for check in checks], indent=1, ensure_ascii=False) if options.json
          else "\n".join(map(str, checks)))
    return 0 if all(check.holds for check in checks) else 1


if __name__ == "__main__":
    # coremltools imports TensorFlow where it is installed: seconds that reading a Core ML model does not need.
    sys.modules.setdefault("tensorflow", None)
    sys.exit(main())
