"""Damaged files: whatever is in a file, the runtime answers or says in one sentence what is the matter.

Small models of every kind are mutated: bytes are flipped, deleted, repeated or cut off, and fields of the message get
other values. FUZZ_EXAMPLES=3000 tries more files than the ordinary run, and prints what came of them.
"""

import functools
import json
import os
import random
import select
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import test_other_models as others
from coreml_runtime.imports import import_coremltools
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import HealthCheck, given, settings, strategies as st
from test_neural_network import NEW_LAYERS, OLD_LAYERS, builder, pipeline, small_network

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux does it")

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", 300))
SECONDS, BYTES = 10, 2 << 30
"""What a file may take."""

ct = import_coremltools()
mb = ct.converters.mil.Builder
SPEC = "Data/com.apple.CoreML/model.mlmodel"


# ---- models to damage ------------------------------------------------------------------------------------------------

def package(folder, program, **options):
    """The files of an ML Program's package, by their path in it."""
    made = ct.convert(program, convert_to="mlprogram", pass_pipeline=ct.PassPipeline.EMPTY,
                      minimum_deployment_target=ct.target.iOS16, **options)
    made.save(str(folder))
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def convolution(folder):
    @mb.program(input_specs=[mb.TensorSpec((1, 3, 8, 8))], opset_version=ct.target.iOS16)
    def program(x):
        y = mb.relu(x=mb.conv(x=x, weight=np.ones((8, 3, 3, 3), np.float32), pad_type="same"))
        y = mb.reshape(x=mb.max_pool(x=y, kernel_sizes=[2, 2], strides=[2, 2], pad_type="valid"), shape=(1, 128))
        return mb.softmax(x=mb.linear(x=y, weight=np.ones((4, 128), np.float32)), axis=-1)
    return package(folder, program, classifier_config=ct.ClassifierConfig(["a", "b", "c", "d"]))


def shapes(folder):
    @mb.program(input_specs=[mb.TensorSpec((2, 6))], opset_version=ct.target.iOS16)
    def program(x):
        y = mb.concat(values=[mb.tile(x=x, reps=[2, 1]), mb.fill(shape=mb.shape(x=mb.tile(x=x, reps=[2, 1])))], axis=0)
        y = mb.slice_by_index(x=mb.transpose(x=y, perm=[1, 0]), begin=[0, 1], end=[6, 7], stride=[2, 1])
        y = mb.upsample_nearest_neighbor(x=mb.expand_dims(x=y, axes=[0, 1]), scale_factor_height=2,
                                         scale_factor_width=2)
        y = mb.pad(x=mb.reduce_sum(x=y, axes=[2], keep_dims=True), pad=[1, 2], mode="constant")
        return mb.linear(x=y, weight=np.ones((2, y.shape[-1]), np.float32))
    return package(folder, program)


def branches(folder):
    @mb.program(input_specs=[mb.TensorSpec((2, 6))], opset_version=ct.target.iOS16)
    def program(x):
        values, places = mb.topk(x=x, k=3, axis=1)
        y = mb.cond(pred=mb.greater(x=mb.reduce_max(x=x, axes=[0, 1]), y=0.5), _true_fn=lambda: mb.add(x=values, y=1.0),
                    _false_fn=lambda: mb.cumsum(x=values, axis=1))
        y = mb.concat(values=[y, mb.gather(x=x, indices=[0, 2, 4], axis=1)], axis=1)
        hot = mb.one_hot(indices=places, one_hot_vector_size=6, axis=2, on_value=1.0, off_value=0.0)
        z = mb.matmul(x=mb.reduce_sum(x=hot, axes=[1]), y=np.ones((6, 4), np.float32))
        return mb.split(x=y, num_splits=2, axis=1)[0], mb.layer_norm(x=z, axes=[1]), mb.range_1d(
            start=0, end=mb.squeeze(x=mb.slice_by_index(x=mb.shape(x=z), begin=[1], end=[2])), step=1)
    return package(folder, program)


def network_of(table, exact, cases):
    """A network with some of the layers that test_neural_network.py knows."""
    shape = (1, 4, 6, 6) if exact else (4, 6, 6)
    built = builder([f"case {i}" for i in range(len(cases))], exact, x=shape, y=shape)
    for i, case in enumerate(cases):
        table[case][0](built, "x", "y", f"case {i}")
    return built.spec


def networks():
    for name, table, exact in (("old", OLD_LAYERS, False), ("new", NEW_LAYERS, True)):
        cases = list(table)
        for start in range(0, len(cases), 8):
            yield f"{name} layers from {cases[start]}", network_of(table, exact, cases[start:start + 8])
    yield "network classifier", small_network().spec


