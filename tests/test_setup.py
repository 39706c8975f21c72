"""make setup on small requirements: quick when nothing changed, safe when interrupted, one sentence when it fails.

Python 3.8 is hidden from it, so that it makes one environment only; that the second one keeps the same promises is
tested with the Python that there is.
"""
import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile

import pytest

from tests import processes
from tools import setup as setup_tool
from utils.paths import ROOT

MAKE = shutil.which("make")
NO_NETWORK = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": "",
              "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1"}


KERNEL_WRITER = """
import json, pathlib, sys
given = dict(zip(sys.argv[2::2], sys.argv[3::2]))
folder = pathlib.Path(given["--prefix"], "share", "jupyter", "kernels", given["--name"])
folder.mkdir(parents=True, exist_ok=True)
(folder / "kernel.json").write_text(json.dumps({"argv": [sys.executable], "env": {given["--env"]: sys.argv[-1]}}))
"""


def program(folder, name, script):
    path = folder / "programs" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path.parent


def without_python38(clone, machine="x86_64"):
    """Environment variables with which set-up finds no Python 3.8, on a processor of this name."""
    for name in "python3.8", "uv":
        program(clone, name, "exit 1")
    programs = program(clone, "uname", f"echo {machine}")
    return {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYENV_ROOT": "/nowhere", "CONDA_PREFIX": "",
            "CONDA_EXE": "", "HOME": str(clone / "home"), "PYTHON": sys.executable}


def make_clone(folder):
    """The files of a clone that set-up uses, in a folder with a space and an accent, and nothing to install."""
    clone = folder / "a clone é"
    shutil.copytree(ROOT / "tools", clone / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Makefile", clone)
    for name in "requirements.txt", *(f"environments/{path.name}" for path in (ROOT / "environments").iterdir()):
        (clone / name).parent.mkdir(exist_ok=True)
        (clone / name).write_text("# nothing\n")
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
    if "PYENV_ROOT" not in environment:
        environment = {**without_python38(folder), **environment}
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
    done = subprocess.run(["sh", "tools/setup.sh", "3.11", ".venv", "--gigabytes", "1e9"], cwd=clone,
                          capture_output=True, text=True)
    assert "GB left and about" in one_sentence(done)
    assert not (clone / ".venv").exists()


@contextlib.contextmanager
def read_only(folder):
    """Yields the beginning of a command that finds a folder read-only; for root, who may write anywhere, a mount."""
    if os.geteuid():
        folder.chmod(0o555)
        yield []
        folder.chmod(0o755)
        return
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && cd "$0" && exec "$@"'
    prefix = ["unshare", "--mount", "sh", "-c", script, folder]
    if not shutil.which("unshare") or subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("root can write anywhere, and may not mount here")
    yield prefix


def test_a_read_only_folder_is_one_sentence_and_one_that_is_set_up_stays_usable(clone, ready):
    command = ["sh", "tools/setup.sh", "3.11", ".venv"]
    with read_only(clone) as prefix:
        said = one_sentence(subprocess.run([*prefix, *command], cwd=clone, capture_output=True, text=True))
        assert "this folder cannot be written to; put the course where you may write" in said
    with read_only(ready) as prefix:
        done = subprocess.run([*prefix, *command, "--without-pins", "environments/tf-coreml.txt"], cwd=ready,
                              capture_output=True, text=True)
        assert done.returncode == 0 and ".venv is up to date" in done.stdout, done.stderr


def test_a_full_disk_is_one_sentence(clone, monkeypatch, capsys):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.chdir(clone)
    monkeypatch.setattr(setup_tool, "run", full)
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # this process's own handlers stay
    assert setup_tool.main([]) == 1
    said = capsys.readouterr().err
    assert said.startswith("Set-up failed: the disk is full; free some space (about 5 GB in all)")
    assert said.count("\n") == 1
    assert not (clone / ".venv" / "setup-stamp").exists()


@pytest.mark.parametrize("home", [None, "/nowhere"])
def test_without_a_home_a_command_gets_one_that_it_can_write_to(clone, home):
    (clone / "show.mk").write_text("show:\n\t@touch \"$$HOME/there\" && echo \"$$HOME\"\n")
    command = [MAKE, "--no-print-directory", "-f", "Makefile", "-f", "show.mk", "show"]
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "HOME")}
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True,
                          env={**environment, **({"HOME": home} if home else {})})
    assert done.returncode == 0 and done.stdout.strip() not in ("", home), done.stderr
    shutil.rmtree(done.stdout.strip())
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, env={**environment, "HOME": str(clone)})
    assert done.stdout.strip() == str(clone)


