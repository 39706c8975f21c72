"""`make bench`: how fast this course's tools are beside what one would use instead, in one run, as ratios.

Today one part: EfficientNet-Lite0 answered by the Core ML runtime, by ONNX Runtime and by Keras, on the same
photographs with the same number of threads. The contestants take turns, so that a machine that slows down slows all of
them, and each ratio is the median of the ratios of the turns. Writes bench.json into the exported folder.
"""
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from utils import paths, photos
from utils.backbone import IMAGE_SIZE, PIXEL_MEAN, PIXEL_STD, keras_backbone, scale_pixels, torch_backbone
from utils.lesson import quiet, silent_stderr

TURNS = 9
BATCH = 32
RUNTIME = "Core ML runtime"


def bundled_pictures(count):
    """The first `count` test photographs: uint8 (count, 224, 224, 3)."""
    table = photos.read_table(paths.TABLETOP)
    return photos.read_photos(paths.TABLETOP, table[table["split"] == "test"].head(count), (IMAGE_SIZE, IMAGE_SIZE))


def contestants(folder):
    """{name: function of uint8 pictures (N, 224, 224, 3) -> logits (N, 1000)}: the same network and weights in each."""
    quiet("tensorflow", "coremltools")
    with silent_stderr():
        import coremltools as ct
        import onnxruntime
        import tensorflow as tf
        import torch

        from utils import coreml_runtime

        network = keras_backbone(include_top=True)
        call = tf.function(lambda x: network(x, training=False))
        shape = (1, IMAGE_SIZE, IMAGE_SIZE, 3)
        image = ct.ImageType("image", shape, scale=1 / PIXEL_STD, bias=[-PIXEL_MEAN / PIXEL_STD] * 3)
        function = call.get_concrete_function(tf.TensorSpec(shape, name="image"))
        ct.convert([function], source="tensorflow", convert_to="mlprogram",
                   compute_precision=ct.precision.FLOAT32, inputs=[image],
                   ).save(str(folder / "network.mlpackage"))
        torch.onnx.export(torch_backbone(include_top=True), (torch.zeros(2, 3, IMAGE_SIZE, IMAGE_SIZE),),
                          folder / "network.onnx", input_names=["image"], dynamo=True, verbose=False,
                          dynamic_shapes=[{0: torch.export.Dim("batch")}])
    model = coreml_runtime.load(folder / "network.mlpackage")
    output, = model.output_names
    session = onnxruntime.InferenceSession(folder / "network.onnx", providers=["CPUExecutionProvider"])

    def with_runtime(pictures):
        answers = model.predict([{"image": Image.fromarray(p)} for p in pictures])
        return np.concatenate([answer[output] for answer in answers])

    def with_onnx(pictures):
        scaled = scale_pixels(pictures.transpose(0, 3, 1, 2).astype(np.float32))
        return session.run(None, {"image": scaled})[0]

    def with_keras(pictures):
        return call(scale_pixels(tf.cast(pictures, tf.float32))).numpy()

    return {RUNTIME: with_runtime, "ONNX Runtime": with_onnx, "Keras": with_keras}


def take_turns(functions, pictures, turns=TURNS):
    """{name: seconds of each turn}; every function answers all `pictures` once a turn, after one turn not counted."""
    seconds = {name: [] for name in functions}
    for turn in tqdm(range(turns + 1), desc=f"{len(pictures)} photographs at once", disable=None):
        for name, function in functions.items():
            start = time.perf_counter()
            function(pictures)
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def compare(seconds, count):
    """A table with a row a contestant: median milliseconds a photograph, and the median over the turns of its time over
    the Core ML runtime's (above 1: slower than the runtime)."""
    return pd.DataFrame({
        name: {"ms a photograph": 1000 * statistics.median(times) / count,
               f"time over the {RUNTIME}'s": statistics.median(t / own for t, own in zip(times, seconds[RUNTIME]))}
        for name, times in seconds.items()}).T


def main():
    pictures = bundled_pictures(BATCH)
    with tempfile.TemporaryDirectory() as folder:
        functions = contestants(Path(folder))
        answers = {name: function(pictures) for name, function in functions.items()}
        for name, logits in answers.items():  # a fast wrong answer is worth nothing
            assert np.abs(logits - answers[RUNTIME]).max() < 1e-2, f"{name} computes something else"
        tables = {count: compare(take_turns(functions, pictures[:count]), count) for count in (1, BATCH)}
    for count, table in tables.items():
        print(f"\nEfficientNet-Lite0, {count} photograph{'s' * (count > 1)} at once:\n{table.round(2).to_string()}")
    file = paths.exported("bench.json")
    partial = file.with_suffix(".part")
    partial.write_text(json.dumps({f"inference, {count} at once": table.to_dict("index")
                                   for count, table in tables.items()}, indent=2))
    partial.replace(file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
