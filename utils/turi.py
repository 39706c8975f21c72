"""What notebook 04 needs around Turi Create 6.4.1: our backbone as one of its pre-trained models, photographs as its
images, and a way to the course's main environment.

Runs in the kernel turi-create (Python 3.8, TensorFlow 2.4, coremltools 4), which has neither PyTorch nor the course's
Core ML runtime. What those do is done by the main environment's Python in a process of its own; the two pass each other
files. Nothing is downloaded: without register_backbone, Turi Create fetches its pre-trained models from Apple.
"""
import functools
import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import turicreate as tc
from PIL import Image
from tensorflow import keras
from turicreate.toolkits import _image_feature_extractor
from turicreate.toolkits._pre_trained_models import IMAGE_MODELS, ImageClassifierPreTrainedModel
from turicreate.toolkits.image_analysis import image_analysis

from utils import photos
from utils.backbone import HEAD_CHANNELS, IMAGE_SIZE, PIXEL_MEAN, PIXEL_STD, keras_backbone
from utils.files import written_whole
from utils.paths import PHOTOS, ROOT, SEED, exported

BACKBONE = "efficientnet_lite0"
EARLY, EARLY_STAGE = "efficientnet_lite0_stage5", 5
RELU6 = 6.0
MOST_PIXELS = 512
BATCH_OF_FILES = 400  # photographs for one call of another program: its command line has a largest length


class OtherEnvironmentError(RuntimeError):
    """A program of the main environment failed; the message is the last line that it wrote."""


def in_main_environment(*arguments):
    """Runs Python with these arguments in the main environment, from the course's folder, and returns what it prints.

    The kernel turi-create was told at set-up where that Python is. Raises OtherEnvironmentError.
    """
    interpreter = os.environ.get("COURSE_PYTHON") or str(ROOT / ".venv" / "bin" / "python")
    # The main environment's matplotlib does not know the back end of this kernel's.
    clean = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    try:
        done = subprocess.run([interpreter, *map(str, arguments)], cwd=ROOT, env=clean, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, encoding="utf-8")
    except OSError:
        raise OtherEnvironmentError(f"there is no main environment at {interpreter}; run make setup") from None
    if done.returncode:
        raise OtherEnvironmentError((done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1])
    return done.stdout


def register_backbone():
    """Makes BACKBONE and EARLY, the same network cut off after its fifth stage, names that image_classifier.create
    takes.

    Writes both as Turi Create wants them, a Keras .h5 for features and, of the first, a .mlmodel for export, into
    exported/turi_create, if they are not there. Raises OtherEnvironmentError.
    """
    weights_file = exported("turi_create", "imagenet_weights.npz")
    if not weights_file.exists():
        with written_whole(weights_file) as unfinished:
            in_main_environment("-m", "utils.backbone", unfinished)
    with np.load(weights_file) as arrays:
        weights = [arrays[name] for name in arrays.files]
    network = keras_backbone(fold_batch_norm=True, weights=weights)
    _register(BACKBONE, network, HEAD_CHANNELS)
    last = [layer for layer in network.layers if layer.name.startswith(f"block{EARLY_STAGE}")][-1]
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(last.output)
    _register(EARLY, keras.Model(network.input, pooled), pooled.shape[-1])
    if not exported("turi_create", f"{BACKBONE}.mlmodel").exists():
        with written_whole(exported("turi_create", f"{BACKBONE}.mlmodel")) as unfinished:
            core_ml_network(network).save(str(unfinished))
    # On a Mac, Turi Create computes features by Core ML and knows no other names than Apple's. The networks are kept,
    # since each create() loads its own.
    _image_feature_extractor._create_feature_extractor = functools.lru_cache(maxsize=None)(
        lambda name: _image_feature_extractor.TensorFlowFeatureExtractor(IMAGE_MODELS[name]()))


def _register(name, network, features):
    path = exported("turi_create", f"{name}.h5")
    if not path.exists():
        # Turi Create hands pixel values over as they are, 0..255: the scaling has to be a part of the network.
        inputs = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3))
        scaled = keras.layers.experimental.preprocessing.Rescaling(1 / PIXEL_STD, -PIXEL_MEAN / PIXEL_STD)(inputs)
        with written_whole(path) as unfinished:
            keras.Model(inputs, network(scaled)).save(str(unfinished), include_optimizer=False)

    class PreTrained(ImageClassifierPreTrainedModel):
        input_image_shape = (3, IMAGE_SIZE, IMAGE_SIZE)
        input_is_BGR = False
        coreml_data_layer, coreml_feature_layer = "data", "pool"

        def __init__(self):
            self.name, self.source_md5 = name, {}

        def get_model_path(self, format):
            return str(path if format == "tensorflow" else path.with_suffix(".mlmodel"))

    IMAGE_MODELS[name] = PreTrained
    image_analysis.MODEL_TO_FEATURE_SIZE_MAPPING[name] = features


