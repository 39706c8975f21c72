"""The house of the code: imports run tools → utils → coreml_runtime, one way and in no circle; studio stands apart."""
import ast
import re
from graphlib import CycleError, TopologicalSorter

import pytest

from utils.paths import ROOT

RUNTIME = ROOT / "coreml-runtime" / "src"
PACKAGES = {"coreml_runtime": RUNTIME, "utils": ROOT, "tools": ROOT, "studio": ROOT}
MAY_IMPORT = {"coreml_runtime": set(), "utils": {"coreml_runtime"}, "tools": {"utils", "coreml_runtime"},
              "studio": set()}


def modules():
    """{dotted name: path} of every module of the four packages."""
    found = {}
    for package, root in PACKAGES.items():
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(name, path, at_import=False):
    """The modules of the house that a module imports; at_import: only those of its import, not of its functions'."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in tree.body if at_import else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
            base = parents[:len(parents) + 1 - node.level] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            found |= {f"{module}.{alias.name}" if f"{module}.{alias.name}" in MODULES else module
                      for alias in node.names}
    return {each for each in found if each in MODULES} - {name}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_lies_below_it(package):
    for name, path in MODULES.items():
        if name.split(".")[0] == package:
            wrong = {each for each in imports(name, path)
                     if each.split(".")[0] not in MAY_IMPORT[package] | {package}}
            assert not wrong, f"{name} imports {wrong}"


def test_no_module_imports_itself_by_way_of_others():
    graph = {name: imports(name, path, at_import=True) for name, path in MODULES.items()}
    graph = {name: {each for each in found if not name.startswith(f"{each}.")} for name, found in graph.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_notebooks_import_the_small_package_and_the_runtime_only():
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        assert not re.search(r"\b(?:from|import) (?:tools|studio)\b", path.read_text(encoding="utf-8")), path.name


def test_the_floor_plan_has_a_line_for_each_room():
    import utils

    rooms = {path.stem for path in (ROOT / "utils").glob("*.py")}
    rooms |= {path.parent.name for path in (ROOT / "utils").glob("*/__init__.py")}
    named = set(re.findall(r"`(\w+)`", utils.__doc__))
    assert rooms - {"__init__"} == named


def test_the_small_package_is_small():
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / "utils").glob("*.py"))
    assert lines < 3800
