"""Makes a virtual environment that holds what a requirements file pins. Called by setup.sh with the Python that the
environment shall have, 3.8 or later; standard library only.

A stamp in the environment says that it is complete: a hash of the requirements, of the environment's Python and of its
place. It is taken away before anything changes and comes back last, so that an interrupted set-up is never taken as
done. What an interrupted one has installed is kept. pip's words go to a log beside the environment.

With --without-pins, what a second file names is added without the packages that it asks for, for software that has
outlived its pins; pip's complaints about exactly these packages are no failure.

With --kernel, the environment becomes a Jupyter kernel of another one, where Jupyter, papermill and nbval look first;
nothing is written into the user's home.
"""
import argparse
import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

VERSION = "%d.%d" % sys.version_info[:2]
CAUSES = [  # what pip says, and what it means for the person in front of it
    (r"No space left on device|Disk quota exceeded", "the disk is full; free some space (about {gigabytes} GB in all)"),
    (r"NewConnectionError|name resolution|NameResolutionError|ConnectTimeoutError|ReadTimeoutError|ProxyError"
     r"|Max retries exceeded|Connection refused|Network is unreachable",
     "the package index cannot be reached; check the network connection"),
    (r"requirement (?P<what>\S+) \(from versions: none\)",
     "no package index that can be reached has {what}; check the network connection"),
    (r"No matching distribution found for (?P<what>\S+)",
     "there is no {what} for this system and Python {version}; correct the requirements"),
    (r"Permission denied|Read-only file system",
     "this folder cannot be written to; put the course where you may write"),
]


class SetupError(Exception):
    """Why there is no environment, as the second half of a sentence."""


def python_version(venv, module="pip"):
    """The version text of an environment's Python, None where it does not run or lacks the module."""
    try:
        answer = subprocess.run([venv / "bin" / "python", "-c", f"import sys, {module}; print(sys.version)"],
                                capture_output=True, text=True, env=clean_environment())
    except OSError:
        return None
    return answer.stdout if answer.returncode == 0 else None


def clean_environment():
    """os.environ without what would mix other packages into the new environment."""
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}


def read_by(requirements):
    """The files that decide what a requirements file installs: itself, its constraints (`-c FILE`), and of a local
    package (`-e FOLDER`) the pyproject.toml."""
    named = re.findall(r"^-([ce]) +(\S+)", requirements.read_text(), re.MULTILINE)
    return [requirements, *(Path(name) / "pyproject.toml" if option == "e" else requirements.parent / name
                            for option, name in named)]


def stamp_text(venv, requirements, unpinned=None):
    parts = [file.read_bytes() for file in read_by(requirements)]
    parts += [str(python_version(venv)).encode(), os.fsencode(venv.resolve())]
    parts += [unpinned.read_bytes()] if unpinned else []
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def is_complete(venv, requirements, kernel=None, unpinned=None):
    stamp = venv / "setup-stamp"
    registered = kernel is None or kernel.is_registered()
    return registered and stamp.is_file() and stamp.read_text() == stamp_text(venv, requirements, unpinned)


class Kernel:
    """An environment as a Jupyter kernel of a host environment, from which its notebooks are run.

    COURSE_PYTHON in the kernel is the host's Python: the two pass each other files.
    """

    def __init__(self, name, host):
        self.name, self.host = name, host

    def is_registered(self):
        return (self.host / "share" / "jupyter" / "kernels" / self.name / "kernel.json").is_file()

    def command(self, venv):
        title = f"{self.name.replace('-', ' ').title()} (Python {VERSION})"
        return [venv / "bin" / "python", "-m", "ipykernel", "install", "--prefix", self.host, "--name", self.name,
                "--display-name", title, "--env", "COURSE_PYTHON", self.host.absolute() / "bin" / "python"]


def make_room(venv, gigabytes):
    """Takes an environment of ours whose Python is gone out of the way; refuses where the user must decide."""
    old = venv.with_name(venv.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    # Without pip it may still be ours: interrupted in its first seconds.
    if os.path.lexists(venv / "bin" / "python") and not (python_version(venv, "os") or "").startswith(f"{VERSION}."):
        if not (venv / "setup-stamp").exists():
            raise SetupError(f"{venv} has no working Python {VERSION} and was not made by this set-up; "
                             "rename or remove it")
        venv.rename(old)  # at once: half an environment must not look like one to go on with
        shutil.rmtree(old)
    free = shutil.disk_usage(venv.parent).free / 1e9
    if not (venv / "bin" / "python").exists() and free < gigabytes:
        raise SetupError(f"the disk has {free:.1f} GB left and about {gigabytes:g} GB are needed; free some space")


def forget_unfinished_packages(venv):
    """pip takes a package as installed once its METADATA is there; it writes INSTALLER last, when all files are."""
    for info in venv.glob("lib/python*/site-packages/*.dist-info"):
        if not (info / "INSTALLER").exists():
            shutil.rmtree(info)


class Progress:
    """One line that tells what pip is doing: rewritten every second on a terminal, added every 30 seconds elsewhere."""

    def __init__(self, venv):
        self.venv, self.started, self.packages, self.text = venv, time.monotonic(), 0, "starting"
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._show, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
        if sys.stdout.isatty():
            print("\r\033[K", end="", flush=True)

    def read(self, line):
        """Takes in a line of pip's output."""
        if line.startswith("Collecting "):
            self.packages += 1
            self.text = f"finding and downloading: {self.packages} packages, now {line.split()[1]}"
        elif line.startswith("Installing collected packages: "):
            self.packages = line.count(",") + 1
            self.text = ""

    def _show(self):
        terminal = sys.stdout.isatty()
        while not self.done.wait(1 if terminal else 30):
            count = len(list(self.venv.glob("lib/python*/site-packages/*.dist-info")))
            text = self.text or f"unpacking: {min(count, self.packages)} of {self.packages} packages"
            line = f"[{time.monotonic() - self.started:4.0f} s] {text}"
            print(f"\r\033[K{line[:shutil.get_terminal_size().columns - 1]}" if terminal else line,
                  end="" if terminal else "\n", flush=True)


def run(command, log, lock, progress, tolerated=None):
    """Runs a command, its output to the log; raises SetupError with the cause that the output tells.

    tolerated: a pattern; a failure is none where all that the command says matches it line by line.
    """
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                               env=clean_environment(), pass_fds=[lock.fileno()])
    said = []
    try:
        for line in process.stdout:
            log.write(line)
            log.flush()
            said.append(line)
            progress.read(line)
    finally:
        process.terminate()
        code = process.wait()
    if code and not (tolerated and said and all(re.match(tolerated, line) for line in said)):
        raise SetupError(cause("".join(said)) or f"{command[2]} stopped with exit code {code}; read the log's end")


