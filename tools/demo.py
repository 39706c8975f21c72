"""The page that runs the course's model in a phone's browser: `python -m tools.demo [--port 8000] [--build]`.

Takes the Core ML package as ONNX, with the labels, the threshold and the temperature of its metadata beside it, bundles
web/ with them into web/dist, and serves that folder. Needs Node.js with npm. The exit code is 0, or 2 with one sentence
on stderr where something is missing.
"""
import argparse
import contextlib
import functools
import http.server
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import coreml_runtime
import numpy as np
from coreml_runtime.imports import import_coremltools

from utils import classifiers
from utils.command_line import CourseError, command
from utils.files import written_whole
from utils.paths import EXPORTED, ROOT
from utils.silence import silent_stderr

WEB = ROOT / "web"
PACKAGE = EXPORTED / "TabletopClassifier.mlpackage"
PORT = 8000
OPSET = 17


def load(package):
    """A Core ML package as a coreml_runtime.Model that can be exported: without packed convolutions, which have no
    counterpart in ONNX. Raises coreml_runtime's errors."""
    import torch

    with warnings.catch_warnings(action="ignore"), torch.backends.mkldnn.flags(enabled=False):
        return coreml_runtime.load(package)


def describe(model):
    """What the page has to know of a Core ML classifier: {labels, width, height (pixels), threshold, temperature}.

    Raises CourseError.
    """
    classifier = classifiers.of_core_ml(model)
    if model.image_inputs[0].color_layout != "RGB":
        raise CourseError(f"{model.path}: takes {model.image_inputs[0].color_layout} pictures; convert it with "
                          "color_layout=ct.colorlayout.RGB.")
    width, height = classifier.size
    return {"labels": classifier.labels, "width": width, "height": height, "threshold": classifier.threshold,
            "temperature": classifier.temperature}


def export_onnx(model, path):
    """Writes a Core ML classifier as ONNX: `image` (1, 3, H, W) of 0..255 -> `probabilities` (1, classes), float32.

    The runtime computes the program with PyTorch, so PyTorch's exporter can record it: whatever the package was trained
    and compressed with, the page runs the same program with the same weights.
    Raises CourseError.
    """
    import onnx
    import onnxruntime
    import torch

    program, image = model.program, model.image_inputs[0]
    # `classify` only names the largest probability, which the page does itself.
    classify = next((node for node in getattr(program, "nodes", []) if node.op_type == "classify"), None)
    if classify is None:
        raise CourseError(f"{model.path}: is no ML Program with class labels, which the page is made from; give an "
                          ".mlpackage converted with ct.ClassifierConfig.")

    class Network(torch.nn.Module):
        def forward(self, pixels):
            values = program.run({image.name: pixels}, until=lambda node, _: node is classify)
            return values[classify.tensors["probabilities"]]

    # The exporter warns that it records shapes as they are; they are fixed here.
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
        traced, folded = Path(folder) / "traced.onnx", Path(folder) / "folded.onnx"
        with silent_stderr():
            torch.onnx.export(Network(), (torch.zeros(1, 3, image.height, image.width),), traced, dynamo=False,
                              opset_version=OPSET, input_names=["image"], output_names=["probabilities"])
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(folded)  # without the arithmetic on shapes that the exporter leaves
        onnxruntime.InferenceSession(traced, options, providers=["CPUExecutionProvider"])
        network = onnx.load(folded)
    _store_as_float16(network.graph)
    onnx.checker.check_model(network)
    with written_whole(path) as unfinished:
        onnx.save(network, unfinished)


def _store_as_float16(graph, least=1000):
    """Weights of `least` values or more that float16 holds without loss, as it does those of a compressed package, are
    stored so, and become float32 when the model is loaded."""
    from onnx import TensorProto, helper, numpy_helper

    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= least:
            values = numpy_helper.to_array(tensor)
            halves = values.astype(np.float16)
            if np.array_equal(halves.astype(np.float32), values):
                name, stored = tensor.name, f"{tensor.name}_float16"
                tensor.CopyFrom(numpy_helper.from_array(halves, stored))
                graph.node.insert(0, helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))


