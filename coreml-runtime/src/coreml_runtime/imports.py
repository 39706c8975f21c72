"""Imports coremltools without a word on stderr and, where nobody converts from it, without TensorFlow.

Standard library only, and works on Python 3.8.
"""
import contextlib
import importlib
import logging
import os
import sys


def import_coremltools(with_tensorflow=True):
    """The module coremltools, imported quietly: no warnings about versions or a missing Mac, and nothing of what
    TensorFlow prints from C++.

    with_tensorflow: False hides TensorFlow from this first import. coremltools would import it, to convert from it:
    seconds and half a gigabyte that reading a model does not need. Where either of the two is imported already, it
    stays as it is.
    """
    if "coremltools" in sys.modules:
        return sys.modules["coremltools"]
    hide = not with_tensorflow and "tensorflow" not in sys.modules
    if hide:
        sys.modules["tensorflow"] = None  # type: ignore[assignment]  # Python's way to refuse an import
    try:
        with _silent_stderr():
            return importlib.import_module("coremltools")
    finally:
        if hide:
            del sys.modules["tensorflow"]


@contextlib.contextmanager
def _silent_stderr():
    logger, kept = logging.getLogger("coremltools"), os.dup(2)
    level = logger.level
    logger.setLevel(logging.ERROR)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        logger.setLevel(level)
