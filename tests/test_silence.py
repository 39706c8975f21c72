"""Quiet imports, and what native code writes."""
import os
import subprocess
import sys

from utils import silence
from utils.paths import ROOT


def test_quiet_imports_tensorflow_and_coremltools_without_a_word():
    code = "from utils.silence import quiet; quiet('tensorflow', 'coremltools'); import tensorflow, coremltools"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""


def test_quiet_keeps_tensorflow_away_from_coremltools_but_not_from_the_notebook():
    code = ("import sys; from utils.silence import quiet; quiet('coremltools'); print('tensorflow' in sys.modules); "
            "import tensorflow; print(tensorflow.__name__)")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "tensorflow"]


def test_silent_stderr_discards_what_native_code_writes(capfd):
    with silence.silent_stderr():
        os.write(2, b"from C++")
        print("from Python", file=sys.stderr)
    print("after", file=sys.stderr)
    assert capfd.readouterr().err == "after\n"