def core_ml_network(network):
    """The backbone as a coremltools MLModel of the kind that export_coreml rewrites: a NeuralNetworkClassifier with an
    image input `data`, whose last two layers are innerProduct and softmax; these two are empty.

    network: keras_backbone(fold_batch_norm=True). Pixels are scaled by the file. ReLU6 is written as
    -max(-relu(x), -6), because Core ML had no clip before iOS 13; the file runs from iOS 11 on.
    """
    from coremltools.models import MLModel, datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder

    builder = NeuralNetworkBuilder([("data", datatypes.Array(3, IMAGE_SIZE, IMAGE_SIZE))], [("probabilities", None)],
                                   mode="classifier")
    for layer in network.layers[1:]:
        sources = layer.input if isinstance(layer.input, list) else [layer.input]
        names = [source._keras_history.layer.name for source in sources]
        names = ["data" if name == network.layers[0].name else name for name in names]
        _ADD[type(layer).__name__](builder, layer, names)
    builder.add_inner_product("logits", np.zeros((2, HEAD_CHANNELS)), np.zeros(2), HEAD_CHANNELS, 2, has_bias=True,
                              input_name="pool", output_name="logits")
    builder.add_softmax("probabilities", "logits", "probabilities")
    builder.set_class_labels(["a", "b"])
    bias = -PIXEL_MEAN / PIXEL_STD
    builder.set_pre_processing_parameters(image_input_names=["data"], is_bgr=False, image_scale=1 / PIXEL_STD,
                                          red_bias=bias, green_bias=bias, blue_bias=bias)
    return MLModel(builder.spec)


def _add_convolution(builder, layer, names):
    kernel, bias = layer.get_weights()  # (height, width, in, out); depthwise (height, width, channels, 1)
    groups = 1
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        kernel, groups = kernel.transpose(0, 1, 3, 2), kernel.shape[2]
    builder.add_convolution(
        layer.name, kernel_channels=kernel.shape[2], output_channels=kernel.shape[3], height=kernel.shape[0],
        width=kernel.shape[1], stride_height=layer.strides[0], stride_width=layer.strides[1], border_mode="same",
        same_padding_asymmetry_mode="BOTTOM_RIGHT_HEAVY", groups=groups, W=kernel, b=bias, has_bias=True,
        input_name=names[0], output_name=layer.name)


def _add_relu6(builder, layer, names):
    name = layer.name
    builder.add_activation(f"{name}_relu", "RELU", names[0], f"{name}_relu")
    builder.add_unary(f"{name}_limit", f"{name}_relu", f"{name}_limit", mode="threshold", alpha=-RELU6, scale=-1.0)
    builder.add_activation(name, "LINEAR", f"{name}_limit", name, [-1.0, 0.0])


def _add_sum(builder, layer, names):
    builder.add_elementwise(layer.name, names, layer.name, mode="ADD")


def _add_global_average(builder, layer, names):
    builder.add_pooling(layer.name, 1, 1, 1, 1, "AVERAGE", "VALID", names[0], layer.name, is_global=True)


_ADD = {"Conv2D": _add_convolution, "DepthwiseConv2D": _add_convolution, "ReLU": _add_relu6, "Add": _add_sum,
        "GlobalAveragePooling2D": _add_global_average}


def as_image(picture):
    """A PIL image or a uint8 array (H, W, 3) as a turicreate.Image."""
    pixels = np.ascontiguousarray(picture)
    height, width, channels = pixels.shape
    return tc.Image(_image_data=pixels.tobytes(), _image_data_size=pixels.nbytes, _format_enum=2,  # raw pixels
                    _height=height, _width=width, _channels=channels)


def read_images(table, prepare=None, folder=PHOTOS):
    """The photographs of a table, in its order, as an SArray of images: upright RGB, of their own size, but MOST_PIXELS
    a side at most, because an SArray holds them unpacked.

    prepare: a function from PIL image to PIL image that each goes through. Raises photos.PhotoError.
    """
    def read(file):
        picture = photos.read_photo(folder / file)
        picture.thumbnail((MOST_PIXELS, MOST_PIXELS))  # leaves a smaller one alone
        return as_image(prepare(picture) if prepare else picture)

    return tc.SArray([read(file) for file in table["file"]])


def pick(column, mask):
    """The elements of an SArray, or the rows of an SFrame, for which a NumPy mask holds."""
    return column[tc.SArray(mask.astype(int))]


