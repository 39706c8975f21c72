"""What every notebook needs: is everything there, show a failure or a piece of source code, check an exercise."""
import contextlib
import importlib.metadata
import os
import sys
import textwrap

from packaging.requirements import Requirement

from utils.paths import EXPORTED, ROOT
from utils.silence import silent_stderr

if sys.version_info < (3, 9):  # the kernel of notebook 04
    REQUIREMENTS = ("environments/turi-create.txt",)
else:
    REQUIREMENTS = ("requirements.txt", "environments/tf-coreml.txt")
DISTRIBUTIONS = {"tensorflow": ("tensorflow", "tensorflow-cpu")}  # other names under which a package is installed


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


def made_earlier(path):
    """The path, where notebook 05 has written it. Raises FileNotFoundError with the line that makes it."""
    if not path.exists():
        raise FileNotFoundError(f"{path.name} is missing; notebook 05 writes it: run `make course`, or, for this file "
                                "alone, `.venv/bin/python -m tools.course notebooks/05_tensorflow_to_coreml.ipynb`.")
    return path


def excerpt(path, first, last=None):
    """The lines of a source file from the one that contains `first` to the next that contains `last` (default: the
    closing bracket of the block that `first` opens), without their common indentation.

    So the code that a notebook shows is always the code that runs. Raises LookupError where a line is not there.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    start = next((i for i, line in enumerate(lines) if first in line), None)
    if start is None:
        raise LookupError(f"{path.name} has no line with {first!r}.")
    indent = lines[start][:len(lines[start]) - len(lines[start].lstrip())]
    closing = tuple(indent + bracket for bracket in "})]")
    for end in range(start + (last is None), len(lines)):
        if last in lines[end] if last else lines[end].startswith(closing):
            return textwrap.dedent("\n".join(lines[start:end + 1]))
    raise LookupError(f"{path.name} has no line with {last or 'the closing brace'!r} after {first!r}.")
