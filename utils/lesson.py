"""What every notebook needs: is everything installed, keep libraries quiet, show a failure, check an exercise.

Imports no framework itself: `quiet` has to be first.
"""
import contextlib
import importlib
import importlib.metadata
import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path

from packaging.requirements import Requirement

from utils.paths import EXPORTED, ROOT

if sys.version_info < (3, 9):  # the kernel of notebook 04
    REQUIREMENTS = ("environments/turi-create.txt",)
else:
    REQUIREMENTS = ("requirements.txt", "environments/tf-coreml.txt")
DISTRIBUTIONS = {"tensorflow": ("tensorflow", "tensorflow-cpu")}  # other names under which a package is installed


def quiet(*modules):
    """Imports the named modules without their start-up messages, and keeps libraries' warnings out of the notebook.

    TensorFlow writes its messages from C++ while it is imported, so it has to be imported here. coremltools would import
    it, too, for seconds and half a gigabyte: where TensorFlow is not named, it is hidden from coremltools.
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # read once, at the import; so is the next
    os.environ["TQDM_DISABLE"] = "1"  # coremltools' progress bars, of which a notebook keeps every step
    warnings.filterwarnings("ignore")
    for name in ("tensorflow", "coremltools", "absl", "torch.onnx"):
        logging.getLogger(name).setLevel(logging.ERROR)
    hidden = "coremltools" in modules and "tensorflow" not in {*modules, *sys.modules}
    if hidden:
        sys.modules["tensorflow"] = None
    try:
        with silent_stderr():
            for module in modules:
                importlib.import_module(module)
    finally:
        if hidden:
            del sys.modules["tensorflow"]


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


def required_versions():
    """{distribution: pinned version} of all that `make setup` puts into this kernel's environment on this system."""
    lines = [line.split("#")[0] for name in REQUIREMENTS for line in (ROOT / name).read_text().splitlines()]
    pins = [Requirement(line) for line in lines if "==" in line]
    return {pin.name: next(iter(pin.specifier)).version for pin in pins if pin.marker is None or pin.marker.evaluate()}


def check_environment(*packages):
    """Prints [OK] or [FAIL] for each of the named packages of REQUIREMENTS (all when none is named).

    Raises RuntimeError, after the list, when a package is missing or another `utils` than the course's was imported. A
    version that is not the pinned one is only pointed out.
    """
    pinned, failed = required_versions(), []
    for package in packages or sorted(pinned):
        names = DISTRIBUTIONS.get(package, (package,))
        wanted = next((pinned[name] for name in names if name in pinned), None)
        version = next(filter(None, map(_installed, names)), None)
        if version is None:
            failed.append(package)
            print(f"[FAIL] {package} is missing")
        elif wanted and version.split("+")[0] != wanted:
            print(f"[OK] {package} {version}, tried with {wanted}")
        else:
            print(f"[OK] {package} {version.split('+')[0]}")
    import utils

    if list(utils.__path__) != [str(ROOT / "utils")]:
        failed.append("utils")
        print(f"[FAIL] utils is another package, from {list(utils.__path__)[0]}")
    else:
        print("[OK] utils is the course's own")
    if failed:
        raise RuntimeError(f"{', '.join(failed)}: run `make setup`, or `pip install -r {REQUIREMENTS[0]}` in the "
                           "course's folder (for tfcoreml `pip install --no-deps -r environments/tf-coreml.txt`), and "
                           "restart the kernel.")


def _installed(distribution):
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def one_line(text, most=300):
    """Text with runs of white space as one space, the course's paths as relative ones, cut after `most` characters."""
    text = " ".join(str(text).split()).replace(f"{EXPORTED}", "exported").replace(f"{ROOT}{os.sep}", "")
    return text if len(text) <= most else text[:most - 1] + "…"


@contextlib.contextmanager
def expect_failure(message):
    """For code that must fail: prints the type of the exception and its message, and fails itself when nothing was
    raised or the message does not contain `message` (white space counts as one space).

    Raises AssertionError.
    """
    try:
        with silent_stderr():
            yield
    except Exception as error:  # whatever is raised is compared
        text = one_line(error, most=100_000)
        if " ".join(message.split()) not in text:
            raise AssertionError(f"It failed, but differently from what was expected ({message!r}): "
                                 f"{type(error).__name__}: {one_line(error)}") from error
        print(f"{type(error).__name__}: {one_line(error)}")
    else:
        raise AssertionError(f"This was expected to fail with {message!r}, and did not fail.")


def check(condition, hint):
    """Tells whether an exercise is solved. condition: a truth value, or a function without arguments that returns one
    or raises; `...` means not tried yet. Prints, and never raises."""
    try:
        solved = condition() if callable(condition) else condition
    except Exception as error:
        solved, hint = False, f"{hint} ({type(error).__name__}: {one_line(error, 120)})"
    if solved is ...:
        print("Not tried yet: replace the ... above and run this cell again.")
    elif solved is not False and bool(solved):
        print("Right.")
    else:
        print(f"Not yet. {hint}")


@contextlib.contextmanager
def written_whole(path):
    """`with written_whole("a.mlpackage") as unfinished: model.save(unfinished)`: the file or folder takes its place,
    and that of an older one, when the block has succeeded; otherwise nothing changes and nothing is left behind."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"ignore_cleanup_errors": True} if sys.version_info >= (3, 10) else {}  # notebook 04 has Python 3.8
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=path.parent, **options) as folder:
        unfinished = Path(folder) / path.name  # libraries insist on the suffix
        yield unfinished
        if path.is_dir():
            path.rename(Path(folder) / "replaced")  # a folder can only be renamed to where nothing is
        unfinished.replace(path)
