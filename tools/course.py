"""Runs the notebooks of the course in order; behind `make course`.

`python -m tools.course [NOTEBOOK ...]` executes notebooks/[0-9][0-9]_*.ipynb, or those named, with papermill, each in
its own kernel and with notebooks/ as the working folder. The executed copies go to exported/notebooks/, the originals
stay as they are. A failing cell stops the course; a notebook whose kernel this computer cannot have is left out, and
named (OPTIONAL_KERNELS). A course that was stopped goes on, when it is run again, with the notebook that it stopped at,
unless notebooks, code or photographs have changed since. The environment variables PHOTOS and EXPORTED are passed on
(paths.py); where PHOTOS is a folder without photos.csv, its photographs are imported first and the notebooks work on
the copies.

With --refresh, behind `make refresh`, each executed copy also takes the original's place, as notebooks are committed:
with its outputs, and without papermill's notes.
"""
import argparse
import contextlib
import errno
import hashlib
import itertools
import json
import logging
import os
import re
import shutil
import sys
import time
import warnings
from pathlib import Path

from utils import photos
from utils.command_line import CourseError
from utils.files import written_whole
from utils.paths import EXPORTED, PHOTOS, ROOT, TABLETOP

CURES = {  # what libraries say where something is used up: what it means and what to do
    r"No space left on device|Disk quota exceeded": "The disk is full: free some space and run it again.",
    r"MemoryError|OOM when allocating|[Cc](?:an't|annot) allocate memory|bad_alloc":
        "The memory is full: close other programs, such as the browser, and run it again; notebook 05 needs some 4 GB.",
}
UNFINISHED_AFTER = 600  # seconds; what has been writing a file for longer was killed
OPTIONAL_KERNELS = {  # kernel: why a computer may lack it
    "turi-create": "its kernel needs Python 3.8 on an x86-64 processor; `make setup` tells what would help",
}


class CourseStopped(CourseError):
    """Why the course stopped: the notebook, the cell, the error's last line."""

    exit_code = 1


