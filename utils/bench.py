"""`make bench`: how fast this course's tools are beside what one would use instead, in one run, as ratios.

`training` (utils/bench_training.py): until a classifier is as good as fastai's defaults make it.

`inference`: EfficientNet-Lite0 answered by the Core ML runtime, by ONNX Runtime and by Keras, on the same photographs
with the same number of threads. The contestants take turns, so that a machine that slows down slows all of
them, and each ratio is the median of the ratios of the turns.

`python -m utils.bench [training] [inference]` runs one part or, without a name, both, prints its tables and writes
them into bench.json in the exported folder.
"""
import argparse
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

from utils import bench_training, paths, photos
from utils.backbone import IMAGE_SIZE, PIXEL_MEAN, PIXEL_STD, keras_backbone, scale_pixels, torch_backbone
from utils.lesson import quiet, silent_stderr, written_whole

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


def inference():
    """{title: table} of the Core ML runtime beside the others."""
    pictures = bundled_pictures(BATCH)
    with tempfile.TemporaryDirectory() as folder:
        functions = contestants(Path(folder))
        answers = {name: function(pictures) for name, function in functions.items()}
        for name, logits in answers.items():  # a fast wrong answer is worth nothing
            assert np.abs(logits - answers[RUNTIME]).max() < 1e-2, f"{name} computes something else"
        return {f"inference, {count} at once": compare(take_turns(functions, pictures[:count]), count)
                for count in (1, BATCH)}


def training():
    """{title: table} of fastai with and without the recipe, and Keras."""
    return {"training": bench_training.compare_training(bench_training.run_all())}


PARTS = {"training": training, "inference": inference}


def write_tables(tables, file):
    """Adds tables, {title: DataFrame}, to a JSON file, or replaces those of the same titles. A missing figure is
    null."""
    found = json.loads(file.read_text()) if file.exists() else {}
    found.update({title: json.loads(table.to_json(orient="index")) for title, table in tables.items()})
    with written_whole(file) as unfinished:
        unfinished.write_text(json.dumps(found, indent=2))


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m utils.bench", description="How fast are the course's tools?")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{' or '.join(PARTS)}; default: both")
    parts = parser.parse_args(arguments).parts or list(PARTS)
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        print(f"No such part: {', '.join(unknown)}. There are {' and '.join(PARTS)}.", file=sys.stderr)
        return 2
    try:
        for part in parts:
            tables = PARTS[part]()
            for title, table in tables.items():
                print(f"\n{title}:\n{table.round(2).to_string()}", flush=True)
            write_tables(tables, paths.exported("bench.json"))
    except RuntimeError as error:
        print(f"The benchmark stopped. {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