def features(images, name=BACKBONE):
    """What a network makes of images (SArray): an SArray of vectors, which create() takes in the images' place."""
    return image_analysis.get_deep_features(images, name, verbose=False)


def cross_validated(fit, features, labels, keys, folds=5, seed=SEED):
    """Right or wrong, as N truth values, for each photograph, asked of a model that has seen none with the same key.

    fit: a function from features (SArray) and labels to a model; features, labels, keys: of N photographs. Keys are
    dealt out to folds at random. Where a fold leaves fewer than two classes to train on, its photographs count as
    wrong.
    """
    labels, right = np.asarray(labels), np.zeros(len(labels), bool)
    names, key = np.unique(np.asarray(keys, str), return_inverse=True)
    fold = (np.random.RandomState(seed).permutation(len(names)) % folds)[key]
    for number in range(folds):
        out = fold == number
        if out.any() and len(set(labels[~out])) > 1:
            answers = fit(pick(features, ~out), labels[~out]).predict(tc.SFrame({"image": pick(features, out)}))
            right[out] = np.array(answers) == labels[out]
    return right


def as_seen(images):
    """The pixels that Turi Create hands to the network, stretched by nearest neighbour: uint8 arrays (224, 224, 3)."""
    return [image_analysis.resize(image, IMAGE_SIZE, IMAGE_SIZE, 3).pixel_data for image in images]


def run_file(model, pictures, names):
    """Probabilities (N, classes) that the course's Core ML runtime gets from a .mlmodel, photograph by photograph.

    pictures: N uint8 arrays of the model's input size, which are handed over as PNG files; names: the class names,
    which order the columns. Raises OtherEnvironmentError.
    """
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number:05}.png" for number in range(len(pictures))]
        for file, picture in zip(files, pictures):
            Image.fromarray(picture).save(file, compress_level=1)
        for start in range(0, len(files), BATCH_OF_FILES):
            batch = files[start:start + BATCH_OF_FILES]
            answers += json.loads(in_main_environment("-m", "coreml_runtime", model, *batch, "--json"))
    return np.array([[answer["probs"][name] for name in names] for answer in answers])


def evaluate_files(files):
    """evaluate.evaluate, by the main environment, for each (model file, split) on the known classes of PHOTOS: a list
    of its results."""
    code = ("import sys, json; from coreml_runtime import imports; from utils import evaluate, paths\n"
            "imports.import_coremltools(with_tensorflow=False)\n"
            "print(json.dumps([evaluate.evaluate(file, paths.PHOTOS, split, with_unknown=False)\n"
            "                  for file, split in json.loads(sys.argv[1])]))")
    return json.loads(in_main_environment("-c", code, json.dumps([(str(file), split) for file, split in files])))


def record_route(*arguments):
    """routes.record_open, by the main environment: route, notebook, file, evaluation, parity, platform."""
    code = "import sys, json; from utils import routes; routes.record_open(*json.loads(sys.argv[1]))"
    in_main_environment("-c", code, json.dumps(arguments, default=str))


def record_reference(file, table, names, answer, folder=PHOTOS):
    """verify.record_reference, by the main environment, of an exported file.

    table: test photographs; names: the class names in order; answer: a function from features (SArray) to probabilities
    (N, classes). The photographs are read as an app hands them over, and need no stretching by Turi Create.
    """
    size = (IMAGE_SIZE, IMAGE_SIZE)
    pictures = [as_image(photos.read_photo(folder / name, size)) for name in table["file"]]
    code = ("import sys, json, pandas; from utils import verify\n"
            "file, rows, *arguments, folder = json.loads(sys.argv[1])\n"
            "verify.record_reference(file, pandas.DataFrame(rows), *arguments, folder=folder)")
    in_main_environment("-c", code, json.dumps([
        str(file), table[["file", "label"]].to_dict("records"), answer(features(tc.SArray(pictures))).tolist(), names,
        "Turi Create", size, str(folder)]))


def fine_tuned_files():
    """The Core ML files that notebooks 02, 03 and 05 have recorded in exported/routes.csv and that are there:
    {"fastai, fine-tuned": path, "TensorFlow, fine-tuned": path}, or fewer."""
    table, found = exported("routes.csv"), {}
    if table.exists():
        routes = pd.read_csv(table, keep_default_na=False)
        for who, notebooks in ("fastai", ("02", "03")), ("TensorFlow", ("05",)):
            of_notebook = routes[(routes["status"] == "open") & routes["notebook"].str[:2].isin(notebooks)]
            files = [exported(file) for file in of_notebook["file"] if file.endswith(".mlpackage")]
            found.update({f"{who}, fine-tuned": file for file in files[:1] if file.exists()})
    return found