def kernel_environment():
    """Environment variables that kernels need, to be set before one starts.

    The course's folder comes before PyPI's package called utils, too; the environment's kernel before one of the same
    name in the user's home; and TensorFlow's start-up messages, which go to stderr, are left out.
    """
    paths = [str(ROOT)] + [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p and p != str(ROOT)]
    return {"PYTHONPATH": os.pathsep.join(paths), "JUPYTER_PREFER_ENV_PATH": "1", "TF_CPP_MIN_LOG_LEVEL": "3",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1", "PHOTOS": str(PHOTOS), "EXPORTED": str(EXPORTED)}


def find_notebooks(folder):
    """The numbered notebooks of a folder, in order."""
    return sorted(Path(folder).glob("[0-9][0-9]_*.ipynb"))


def why_left_out(notebook):
    """Why a notebook cannot run on this computer: half a sentence, or None where it can, or where that is for
    run_notebook to say: only kernels of OPTIONAL_KERNELS may be missing."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        name = json.loads(Path(notebook).read_text(encoding="utf-8"))["metadata"]["kernelspec"]["name"]
        if name in OPTIONAL_KERNELS:
            interpreter = KernelSpecManager().get_kernel_spec(name).argv[0]
            return None if shutil.which(interpreter) else OPTIONAL_KERNELS[name]  # its Python may be gone
    except NoSuchKernel:
        return OPTIONAL_KERNELS[name]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no notebook
    return None


def cure(message):
    """What to do about an error, as a new line; empty where only the error itself can tell."""
    return next((f"\n{advice}" for pattern, advice in CURES.items() if re.search(pattern, message)), "")


def explain(error, exported):
    """An OSError as a sentence: what, where, and what to do about it."""
    where = Path(os.fsdecode(error.filename or exported))
    denied = error.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR) and where.is_relative_to(exported)
    advice = "\nName a folder that you may write to: make course EXPORTED=FOLDER" if denied else ""
    return f"{error.strerror}: {where}{advice or cure(str(error.strerror))}"


@contextlib.contextmanager
def silent_kernels():
    """Keeps what kernels and libraries log on file descriptor 2 from breaking into the progress bar.

    Yields a text stream that still writes to the terminal. What cells print is in the notebooks all the same.
    """
    with os.fdopen(os.dup(2), "w") as terminal, open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield terminal
        finally:
            os.dup2(terminal.fileno(), 2)


def run_notebook(notebook, out):
    """Executes a notebook in its own folder and writes the executed copy to `out`, whole or not at all.

    Returns the seconds it took. Raises CourseStopped.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import papermill  # takes a second, which tests/ and conftest.py need not wait for
        from jupyter_client.kernelspec import NoSuchKernel
        from nbclient.exceptions import DeadKernelError
        from nbformat.reader import NotJSONError
    notebook, out = Path(notebook), Path(out)
    unfinished = out.with_name(f".{out.stem}.unfinished.ipynb")
    bar = {"desc": notebook.stem, "mininterval": 0.5 if sys.stderr.isatty() else 30, "leave": False,
           "disable": False}  # whatever TQDM_DISABLE says: silence.quiet sets it for the libraries' own bars
    started = time.monotonic()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with silent_kernels() as terminal:
            papermill.execute_notebook(str(notebook), str(unfinished), cwd=str(notebook.parent),
                                       progress_bar={**bar, "file": terminal}, request_save_on_cell_execute=False,
                                       iopub_timeout=120)  # 4 seconds are too few on a busy computer
        unfinished.replace(out)
    except papermill.PapermillExecutionError as error:
        lines = [line for line in str(error.evalue).splitlines() if line.strip()] or [""]
        raise CourseStopped(f"{notebook.name} stopped at cell {error.cell_index + 1}, In [{error.exec_count}]:\n"
                          f"{error.ename}: {lines[-1]}{cure(f'{error.ename}: {error.evalue}')}") from None
    except DeadKernelError:
        raise CourseStopped(f"{notebook.name}: its kernel died, most often because the memory is full; close other "
                          "programs, such as the browser, and run it again. Notebook 05 needs some 4 GB.") from None
    except NoSuchKernel as error:
        raise CourseStopped(f"{notebook.name}: there is no kernel {error.name}; run make setup") from None
    except NotJSONError:
        raise CourseStopped(f"{notebook.name} is not a notebook; restore it, for example from git") from None
    except OSError as error:
        raise CourseStopped(f"{notebook.name}: {explain(error, out.parent.parent)}") from None
    finally:
        if unfinished.exists():
            unfinished.unlink()
    return time.monotonic() - started


def refresh(notebook, executed):
    """Puts an executed copy in the place of a notebook: what a cell printed in pieces is joined, and of the metadata
    only the kernel, the cells' tags and their slide types are left."""
    import nbformat
    from nbconvert.preprocessors import CoalesceStreamsPreprocessor

    content, _ = CoalesceStreamsPreprocessor(enabled=True)(nbformat.read(executed, as_version=4), {})
    content.metadata = {"kernelspec": content.metadata["kernelspec"], "language_info": {"name": "python"}}
    for cell in content.cells:
        cell.metadata = {name: cell.metadata[name] for name in ("tags", "slideshow") if cell.metadata.get(name)}
    with written_whole(notebook) as unfinished:
        nbformat.write(content, unfinished)


def made_since(folder, moment):
    """What lies in a folder and was written after a moment (seconds since the epoch): [(name, bytes)], sorted.

    A folder counts as one thing, a Core ML package (.mlpackage) for one. Hidden ones are left out.
    """
    made = []
    for path in sorted(path for path in Path(folder).iterdir() if not path.name.startswith(".")):
        files = [p for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file()]
        if any(p.stat().st_mtime >= moment for p in files):
            made.append((path.name + "/" * path.is_dir(), sum(p.stat().st_size for p in files)))
    return made


def prepare_photos(folder=PHOTOS, exported=EXPORTED):
    """The folder for the notebooks to work on: `folder` where it has a photos.csv, else one below `exported` into which
    its photographs are imported. Prints what was imported. Raises PhotoError when they cannot be trained on,
    ImportStopped when the disk fails."""
    if not folder.is_dir():
        raise photos.PhotoError(f"PHOTOS: no such folder: {folder}")
    decode = True
    if not (folder / "photos.csv").exists():
        from utils import capture  # loads the video libraries

        words = f"{folder.name}-{hashlib.sha256(str(folder).encode()).hexdigest()[:6]}"
        print(f"Importing the photographs of {shown(folder)}", flush=True)
        report = capture.import_photos(folder, Path(exported) / "photos" / words)
        print(report, end="\n\n", flush=True)
        folder, decode = report.out, not report.all_new
    photos.require_healthy(folder, decode)
    return folder


class Progress:
    """What a course that was stopped had done: names of notebooks, their marks and what they made, in a file beside the
    executed copies. It is taken away when all notebooks have run, so that the next course runs them all.

    Attribute: started, when the course was begun, in seconds since the epoch.
    """

    def __init__(self, exported, folder):
        self._exported, self._folder = Path(exported), folder
        self._file = self._exported / "notebooks" / ".progress.json"
        self.started, self._done = time.time(), {}

    def resume(self, notebooks):
        """The notebooks, from the first on, that need not run again: with the same cells, code and photographs, and
        what they made is there."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            found = json.loads(self._file.read_text(encoding="utf-8"))
            done = list(itertools.takewhile(lambda notebook: self._holds(found["done"].get(notebook.name), notebook),
                                            notebooks))
            if done:
                self.started, self._done = found["started"], {n.name: found["done"][n.name] for n in done}
            return done
        return []

    def _holds(self, entry, notebook):
        return entry and entry["mark"] == self._mark(notebook) and all(map(os.path.exists, entry["made"]))

    def _mark(self, notebook):
        """SHA-256, as hex digits, over all that a notebook's results come from."""
        files = [notebook, Path(self._folder) / "photos.csv", ROOT / "requirements.txt"]
        files += sorted([*ROOT.glob("utils/**/*.py"), *ROOT.glob("coreml-runtime/src/**/*.py")])
        hashes = [hashlib.sha256(file.read_bytes()).digest() for file in files]
        return hashlib.sha256(b"".join([os.fsencode(self._folder), *hashes])).hexdigest()

    def add(self, notebook, since):
        """Notes that a notebook has run, and what was made since the moment at which it began."""
        made = [str(self._exported / name) for name, _ in made_since(self._exported, since)]
        self._done[notebook.name] = {"mark": self._mark(notebook), "made": made}
        with written_whole(self._file) as unfinished:
            unfinished.write_text(json.dumps({"started": self.started, "done": self._done}), encoding="utf-8")

    def forget(self):
        self._file.unlink(missing_ok=True)


@contextlib.contextmanager
def alone_in(exported):
    """Refuses a second course in the same folder, and removes what a killed one left half-written.

    Raises CourseStopped.
    """
    import filelock

    folder = Path(exported) / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(folder / ".lock", timeout=0):
            for path in Path(exported).rglob(".unfinished-*"):
                if time.time() - path.stat().st_mtime > UNFINISHED_AFTER:
                    shutil.rmtree(path)
            yield
    except filelock.Timeout:
        raise CourseStopped(f"Another course is running in {shown(exported)}; wait until it is done, or give this one "
                            "a folder of its own: make course EXPORTED=FOLDER") from None


def run_course(notebooks, exported=EXPORTED, folder=PHOTOS, to_commit=False, resume=False):
    """Runs notebooks one after the other, on a folder of photographs, and prints what was made and how long each took.
    to_commit: refresh each one. resume: go on where an earlier course stopped. Raises CourseStopped, OSError."""
    os.environ.update(kernel_environment(), EXPORTED=str(exported), PHOTOS=str(folder))
    seconds, progress = {}, Progress(exported, folder)
    left_out = {notebook: why for notebook, why in zip(notebooks, map(why_left_out, notebooks)) if why}
    with alone_in(exported):
        done = progress.resume([notebook for notebook in notebooks if notebook not in left_out]) if resume else []
        for notebook in notebooks:
            if notebook in left_out:
                print(f"{notebook.name}: left out, {left_out[notebook]}", flush=True)
                continue
            if notebook in done:
                print(f"{notebook.name}: ran before the course was stopped", flush=True)
                continue
            executed, began = Path(exported) / "notebooks" / notebook.name, time.time()
            seconds[notebook.name] = run_notebook(notebook, executed)
            note_seconds(exported, notebook, seconds[notebook.name])
            if to_commit:
                refresh(notebook, executed)
            if resume:
                progress.add(notebook, began)
            print(f"{notebook.name}: {seconds[notebook.name]:.0f} s", flush=True)
        if resume:
            progress.forget()
    ran = f"{len(seconds)} of {len(notebooks)} notebooks"
    print(f"\n{ran} ran, in {sum(seconds.values()):.0f} s. Made in {shown(exported)}:")
    for name, size in made_since(exported, progress.started):
        print(f"{size / 1e6:8.2f} MB  {name}")


def note_seconds(exported, notebook, seconds):
    """Writes how long a notebook took into course.json, {notebook: seconds}, where `make bench` finds it."""
    file, found = Path(exported) / "course.json", {}
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(file.read_text(encoding="utf-8"))
    with written_whole(file) as unfinished:
        unfinished.write_text(json.dumps({**found, notebook.name: round(seconds, 1)}, indent=2, sort_keys=True))


def shown(path):
    """A path as it is best shown: relative to the course where it lies in it."""
    return Path(path).relative_to(ROOT) if Path(path).is_relative_to(ROOT) else path


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tools.course", description="Run the notebooks of the course.")
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK", help="default: all, in order")
    parser.add_argument("--refresh", action="store_true", help="write the outputs into the notebooks themselves")
    options = parser.parse_args(arguments)
    notebooks = options.notebooks or find_notebooks(ROOT / "notebooks")
    missing = [n for n in notebooks if not n.is_file()]
    if missing or not notebooks:
        print(f"No such notebook: {', '.join(map(str, missing)) or 'notebooks/ is empty'}.", file=sys.stderr)
        return 1
    if options.refresh and PHOTOS != TABLETOP:
        print(f"--refresh is for the bundled photographs, and PHOTOS is {PHOTOS}; unset PHOTOS.", file=sys.stderr)
        return 1
    try:
        run_course([n.resolve() for n in notebooks], folder=prepare_photos(), to_commit=options.refresh,
                   resume=not (options.notebooks or options.refresh))
    except CourseError as error:
        print(f"The course stopped. {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        raise  # utils/command_line.py
    except OSError as error:
        print(f"The course stopped. {explain(error, EXPORTED)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        logging.getLogger("asyncio").disabled = True  # of the cell that was stopped, a page of traceback at the end
        print(f"\nInterrupted. What earlier notebooks made is in {shown(EXPORTED)}; make course goes on with the next.",
              file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