def other_models():
    """One small model of each other kind."""
    for name, (kind, inputs, outputs, fields, _, _) in others.PREPARATIONS.items():
        yield name, others.model_of(kind, inputs, outputs, **fields)
    nodes = [{"nodeId": 0, "branchFeatureIndex": 1, "branchFeatureValue": 3.0, "trueChildNodeId": 1,
              "falseChildNodeId": 2},
             *({"nodeId": i, "nodeBehavior": "LeafNode", "evaluationInfo": [{"evaluationValue": i}]} for i in (1, 2))]
    trees = {"nodes": nodes, "numPredictionDimensions": 1, "basePredictionValue": [0.5]}
    vectors = {"sparseSupportVectors": {"vectors": [{"nodes": [{"index": 2, "value": 1.0}]}] * 3}}
    yield "tree regressor", others.regressor("treeEnsembleRegressor", treeEnsemble=trees)
    yield "tree classifier", others.classifier("treeEnsembleClassifier", ["a", "b"], treeEnsemble=trees,
                                               postEvaluationTransform="Regression_Logistic")
    yield "linear regressor", others.regressor("glmRegressor", weights=[{"value": [1, 2, 3, 4]}], offset=[1])
    yield "linear classifier", others.classifier("glmClassifier", [1, 2, 3], weights=[{"value": [1] * 4}] * 2,
                                                 offset=[0, 1])
    yield "vector regressor", others.regressor("supportVectorRegressor", kernel={"polyKernel": {"degree": 2}}, rho=1,
                                               coefficients={"alpha": [1, 2, 3]}, **vectors)
    yield "vector classifier", others.classifier(
        "supportVectorClassifier", ["a", "b", "c"], kernel={"rbfKernel": {"gamma": 1}}, rho=[0, 1, 2],
        numberOfSupportVectorsPerClass=[1, 1, 1], coefficients=[{"alpha": [1, -1, 1]}] * 2, probA=[1, 1, 1],
        probB=[0, 0, 0], **vectors)
    yield "neighbours", others.nearest(["a", "b"], [[0] * 4, [1] * 4], numberOfNeighbors={"defaultValue": 3},
                                       uniformWeighting={}, defaultStringLabel="c")
    yield "suppression", others.suppression(True, rows=(3,))


@functools.cache
def seeds():
    """Every model to damage: a file's bytes, or a package's files."""
    with tempfile.TemporaryDirectory() as folder:
        found = {f"package {make.__name__}": make(Path(folder) / f"{make.__name__}.mlpackage")
                 for make in (convolution, shapes, branches)}
    specs = dict([*networks(), *other_models()])
    scaled = others.model_of("scaler", {"s": ("array", (4,))}, {"x": ("array", (4,))}, scaleValue=[2.0])
    specs["pipeline"] = pipeline("pipelineClassifier", scaled, specs["linear classifier"])
    return {**{name: spec.SerializeToString() for name, spec in specs.items()}, **found}


# ---- damage ----------------------------------------------------------------------------------------------------------

def damaged_bytes(content, rng):
    """`content` with a few bytes flipped, or a piece deleted, repeated or cut off at the end."""
    content, size = bytearray(content), max(len(content), 1)
    start = rng.randrange(size)
    piece = content[start:start + rng.choice([1, 4, 64, size])]
    match rng.choice(["flip", "delete", "repeat", "cut"]):
        case "flip":
            for _ in range(rng.choice([1, 1, 3, 20])):
                if content:
                    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        case "delete":
            del content[start:start + len(piece)]
        case "repeat":
            content[start:start] = piece * rng.choice([1, 1, 10])
        case "cut":
            del content[start:]
    return bytes(content)


NUMBERS = [0, 1, 2, 3, 7, 100, 5000, 2 ** 20, 2 ** 31 - 1, 2 ** 40, 2 ** 62, -1, -3, -2 ** 31, -2 ** 62]
FLOATS = [0.0, 1.0, -1.0, 1e-30, 1e30, float("inf"), float("nan")]
INTEGER_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-2 ** 31, 2 ** 31 - 1), FieldDescriptor.CPPTYPE_UINT32: (0, 2 ** 32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-2 ** 63, 2 ** 63 - 1), FieldDescriptor.CPPTYPE_UINT64: (0, 2 ** 64 - 1)}


def other_value(field, rng):
    """A value for a field that is no message."""
    if field.cpp_type in INTEGER_RANGES:
        low, high = INTEGER_RANGES[field.cpp_type]
        return min(max(rng.choice(NUMBERS), low), high)
    if field.cpp_type in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
        return rng.choice(FLOATS)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return rng.random() < 0.5
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return rng.choice([value.number for value in field.enum_type.values])
    text = rng.choice(["", "x", "y", "name", "é" * 300])
    return text.encode() if field.type == FieldDescriptor.TYPE_BYTES else text


def sites(message):
    """Every field that is set in a message, at any depth, with the message that has it."""
    for field, value in message.ListFields():
        yield message, field
        if field.message_type is not None:
            is_map = field.message_type.GetOptions().map_entry
            inside = value.values() if is_map else [value] if hasattr(value, "ListFields") else value
            for each in inside:
                if hasattr(each, "ListFields"):  # the values of a map may be numbers
                    yield from sites(each)


