"""tools.course: the runner behind make course, on small notebooks of its own."""
import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from tests import processes
from tools import course
from utils import photos
from utils.paths import ROOT, TABLETOP


def collect(folder, classes=("Relais blau", "Zündspule"), sessions=3):
    """Noise as photographs: sessions of two frames, as a user lays them out."""
    rng = np.random.default_rng(0)
    for label in classes:
        for session in range(sessions):
            for frame in range(2):
                path = folder / label / f"table {session}" / f"{frame}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 255, (24, 32, 3), np.uint8)).resize((96, 72)).save(path)
    return folder


@pytest.fixture(scope="module", autouse=True)
def small_collection(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHOTOS", str(collect(tmp_path_factory.mktemp("photos"))))
        yield


def notebook(folder, name, *sources, kernel="python3"):
    """Writes a notebook with a cell a source."""
    v4 = nbformat.v4
    metadata = {"kernelspec": {"name": kernel, "display_name": kernel}}
    path = folder / f"{name}.ipynb"
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell(s) for s in sources], metadata=metadata), path)
    return path


def run(*notebooks, **environment):
    return subprocess.run([sys.executable, "-m", "tools.course", *map(str, notebooks)], cwd=ROOT, capture_output=True,
                          text=True, env={**os.environ, **environment})


def executed(tmp_path):
    return sorted(p.name for p in (tmp_path / "out" / "notebooks").glob("*.ipynb"))  # hidden ones, too


def test_notebooks_run_in_order_in_their_folder_and_stay_as_they_are(tmp_path):
    log = "from utils.paths import exported; open(exported('log.txt'), 'a').write({!r})"
    second = notebook(tmp_path, "02_b", log.format("b"))
    first = notebook(tmp_path, "01_a", log.format("a"), "import os; print(os.path.basename(os.getcwd()))")
    notebook(tmp_path, "draft", "1/0")
    before = first.read_bytes(), second.read_bytes()
    assert course.find_notebooks(tmp_path) == [first, second]
    done = run(*course.find_notebooks(tmp_path), EXPORTED=str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "log.txt").read_text() == "ab"
    assert (first.read_bytes(), second.read_bytes()) == before
    assert executed(tmp_path) == ["01_a.ipynb", "02_b.ipynb"]
    copy = nbformat.read(tmp_path / "out" / "notebooks" / "01_a.ipynb", as_version=4)
    assert copy.cells[1].outputs[0].text.strip() == tmp_path.name
    assert "01_a.ipynb: " in done.stdout and "log.txt" in done.stdout and "notebooks/" in done.stdout
    assert "2/2" in done.stderr or "0/2" in done.stderr  # the progress bar: cells done of all


def test_refresh_puts_the_outputs_into_the_notebook_and_nothing_else(tmp_path):
    path = notebook(tmp_path, "01_a", "print('a', flush=True)\nprint('b')", "6 * 7")
    content = nbformat.read(path, as_version=4)
    content.cells[1].metadata.tags = ["nbval-ignore-output"]
    nbformat.write(content, path)
    done = run("--refresh", path, EXPORTED=str(tmp_path / "out"), PHOTOS="")
    assert done.returncode == 0, done.stderr
    found = nbformat.read(path, as_version=4)
    assert [cell.source for cell in found.cells] == [cell.source for cell in content.cells]
    assert [output.text for output in found.cells[0].outputs] == ["a\nb\n"]
    assert [cell.execution_count for cell in found.cells] == [1, 2]
    assert found.cells[1].outputs[0].data["text/plain"] == "42"
    assert [dict(cell.metadata) for cell in found.cells] == [{}, {"tags": ["nbval-ignore-output"]}]
    assert set(found.metadata) == {"kernelspec", "language_info"}


def test_a_failing_cell_and_other_photographs_refresh_nothing(tmp_path):
    path = notebook(tmp_path, "01_a", "1", "1 / 0")
    before = path.read_bytes()
    refused = "--refresh is for the bundled photographs"
    for photographs, message in (("", "ZeroDivisionError"), (str(tmp_path), refused)):
        done = run("--refresh", path, EXPORTED=str(tmp_path / "out"), PHOTOS=photographs)
        assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr
        assert path.read_bytes() == before


def test_a_failing_cell_stops_the_course_and_is_told_in_two_lines(tmp_path):
    bad = notebook(tmp_path, "01_a", "1 + 1", "raise ValueError('first line\\nlast line')", "3")
    after = notebook(tmp_path, "02_b", "1")
    done = run(bad, after, EXPORTED=str(tmp_path / "out"))
    assert done.returncode == 1
    assert "01_a.ipynb stopped at cell 2, In [2]:\nValueError: last line\n" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert executed(tmp_path) == []


