"""A trained classifier on a phone: fewer megabytes, and what the camera does to a photograph before the model sees it.

Pictures are PIL images in RGB. The changes below are simulations: they say which way a figure moves, and not by how
much it moves with a real camera in a real hand.
"""
import math
import re

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from utils.files import written_whole

GAMMA = 2.2  # of sRGB, about: pixel value / 255 is light ** (1 / GAMMA)
FULL_WELL = 1000  # photons that fill a small pixel of a phone, video mode; the fewer, the grainier
SMALL_LAYER = 10_000  # weights; the layers below hold a hundredth of the megabytes and see the picture first
LEAST_WEIGHTS = 2048  # smaller tensors stay as they are: coremltools' default
BATCH = 32
IOS_OF_SPECIFICATION = {6: 15, 7: 16, 8: 17, 9: 18, 10: 26}  # coremltools.SPECIFICATION_VERSION and its targets
CROP_OPTIONS = ("centerCrop", "scaleFit", "scaleFill")  # VNImageCropAndScaleOption's names


# --- files and photographs -------------------------------------------------------------------------------------------

def made_earlier(path):
    """The path, where notebook 05 has written it. Raises FileNotFoundError with the line that makes it."""
    if not path.exists():
        raise FileNotFoundError(f"{path.name} is missing; notebook 05 writes it: run `make course`, or, for this file "
                                "alone, `.venv/bin/python -m tools.course notebooks/05_tensorflow_to_coreml.ipynb`.")
    return path


def whole_sessions(table, most):
    """Rows of whole sessions, evenly spaced over those of each class and split, about `most` photographs; all where
    there are fewer.

    table: a DataFrame with the columns label, split and session.
    """
    step = max(1, math.ceil(len(table) / most))
    sessions = table.drop_duplicates("session")
    chosen = sessions[sessions.groupby(["label", "split"]).cumcount() % step == 0]["session"]
    return table[table["session"].isin(chosen)]


def run(classifier, pictures):
    """Probabilities (N, classes) of PIL images of the classifier's size, which evaluate.load_classifier has loaded."""
    batches = [pictures[i:i + BATCH] for i in range(0, len(pictures), BATCH)]
    return np.concatenate([classifier.probabilities(batch) for batch in batches])


def oldest_ios(path):
    """The oldest system that reads a Core ML package, by its specification's version: `iOS 16`."""
    from coremltools.models import MLModel

    version = MLModel(str(path), skip_model_load=True).get_spec().specificationVersion
    return f"iOS {IOS_OF_SPECIFICATION[version]}"


# --- fewer megabytes -------------------------------------------------------------------------------------------------

def palettize(model, bits):
    """A copy of an ML Program whose weights are indices of `bits` bits into a table of 2**bits values a layer.

    model: a coremltools MLModel. The tables are found by k-means; of 8 bits they are spaced evenly instead, which takes
    a second and loses as little.
    """
    import coremltools.optimize.coreml as cto

    config = cto.OpPalettizerConfig(mode="uniform" if bits == 8 else "kmeans", nbits=bits)
    return cto.palettize_weights(model, cto.OptimizationConfig(global_config=config))


def mixed_precision(model, bits=6, bits_of_widening=4, widening=4):
    """A copy of an ML Program with bits where they matter.

    model: a coremltools MLModel. The `widening` largest 1x1 convolutions that widen, from few channels to many, get
    tables of 2**bits_of_widening values, since the mean over many channels forgives; other large 1x1 convolutions get
    tables of 2**bits. All else, the small layers at the beginning among it, is quantized linearly to 8 bits: one table
    has to serve a whole layer, and in a depthwise convolution, into which batch norm was folded, channels differ a
    hundredfold.
    """
    import coremltools.optimize.coreml as cto

    def optimize(function, model, configs):
        return function(model, cto.OptimizationConfig(op_name_configs=configs))

    found = cto.get_weights_metadata(model, weight_threshold=LEAST_WEIGHTS)
    weights = {name: each.val for name, each in found.items()}
    pointwise = [name for name, w in weights.items() if w.shape[2:] == (1, 1) and w.size >= SMALL_LAYER]
    by_size = sorted(pointwise, key=lambda name: -weights[name].size)
    few = [name for name in by_size if weights[name].shape[0] > weights[name].shape[1]][:widening]
    tables = {name: cto.OpPalettizerConfig(nbits=bits_of_widening if name in few else bits) for name in pointwise}
    others = {name: cto.OpLinearQuantizerConfig(mode="linear_symmetric") for name in weights if name not in pointwise}
    return optimize(cto.palettize_weights, optimize(cto.linear_quantize_weights, model, others), tables)


def save(model, path, **metadata):
    """Saves an MLModel whole or not at all; metadata: user-defined keys, numbers or strings, beside those it has."""
    model.user_defined_metadata.update({key: str(value) for key, value in metadata.items()})
    with written_whole(path) as unfinished:
        model.save(str(unfinished))