def cause(said):
    for pattern, meaning in CAUSES:
        match = re.search(pattern, said)
        if match:
            return meaning.replace("{what}", match.groupdict().get("what") or "").replace("{version}", VERSION)
    errors = [line for line in said.splitlines() if line.startswith(("ERROR:", "Error:"))]
    return errors[-1].split(":", 1)[1].strip() if errors else None


def complaints_of(unpinned):
    """A pattern for the lines in which `pip check` says what the packages of a requirements file (NAME==VERSION)
    lack."""
    pins = re.findall(r"^([\w.-]+)==([\w.]+)", unpinned.read_text(), re.MULTILINE)
    return "|".join(rf"{re.escape(name)} {re.escape(version)} (requires|has requirement) " for name, version in pins)


def set_up(venv, requirements, gigabytes, log_name, kernel=None, unpinned=None):
    with open(f"{venv}.lock", "w") as lock, open(log_name, "w") as log:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupError("another set-up is at work in this folder; wait until it is done") from None
        make_room(venv, gigabytes)
        print(f"Setting up {venv} from {requirements}: a few minutes, {gigabytes} GB. Details: {log_name}", flush=True)
        with Progress(venv) as progress:
            if python_version(venv) is None:
                run([sys.executable, "-m", "venv", venv], log, lock, progress)
            (venv / "setup-stamp").unlink(missing_ok=True)
            forget_unfinished_packages(venv)
            pip = [venv / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--no-input"]
            install = pip + ["install", "--no-user", "--progress-bar", "off"]
            run(install + ["-r", requirements], log, lock, progress)
            if unpinned is not None:
                run(install + ["--no-deps", "-r", unpinned], log, lock, progress)
            run(pip + ["check"], log, lock, progress, tolerated=unpinned and complaints_of(unpinned))
            if kernel is not None:
                run(kernel.command(venv), log, lock, progress)
        new = venv / "setup-stamp.new"
        new.write_text(stamp_text(venv, requirements, unpinned))
        new.replace(venv / "setup-stamp")


def interrupt(*_):
    raise KeyboardInterrupt


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path, default=Path(".venv"))
    parser.add_argument("--requirements", type=Path, default=Path("requirements.txt"))
    parser.add_argument("--gigabytes", type=float, default=5, help="disk space that the environment takes")
    parser.add_argument("--without-pins", type=Path, metavar="FILE",
                        help="requirements to install with pip's --no-deps")
    parser.add_argument("--kernel", help="name under which the environment is a Jupyter kernel of --kernel-host")
    parser.add_argument("--kernel-host", type=Path, default=Path(".venv"), metavar="VENV")
    options = parser.parse_args(arguments)
    kernel = Kernel(options.kernel, options.kernel_host) if options.kernel else None
    log_name = f"{options.venv}.log"
    started = time.monotonic()
    signal.signal(signal.SIGTERM, interrupt)
    try:
        if is_complete(options.venv, options.requirements, kernel, options.without_pins):
            print(f"{options.venv} is up to date.")
            return 0
        set_up(options.venv, options.requirements, options.gigabytes, log_name, kernel, options.without_pins)
    except KeyboardInterrupt:
        print("\nSet-up was interrupted; run it again, it goes on where it stopped.", file=sys.stderr)
        return 130
    except (SetupError, OSError) as error:
        reason = (cause(str(error)) or str(error)) if isinstance(error, OSError) else str(error)
        reason = reason.replace("{gigabytes}", f"{options.gigabytes:g}")
        print(f"Set-up failed: {reason}, then run this again. Details: {log_name}", file=sys.stderr)
        return 1
    seconds = f"{time.monotonic() - started:.0f}"
    (options.venv / "setup-seconds").write_text(seconds)  # for make bench
    print(f"{options.venv} is ready after {seconds} seconds.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
