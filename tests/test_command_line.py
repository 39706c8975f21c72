"""How every command of the course, python -m utils.…, ends when its reader leaves or Ctrl-C comes early."""
import os
import signal
import subprocess
import sys

import pytest

from tests import processes
from utils import command_line
from utils.paths import ROOT, TABLETOP


@pytest.mark.parametrize("arguments, unbuffered", [
    (("utils.photos", "few"), "1"),  # the program's print fails
    (("utils.photos", "few"), ""),  # Python's last flush fails
    (("utils.capture", "photos", "few", "--out", "taken"), "1"),  # which has an answer to other OSErrors
])
def test_a_reader_that_leaves_ends_a_command_without_a_word(tmp_path, arguments, unbuffered):
    for label in "relay", "piezo":
        for i in range(3):
            file = tmp_path / "few" / label / str(i) / "a.jpg"
            file.parent.mkdir(parents=True)
            file.write_bytes((TABLETOP / label / f"{label}-{i:02}_0.jpg").read_bytes())
    reader, writer = os.pipe()
    os.close(reader)
    names = [tmp_path / name if name in ("few", "taken") else name for name in arguments]
    process = processes.start("-m", *names, stdout=writer, env={**os.environ, "PYTHONUNBUFFERED": unbuffered})
    errors = process.communicate(timeout=60)[1]
    os.close(writer)
    assert "Traceback" not in errors and "Broken" not in errors and "Exception ignored" not in errors


def test_ctrl_c_while_libraries_are_loaded_is_one_word():
    process = processes.start("-X", "importtime", "-m", "utils.evaluate", "nothing.tflite", "nowhere")
    for line in process.stderr:
        if line.endswith("| utils\n"):  # the package is there, and its command's libraries come next
            process.send_signal(signal.SIGINT)
            break
    said = [line for line in process.stderr if not line.startswith("import time:")]
    assert process.wait(60) != 0 and "".join(said).strip() == "Interrupted."


def test_other_errors_and_other_broken_pipes_are_shown_as_ever():
    for error in "ValueError('seen')", "BrokenPipeError('seen')":  # the second from a socket: stdout is well
        code = f"from utils import command_line; command_line.end_quietly(); raise {error}"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 1 and "Traceback" in done.stderr and "seen" in done.stderr


def test_only_a_command_of_the_course_ends_so_and_no_program_that_uses_the_package():
    code = "import sys, utils; print(sys.excepthook is sys.__excepthook__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "True\n"
    assert sys.excepthook.__module__ != command_line.__name__
