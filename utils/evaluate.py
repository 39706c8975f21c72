"""How good is an exported model on a folder of photographs?

`python -m utils.evaluate MODEL DIR [--split test] [--json]`: DIR has one folder per class, or a photos.csv. Photographs
are read and cropped as everywhere in the course (photos.read_photo), and `classifiers` runs the model. The exit code is
0; 1 with one sentence on stderr where the photographs cannot be used, 2 where the model cannot.
"""
import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from coreml_runtime.imports import import_coremltools

from utils import calibration, classifiers, photos
from utils.command_line import command
from utils.intervals import wilson_interval
from utils.photos import PhotoError


def read_folder(folder, split=None):
    """The table of photographs to evaluate: all of the folder's, or those of one split. Raises PhotoError."""
    folder = Path(folder)
    if split or (folder / "photos.csv").is_file():
        table = photos.read_table(folder)
    else:
        table = photos.find_photos(folder)
        filled = {Path(file).parts[0] for file in table["file"]}
        for each in sorted(folder.iterdir()):
            if each.is_dir() and not each.name.startswith(".") and each.name not in filled:
                raise PhotoError(f"{each}: no photographs in this class folder. Put some in, or remove the folder.")
    table = table[table["split"] == split] if split else table
    if table.empty:
        raise PhotoError(f"{folder}: no photographs in the split {split}.")
    return table.reset_index(drop=True)


def evaluate(model_path, folder, split=None, compute_precision="float32", with_unknown=True):
    """Runs a model on a folder of photographs, without those of `other` if with_unknown is False; shows a progress bar
    on a terminal.

    Returns a dictionary:
    accuracy, interval: top-1 accuracy 0..1 on the model's classes and its 95 % Wilson interval [low, high]; n: of how
    many; per_class: {label: {accuracy, interval, n}}; confusion: {true label: {predicted label: photographs}};
    seconds_per_photo: of the model alone, without reading; unreadable: the files that could not be read;
    unknown, where the folder has photographs of `other`: threshold; turned_away, the share of those n with a top
    probability below it, after the model's temperature; kept, the share of correctly classified photographs that reach
    it. Raises CourseError, whose exit_code is 1 for the photographs and 2 for the model, and coreml_runtime's errors.
    """
    model, folder = classifiers.load(model_path, compute_precision), Path(folder)
    table = read_folder(folder, split)
    table = table if with_unknown else table[table["label"] != photos.OTHER]
    missing = sorted(set(table["label"]) - set(model.labels) - {photos.OTHER})
    if missing:
        raise PhotoError(f"{folder}: {model_path} does not know the class {', '.join(missing)}; it knows "
                         f"{', '.join(model.labels)}. Rename or remove the folder.")
    unreadable = []
    probabilities = classifiers.predict(model, [folder / file for file in table["file"]], unreadable)
    is_read = np.array([folder / file not in unreadable for file in table["file"]], bool)
    labels = table["label"][is_read]
    if not (labels != photos.OTHER).any():
        raise PhotoError(f"{folder}: no readable photograph of any class that {model_path} knows.")
    calibrated = calibration.with_temperature(probabilities, model.temperature)
    return {**summarize(labels, calibrated, model.labels, model.threshold),
            "seconds_per_photo": model.seconds / len(labels), "unreadable": list(table["file"][~is_read])}


def summarize(true_labels, probabilities, labels, threshold=classifiers.DEFAULT_THRESHOLD):
    """accuracy, interval, n, per_class, confusion and unknown of `evaluate`, from probabilities (N, classes).

    true_labels: N class names, `other` among them or not; labels: the names of the columns.
    """
    truth, labels = np.asarray(true_labels, dtype=object), list(labels)
    predicted = np.array(labels, dtype=object)[probabilities.argmax(axis=1)]
    accepted = (probabilities.max(axis=1) >= threshold) & (predicted != photos.OTHER)
    known, correct = truth != photos.OTHER, truth == predicted
    rows = [name for name in labels if (truth[known] == name).any()]
    result = _share(correct[known])
    result["per_class"] = {name: _share(correct[truth == name]) for name in rows}
    counts = pd.crosstab(truth[known], predicted[known]).reindex(index=rows, columns=labels, fill_value=0)
    result["confusion"] = {name: {other: int(n) for other, n in row.items()} for name, row in counts.iterrows()}
    if not known.all():
        result["unknown"] = {"turned_away": float((~accepted[~known]).mean()), "n": int((~known).sum()),
                             "kept": float(accepted[known & correct].mean()) if correct[known].any() else 0.0,
                             "threshold": threshold}
    return result


def _share(correct):
    count, n = int(correct.sum()), len(correct)
    return {"accuracy": count / n, "interval": [round(bound, 4) for bound in wilson_interval(count, n)], "n": n}


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


@command
def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m utils.evaluate",
                                     description="How good is an exported model on photographs?")
    parser.add_argument("model", metavar="MODEL", help=f"supported: {classifiers.SUPPORTED}")
    parser.add_argument("folder", metavar="DIR", help="holds one folder of photographs per class, or a photos.csv")
    parser.add_argument("--split", choices=photos.SPLITS, help="only these photographs (default: all)")
    parser.add_argument("--compute-precision", choices=["float32", "float16"], default="float32",
                        help="float16 rounds as a phone's Neural Engine does (default: float32)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = parser.parse_args(arguments)
    import_coremltools(with_tensorflow=False)  # it would load TensorFlow, in seconds, only to convert from it
    result = evaluate(options.model, options.folder, options.split, options.compute_precision)
    print(json.dumps(result, indent=1, ensure_ascii=False) if options.json else report(result))


if __name__ == "__main__":
    sys.exit(main())