def damage_message(message, rng):
    """Change one field somewhere in a message, more often a number than text or another message."""
    found = list(sites(message))
    numbers = [(m, f) for m, f in found if f.message_type is None and f.cpp_type != FieldDescriptor.CPPTYPE_STRING]
    message, field = rng.choice(numbers if numbers and rng.random() < 0.6 else found)
    if rng.random() < 0.1:
        field = rng.choice(message.DESCRIPTOR.fields)  # perhaps one that is not set
    value = getattr(message, field.name)
    if rng.random() < 0.08:
        message.ClearField(field.name)
    elif hasattr(value, "extend"):
        if value and rng.random() < 0.4:
            change_list(value, rng)
        elif field.message_type is None:
            value.insert(rng.randrange(len(value) + 1), other_value(field, rng))
            if len(value) > 1 and rng.random() < 0.7:
                del value[rng.randrange(len(value))]
    elif field.message_type is None:
        setattr(message, field.name, other_value(field, rng))
    elif not field.message_type.GetOptions().map_entry:
        value.SetInParent()


def change_list(values, rng):
    """Delete, repeat or exchange elements of a repeated field."""
    place = rng.randrange(len(values))
    match rng.choice(["delete", "repeat", "exchange"]):
        case "delete":
            del values[place]
        case "repeat":
            values.extend([values[place]] * rng.choice([1, 5]))
        case "exchange":
            kept = list(values)[::-1]
            del values[:]
            values.extend(kept)


def damaged(content, rng):
    """A Core ML message with a few fields changed, or its bytes."""
    if rng.random() < 0.4:
        return damaged_bytes(content, rng)
    spec = ct.proto.Model_pb2.Model.FromString(content)
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        try:
            damage_message(spec, rng)
        except (TypeError, ValueError):  # a value that protobuf itself does not take
            continue
    return spec.SerializeToString()


def write_damaged(folder, name, rng):
    """The path of a damaged copy of the model `name`."""
    content = seeds()[name]
    if isinstance(content, bytes):
        path = folder / "damaged.mlmodel"
        path.write_bytes(damaged(content, rng))
        return path
    path = folder / "damaged.mlpackage"
    shutil.rmtree(path, ignore_errors=True)
    files = dict(content)
    victim = rng.choice([SPEC, SPEC, *files])
    files[victim] = damaged(files[victim], rng) if victim == SPEC else damaged_bytes(files[victim], rng)
    if rng.random() < 0.03:
        del files[victim]
    for file, inside in files.items():
        (path / file).parent.mkdir(parents=True, exist_ok=True)
        (path / file).write_bytes(inside)
    return path


# ---- the process that reads them -------------------------------------------------------------------------------------

class Worker:
    """fuzz_worker.py, started anew whenever it has ended."""

    process = None

    def ask(self, path):
        """What becomes of a file: the worker's answer, or what ended it."""
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("fuzz_worker.py")), str(BYTES)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            self.ask(os.devnull)  # the first file waits for the imports
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], SECONDS if path != os.devnull else 120)[0]:
            self.end()
            return {"outcome": "bug", "detail": f"takes more than {SECONDS} s", "seconds": SECONDS, "megabytes": 0}
        line = self.process.stdout.readline()
        if not line:
            return {"outcome": "bug", "detail": f"ended by {self.process.wait()}", "seconds": 0, "megabytes": 0}
        return json.loads(line)

    def end(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None


@pytest.fixture(scope="module")
def worker():
    worker = Worker()
    yield worker
    worker.end()


def test_every_kind_answers_before_it_is_damaged(worker, tmp_path):
    """Of networks in which a layer reads what it cannot compute, those with all layers say so."""
    for name, content in seeds().items():
        path = tmp_path / ("whole.mlmodel" if isinstance(content, bytes) else f"{name}.mlpackage")
        for file, inside in ({"": content} if isinstance(content, bytes) else content).items():
            (path / file).parent.mkdir(parents=True, exist_ok=True)
            (path / file).write_bytes(inside)
        assert worker.ask(path)["outcome"] != "bug", name


def test_a_damaged_file_is_answered_or_refused_in_one_sentence(worker, tmp_path):
    outcomes, worst = Counter(), {"seconds": (0.0, ""), "megabytes": (0.0, "")}
    bugs = os.environ.get("FUZZ_BUGS")

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
              suppress_health_check=list(HealthCheck))
    @given(st.one_of(st.sampled_from([n for n in seeds() if "package" in n]), *[st.sampled_from(sorted(seeds()))] * 4),
           st.integers(0, 2 ** 32 - 1))
    def attempt(name, seed):
        path = write_damaged(tmp_path, name, random.Random(seed))
        answer = worker.ask(path)
        outcomes[answer["outcome"]] += 1
        for what, (most, _) in worst.items():
            if answer[what] > most:
                worst[what] = answer[what], f"{name}, seed {seed}"
        if bugs and answer["outcome"] == "bug":
            with open(bugs, "a") as file:
                file.write(f"==== {name}, seed {seed}\n{answer['detail']}\n")
            return
        assert answer["outcome"] != "bug", (name, seed, answer["detail"])

    attempt()
    print(f"\n{sum(outcomes.values())} files of {len(seeds())} models: {dict(outcomes)}; worst {worst}")
