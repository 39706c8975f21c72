"""utils.turi, in the kernel of notebook 04; the notebook itself checks the rest."""
import subprocess
import sys

import pytest
from jupyter_client.kernelspec import KernelSpecManager

from tools import course
from utils.paths import ROOT

SCRIPT = """
import os, sys
import numpy as np
from utils.silence import quiet
quiet("tensorflow", "turicreate", "coremltools")
from utils import turi

def message(*arguments):
    try:
        turi.in_main_environment(*arguments)
    except turi.OtherEnvironmentError as error:
        return str(error)

print(message("-c", "import sys; sys.exit('first line\\\\nlast line')"))
print(turi.in_main_environment("-c", "print('from the other side')").strip())
os.environ["COURSE_PYTHON"] = "/nowhere/python"
print(message("-c", "1"))
wide = np.zeros((10, 20, 3), np.uint8)
wide[:, 10:] = 200
image = turi.as_image(wide)
seen, = turi.as_seen([image])
print((image.pixel_data == wide).all(), seen.shape, sorted(set(seen.ravel())))
"""


@pytest.fixture(scope="module")
def said():
    if course.why_left_out(ROOT / "notebooks" / "04_turi_create.ipynb"):
        pytest.skip("there is no kernel turi-create on this computer")
    spec = KernelSpecManager().get_kernel_spec("turi-create")
    done = subprocess.run([spec.argv[0], "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True,
                          env={**course.kernel_environment(), "COURSE_PYTHON": sys.executable})
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_what_fails_in_the_main_environment_is_told_by_its_last_line(said):
    assert said[0] == "last line"


def test_the_main_environment_is_the_one_that_set_up_named(said):
    assert said[1] == "from the other side"


def test_a_main_environment_that_is_gone_is_one_sentence(said):
    assert said[2] == "there is no main environment at /nowhere/python; run make setup"


def test_an_image_holds_the_pixels_and_is_stretched_by_the_nearest_one(said):
    assert said[3] == "True (224, 224, 3) [0, 200]"