def test_an_interrupted_set_up_is_not_taken_as_done_and_the_next_completes_it(clone):
    process = subprocess.Popen(["sh", "tools/setup.sh", "3.11", ".venv"], cwd=clone, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    processes.wait_until((clone / ".venv" / "pyvenv.cfg").exists, process)
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


def unpack(venv, name, needs):
    """What pip leaves in an environment when it has installed an empty package called `name` 1.0 that needs another."""
    info = venv / "lib" / "python3.11" / "site-packages" / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: {needs}\n")
    (info / "INSTALLER").write_text("pip")
    (info / "RECORD").write_text("")
    return info


def test_only_what_is_installed_without_its_pins_may_lack_something(ready):
    outlived = unpack(ready / ".venv", "outlived", "pip<1.0")
    (ready / "environments" / "tf-coreml.txt").write_text("outlived==1.0  # its pins are of 2019\n")
    assert ".venv is ready" in setup(ready).stdout
    assert ".venv is up to date" in setup(ready).stdout
    broken = unpack(ready / ".venv", "broken", "nowhere")
    (ready / "requirements.txt").write_text("# changed\n")
    assert one_sentence(setup(ready))
    assert "broken 1.0 requires nowhere" in (ready / ".venv.log").read_text()
    shutil.rmtree(broken)
    (ready / "environments" / "tf-coreml.txt").write_text("# nothing\n")
    assert one_sentence(setup(ready))
    shutil.rmtree(outlived)
    assert ".venv is ready" in setup(ready).stdout


def test_without_python_38_the_main_environment_is_ready_and_one_sentence_names_what_is_left_out(ready):
    for said in setup(ready), setup(ready):
        sentence, = [line for line in said.stdout.splitlines() if line.startswith("Left out: ")]
        assert "notebook 04 (Turi Create), because Python 3.8 with venv was not found" in sentence
        assert "'uv python install 3.8'" in sentence and "PYTHON=PATH_OF_PYTHON" in sentence
        assert said.returncode == 0 and not said.stderr and not (ready / ".venv-turi").exists()


def test_on_another_processor_the_sentence_says_that_no_python_would_help(ready):
    done = setup(ready, **without_python38(ready, machine="aarch64"))
    assert done.returncode == 0 and "it exists for x86-64 only and this machine is aarch64" in done.stdout
    assert "install" not in done.stdout


@pytest.fixture
def second(ready):
    """Sets up an environment that is to be a kernel of the first, from a requirements file with a small ipykernel."""
    wheel = ready / "ipykernel-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("ipykernel/__main__.py", KERNEL_WRITER)
        for name, text in {"METADATA": "Metadata-Version: 2.1\nName: ipykernel\nVersion: 1.0\n", "RECORD": "",
                           "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}.items():
            archive.writestr(f"ipykernel-1.0.dist-info/{name}", text)
    (ready / "second.txt").write_text(f"./{wheel.name}\n")
    command = ["sh", "tools/setup.sh", "3.11", ".venv-second", "--left-out", "a notebook", "--requirements",
               "second.txt", "--gigabytes", "0.1", "--kernel", "second-kernel"]

    def start(**environment):
        return subprocess.Popen(command, cwd=ready, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={**os.environ, "PYTHON": sys.executable, **environment})
    yield start
    shutil.rmtree(ready / ".venv-second", ignore_errors=True)


def finished(process):
    out, errors = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


def test_a_second_environment_is_a_kernel_of_the_first_and_not_of_the_user(ready, second, tmp_path):
    kernel = ready / ".venv" / "share" / "jupyter" / "kernels" / "second-kernel" / "kernel.json"
    done = finished(second(HOME=str(tmp_path)))
    assert done.returncode == 0 and ".venv-second is ready" in done.stdout, done.stderr
    assert json.loads(kernel.read_text()) == {"argv": [str(ready / ".venv-second" / "bin" / "python")],
                                              "env": {"COURSE_PYTHON": str(ready / ".venv" / "bin" / "python")}}
    assert not list(tmp_path.rglob("kernel.json"))
    assert ".venv-second is up to date" in finished(second()).stdout
    kernel.unlink()  # as where the first environment was made anew
    assert ".venv-second is ready" in finished(second()).stdout and kernel.exists()


def test_a_second_environment_that_was_interrupted_or_failed_is_not_taken_as_done(ready, second):
    process = second()
    processes.wait_until((ready / ".venv-second" / "pyvenv.cfg").exists, process)
    assert "another set-up is at work" in one_sentence(finished(second()))
    process.send_signal(signal.SIGTERM)
    done = finished(process)
    assert done.returncode == 130 and "interrupted" in done.stderr and "Traceback" not in done.stderr
    (ready / "second.txt").write_text("tqdm==4.70.1\n")
    said = one_sentence(finished(second(**NO_NETWORK)))
    assert "check the network connection" in said and ".venv-second.log" in said
    (ready / "second.txt").write_text("./ipykernel-1.0-py3-none-any.whl\n")
    assert ".venv-second is ready" in finished(second()).stdout