# --- none of these, steadily -----------------------------------------------------------------------------------------

def average_last(probabilities, sessions, frames):
    """Each frame's probabilities averaged with those of the `frames` - 1 before it in its session: an array (N,
    classes).

    probabilities: (N, classes), frames of a session in order; sessions: N names. The first frames of a session have
    fewer before them.
    """
    probabilities, sessions = np.asarray(probabilities, float), np.asarray(sessions)
    averaged = np.empty_like(probabilities)
    for session in dict.fromkeys(sessions.tolist()):
        rows = np.flatnonzero(sessions == session)
        for i, row in enumerate(rows):
            averaged[row] = probabilities[rows[max(0, i + 1 - frames):i + 1]].mean(axis=0)
    return averaged


def share_of_changes(answers, sessions):
    """How often an answer differs from that of the frame before it in the same session, 0..1.

    answers, sessions: N values each, frames of a session one after the other. NaN where no session has two frames.
    """
    answers, sessions = np.asarray(answers), np.asarray(sessions)
    same = sessions[1:] == sessions[:-1]
    return float((answers[1:] != answers[:-1])[same].mean()) if same.any() else math.nan


# --- what the camera does ---------------------------------------------------------------------------------------------

def wide_frame(picture, aspect=4 / 3):
    """A photograph as a phone's sensor sees it, `aspect` times as wide as high: what is beside it is its mirrored
    edge."""
    pixels = np.asarray(picture)
    height, width = pixels.shape[:2]
    missing = max(0, round(height * aspect) - width)
    return Image.fromarray(np.pad(pixels, ((0, 0), (missing // 2, missing - missing // 2), (0, 0)), mode="reflect"))


def crop_and_scale(frame, option, size):
    """A camera's frame as Vision hands it to the model under one of its three options.

    option: centerCrop (the middle, in the model's aspect), scaleFit (all of it, black bars fill up) or scaleFill (all
    of it, squeezed); size: (width, height) of the model's input. Raises ValueError for another option.
    """
    if option not in CROP_OPTIONS:
        raise ValueError(f"{option!r} is none of {', '.join(CROP_OPTIONS)}.")
    if option == "centerCrop":
        return ImageOps.fit(frame, size, Image.Resampling.BILINEAR)
    if option == "scaleFit":
        return ImageOps.pad(frame, size, Image.Resampling.BILINEAR)
    return frame.resize(size, Image.Resampling.BILINEAR)


def turned(picture, degrees):
    """The picture turned counter-clockwise by a multiple of 90 degrees."""
    return Image.fromarray(np.ascontiguousarray(np.rot90(np.asarray(picture), degrees // 90)))


def out_of_focus(picture, share):
    """A Gaussian blur whose standard deviation is a share of the picture's width."""
    return picture.filter(ImageFilter.GaussianBlur(share * picture.width))


def in_dim_light(picture, stops, seed=0):
    """A picture with 2**stops times less light, and photon noise: sqrt(n) of n photons (FULL_WELL of them make
    white)."""
    light = (np.asarray(picture, np.float64) / 255) ** GAMMA * FULL_WELL / 2 ** stops
    photons = np.random.default_rng(seed).poisson(light)
    return Image.fromarray((255 * np.minimum(photons / FULL_WELL, 1) ** (1 / GAMMA)).round().astype(np.uint8))


def from_further_away(picture, times):
    """The picture from `times` the distance, 1 or more: smaller, on a plain ground in the mean colour of its edges."""
    width, height = picture.size
    pixels = np.asarray(picture)
    edges = np.concatenate([pixels[[0, -1]].reshape(-1, 3), pixels[:, [0, -1]].reshape(-1, 3)])
    changed = Image.new("RGB", picture.size, tuple(int(value) for value in edges.mean(axis=0).round()))
    small = picture.resize((round(width / times), round(height / times)), Image.Resampling.LANCZOS)
    changed.paste(small, ((width - small.width) // 2, (height - small.height) // 2))
    return changed


# --- the app's own code -----------------------------------------------------------------------------------------------

def source(path, first, last=None):
    """The lines of a source file from the one that contains `first` to the next that contains `last` (default: the
    closing brace of the block that `first` opens), without their common indentation.

    A notebook that shows code so cannot drift from it. Raises LookupError where a line is not there.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    start = next((i for i, line in enumerate(lines) if first in line), None)
    if start is None:
        raise LookupError(f"{path.name} has no line with {first!r}.")
    indent = re.match(r"\s*", lines[start])[0]
    ends = (lambda line: last in line) if last else (lambda line: re.match(re.escape(indent) + r"[})\]]", line))
    end = next((i for i in range(start + bool(not last), len(lines)) if ends(lines[i])), None)
    if end is None:
        raise LookupError(f"{path.name} has no line with {last or 'the closing brace'!r} after {first!r}.")
    return "\n".join(line.removeprefix(indent) for line in lines[start:end + 1])
