"""Which lines count as run by the tests, and that those of child processes are among them."""
import ast
import fnmatch
import json
import subprocess
import sys
from configparser import ConfigParser

from tests.measured import ROOT, VARIABLE

ELSEWHERE = {"bpy", "mathutils", "turicreate"}  # packages of Blender's environment and of notebook 04's kernel


def imported(path, seen=()):
    """The packages that importing a module of utils imports, by way of modules of utils, too."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            names = [base.with_suffix(".py")] if node.module else [base / f"{alias.name}.py" for alias in node.names]
            for each in {name for name in names if name.exists()} - {path, *seen}:
                found |= imported(each, (path, *seen))
    return found


def test_only_what_needs_another_environment_is_left_out():
    settings = ConfigParser(inline_comment_prefixes="#")
    settings.read(ROOT / ".coveragerc")
    patterns = [line for line in settings["run"]["omit"].splitlines() if line]
    names = {path: path.relative_to(ROOT).as_posix() for path in (ROOT / "utils").rglob("*.py")}
    left_out = {name for path, name in names.items() if any(fnmatch.fnmatch(f"/{name}", p) for p in patterns)}
    assert len(left_out) > 5 and left_out == {name for path, name in names.items() if imported(path) & ELSEWHERE}


PROGRAM = """
import subprocess, sys
sys.path.insert(0, {root!r})
from tests.measured import Lines
lines = Lines({config!r})
lines.start()
sys.path.insert(0, ".")
import house.half
subprocess.run([sys.executable, "-c", "import house.child"], check=True)
lines.stop()
import json, house.late
print(json.dumps(lines.found()))
"""


def test_lines_of_child_processes_count_and_what_runs_after_the_end_does_not(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)  # of this very measurement
    (tmp_path / "house").mkdir()
    for name, text in (("__init__", ""), ("half", "a = 1\nif not a:\n    b = 2\n    c = 3\n"), ("child", "a = 1\n"),
                       ("late", "a = 1\n"), ("never", "a = 1\n")):
        (tmp_path / "house" / f"{name}.py").write_text(text)
    (tmp_path / "rc").write_text("[run]\nsource = house\npatch = subprocess\n")
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(root=str(ROOT), config=str(tmp_path / "rc"))],
                          cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    total, low = json.loads(done.stdout.splitlines()[-1])
    assert {name.split("/")[-1]: round(share) for name, share in low.items()} == {
        "late.py": 0, "never.py": 0, "half.py": 50}
    assert round(total, 1) == round(100 * 3 / 7, 1)
