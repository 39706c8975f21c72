"""Loads and runs Core ML files in a process of its own, so that a test survives what a damaged file can do.

It reads a path per line, and answers each with a line of JSON: `outcome` ("answer", "refused" or "bug"), `detail`,
`seconds`, and `megabytes`, the most memory that the process had meanwhile beyond what it had before.
"""

import json
import resource
import sys
import time
import traceback

import coreml_runtime
import numpy as np
import torch
from coreml_runtime import CoreMLRuntimeError
from coreml_runtime.imports import import_coremltools
from coreml_runtime.information import model_information
from PIL import Image

MOST_ELEMENTS = 100_000
"""Inputs that a damaged file declares to be larger are not made; whoever calls `predict` would have to make them."""

VALUES = {"double": 0.5, "int64": 1, "string": "a", "sequence": []}


def some_input(declared):
    """A value of the declared type and size, or None where that is too large."""
    if isinstance(declared, coreml_runtime.ImageInput):
        if not 0 < declared.width * declared.height <= MOST_ELEMENTS:
            return None
        return Image.new(declared.mode, declared.size)
    if isinstance(declared, coreml_runtime.ArrayInput):
        if any(n < 0 for n in declared.shape) or np.prod(declared.shape, dtype=float) > MOST_ELEMENTS:
            return None
        return np.linspace(0, 1, int(np.prod(declared.shape))).reshape(declared.shape)
    if declared.kind == "dictionary":
        return {"a": 1.0} if declared.key == "string" else {0: 1.0}
    return VALUES[declared.kind]


def attempt(path):
    """What becomes of a file: ("answer", ""), ("refused", message) or ("bug", traceback)."""
    try:
        model_information(path)
        model = coreml_runtime.load(path)
        inputs = {name: some_input(declared) for name, declared in model.input_description.items()}
        if all(value is not None for value in inputs.values()):
            start = time.perf_counter()
            model.predict(inputs)
            if time.perf_counter() - start < 0.5:  # a file may rightly ask for much: once is enough then
                model.predict([inputs] * 4)
        return "answer", ""
    except CoreMLRuntimeError as error:
        return ("bug" if "\n" in str(error) else "refused"), str(error)
    except BaseException:
        return "bug", traceback.format_exc()


def megabytes(line):
    """Memory that Linux counts for this process: `VmRSS`, what it has, or `VmHWM`, the most that it has had."""
    status = open("/proc/self/status").read()
    return int(status.split(line + ":")[1].split()[0]) / 1024


def virtual_bytes():
    return int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()


def main():
    """Answer every line of stdin; the argument is how many bytes a file may take."""
    import_coremltools(with_tensorflow=False)
    torch.set_num_threads(1)
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever else prints must not mix with the answers
    limit = virtual_bytes() + int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for line in sys.stdin:
        open("/proc/self/clear_refs", "w").write("5")  # VmHWM begins anew (man 5 proc)
        start, before = time.perf_counter(), megabytes("VmRSS")
        outcome, detail = attempt(line.rstrip("\n"))
        print(json.dumps({"outcome": outcome, "detail": detail, "seconds": time.perf_counter() - start,
                          "megabytes": megabytes("VmHWM") - before}), file=answers, flush=True)


if __name__ == "__main__":
    main()
