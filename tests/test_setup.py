"""make setup on small requirements: quick when nothing changed, safe when interrupted, one sentence when it fails."""
import os
import shutil
import signal
import subprocess
import time

import pytest

from utils.paths import ROOT

MAKE = shutil.which("make")
NO_NETWORK = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": "",
              "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1"}


def make_clone(folder):
    """The files of a clone that set-up uses, in a folder with a space and an accent, and nothing to install."""
    clone = folder / "a clone é"
    shutil.copytree(ROOT / "tools", clone / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Makefile", clone)
    (clone / "requirements.txt").write_text("# nothing\n")
    return clone


@pytest.fixture
def clone(tmp_path):
    return make_clone(tmp_path)


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A clone after a first set-up; each test that uses it leaves it set up."""
    clone = make_clone(tmp_path_factory.mktemp("ready"))
    done = setup(clone)
    assert done.returncode == 0 and ".venv is ready" in done.stdout, done.stdout + done.stderr
    return clone


def setup(folder, *arguments, **environment):
    # Not the flags of the `make test` that may run this test: an inner make signs its messages differently.
    outer = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return subprocess.run([MAKE, "--no-print-directory", "setup", *arguments], cwd=folder, capture_output=True,
                          text=True, env={**outer, **environment})


def one_sentence(done):
    """The words of a failed set-up; it has failed, in one line, without a traceback."""
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line and not line.startswith("make: ")]
    assert len(lines) == 1 and lines[0].startswith("Set-up failed: "), done.stderr
    return lines[0]


def test_a_second_run_has_nothing_to_do_and_a_change_is_seen(ready):
    assert ".venv is up to date" in setup(ready).stdout
    os.utime(ready / "requirements.txt")  # as a fresh checkout does
    assert ".venv is up to date" in setup(ready).stdout
    (ready / "requirements.txt").write_text("# still nothing\n")
    assert ".venv is ready" in setup(ready).stdout


def test_a_missing_python_is_one_sentence(clone):
    done = subprocess.run([MAKE, "setup"], cwd=clone, capture_output=True, text=True,
                          env={"PATH": str(clone / "nowhere"), "HOME": str(clone)})
    assert "Python 3.11 with venv was not found" in one_sentence(done)
    assert not (clone / ".venv").exists()


def test_no_network_is_one_sentence_with_the_log(clone):
    (clone / "requirements.txt").write_text("tqdm==4.70.1\n")
    said = one_sentence(setup(clone, **NO_NETWORK))
    assert "cannot be reached; check the network connection" in said and ".venv.log" in said
    assert "tqdm" in (clone / ".venv.log").read_text()
    assert ".venv is up to date" not in setup(clone, **NO_NETWORK).stdout


def test_too_little_disk_space_is_one_sentence(clone):
    done = subprocess.run(["sh", "tools/setup.sh", "--gigabytes", "1e9"], cwd=clone, capture_output=True, text=True)
    assert "GB left and about" in one_sentence(done)
    assert not (clone / ".venv").exists()


def test_an_interrupted_set_up_is_not_taken_as_done_and_the_next_completes_it(clone):
    process = subprocess.Popen(["sh", "tools/setup.sh"], cwd=clone, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    while not (clone / ".venv" / "pyvenv.cfg").exists():
        time.sleep(0.01)
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and "interrupted" in errors and "Traceback" not in errors
    done = setup(clone)
    assert done.returncode == 0 and ".venv is ready" in done.stdout, done.stderr


def test_a_half_unpacked_package_is_installed_again(ready):
    unfinished = ready / ".venv" / "lib" / "python3.11" / "site-packages" / "half-1.0.dist-info"
    unfinished.mkdir()
    (unfinished / "METADATA").write_text("Metadata-Version: 2.1\nName: half\nVersion: 1.0\n")
    (ready / ".venv" / "setup-stamp").unlink()
    assert setup(ready).returncode == 0
    assert not unfinished.exists()


def test_an_environment_whose_python_is_gone_is_made_anew(ready):
    for name in "python", "python3", "python3.11":
        (ready / ".venv" / "bin" / name).unlink()
        (ready / ".venv" / "bin" / name).symlink_to("/nowhere/python3.11")
    assert ".venv is ready" in setup(ready).stdout


def test_an_environment_of_the_user_is_left_alone(clone):
    theirs = clone / ".venv" / "bin" / "python"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("#!/bin/sh\necho 3.12\n")
    theirs.chmod(0o755)
    # Their Python answers everything with success: set-up's own search must not be taken in by it either.
    assert "was not made by this set-up; rename or remove it" in one_sentence(setup(clone))
    assert theirs.read_text() == "#!/bin/sh\necho 3.12\n"