@pytest.mark.parametrize("cell, kernel, message", [
    ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)",  # as Linux does where memory ends
     "python3", "its kernel died, most often because the memory is full; close other programs"),
    ("1", "no-such-kernel", "there is no kernel no-such-kernel; run make setup"),
])
def test_a_dead_and_a_missing_kernel_are_one_sentence(tmp_path, cell, kernel, message):
    done = run(notebook(tmp_path, "01_a", cell, kernel=kernel), EXPORTED=str(tmp_path / "out"))
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("registered", [False, True])
def test_a_notebook_whose_kernel_this_computer_cannot_have_is_left_out_by_name_and_the_others_run(tmp_path, registered):
    first, last = notebook(tmp_path, "01_a", "1"), notebook(tmp_path, "03_c", "1")
    left_out = notebook(tmp_path, "02_b", "1/0", kernel="optional-kernel")
    if registered:  # and its Python is gone since
        spec = tmp_path / "jupyter" / "kernels" / "optional-kernel" / "kernel.json"
        spec.parent.mkdir(parents=True)
        spec.write_text(json.dumps({"argv": ["/nowhere/python3.8"], "display_name": "", "language": "python"}))
    code = ("import sys; from tools import course; "
            "course.OPTIONAL_KERNELS['optional-kernel'] = 'which needs a miracle'; sys.exit(course.main(sys.argv[1:]))")
    done = subprocess.run(
        [sys.executable, "-c", code, str(first), str(left_out), str(last)], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "EXPORTED": str(tmp_path / "out"), "JUPYTER_PATH": str(tmp_path / "jupyter")})
    assert done.returncode == 0, done.stderr
    assert "02_b.ipynb: left out, which needs a miracle" in done.stdout and "2 of 3 notebooks ran" in done.stdout
    assert executed(tmp_path) == ["01_a.ipynb", "03_c.ipynb"]


def test_make_test_leaves_such_a_notebook_out_by_name_too_found_or_named():
    first, second, *_ = course.find_notebooks(ROOT / "notebooks")
    code = ("import sys, pytest; from tools import course; "
            f"course.why_left_out = lambda path: 'which needs a miracle' if path.name == {first.name!r} else None; "
            "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', *sys.argv[1:]]))")
    for arguments in (["--collect-only", "notebooks"], [f"notebooks/{first.name}"]):
        done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"left out: notebooks/{first.name}, which needs a miracle" in done.stdout
        assert f"{first.name}::Cell" not in done.stdout
        assert (f"{second.name}::Cell" in done.stdout) if len(arguments) > 1 else ("1 skipped" in done.stdout)


def test_a_file_that_is_no_notebook_and_one_that_is_not_there(tmp_path):
    (tmp_path / "01_a.ipynb").write_text("hello")
    done = run(tmp_path / "01_a.ipynb", EXPORTED=str(tmp_path / "out"))
    assert done.returncode == 1 and "01_a.ipynb is not a notebook" in done.stderr and "Traceback" not in done.stderr
    done = run(tmp_path / "nowhere.ipynb")
    assert done.returncode == 1 and "No such notebook" in done.stderr


def test_photographs_are_imported_for_the_notebooks_and_not_touched(tmp_path):
    cell = "from utils.paths import PHOTOS, exported; exported('photos.txt').write_text(str(PHOTOS))"
    path, mine = notebook(tmp_path, "01_a", cell), collect(tmp_path / "mine")
    before = {p: p.read_bytes() for p in mine.rglob("*.png")}
    done = run(path, EXPORTED=str(tmp_path / "out"), PHOTOS=str(mine))
    assert done.returncode == 0, done.stderr
    assert "12 taken (Relais blau 6, Zündspule 6), 0 there already, 0 set aside" in done.stdout
    folder = Path((tmp_path / "out" / "photos.txt").read_text())
    assert folder.parent == tmp_path / "out" / "photos"
    assert set(photos.read_table(folder)["split"]) == set(photos.SPLITS)
    assert before == {p: p.read_bytes() for p in mine.rglob("*") if p.is_file()}
    again = run(path, EXPORTED=str(tmp_path / "out"), PHOTOS=str(folder))  # a table of photographs is used as it is
    assert again.returncode == 0 and "taken" not in again.stdout
    assert (tmp_path / "out" / "photos.txt").read_text() == str(folder)


