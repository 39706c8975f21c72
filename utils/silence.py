"""Quiet imports: libraries' start-up messages, warnings and progress bars stay out of a notebook.

Imports no framework itself: `quiet` has to be first.
"""
import contextlib
import importlib
import logging
import os
import sys
import warnings

from coreml_runtime.imports import import_coremltools


def quiet(*modules):
    """Imports the named modules without their start-up messages, and keeps libraries' warnings out of the notebook.

    TensorFlow writes its messages from C++ while it is imported, so it has to be imported here. Where it is not named,
    it is hidden from coremltools, which would import it.
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # read once, at the import; so is the next
    os.environ["TQDM_DISABLE"] = "1"  # coremltools' progress bars, of which a notebook keeps every step
    warnings.filterwarnings("ignore")
    for name in ("tensorflow", "coremltools", "absl", "torch.onnx"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with silent_stderr():
        if "coremltools" in modules:
            import_coremltools(with_tensorflow="tensorflow" in modules)
        for module in modules:
            importlib.import_module(module)


def silent_stderr():
    """A context manager that discards what is written to stderr inside, by native libraries too. Exceptions pass."""
    return _silent(2, "stderr", contextlib.redirect_stderr)


def silent_stdout():
    """The same for stdout."""
    return _silent(1, "stdout", contextlib.redirect_stdout)


@contextlib.contextmanager
def _silent(descriptor, name, redirect):
    getattr(sys, name).flush()
    kept, nowhere = os.dup(descriptor), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    try:
        with open(os.devnull, "w") as null, redirect(null):
            yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
        os.close(nowhere)
