"""Lets tf-coreml 2.0, the converter of 2019, work beside today's TensorFlow. Notebook 05 tells its story.

It is installed without its pins (environments/tf-coreml.txt), which ask for TensorFlow 1.14. Three things then stand
between it and today: it looks for TensorFlow 1's names, which `tensorflow.compat.v1` has; for `numpy.int`, which NumPy
dropped in 1.24; and for the operators that TensorFlow wrote in 2019, to which `prepare` leads a graph back. tf-coreml
itself stays as it is.
"""
import contextlib
import importlib
import io
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tensorflow.python.tools.optimize_for_inference_lib import optimize_for_inference

from utils.files import written_whole

RENAMED_SINCE = {"AddV2": "Add"}  # the same operator, but for how it treats strings


@contextlib.contextmanager
def _numpy_of_2019():
    np.int = int
    try:
        yield
    finally:
        del np.int


def import_tfcoreml():
    """The module tfcoreml, which takes `tensorflow.compat.v1` for TensorFlow. Raises ImportError if missing."""
    if "tfcoreml" in sys.modules:
        return sys.modules["tfcoreml"]
    sys.modules["tensorflow"] = tf.compat.v1
    try:
        with _numpy_of_2019():
            return importlib.import_module("tfcoreml")
    except ModuleNotFoundError as error:
        raise ImportError(f"{error.name} is missing: run `make setup`, or `pip install --no-deps -r "
                          "environments/tf-coreml.txt` in the course's folder.") from None
    finally:
        sys.modules["tensorflow"] = tf


def freeze(concrete_function):
    """The concrete function with its variables as constants; its `.graph.as_graph_def()` is the frozen graph that
    tf-coreml reads. Raises ValueError where it assigns to a variable, as batch norm in training does.
    """
    return convert_variables_to_constants_v2(concrete_function)


def prepare(graph, outputs):
    """A frozen GraphDef in the words of 2019, which computes the same: batch norm folded into the convolution before
    it, only nodes that lead to the outputs, and AddV2 as Add.

    outputs: names of tensors (`Identity:0`) or of nodes. Raises an error where a name is not there.
    """
    nodes = [name.split(":")[0] for name in outputs]
    inputs = {node.name: node.attr["dtype"].type for node in graph.node if node.op == "Placeholder"}
    graph = optimize_for_inference(graph, list(inputs), nodes, list(inputs.values()))
    graph = tf.compat.v1.graph_util.extract_sub_graph(graph, nodes)
    for node in graph.node:
        node.op = RENAMED_SINCE.get(node.op, node.op)
    return graph


def convert(graph, path, outputs, metadata=None, **arguments):
    """Writes a frozen GraphDef as an .mlmodel with tfcoreml.convert, without what that prints. Returns its spec.

    outputs: names of tensors. metadata: what of coremltools.MLModel's author, license, version and short_description
    the file is to carry. arguments: tfcoreml.convert's own, such as image_input_names, image_scale, red_bias and
    class_labels. Colons in the names of inputs and outputs become two underscores. Raises what tfcoreml raises, mostly
    TypeError, ValueError or NotImplementedError; then no file is written.
    """
    tfcoreml = import_tfcoreml()
    with tempfile.TemporaryDirectory() as folder, written_whole(path) as unfinished:
        frozen = Path(folder) / "frozen.pb"
        frozen.write_bytes(graph.SerializeToString())
        with _numpy_of_2019(), contextlib.redirect_stdout(io.StringIO()):
            model = tfcoreml.convert(str(frozen), None, list(outputs), **arguments)
        for name, text in (metadata or {}).items():
            setattr(model, name, text)
        model.save(str(unfinished))
        return model.get_spec()


def summary(graph):
    """What a GraphDef is made of, as text: the tensors that go in, with their shapes, those that come out, and how
    many nodes there are of each kind. A tensor's name is its node's, a colon, and which of the node's outputs it is.
    """
    used = {name.split(":")[0].lstrip("^") for node in graph.node for name in node.input}
    inputs = [f"{node.name}:0 {'x'.join(str(d.size) for d in node.attr['shape'].shape.dim)}"
              for node in graph.node if node.op == "Placeholder"]
    outputs = [f"{node.name}:0" for node in graph.node if node.name not in used and node.op not in ("Const", "NoOp")]
    kinds = Counter(node.op for node in graph.node).most_common()
    lines = {"inputs": inputs, "outputs": outputs, "nodes": [f"{n} {kind}" for kind, n in kinds]}
    return "\n".join(f"{what:8}{', '.join(names)}" for what, names in lines.items())