def test_notebook_02_trains_on_the_fewest_photographs_that_the_course_takes(tmp_path):
    """Two classes, three sessions of a photograph: one of each class to train on, less than a batch."""
    for label in ("relay", "piezo"):
        for session in ("40", "41", "42"):
            path = tmp_path / "mine" / f"my {label}" / f"table {session}" / "1.jpg"
            path.parent.mkdir(parents=True)
            photos.read_photo(TABLETOP / label / f"{label}-{session}_0.jpg", (200, 150)).save(path)
    done = run(ROOT / "notebooks" / "02_fastai_transfer_learning.ipynb", EXPORTED=str(tmp_path / "out"),
               PHOTOS=str(tmp_path / "mine"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "tabletop_fastai.safetensors").exists()


def test_photos_is_relative_to_the_course_and_a_wrong_one_stops_it(tmp_path):
    path = notebook(tmp_path, "01_a", "1")
    for folder, message in (("no such folder", "PHOTOS: no such folder"), ("tools", "tools"),
                            (collect(tmp_path / "few", sessions=2), "photograph 1 more"),
                            (collect(tmp_path / "one", classes=["relay"]), "only one class")):
        done = run(path, EXPORTED=str(tmp_path / "out"), PHOTOS=str(folder))
        assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr, done.stderr
        assert "The course stopped. " in done.stderr and not (tmp_path / "out" / "notebooks").exists()


def test_without_photos_the_bundled_ones_are_used():
    code = "from utils import paths; print(paths.PHOTOS == paths.TABLETOP, paths.EXPORTED == paths.ROOT / 'exported')"
    environment = {k: v for k, v in os.environ.items() if k not in ("PHOTOS", "EXPORTED")}
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert answer.stdout.split() == ["True", "True"], answer.stderr


def test_an_interruption_leaves_nothing_half_written(tmp_path):
    path = notebook(tmp_path, "01_a", "from utils.paths import exported; exported('started').touch()",
                    "import time; time.sleep(60)")
    process = processes.start("-m", "tools.course", path, env={**os.environ, "EXPORTED": str(tmp_path / "out")})
    processes.wait_until((tmp_path / "out" / "started").exists, process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and "Interrupted" in errors and "Traceback" not in errors
    assert executed(tmp_path) == []


def test_a_course_that_stopped_goes_on_where_it_stopped_and_a_finished_one_runs_again(tmp_path, monkeypatch, capsys):
    """Notebooks that are not really run: each writes a file of its name; the last fails until it is mended."""
    for name in {**course.kernel_environment(), "EXPORTED": "", "PHOTOS": ""}:
        monkeypatch.setenv(name, os.environ.get(name, ""))  # run_course changes them
    out, photographs = tmp_path / "out", collect(tmp_path / "mine")
    (photographs / "photos.csv").write_text("1")
    notebooks = [notebook(tmp_path, name, "1") for name in ("01_a", "02_b", "03_c")]
    ran, faults = [], ["03_c"]

    def run_notebook(path, executed):
        ran.append(path.stem)
        if path.stem in faults:
            raise course.CourseStopped(path.stem)
        time.sleep(0.02)  # file systems' clocks are behind by up to so much
        (out / f"{path.stem}.txt").touch()
        return 1.0

    def run_course(resume=True):
        ran.clear()
        with contextlib.suppress(course.CourseStopped):
            course.run_course(notebooks, out, photographs, resume=resume)
        return ran

    monkeypatch.setattr(course, "run_notebook", run_notebook)
    assert run_course() == ["01_a", "02_b", "03_c"]
    assert run_course() == ["03_c"]
    assert "02_b.ipynb: ran before the course was stopped" in capsys.readouterr().out
    assert run_course(resume=False) == ["01_a", "02_b", "03_c"]  # as where notebooks are named
    notebooks[1].write_text(notebooks[1].read_text() + " ")
    assert run_course() == ["02_b", "03_c"]  # one that was changed, and those after it
    (out / "02_b.txt").unlink()
    assert run_course() == ["02_b", "03_c"]  # one whose work is gone
    (photographs / "photos.csv").write_text("2")
    assert run_course() == ["01_a", "02_b", "03_c"]
    (out / "notebooks" / ".progress.json").write_text("{")
    assert run_course() == ["01_a", "02_b", "03_c"]
    faults.clear()
    capsys.readouterr()
    assert run_course() == ["03_c"]
    said = capsys.readouterr().out
    assert "1 of 3 notebooks ran" in said and all(f"{path.stem}.txt" in said for path in notebooks)
    assert run_course() == ["01_a", "02_b", "03_c"]


def test_a_second_course_in_the_same_folder_is_refused_and_one_in_another_folder_runs_beside_it(tmp_path):
    slow = notebook(tmp_path, "01_a", "from utils.paths import exported; exported('started').touch()",
                    f"import time\nwhile not __import__('os').path.exists({str(tmp_path / 'go')!r}): time.sleep(0.1)")
    environment = {**os.environ, "EXPORTED": str(tmp_path / "out")}
    process = processes.start("-m", "tools.course", slow, env=environment, stdout=subprocess.PIPE)
    processes.wait_until((tmp_path / "out" / "started").exists, process)
    quick = notebook(tmp_path, "02_b", "1")
    refused = run(quick, EXPORTED=str(tmp_path / "out"))
    beside = run(quick, EXPORTED=str(tmp_path / "another"))
    (tmp_path / "go").touch()
    _, errors = process.communicate(timeout=60)
    assert refused.returncode == 1 and "Another course is running in" in refused.stderr
    assert "make course EXPORTED=FOLDER" in refused.stderr and "Traceback" not in refused.stderr
    assert beside.returncode == 0, beside.stderr
    assert process.returncode == 0 and executed(tmp_path) == ["01_a.ipynb"], errors


@pytest.mark.parametrize("cell, cure", [
    ("open('/dev/full', 'w', 1).write('x\\n')", "OSError: [Errno 28] No space left on device\nThe disk is full: free"),
    ("import numpy; numpy.ones(1 << 58, 'u1')", "The memory is full: close other programs, such as the browser, and"),
])
def test_a_cell_that_runs_out_of_disk_or_memory_says_what_to_do(tmp_path, cell, cure):
    done = run(notebook(tmp_path, "01_a", cell), EXPORTED=str(tmp_path / "out"))
    assert done.returncode == 1 and "stopped at cell 1" in done.stderr and cure in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("message", [  # as seen with 3 GB of address space
    "MemoryError: ", "ResourceExhaustedError: {{…}} OOM when allocating tensor with shape[805306368]",
    "RuntimeError: [enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you"])
def test_each_library_s_words_for_a_full_memory_are_understood(message):
    assert course.cure(message).startswith("\nThe memory is full: ")
    assert course.cure("ValueError: memory") == ""


def test_a_disk_that_is_full_when_the_executed_notebook_is_written_is_one_sentence(tmp_path, monkeypatch):
    import papermill

    def write_half(_, unfinished, **__):
        Path(unfinished).write_text("{")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(papermill, "execute_notebook", write_half)
    with pytest.raises(course.CourseStopped, match="01_a.ipynb: No space left on device: .*\nThe disk is full: free"):
        course.run_notebook(notebook(tmp_path, "01_a", "1"), tmp_path / "out" / "notebooks" / "01_a.ipynb")
    assert executed(tmp_path) == []


def test_a_folder_that_cannot_be_written_to_is_one_sentence(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    done = run(notebook(tmp_path, "01_a", "1"), EXPORTED=str(tmp_path / "file"), PHOTOS="")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"Not a directory: {tmp_path / 'file'}" in done.stderr and "make course EXPORTED=FOLDER" in done.stderr

    def refuse(path, *_, **__):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert course.main([str(tmp_path / "01_a.ipynb")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("The course stopped. ") and "Read-only file system: " in said and "EXPORTED=FOLDER" in said


def test_what_a_killed_course_left_half_written_is_removed(tmp_path):
    old, young = (tmp_path / "out" / "reports" / f".unfinished-{name}" for name in ("old", "young"))
    for folder in old, young:
        folder.mkdir(parents=True)
        (folder / "Model.mlpackage").write_text("half")
    os.utime(old, (1, 1))
    assert run(notebook(tmp_path, "01_a", "1"), EXPORTED=str(tmp_path / "out")).returncode == 0
    assert not old.exists() and young.exists()


def test_kernels_find_the_package_of_the_course_first():
    assert course.kernel_environment()["PYTHONPATH"].split(os.pathsep)[0] == str(ROOT)
    assert TABLETOP.parent.parent == ROOT


def test_what_was_made_counts_a_folder_as_one_and_leaves_out_what_was_there(tmp_path):
    (tmp_path / "old.txt").write_text("x")
    os.utime(tmp_path / "old.txt", (1, 1))
    (tmp_path / "Model.mlpackage" / "Data").mkdir(parents=True)
    (tmp_path / "Model.mlpackage" / "Data" / "weights").write_text("12345")
    assert course.made_since(tmp_path, 1000) == [("Model.mlpackage/", 5)]


def test_the_seconds_of_a_notebook_are_noted_beside_those_of_others(tmp_path):
    (tmp_path / "course.json").write_text("damaged")
    course.note_seconds(tmp_path, Path("02_b.ipynb"), 7.123)
    course.note_seconds(tmp_path, Path("01_a.ipynb"), 60)
    course.note_seconds(tmp_path, Path("02_b.ipynb"), 8.04)
    assert json.loads((tmp_path / "course.json").read_text()) == {"01_a.ipynb": 60, "02_b.ipynb": 8.0}
