"""The inference part of `make bench`: EfficientNet-Lite0 in the Core ML runtime and in what you would use instead, with
the same weights, on the same photographs, each with all of the CPU's cores.

The contestants take turns, so that a machine that slows down slows all of them, and each ratio is the median of the
ratios of the turns. Loading and memory are measured in a process for each. The files that they need are written in
another process, because on Linux a process begins with the peak memory of the one that starts it.
"""
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from tools.bench import processes
from utils import paths, photos
from utils.backbone import IMAGE_SIZE, PIXEL_MEAN, PIXEL_STD, keras_backbone, scale_pixels, torch_backbone
from utils.silence import quiet, silent_stderr

TURNS = 9
BATCH = 32
CALLS = {1: 10, BATCH: 2}  # in a turn, by how many photographs each answers
REST = 0.2  # seconds between two contestants: some keep the cores busy while their threads wait for more work
RUNTIME, ONNX, LITERT, KERAS = "Core ML runtime", "ONNX Runtime", "LiteRT", "Keras"
NETWORKS = "networks"
LIBRARIES = {RUNTIME: ["torch", "coremltools", "coreml_runtime"], ONNX: ["onnxruntime"],
             LITERT: ["ai_edge_litert.interpreter"], KERAS: ["tensorflow", "keras"]}


def bundled_pictures(count):
    """The first `count` test photographs: uint8 (count, 224, 224, 3)."""
    table = photos.read_table(paths.TABLETOP)
    return photos.read_photos(paths.TABLETOP, table[table["split"] == "test"].head(count), (IMAGE_SIZE, IMAGE_SIZE))


def write_networks(folder):
    """Writes the network in each contestant's own format: network.mlpackage, .onnx, .tflite and .keras."""
    quiet("tensorflow", "coremltools")
    with silent_stderr():
        import coremltools as ct
        import tensorflow as tf
        import torch

        from utils import tf_coreml, tflite

        network = keras_backbone(include_top=True)
        network.save(folder / "network.keras")
        shape = (1, IMAGE_SIZE, IMAGE_SIZE, 3)
        image = ct.ImageType("image", shape, scale=1 / PIXEL_STD, bias=[-PIXEL_MEAN / PIXEL_STD] * 3)
        call = tf.function(lambda x: network(x, training=False))
        function = call.get_concrete_function(tf.TensorSpec(shape, name="image"))
        ct.convert([function], source="tensorflow", convert_to="mlprogram", compute_precision=ct.precision.FLOAT32,
                   inputs=[image]).save(str(folder / "network.mlpackage"))
        function = call.get_concrete_function(tf.TensorSpec((None, *shape[1:]), name="image"))
        tflite.convert(tf_coreml.freeze(function), folder / "network.tflite")
        torch.onnx.export(torch_backbone(include_top=True), (torch.zeros(2, 3, IMAGE_SIZE, IMAGE_SIZE),),
                          folder / "network.onnx", input_names=["image"], dynamo=True, verbose=False,
                          dynamic_shapes=[{0: torch.export.Dim("batch")}])


# ---- a function of uint8 pictures (N, 224, 224, 3) -> logits (N, 1000) for each --------------------------------------

def load_runtime(folder):
    import coreml_runtime

    model = coreml_runtime.load(folder / "network.mlpackage")
    output, = model.output_names

    def answer(pictures):
        answers = model.predict([{"image": Image.fromarray(p)} for p in pictures])
        return np.concatenate([each[output] for each in answers])

    return answer


def load_onnx(folder):
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "network.onnx", providers=["CPUExecutionProvider"])
    return lambda pictures: session.run(
        None, {"image": scale_pixels(pictures.transpose(0, 3, 1, 2).astype(np.float32))})[0]


def load_litert(folder):
    from ai_edge_litert.interpreter import Interpreter

    with silent_stderr():
        interpreter = Interpreter(str(folder / "network.tflite"), num_threads=os.cpu_count())
    image, output = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def answer(pictures):
        with silent_stderr():
            interpreter.resize_tensor_input(image, pictures.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(image, scale_pixels(pictures.astype(np.float32)))
        interpreter.invoke()
        return interpreter.get_tensor(output)

    return answer


def load_keras(folder):
    import keras
    import tensorflow as tf

    network = keras.models.load_model(folder / "network.keras")
    call = tf.function(lambda x: network(x, training=False))
    return lambda pictures: call(scale_pixels(tf.cast(pictures, tf.float32))).numpy()


LOADERS = {RUNTIME: load_runtime, ONNX: load_onnx, LITERT: load_litert, KERAS: load_keras}


# ---- measuring -------------------------------------------------------------------------------------------------------

def take_turns(functions, pictures, turns=TURNS, clock=time.perf_counter):
    """{name: [seconds for all `pictures`, per turn]}. In its turn a function answers them several times; the first time
    is not counted, and the median of the others counts."""
    seconds = {name: [] for name in functions}
    for _ in tqdm(range(turns), desc=f"{len(pictures)} photographs at once", disable=None):
        for name, function in functions.items():
            time.sleep(REST)
            times = []
            for _ in range(1 + CALLS.get(len(pictures), 1)):
                start = clock()
                function(pictures)
                times.append(clock() - start)
            seconds[name].append(statistics.median(times[1:]))
    return seconds


def compare(seconds, count):
    """A table with a row per contestant: median milliseconds per photograph, photographs per second, and the median of
    the turns' ratios, the Core ML runtime's time divided by its own (above 1: the runtime is slower).

    seconds: what take_turns returns for `count` photographs.
    """
    return pd.DataFrame({
        name: {"ms a photograph": 1000 * statistics.median(times) / count,
               "photographs a second": count / statistics.median(times),
               f"{RUNTIME}'s time over its": statistics.median(own / t for t, own in zip(times, seconds[RUNTIME]))}
        for name, times in seconds.items()}).T


def contestant(name, folder):
    """One contestant's {"seconds to load", "megabytes"}, in this process: its libraries are imported before the clock
    starts, and the memory is the largest until it has answered BATCH photographs. NETWORKS writes the files instead."""
    folder = Path(folder)
    if name == NETWORKS:
        return write_networks(folder)
    load = processes.one_of(LOADERS, name)
    quiet(*LIBRARIES[name])
    pictures = bundled_pictures(BATCH)
    start = time.perf_counter()
    answer = load(folder)
    seconds = time.perf_counter() - start
    answer(pictures)
    return {"seconds to load": seconds, "megabytes": processes.peak_megabytes()}


def run():
    """{title: table}: loading, one photograph, and BATCH at once. Raises CourseError where a contestant fails."""
    pictures = bundled_pictures(BATCH)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        processes.figures_of_contestant("inference", NETWORKS, folder)
        loading = {name: processes.figures_of_contestant("inference", name, folder) for name in LOADERS}
        functions = {name: load(folder) for name, load in LOADERS.items()}
        answers = {name: function(pictures) for name, function in functions.items()}
        for name, logits in answers.items():  # a fast wrong answer is worth nothing
            assert np.abs(logits - answers[RUNTIME]).max() < 1e-2, f"{name} computes something else"
        return {"inference, loading": pd.DataFrame(loading).T,
                **{f"inference, {count} at once": compare(take_turns(functions, pictures[:count]), count)
                   for count in (1, BATCH)}}