def build(package=PACKAGE, out=WEB / "dist"):
    """Builds the page for a Core ML classifier into the folder `out`, which appears whole or not at all.

    Raises CourseError, coreml_runtime's errors.
    """
    if not Path(package).exists():
        raise CourseError(f"{package}: there is no model yet. Run make course first; notebook 06 writes it.")
    install_packages()
    model = load(package)
    about = describe(model)
    with written_whole(out) as unfinished:
        unfinished.mkdir()
        export_onnx(model, unfinished / "model.onnx")
        (unfinished / "model.json").write_text(json.dumps(about, indent=1, ensure_ascii=False), encoding="utf-8")
        _npm("run", "build", "--silent", "--", str(unfinished.resolve()))
    return Path(out)


def install_packages():
    """Installs what web/package-lock.json pins into web/node_modules, unless it is there. Raises CourseError."""
    lock, installed = WEB / "package-lock.json", WEB / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        print("Installing the npm packages of web/package-lock.json, once ...", flush=True)
        _npm("ci", "--ignore-scripts", "--no-audit", "--no-fund")


def _npm(*arguments):
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise CourseError(f"{program} is not installed. The page is built with Node.js 18 or newer and npm: "
                              "install them from the project's site, nodejs.org, or with your system's package "
                              "manager.")
    done = subprocess.run([shutil.which("npm"), *arguments], cwd=WEB, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip() and "npm warn" not in line]
        raise CourseError(f"npm {arguments[0]} failed in web/: {' '.join(lines[:3]) or 'it gave no reason'}. "
                          "Is there a network, and Node.js 18 or newer?")


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the page. The first two headers isolate it from other sites, for which browsers grant it threads."""

    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm",
        ".webmanifest": "application/manifest+json"}

    def end_headers(self):
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cache-Control", "no-cache")  # ask whether it changed: a new model must not wait for a cache
        super().end_headers()

    def log_message(self, *_):
        """Says nothing: the terminal shows the addresses."""


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A browser that closes a connection early, as on a reload, is no error; others are printed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def server(folder, port=PORT):
    """An HTTP server for a folder, on every address of this machine; port 0 takes any free one. Raises CourseError."""
    try:
        return Server(("", port), functools.partial(Handler, directory=str(folder)))
    except (OSError, OverflowError) as error:
        raise CourseError(f"Port {port} cannot be used ({error}). Choose another: make demo PORT=8123.") from None


def lan_address():
    """This machine's address in its local network, or None without one. Nothing is sent."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # an address for documentation (RFC 5737); the system only chooses a route
        address = probe.getsockname()[0]
        return None if address.startswith("127.") else address
    return None


@command
def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tools.demo", description="The model in a browser: build, serve.")
    parser.add_argument("--model", metavar="PACKAGE", type=Path, default=PACKAGE, help="default: %(default)s")
    parser.add_argument("--port", type=int, default=PORT, help="default: %(default)s")
    parser.add_argument("--build", action="store_true", help="build web/dist and stop")
    options = parser.parse_args(arguments)
    import_coremltools(with_tensorflow=False)  # it would load TensorFlow, in seconds, only to convert from it
    folder = build(options.model)
    if options.build:
        print(f"Built {folder}.")
        return
    with server(folder, options.port) as running, contextlib.suppress(KeyboardInterrupt):
        port, lan = running.server_address[1], lan_address()
        print(f"On this computer, with the live camera: http://localhost:{port}/")
        if lan:
            print(f"On a phone in the same network, with the photo button: http://{lan}:{port}/")
        print("Stop with Ctrl-C.", flush=True)
        running.serve_forever()
    print()


if __name__ == "__main__":
    sys.exit(main())
