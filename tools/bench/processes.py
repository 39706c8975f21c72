"""What the parts of `make bench` share: contestants run in processes of their own, because their peak memory is a
figure.

`python -m tools.bench.processes PART NAME [FOLDER]` runs one of them: the function `contestant` of tools/bench/PART.py.
"""
import importlib
import json
import os
import resource
import subprocess
import sys

from utils import paths
from utils.command_line import CourseError, command


def one_of(choices, name, kind="contestant"):
    """choices[name]. Raises CourseError, with the names that there are, when `name` is none of them."""
    if name not in choices:
        raise CourseError(f"No such {kind}: {name}. There are {', '.join(choices)}.")
    return choices[name]


def ended(name, code):
    """The error for a process that ended with an exit code other than 0."""
    return CourseError(f"{name} ended with exit code {code}; its messages are above.")


def python(*arguments):
    """The command line of `python -m ...`, without warnings."""
    return [sys.executable, "-W", "ignore", "-m", *map(str, arguments)]


def figures(part, name, *arguments, environment=None):
    """The JSON in the last line that `python -m ARGUMENTS` prints; its messages pass. part and name say what runs.

    environment: variables added to those of this process. Raises CourseError when the process fails.
    """
    print(f"{part}: {name}", file=sys.stderr, flush=True)
    done = subprocess.run(python(*arguments), cwd=paths.ROOT, stdout=subprocess.PIPE, text=True,
                          env={**os.environ, **(environment or {})})
    if done.returncode:
        raise ended(name, done.returncode)
    return json.loads(done.stdout.splitlines()[-1])


def figures_of_contestant(part, name, *arguments):
    """What `contestant` of a part returns for a name, run in a process of its own. Raises CourseError when it fails."""
    return figures(part, name, __name__, part, name, *arguments)


def peak_megabytes():
    """The largest memory of this process so far, libraries included."""
    unit = 1e6 if sys.platform == "darwin" else 1e3  # ru_maxrss: bytes on macOS, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


@command
def main(arguments=None):
    part, *rest = arguments or sys.argv[1:]
    print(json.dumps(importlib.import_module(f"tools.bench.{part}").contestant(*rest)))


if __name__ == "__main__":
    sys.exit(main())
